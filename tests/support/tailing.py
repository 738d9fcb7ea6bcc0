"""Readers of the change log as processes have them: started, killed, started again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from marketdata.domain.log_position import LogPosition
from marketdata.domain.reconnect import Reconnect
from marketdata.errors import DatabaseUnavailableError, ServerDrainingError
from marketdata.storage.log_reader import PAGE_LIMITS, LogReader, PageLimits
from marketdata.storage.log_session import log_session
from marketdata.streaming.tailer import LogTailer
from tests.support.log_history import History
from tests.support.storage import Storage

# Nobody waits for a stopwatch: where a poll is to bring what comes, it comes at once.
SHORT_SECONDS = 0.005
# Longer than any test: where nobody notifies, nothing would come in time.
LONG_SECONDS = 600.0
_PROMPT = Reconnect(first_seconds=0.005, most_seconds=0.02)


def make_tailer(
    storage: Storage, poll_seconds: float = SHORT_SECONDS, limits: PageLimits = PAGE_LIMITS
) -> LogTailer:
    """Put a tailer together as the service does, without its patience."""
    return LogTailer(
        lambda: log_session(storage.address, limits),
        LogReader(storage.pools, limits),
        poll_seconds,
        _PROMPT,
    )


@contextlib.asynccontextmanager
async def tailed(
    storage: Storage, poll_seconds: float = SHORT_SECONDS, limits: PageLimits = PAGE_LIMITS
) -> AsyncIterator[LogTailer]:
    """Run a tailer beside the body."""
    tailer = make_tailer(storage, poll_seconds, limits)
    async with tailer.running():
        yield tailer


class TailingProcess:
    """What one process has: a tailer that can be killed, and consumers that attach again.

    Parameters
    ----------
    storage : Storage
        Over the database.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._tailer = make_tailer(storage)
        self._task = asyncio.create_task(self._tailer.run())
        self.restarts = 0

    async def restart(self) -> None:
        """Kill the tailer, wherever it is, and start another one."""
        await self.stop()
        self._tailer = make_tailer(self._storage)
        self._task = asyncio.create_task(self._tailer.run())
        self.restarts += 1

    async def stop(self) -> None:
        """Kill the tailer."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def consume(self, history: History, generation: str) -> None:
        """Record all that comes; go on from the last position whenever the tailer is gone."""
        position = LogPosition(generation, history.after_seq)
        while True:
            with contextlib.suppress(ServerDrainingError, DatabaseUnavailableError):
                async with await self._tailer.attach(position) as consumer:
                    while True:
                        history.record(await consumer.read())
                        position = consumer.position
            # A tailer that was killed a moment ago is still the one of this process.
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def tailing(storage: Storage, count: int) -> AsyncIterator[list[TailingProcess]]:
    """Run so many of them; none outlives a test that fails, and connects to what is gone."""
    processes = [TailingProcess(storage) for _ in range(count)]
    try:
        yield processes
    finally:
        for process in processes:
            await process.stop()
