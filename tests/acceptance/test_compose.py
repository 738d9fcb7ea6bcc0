"""What compose.yaml starts, started without an engine: its script, environments and commands."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from marketdata.client import MarketDataClient
from marketdata.domain.symbol import NewSymbol
from marketdata.storage.address import SERVICE_ROLE
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.modes import StorageMode
from tests.acceptance.processes import marketdata, serving
from tests.support.compose import read_compose
from tests.support.embedded import query
from tests.support.servers.apache import apache_programs
from tests.support.servers.provision import REPOSITORY, NotProvisionedError, skip_or_fail
from tests.support.servers.running import made_bare, server_of

GIVEN: Final = {
    "POSTGRES_PASSWORD": "an administrator's",
    "MARKETDATA_MIGRATOR_PASSWORD": "the owner's; 'quoted'",
    "DB_PASSWORD": "the service's $1",
}
# As the containers: the file system cannot be written to but for /tmp, and no capability is left.
CONFINED: Final = [
    "unshare", "--mount", "--propagation=private", "sh", "-euc", """
        mount -o remount,bind,ro /
        mount -t tmpfs tmpfs /tmp
        exec setpriv --no-new-privs --inh-caps=-all --bounding-set=-all "$@"
    """, "sh",
]  # fmt: skip
MAY_CONFINE: Final = os.geteuid() == 0 and all(map(shutil.which, ("unshare", "setpriv")))


@pytest.fixture
def database() -> Iterator[ServerAddress]:
    """Give the administrator's address of a server on which the script has run."""
    try:
        programs = apache_programs()
        with server_of(StorageMode.APACHE) as server:
            address = made_bare(server)
            where = {
                "PGHOST": address.host,
                "PGPORT": str(address.port),
                "PGPASSWORD": address.password,
                "POSTGRES_USER": address.user,
            }
            own = read_compose().services["database"].variables(GIVEN)
            subprocess.run(
                [REPOSITORY / "deploy" / "make-database.sh"],
                env={**own, **where, "PATH": f"{programs}:{os.environ['PATH']}"},
                check=True,
            )
            yield address
    except NotProvisionedError as error:
        skip_or_fail(error)


def environment_of(name: str, database: ServerAddress) -> dict[str, str | int]:
    """Give the environment of a service of compose.yaml, with the database where it is here."""
    found = read_compose().services[name].variables(GIVEN)
    return {**found, "DB_HOST": database.host, "DB_PORT": database.port}


def capabilities(pid: int) -> int:
    """Tell what a process may do of all that root may, as bits."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (found,) = [line.split()[1] for line in lines if line.startswith("CapEff:")]
    return int(found, 16)


@pytest.mark.skipif(not MAY_CONFINE, reason="confining a process needs root, unshare and setpriv")
async def test_compose_given_its_files_migrates_serves_and_is_healthy(
    database: ServerAddress, empty_folder: Path
) -> None:
    """From an empty server to a healthy service, each with no more than the file gives it."""
    services = read_compose().services
    migrated = marketdata(
        empty_folder, *services["migrate"].command, **environment_of("migrate", database)
    )
    assert migrated.code == 0, migrated.err
    environment = environment_of("service", database)
    assert services["service"].command == ["serve"]
    with serving(empty_folder, under=CONFINED, **environment) as service:
        assert capabilities(service.process.pid) == 0
        async with MarketDataClient(service.address) as client:
            await client.create_symbol(NewSymbol("AAPL"))
            assert (await client.get_symbol("AAPL")).symbol == "AAPL"
        check = services["service"].healthcheck
        assert check is not None
        assert check.test[:2] == ["CMD", "marketdata"]
        healthy = marketdata(empty_folder, *check.test[2:], **environment, MARKETDATA_PORT=service.port)
        assert healthy.code == 0, healthy.out
        assert "storage mode apache" in " ".join(healthy.out.split())
        assert service.stop() == 0
    unhealthy = marketdata(empty_folder, *check.test[2:], **environment, MARKETDATA_PORT=service.port)
    assert unhealthy.code == 1


def test_make_database_given_an_empty_server_makes_two_roles_without_powers(
    database: ServerAddress,
) -> None:
    """One owns the database, one owns nothing; the administrator's extension is there for both."""
    found = query(
        database.for_maintenance(),
        "SELECT rolname, rolcanlogin, rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication"
        "       OR rolbypassrls FROM pg_roles WHERE rolname LIKE 'market%' ORDER BY 1",
    )
    assert found == [("market_data_owner", True, False), (SERVICE_ROLE, True, False)]
    owned = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'marketdata'"
    assert query(database.for_maintenance(), owned) == [("market_data_owner",)]
    extensions = "SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'"
    assert query(database, extensions) == [(1,)]
