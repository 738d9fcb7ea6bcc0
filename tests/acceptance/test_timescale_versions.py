"""TimescaleDB of a version that the service does not know, or that was updated under its database."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from marketdata.storage.embedded import EmbeddedPostgres
from tests.acceptance.given import SETTLERS, settings_of
from tests.acceptance.processes import marketdata
from tests.support.databases import Databases, connected
from tests.support.embedded import reachable_folder
from tests.support.servers.apache import apache_programs
from tests.support.servers.copies import ServerCopy
from tests.support.servers.provision import NotProvisionedError, skip_or_fail

TOO_OLD: Final = "2.18.2"
LATER: Final = "2.20.0"
UNKNOWN: Final = "3.0.0"
BOUNDS: Final = "this service knows 2.19 up to, and not including, 3.0"


@pytest.fixture
def copy() -> Iterator[ServerCopy]:
    """Give a server of the test's own, to be started on the data folder beside it."""
    with reachable_folder() as base:
        try:
            made = ServerCopy(base / "server")
        except NotProvisionedError as error:
            skip_or_fail(error)
        yield made


@pytest.mark.parametrize("command", SETTLERS)
@pytest.mark.parametrize("version", [TOO_OLD, UNKNOWN])
def test_start_given_a_server_of_an_unknown_timescale_refuses_it(
    copy: ServerCopy, empty_folder: Path, version: str, command: str
) -> None:
    """Before anything is made; in plain mode, as the message has it, the same server will do."""
    copy.offer(version)
    where = {"MARKETDATA_PG_BINDIR": str(copy.programs)}
    found = marketdata(empty_folder, command, **where)
    assert found.code == 1
    assert f"the server has TimescaleDB {version}; {BOUNDS}: install one of these" in found.err
    assert "Traceback" not in found.err
    plain = marketdata(empty_folder, "migrate", **where, MARKETDATA_STORAGE_MODE="plain")
    assert (plain.code, plain.out.splitlines()[0]) == (0, "applied 0001 spine")


@pytest.mark.parametrize("command", SETTLERS)
def test_start_given_a_database_of_an_older_extension_refuses_it(
    copy: ServerCopy, empty_folder: Path, command: str
) -> None:
    """The server has a version that would do, the database was left at its own."""
    copy.add(TOO_OLD)
    server = EmbeddedPostgres(empty_folder, bindir=copy.programs)
    try:
        with connected(server.start()) as connection:
            connection.execute(f"CREATE EXTENSION timescaledb VERSION '{TOO_OLD}'".encode())
    finally:
        server.stop()
    found = marketdata(empty_folder, command, MARKETDATA_PG_BINDIR=str(copy.programs))
    assert found.code == 1
    assert f"the database has TimescaleDB {TOO_OLD}; {BOUNDS}: update it with ALTER EXT" in found.err
    assert "Traceback" not in found.err


def test_commands_given_a_server_that_was_updated_say_what_to_run(
    copy: ServerCopy, empty_folder: Path
) -> None:
    """The database's library is gone with the old package; what the message says brings it back."""
    server = EmbeddedPostgres(empty_folder, bindir=copy.programs)
    try:
        server.start()
        address = Databases(server).empty()
        database = settings_of(address)
        assert marketdata(empty_folder, "migrate", **database).code == 0
        server.stop()
        copy.update(LATER)
        server.start()
        database["DB_PORT"] = server.address.port if server.address else 0
        for command in (*SETTLERS, "doctor"):
            found = marketdata(empty_folder, command, **database)
            assert found.code == 1
            assert "ALTER EXTENSION timescaledb UPDATE" in " ".join((found.out + found.err).split())
            assert "Traceback" not in found.err
        with connected(address) as connection:
            connection.execute("ALTER EXTENSION timescaledb UPDATE")
        assert marketdata(empty_folder, "migrate", **database).out == "The schema is up to date.\n"
    finally:
        server.stop()


def test_serve_given_newer_programs_updates_the_embedded_database(
    copy: ServerCopy, empty_folder: Path
) -> None:
    """Nobody but the launcher reaches an embedded database: it updates the extension, the bars stay."""
    found = marketdata(empty_folder, "import", "sample", MARKETDATA_PG_BINDIR=str(apache_programs()))
    assert found.code == 0, found.err
    copy.update(LATER)
    again = marketdata(empty_folder, "import", "sample", MARKETDATA_PG_BINDIR=str(copy.programs))
    assert again.code == 0, again.err
    assert {row[0]: row[1:3] for row in again.table()}["AAPL"] == ["0", "3270"]
    assert "embedded_postgres_extension_updated" in again.err
