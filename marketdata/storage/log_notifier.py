"""Tells the readers of the change log that it is longer: after the writer's COMMIT, as best it can."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Final

from marketdata.errors import ServiceError
from marketdata.storage.address import Address
from marketdata.storage.log_session import NOTIFY, log_connection
from marketdata.storage.pools import Connection
from marketdata.storage.translate import translated

log = logging.getLogger(__name__)

# Every reader is woken by each, and each takes a lock that all databases of the server share: at most
# 200 a second, whatever is written meanwhile. A single write is told at once.
_PAUSE_SECONDS: Final = 0.005
# A writer that met the error too has said so already, and the readers' own poll stands in.
_AFTER_FAILURE_SECONDS: Final = 1.0


class LogNotifier:
    """Sends a wake-up on a connection of its own; many writes in short order share one.

    Writers neither wait for it nor hear of its failures: a reader that is not woken looks by itself
    within a second.

    Parameters
    ----------
    address : callable returning Address
        Asked at every new connection.
    """

    def __init__(self, address: Callable[[], Address]) -> None:
        self._address = address
        self._is_due = asyncio.Event()

    def wake(self) -> None:
        """Let the readers be woken soon; returns at once, and never fails."""
        self._is_due.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send what is due, beside the body."""
        task = asyncio.create_task(self._run(), name="log-notifier")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        while True:
            # No connection before there is something to tell.
            await self._is_due.wait()
            try:
                async with log_connection(self._address, "marketdata-notify") as connection:
                    await self._send(connection)
            except ServiceError as error:
                log.warning("log_notify_failed", extra={"error": str(error)})
            except Exception:
                # A defect must not end it for the life of the process.
                log.exception("log_notify_failed")
            await asyncio.sleep(_AFTER_FAILURE_SECONDS)

    async def _send(self, connection: Connection) -> None:
        while True:
            await self._is_due.wait()
            # Cleared before: what is written from here on is told by the next one.
            self._is_due.clear()
            with translated():
                await connection.execute(NOTIFY)
            await asyncio.sleep(_PAUSE_SECONDS)
