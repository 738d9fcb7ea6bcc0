"""The server of a storage mode, for as long as the tests need it."""

from collections.abc import Iterator
from contextlib import contextmanager

from marketdata.storage.modes import StorageMode
from tests.support.databases import RunningServer, running_server
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
