"""The native TimescaleDB of the tests is what it is taken for."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from marketdata.config import Settings
from marketdata.database import migrate_database
from marketdata.storage.address import DatabaseRoles
from marketdata.storage.embedded import EmbeddedPostgres, ServerAddress
from marketdata.storage.modes import StorageMode, probe_address
from tests.support.databases import connected
from tests.support.embedded import kill, query, reachable_folder
from tests.support.servers.apache import apache_programs, apache_server
from tests.support.servers.provision import NotProvisionedError, skip_or_fail

MAKE_HYPERTABLE = """
    CREATE EXTENSION IF NOT EXISTS timescaledb;
    CREATE TABLE measured (time timestamptz NOT NULL, value float8 NOT NULL);
    SELECT create_hypertable('measured', by_range('time', INTERVAL '7 days'));
    INSERT INTO measured
    SELECT '2026-01-01'::timestamptz + day * INTERVAL '1 day', day FROM generate_series(0, 99) AS day;
"""

COMMUNITY_ONLY = {
    "compression": "ALTER TABLE measured SET (timescaledb.compress)",
    "policies": "SELECT add_retention_policy('measured', INTERVAL '1 year')",
    "continuous aggregates": """
        CREATE MATERIALIZED VIEW weekly WITH (timescaledb.continuous) AS
        SELECT time_bucket('7 days', time) AS week, sum(value) FROM measured GROUP BY week
    """,
}


def provisioned_or_skipped(folder: Path) -> EmbeddedPostgres:
    """Make a server that is still to be started, where this machine can have one."""
    try:
        return apache_server(folder)
    except NotProvisionedError as error:
        skip_or_fail(error)


@pytest.fixture(scope="module")
def apache() -> Iterator[ServerAddress]:
    """Run a server under the Apache licence; give a database with a hypertable of 100 days."""
    with reachable_folder() as base:
        server = provisioned_or_skipped(base / "data")
        try:
            address = server.start()
            with connected(address) as connection:
                connection.execute(MAKE_HYPERTABLE)
            yield address
        finally:
            server.stop()


def test_apache_server_given_a_hypertable_keeps_chunks_of_its_interval(apache: ServerAddress) -> None:
    """It is TimescaleDB under the Apache licence, and hypertables work: 100 days are 15 weeks."""
    with connected(apache) as connection:
        row = connection.execute(
            "SELECT extversion, current_setting('timescaledb.license'),"
            "       (SELECT count(*) FROM show_chunks('measured')), (SELECT count(*) FROM measured)"
            "  FROM pg_extension WHERE extname = 'timescaledb'"
        ).fetchone()
    assert row is not None
    version, *rest = row
    assert str(version).startswith("2.")
    assert rest == ["apache", 15, 100]


def test_apache_server_given_old_chunks_drops_them(apache: ServerAddress) -> None:
    """Retention by hand is within the Apache licence; the transaction takes it back."""
    with connected(apache) as connection, connection.transaction(force_rollback=True):
        dropped = connection.execute("SELECT drop_chunks('measured', '2026-02-01'::timestamptz)")
        assert len(dropped.fetchall()) == 4


@pytest.mark.parametrize("statement", COMMUNITY_ONLY.values(), ids=COMMUNITY_ONLY.keys())
def test_apache_server_given_what_needs_the_community_licence_refuses(
    apache: ServerAddress, statement: str
) -> None:
    """What the Apache edition does not have fails in the tests, and not first at an operator's."""
    with connected(apache) as connection, pytest.raises(psycopg.errors.FeatureNotSupported):
        connection.execute(statement)


def test_apache_server_given_a_database_with_the_extension_copies_it(apache: ServerAddress) -> None:
    """Tests get copies of one migrated database, so nothing of the server may keep it in use."""
    with connected(apache.for_maintenance()) as connection:
        connection.execute("CREATE DATABASE copied TEMPLATE marketdata")
    with connected(replace(apache, database="copied")) as connection:
        assert connection.execute("SELECT count(*) FROM measured").fetchone() == (100,)


def test_apache_server_given_two_connections_runs_them_at_once(apache: ServerAddress) -> None:
    """Connections are backends of their own: one sees nothing of the other's open transaction."""
    with (
        connected(apache) as writer,
        connected(apache) as reader,
        writer.transaction(force_rollback=True),
    ):
        writer.execute("INSERT INTO measured VALUES ('2026-01-01', 1)")
        assert reader.execute("SELECT count(*) FROM measured").fetchone() == (100,)


def test_apache_server_given_a_killed_one_starts_on_its_folder() -> None:
    """A run that was killed leaves a folder that the next one can use, with what it held."""
    with reachable_folder() as base:
        server = provisioned_or_skipped(base / "data")
        try:
            with connected(server.start()) as connection:
                connection.execute(MAKE_HYPERTABLE)
            kill(server)
            assert query(server.restart_if_dead(), "SELECT count(*) FROM measured") == [(100,)]
        finally:
            server.stop()


@pytest.mark.parametrize("wanted", [None, "apache"])
async def test_migrate_database_given_a_license_that_nobody_set_takes_that_of_the_build(
    wanted: str | None,
) -> None:
    """Debian's build is of the Apache edition, and says so only once the extension is there."""
    with reachable_folder() as base:
        server = EmbeddedPostgres(base / "data", bindir=provisioned_or_skipped_programs())
        try:
            owner = server.start()
            settings = Settings(MARKETDATA_STORAGE_MODE=wanted, _env_file=None)  # type: ignore[call-arg]
            roles = DatabaseRoles(service=lambda: owner, owner=lambda: owner)
            assert await migrate_database(roles, settings)
            assert (await probe_address(owner)).mode is StorageMode.APACHE
            assert await migrate_database(roles, settings) == []
        finally:
            server.stop()


def provisioned_or_skipped_programs() -> Path:
    """Give the programs of the server, where this machine can have them."""
    try:
        return apache_programs()
    except NotProvisionedError as error:
        skip_or_fail(error)
