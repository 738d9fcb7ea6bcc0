"""The embedded database as async contexts: for a service, which owns it, and for a command."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from marketdata.storage.address import DatabaseRoles
from marketdata.storage.embedded import (
    EmbeddedPostgres,
    ServerAddress,
    borrowed_address,
    supervise,
)


@contextlib.asynccontextmanager
async def own_embedded(folder: Path | None, bindir: Path | None) -> AsyncIterator[DatabaseRoles]:
    """Run the embedded PostgreSQL of a data folder for a service, and keep it running.

    Parameters
    ----------
    folder : Path or None
        Data folder; None for the user's own.
    bindir : Path or None
        Programs of another PostgreSQL; None for the wheel's.

    Yields
    ------
    DatabaseRoles
        Its addresses, whose port can change when the server is started again.

    Raises
    ------
    DataFolderInUseError, DatabaseSetupError
        The folder is another service's, or PostgreSQL cannot be started.
    """
    server = EmbeddedPostgres(folder, bindir=bindir)
    # A Ctrl-C while it starts must stop it too: the thread would otherwise leave it running.
    try:
        first = await asyncio.to_thread(server.start)
        supervisor = asyncio.create_task(supervise(server), name="embedded-postgres-supervisor")
        try:

            def owner() -> ServerAddress:
                return server.address or first

            yield DatabaseRoles(owner, lambda: owner().for_service())
        finally:
            supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await supervisor
    finally:
        await asyncio.to_thread(server.stop)


@contextlib.asynccontextmanager
async def borrow_embedded(
    folder: Path | None, bindir: Path | None, command: str
) -> AsyncIterator[DatabaseRoles]:
    """Use the embedded PostgreSQL of a data folder for the time of a command.

    Attaches to a running service's; without one starts it, and stops it at the end.

    Parameters
    ----------
    command : str
        What this process does, for the messages of others.

    Raises
    ------
    DataFolderInUseError, DatabaseSetupError
        Another command keeps the folder, or PostgreSQL cannot be started.
    """
    server = EmbeddedPostgres(folder, bindir=bindir, command=command)
    borrowed = borrowed_address(server)
    try:
        address = await asyncio.to_thread(borrowed.__enter__)
        yield DatabaseRoles(owner=lambda: address, service=address.for_service)
    finally:
        await asyncio.to_thread(server.stop)
