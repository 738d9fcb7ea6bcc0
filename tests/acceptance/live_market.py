"""A market that a test moves on: its bars come from a played stream, and from a provider's calls."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np

from marketdata.domain.bars import BarFrame
from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.timeframe import Timeframe
from tests.support.providers.faults import never
from tests.support.providers.iex.alpaca_side import AlpacaDialect, rows_of
from tests.support.providers.iex.alpaca_stream import PlayedStream
from tests.support.providers.played import LoopbackServer
from tests.support.providers.truth import Truth
from tests.support.sessions import MINUTE_US, walk

_Answer = TypeVar("_Answer")
_MINUTE: Final = Timeframe.MINUTE_1


@dataclass
class Market:
    """Minutes of some symbols, up to the present of the test.

    Attributes
    ----------
    whole : dict of str to BarFrame
        All minutes that there will be.
    now : dict of (str, Timeframe) to BarFrame
        Those that have been, which calls answer.
    made : int
        How many of them have been.
    """

    whole: dict[str, BarFrame]
    now: dict[tuple[str, Timeframe], BarFrame]
    calls: LoopbackServer
    stream: PlayedStream
    loop: asyncio.AbstractEventLoop
    made: int = 0

    def move_on(self, minutes: int, *, is_told: bool) -> None:
        """Let minutes pass; the stream tells of them or not, calls know of them in any case."""
        for _ in range(minutes):
            self.made += 1
            for symbol, bars in self.whole.items():
                self.now[symbol, _MINUTE] = bars.take(slice(0, self.made))
            if is_told:
                self._do(self._tell(self.made - 1))

    def expected(self) -> dict[tuple[str, Timeframe], BarFrame]:
        """Give what is to be stored by now."""
        return dict(self.now)

    def wait_for_a_follower(self) -> None:
        """Wait until somebody has subscribed."""
        self._do(self.stream.subscribed())

    def hang_up(self) -> None:
        """Break the stream off."""
        self._do(self.stream.hang_up())

    def settings(self) -> dict[str, str]:
        """Set a service up to follow it; keys are the dialect's."""
        return {
            "MARKETDATA_ALPACA_URL": self.calls.address,
            "MARKETDATA_ALPACA_STREAM_URL": self.stream.address,
            "MARKETDATA_LIVE_FEED": "alpaca",
            # Only what the feed and its catching up bring is to be seen here.
            "MARKETDATA_SCHEDULE": "false",
        }

    async def _tell(self, minute: int) -> None:
        items = []
        for symbol, bars in self.whole.items():
            (row,) = rows_of(bars.take(slice(minute, minute + 1)), _MINUTE)
            items.append({"T": "b", "S": symbol, **row})
        # Nobody hears it where nobody follows, or its process has just been killed.
        if self.stream.is_followed:
            with suppress(ConnectionError):
                await self.stream.tell(items)

    def _do(self, work: Coroutine[Any, Any, _Answer]) -> _Answer:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)


def minutes_of_the_last_session(symbols: Sequence[str], now_us: int) -> dict[str, BarFrame]:
    """Make the minutes of the regular session that ended last, of some symbols."""
    calendar = get_calendar("XNYS")
    row = int(np.searchsorted(calendar.close_us, now_us)) - 1
    time_us = np.arange(calendar.open_us[row], calendar.close_us[row], MINUTE_US, dtype=np.int64)
    return {symbol: walk(time_us, seed, symbol) for seed, symbol in enumerate(symbols)}


@contextmanager
def open_market(symbols: Sequence[str], now_us: int) -> Iterator[Market]:
    """Play stream and calls in a thread of their own, which nothing that a test does holds up."""
    now: dict[tuple[str, Timeframe], BarFrame] = {}
    truth = Truth(now, dict.fromkeys(symbols, ()), {})
    calls = LoopbackServer(AlpacaDialect(truth, 1_000), never)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="market")
    thread.start()

    def do(work: Coroutine[Any, Any, _Answer]) -> _Answer:
        return asyncio.run_coroutine_threadsafe(work, loop).result(10)

    async def made() -> PlayedStream:
        return PlayedStream()

    stream = do(made())
    try:
        do(calls.start())
        do(stream.start())
        yield Market(minutes_of_the_last_session(symbols, now_us), now, calls, stream, loop)
    finally:
        do(stream.stop())
        do(calls.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
