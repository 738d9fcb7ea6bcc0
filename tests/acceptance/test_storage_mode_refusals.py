"""MARKETDATA_STORAGE_MODE asks for what a database is not: refused in words, and nothing is made."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from marketdata.storage.embedded import EmbeddedPostgres, ServerAddress
from tests.acceptance.given import SETTLERS, applied, settings_of
from tests.acceptance.processes import marketdata
from tests.support.databases import Databases, RunningServer, running_server
from tests.support.embedded import reachable_folder
from tests.support.servers.apache import apache_programs, apache_server
from tests.support.servers.provision import NotProvisionedError, skip_or_fail
from tests.support.servers.timescale import TimescaleServer

# By the server that is given: what is asked of its empty database, and what is said.
REFUSALS: Final = [
    ("plain", "apache", "the server has no TimescaleDB: install it, or set plain"),
    ("plain", "timescale", "the server has no TimescaleDB: install it, or set plain"),
    ("apache", "timescale", "timescaledb.license makes it apache: change the licence, or the setting"),
    (
        "timescale",
        "apache",
        "timescaledb.license makes it timescale: change the licence, or the setting",
    ),
    ("unloaded", "apache", "add it to shared_preload_libraries and restart, or set plain"),
]


class Given:
    """Servers by their name, each started when it is first asked for."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._databases: dict[str, Databases] = {}

    def empty(self, name: str) -> ServerAddress:
        """Make an empty database on a server."""
        if name not in self._databases:
            try:
                server = self._stack.enter_context(started(name))
            except NotProvisionedError as error:
                skip_or_fail(error)
            self._databases[name] = Databases(server)
        return self._databases[name].empty()


@contextmanager
def started(name: str) -> Iterator[RunningServer]:
    """Run a server of that name."""
    if name == "plain":
        with running_server(in_memory=True) as plain:
            yield plain
        return
    with reachable_folder() as base:
        server = server_named(name, base / "data")
        try:
            server.start()
            yield server
        finally:
            server.stop()


def server_named(name: str, folder: Path) -> EmbeddedPostgres | TimescaleServer:
    """Make a server with TimescaleDB that is still to be started."""
    if name == "timescale":
        return TimescaleServer()
    if name == "unloaded":
        settings = {"shared_preload_libraries": ""}
        return EmbeddedPostgres(folder, bindir=apache_programs(), extra_settings=settings)
    return apache_server(folder)


@pytest.fixture(scope="module")
def given() -> Iterator[Given]:
    """Give the servers of this module's own."""
    with ExitStack() as stack:
        yield Given(stack)


@pytest.mark.parametrize("command", SETTLERS)
@pytest.mark.parametrize(("server", "mode", "told"), REFUSALS)
def test_start_given_a_mode_that_the_server_cannot_refuses_and_makes_nothing(
    given: Given, empty_folder: Path, server: str, mode: str, told: str, command: str
) -> None:
    """One line says what was asked, what is there and what to do; no table was made."""
    address = given.empty(server)
    found = marketdata(empty_folder, command, MARKETDATA_STORAGE_MODE=mode, **settings_of(address))
    assert found.code == 1
    assert f"MARKETDATA_STORAGE_MODE is {mode}, but " in found.err
    assert told in found.err
    assert "Traceback" not in found.err
    assert applied(address) == []


@pytest.mark.parametrize("command", SETTLERS)
@pytest.mark.parametrize(("stored", "asked"), [("plain", "apache"), ("apache", "plain")])
def test_start_given_another_mode_than_the_bars_are_stored_in_refuses_and_changes_nothing(
    given: Given, empty_folder: Path, stored: str, asked: str, command: str
) -> None:
    """A database stays what it is; without the setting it goes on as that."""
    database = settings_of(given.empty("apache"))
    assert marketdata(empty_folder, "migrate", MARKETDATA_STORAGE_MODE=stored, **database).code == 0
    found = marketdata(empty_folder, command, MARKETDATA_STORAGE_MODE=asked, **database)
    assert found.code == 1
    assert (
        f"MARKETDATA_STORAGE_MODE is {asked}, but the bars of this database are stored in mode "
        f"{stored}; leave the setting empty, or start with an empty database and import into it"
    ) in found.err
    assert "Traceback" not in found.err
    again = marketdata(empty_folder, "migrate", **database)
    assert (again.code, again.out) == (0, "The schema is up to date.\n")
