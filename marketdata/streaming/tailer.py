"""The one reader of the change log in a process: woken by NOTIFY or by the clock, it hands out."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from marketdata.domain.log_position import LogBounds, LogPosition, other_generation
from marketdata.domain.reconnect import Reconnect
from marketdata.errors import (
    LogAheadError,
    LogTrimmedError,
    MarketDataError,
    ServerDrainingError,
    ServiceError,
)
from marketdata.storage.log_reader import LogReader
from marketdata.storage.log_session import LogSession
from marketdata.streaming.consumer import MOST_WAITING_BYTES, LogConsumer

log = logging.getLogger(__name__)

#: How long a wake-up that was lost delays what it would have told.
POLL_SECONDS: Final = 1.0
#: An embedded server is back 0.2 s after a kill.
LOG_RECONNECT: Final = Reconnect(0.1, 5.0)


class LogTailer:
    """Reads the change log once for all consumers of the process.

    Entries are handed out whole writes at a time, in their order. Without a consumer none are read. A
    database that is away is tried again until it is back; consumers wait, and miss nothing.

    Parameters
    ----------
    open_session : callable
        Opens a connection that hears of new entries.
    reader : LogReader
        Reads stored entries for consumers that are not near the tail yet.
    poll_seconds : float
        How often to look without being told.
    reconnect : Reconnect
        What to do when the database is away.
    """

    def __init__(
        self,
        open_session: Callable[[], AbstractAsyncContextManager[LogSession]],
        reader: LogReader,
        poll_seconds: float = POLL_SECONDS,
        reconnect: Reconnect = LOG_RECONNECT,
    ) -> None:
        self._open_session = open_session
        self._reader = reader
        self._poll_seconds = poll_seconds
        self._reconnect = reconnect
        self._failures = 0
        self._position: LogPosition | None = None
        self._has_ended = False
        # In the order of attaching; a set would hand out in another order each time.
        self._consumers: dict[LogConsumer, None] = {}

    @property
    def position(self) -> LogPosition | None:
        """Behind the last entries that were handed out; None before it has found the end of the log."""
        return self._position

    async def attach(
        self, position: LogPosition | None = None, most_bytes: int = MOST_WAITING_BYTES
    ) -> LogConsumer:
        """Begin to read behind a position.

        Parameters
        ----------
        position : LogPosition, optional
            Default: the end of the log as it is now.
        most_bytes : int
            What may wait for the consumer once it has caught up.

        Raises
        ------
        LogGenerationError, LogAheadError, LogTrimmedError
            The log does not have what comes behind the position; see `LogBounds.admit`.
        DatabaseUnavailableError
            The log cannot be asked.
        ServerDrainingError
            The tailer has ended.
        """
        bounds = await self._reader.bounds()
        if position is not None:
            bounds.admit(position)
        if self._has_ended:
            raise _ended()
        position = position or bounds.head
        consumer = LogConsumer(self, self._reader, position, most_bytes, bounds.head_seq)
        self._consumers[consumer] = None
        return consumer

    def leave(self, consumer: LogConsumer) -> None:
        """Forget a consumer; for the consumer itself."""
        self._consumers.pop(consumer, None)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read beside the body; at its end every consumer is ended."""
        task = asyncio.create_task(self.run(), name="log-tailer")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def run(self) -> None:
        """Read until cancelled; then every consumer is ended."""
        try:
            while True:
                await self._follow_once()
                self._failures += 1
                await asyncio.sleep(self._reconnect.seconds(self._failures))
        finally:
            self._has_ended = True
            self._end_all(_ended())

    async def _follow_once(self) -> None:
        """Follow the log until the connection is lost."""
        try:
            async with self._open_session() as session:
                await self._follow(session)
        except MarketDataError as error:
            log.warning("log_tailer_lost", extra={"error": str(error), "failures": self._failures})
        except Exception:
            # A defect must not end it for the life of the process.
            log.exception("log_tailer_lost", extra={"failures": self._failures})

    async def _follow(self, session: LogSession) -> None:
        while True:
            bounds = await session.bounds()
            self._failures = 0
            self._settle(bounds)
            try:
                await self._catch_up(session, bounds)
            except LogTrimmedError as error:
                # The database was away for longer than entries are kept.
                self._begin_anew(bounds, error)
            await session.wait(self._poll_seconds)

    def _settle(self, bounds: LogBounds) -> None:
        """Hold what is known of the log against what it is now."""
        if self._position is None:
            self._position = bounds.head
            for consumer in self._consumers:
                consumer.wake()
        elif self._position.generation != bounds.generation:
            self._begin_anew(bounds, other_generation(self._position, bounds.generation))
        elif self._position.seq > bounds.head_seq:
            try:
                bounds.admit(self._position)
            except LogAheadError as error:
                self._begin_anew(bounds, error)

    async def _catch_up(self, session: LogSession, bounds: LogBounds) -> None:
        while self._position is not None and self._position.seq < bounds.head_seq:
            if not any(consumer.has_joined for consumer in self._consumers):
                self._position = bounds.head
                return
            entries = await session.page(self._position.seq)
            size_bytes = sum(entry.size_bytes for entry in entries)
            for consumer in list(self._consumers):
                consumer.offer(entries, size_bytes)
            self._position = LogPosition(bounds.generation, entries[-1].seq)

    def _begin_anew(self, bounds: LogBounds, error: ServiceError) -> None:
        """End every consumer, since none can go on, and read from the end of the log as it is."""
        log.warning("log_tailer_begins_anew", extra={"error": str(error)})
        self._end_all(error)
        self._position = bounds.head

    def _end_all(self, error: ServiceError) -> None:
        for consumer in list(self._consumers):
            consumer.end(error)


def _ended() -> ServerDrainingError:
    return ServerDrainingError("the service ends; go on from the last position at another one")
