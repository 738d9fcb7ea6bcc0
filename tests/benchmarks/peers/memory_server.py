"""StreamBars as it is served, over bars in memory instead of a database.

The servicer, the interceptors and the server's options are the service's own; only `BarReader` is
replaced, by one whose snapshot is a frame. Blocks have its sizes and are encoded in a thread, as there.

    python -m tests.benchmarks.peers.memory_server BARS
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.adjustments import UnadjustedAction
from tests.benchmarks.peers.serving import detached_servicer, serve_bars
from tests.benchmarks.synthetic import blocks_of, minute_bars, repeated

Block = TypeVar("Block")


@dataclass(frozen=True)
class MemorySnapshot:
    """What `BarSnapshot` is to the servicer."""

    stored: Sequence[BarFrame]
    executor: Executor
    seq: int = 1
    unresolved: tuple[str, ...] = ()
    source: Timeframe = Timeframe.MINUTE_1
    unadjusted: tuple[UnadjustedAction, ...] = ()

    async def blocks(self, transform: Callable[[BarFrame], Block]) -> AsyncGenerator[Block]:
        """Yield transformed blocks, the next one in the making while one is sent."""
        loop = asyncio.get_running_loop()
        ahead: asyncio.Future[Block] | None = None
        for block in self.stored:
            started = loop.run_in_executor(self.executor, transform, block)
            if ahead is not None:
                yield await ahead
            ahead = started
        if ahead is not None:
            yield await ahead


class MemoryReader:
    """What `BarReader` is to the servicer; it has one answer."""

    def __init__(self, stored: Sequence[BarFrame], executor: Executor) -> None:
        self._snapshot = MemorySnapshot(stored, executor)

    @asynccontextmanager
    async def snapshot(self, _query: BarQuery) -> AsyncIterator[MemorySnapshot]:
        """Open the one snapshot."""
        yield self._snapshot


async def main(bars: int) -> None:
    """Serve until the end of the process."""
    stored = blocks_of(repeated(minute_bars("S000"), bars))
    with ThreadPoolExecutor(1) as executor:
        reader: Any = MemoryReader(stored, executor)
        await serve_bars(detached_servicer(reader))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
