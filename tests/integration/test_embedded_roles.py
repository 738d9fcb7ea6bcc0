"""The embedded server's two roles: made, kept apart, and put right at every start."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest

from marketdata import app
from marketdata import database as configured
from marketdata.config import Settings
from marketdata.errors import DatabaseSetupError
from marketdata.storage.address import SERVICE_ROLE
from marketdata.storage.embedded import EmbeddedPostgres, attach
from tests.support.embedded import copied, made_folder, owned, query

POWERS: Final = f"""
    SELECT rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,
           rolpassword LIKE 'SCRAM-SHA-256%' FROM pg_authid WHERE rolname = '{SERVICE_ROLE}'
"""  # noqa: S608 -- a constant
NONE: Final = [(True, False, False, False, False, False, True)]


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """Make one data folder for the copies of all tests."""
    with made_folder() as folder:
        yield folder


@pytest.fixture
def folder(made: Path) -> Iterator[Path]:
    """Give a data folder with the database of a stopped server."""
    with copied(made) as folder:
        yield folder


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """Run the server of the folder."""
    running = EmbeddedPostgres(folder)
    running.start()
    yield running
    running.stop()


def test_start_given_a_folder_has_a_role_without_powers(server: EmbeddedPostgres) -> None:
    """The service's role may log in, with a password that the server keeps as a verifier only."""
    assert server.address is not None
    assert query(server.address, POWERS) == NONE
    assert query(server.address.for_service(), "SELECT current_user") == [(SERVICE_ROLE,)]


def test_start_given_a_role_that_got_powers_takes_them_away(server: EmbeddedPostgres) -> None:
    """What somebody changed by hand does not stay."""
    query(server.address, f"ALTER ROLE {SERVICE_ROLE} SUPERUSER CREATEROLE NOLOGIN PASSWORD NULL")
    server.stop()
    assert query(server.start(), POWERS) == NONE


def test_start_given_a_lost_password_of_the_service_makes_another(server: EmbeddedPostgres) -> None:
    """The owner can set it anew, so nothing is lost; the old one opens nothing any more."""
    assert server.address is not None
    lost = server.address.for_service()
    server.stop()
    (server.folder / "service_password").unlink()
    service = server.start().for_service()
    assert service.password != lost.password
    assert query(service, "SELECT 1") == [(1,)]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        query(lost, "SELECT 1")


def test_start_given_a_role_with_durability_off_refuses(server: EmbeddedPostgres) -> None:
    """The service's own settings count, not the owner's."""
    query(server.address, f"ALTER ROLE {SERVICE_ROLE} SET synchronous_commit = off")
    server.stop()
    with pytest.raises(DatabaseSetupError, match=r"would not be safe with .*synchronous_commit=off"):
        server.start()


def test_attach_given_a_service_of_one_role_says_to_restart_it(folder: Path) -> None:
    """An earlier release has made no password for the service's role."""
    with owned(folder):
        address = attach(folder, wait_seconds=10)
        assert address is not None
        assert query(address.for_service(), "SELECT current_user") == [(SERVICE_ROLE,)]
        (folder / "service_password").unlink()
        with pytest.raises(DatabaseSetupError, match="of an earlier release"):
            attach(folder)


async def test_commands_given_an_embedded_database_migrate_as_owner_and_work_as_the_service(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has to be configured for two roles."""
    monkeypatch.delenv("DB_HOST", raising=False)
    settings = Settings(_env_file=None, MARKETDATA_DATA_DIR=folder)  # type: ignore[call-arg]
    async with app.open_stores(settings, "import") as stores, stores.pools.query() as connection:
        cursor = await connection.execute(
            "SELECT current_user, pg_get_userbyid(relowner) FROM pg_class"
            " WHERE relname = 'market_symbol'"
        )
        assert await cursor.fetchall() == [(SERVICE_ROLE, "postgres")]
    async with configured.open_database(settings, "doctor") as roles:
        assert (await configured.examine_database(roles, settings)).pending == []
