"""The server of a storage mode, for as long as the tests need it."""

from collections.abc import Iterator
from contextlib import contextmanager

from marketdata.storage.address import SERVICE_ROLE
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.modes import StorageMode
from tests.support.databases import RunningServer, connected, running_server
from tests.support.embedded import reachable_folder
from tests.support.servers.apache import apache_server
from tests.support.servers.timescale import TimescaleServer


@contextmanager
def server_of(mode: StorageMode) -> Iterator[RunningServer]:
    """Run a server of `mode` in memory; nothing of it is left at the end.

    Raises
    ------
    NotProvisionedError
        The machine cannot have one.
    """
    if mode is StorageMode.PLAIN:
        with running_server(in_memory=True) as plain:
            yield plain
        return
    with reachable_folder() as base:
        server = apache_server(base / "data") if mode is StorageMode.APACHE else TimescaleServer()
        try:
            server.start()
            yield server
        finally:
            server.stop()


def made_bare(server: RunningServer) -> ServerAddress:
    """Take from a native server what the launcher made; give its administrator's address."""
    address = server.address
    assert address is not None
    with connected(address.for_maintenance()) as connection:
        connection.execute(f"DROP DATABASE {address.database}".encode())
        connection.execute(f"DROP ROLE {SERVICE_ROLE}".encode())
    return address
