"""Real trades, from a stream of prices to a subscriber: feed, builder, database, change log."""

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pytest

from marketdata.client import BarsChange, CaughtUp, MarketDataClient, NewSymbol
from marketdata.clock import ManualClock
from marketdata.domain.minute_builder import BuilderTimes
from marketdata.domain.partial_minutes import MINUTE_US
from marketdata.ingestion.live_session import LiveSession
from marketdata.providers.yahoo.stream import StreamTimes, YahooStream
from marketdata.providers.yahoo.ticks import Tick
from marketdata.storage.ingestion.feed_leases import FeedLeases
from tests.contract.service import Service
from tests.support.e_mini import minutes_of_trades, read_trades
from tests.support.providers.yahoo.stream import playing
from tests.support.waiting import until

pytestmark = pytest.mark.modes("plain", reason="half a minute; each mode's writes have their own tests")

_TRADES: Final = 100_000
_SECOND_US: Final = 1_000_000
# A day and a half in some seconds: what is on its way comes a day late.
_TIMES: Final = StreamTimes(subscribe_seconds=1.0, look_seconds=0.05)
_KEEPING: Final = BuilderTimes(keep_us=10 * 86_400 * _SECOND_US)

Bar = tuple[float, ...]


def told(change: BarsChange) -> dict[int, Bar]:
    """Give the bars of a change by their times; of several of one minute the last."""
    found: dict[int, Bar] = {}
    for frame in change.frames:
        columns = (frame.open, frame.high, frame.low, frame.close, frame.volume)
        rows = zip(frame.time_us.tolist(), *(c.tolist() for c in columns), strict=True)
        found |= {moment: tuple(row) for moment, *row in rows}
    return found


async def test_subscriber_given_a_real_night_has_the_minutes_that_pandas_makes(
    following: Service,
) -> None:
    """A hundred thousand trades of the E-mini: prices and volumes to the last one."""
    table = read_trades().iloc[:_TRADES]
    time_us = table.index.tz_convert(None).to_numpy().astype("datetime64[us]").astype(np.int64)
    prices = table["Price"].to_numpy().tolist()
    volume = np.cumsum(table["Volume"].to_numpy()).tolist()
    ticks = [Tick("ESU13", *row) for row in zip(time_us.tolist(), prices, volume, strict=True)]
    clock = ManualClock(int(time_us[0]) - 90 * _SECOND_US)
    stretches = np.flatnonzero(np.diff(time_us // (60 * _SECOND_US))) + 1
    leases = FeedLeases(following.stores.pools, "test", timedelta(minutes=5))
    last: dict[int, Bar] = {}

    async def nothing_before(*_: object) -> str:
        return ""

    async with playing() as played, MarketDataClient(following.address) as client:
        feed = YahooStream(played.address, clock, _TIMES, _KEEPING)
        symbol = await client.create_symbol(NewSymbol("ESU13"))
        claim = await leases.claim(feed.name)
        assert claim is not None
        session = LiveSession(feed, claim, leases, following.stores.intake, nothing_before, clock)
        is_live = asyncio.Event()

        async def subscribe() -> None:
            async for update in client.subscribe("ESU13", "1m"):
                if isinstance(update.change, CaughtUp):
                    is_live.set()
                if isinstance(update.change, BarsChange):
                    last.update(told(update.change))

        async def is_complete() -> bool:
            return sum(bar[-1] for bar in last.values()) == volume[-1]

        work = [asyncio.create_task(subscribe()), asyncio.create_task(session.run([symbol]))]
        try:
            await is_live.wait()
            await played.subscribed(1)
            await played.tell([Tick("ESU13", int(time_us[0]) - 1, prices[0], 0)])
            for begin, end in pairwise([0, *stretches.tolist(), len(ticks)]):
                clock.advance(max(0, int(time_us[end - 1]) - clock.now_us()) / 1e6)
                await played.tell(ticks[begin:end])
            clock.advance(2 * MINUTE_US / 1e6)
            await until(is_complete, seconds=60)
        finally:
            await ended(work)
    truth = minutes_of_trades(table)
    columns = (truth.open, truth.high, truth.low, truth.close, truth.volume)
    expected = zip(*(c.tolist() for c in columns), strict=True)
    assert last == dict(zip(truth.time_us.tolist(), expected, strict=True))


async def ended(tasks: list["asyncio.Task[Any]"]) -> None:
    """End tasks that would go on for ever."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
