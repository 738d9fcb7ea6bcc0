"""Servers that an operator gives to the service, and how it is told of them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from marketdata.storage.embedded import EmbeddedPostgres, ServerAddress
from tests.support.databases import Databases, RunningServer, connected, running_server
from tests.support.embedded import reachable_folder
from tests.support.servers.apache import apache_programs, apache_server
from tests.support.servers.provision import NotProvisionedError, skip_or_fail
from tests.support.servers.timescale import TimescaleServer

#: What settles the schema: a command, and the start of a service.
SETTLERS: Final = ("migrate", "serve")


def settings_of(address: ServerAddress) -> dict[str, str | int]:
    """Give the settings of a process that works on a given database, as its owner."""
    return {
        "DB_HOST": address.host,
        "DB_PORT": address.port,
        "DB_NAME": address.database,
        "DB_USERNAME": address.user,
        "DB_PASSWORD": address.password,
    }


def applied(address: ServerAddress) -> list[int]:
    """List the numbers of the migrations that a database has; none where there is no table of them."""
    with connected(address) as connection:
        found = connection.execute("SELECT to_regclass('schema_migration') IS NOT NULL").fetchone()
        if found != (True,):
            return []
        rows = connection.execute("SELECT number FROM schema_migration ORDER BY number")
        return [int(str(number)) for (number,) in rows.fetchall()]


class GivenServers:
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
