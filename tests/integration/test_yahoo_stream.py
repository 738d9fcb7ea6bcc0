"""Yahoo's stream, followed on loopback: ticks become minutes."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise
from typing import Any, Final, TypeVar

import numpy as np
import pytest

from marketdata.clock import ManualClock
from marketdata.domain.bars import BarFlag, BarFrame
from marketdata.domain.minute_builder import BuilderTimes
from marketdata.domain.partial_minutes import MINUTE_US
from marketdata.domain.reconnect import Reconnect
from marketdata.domain.symbol import Symbol
from marketdata.providers.live import FeedBars, FeedDown, FeedEvent, FeedUp
from marketdata.providers.yahoo.stream import StreamTimes, YahooStream
from marketdata.providers.yahoo.ticks import Tick, TickCounter, parse_tick, shortest
from tests.support.e_mini import minutes_of_trades, read_trades
from tests.support.providers.truth import AAPL, BERKSHIRE
from tests.support.providers.yahoo.stream import PlayedStream, message, playing
from tests.support.waiting import until

_OPEN_US: Final = 1_772_548_200_000_000  # 2026-03-03 14:30 UTC
_SECOND_US: Final = 1_000_000
_QUICK: Final = StreamTimes(0.05, 0.005, Reconnect(0.01, 0.05))
# Here time flies, and what is on its way comes hours late.
_KEEPING: Final = BuilderTimes(keep_us=86_400 * _SECOND_US)
_Event = TypeVar("_Event", bound=FeedEvent)


@asynccontextmanager
async def following(
    played: PlayedStream, clock: ManualClock, *symbols: Symbol
) -> AsyncIterator[AsyncGenerator[FeedEvent, None]]:
    """Follow symbols, AAPL and BRK.B where none are named."""
    feed = YahooStream(played.address, clock, _QUICK, _KEEPING)
    async with aclosing(feed.events(symbols or (AAPL, BERKSHIRE))) as events:
        yield events


async def next_of(events: AsyncGenerator[FeedEvent, None], kind: type[_Event]) -> _Event:
    """Wait for the next event, which has to be of a kind."""
    event = await asyncio.wait_for(anext(events), 10)
    assert isinstance(event, kind), event
    return event


def rows_of(frame: BarFrame) -> list[tuple[Any, ...]]:
    """List what bars say."""
    columns = (frame.open, frame.high, frame.low, frame.close, frame.volume)
    symbols = [frame.symbols[at] for at in frame.row_symbol_index().tolist()]
    return list(zip(symbols, frame.time_us.tolist(), *(c.tolist() for c in columns), strict=True))


async def ended(task: "asyncio.Task[Any]") -> None:
    """End a task that waits for an event."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def set_clock(clock: ManualClock, time_us: int) -> None:
    """Move a clock to a moment."""
    clock.advance((time_us - clock.now_us()) / 1e6)


async def test_stream_given_ticks_tells_whole_minutes() -> None:
    """The minute in which it began is left out; volumes are what was traded between ticks."""
    clock = ManualClock(_OPEN_US - 30 * _SECOND_US)
    async with playing() as played, following(played, clock) as events:
        assert await next_of(events, FeedUp) == FeedUp(("AAPL", "BRK.B"))
        pending = asyncio.create_task(next_of(events, FeedBars))
        await played.subscribed(1)
        assert played.asked[0] == ["AAPL", "BRK-B"]
        set_clock(clock, _OPEN_US + 5 * _SECOND_US)
        await played.tell(
            [
                Tick("AAPL", _OPEN_US - _SECOND_US, 263.17, 1_000),
                Tick("AAPL", _OPEN_US + 1, 263.18, 1_100),
                Tick("AAPL", _OPEN_US + 2, 263.12, 1_350),
                Tick("BRK-B", _OPEN_US + 3, 500.5, 70),
                Tick("AAPL", _OPEN_US + 3, 263.14, 1_350),
            ]
        )
        await asyncio.sleep(0.05)
        set_clock(clock, _OPEN_US + MINUTE_US + 5 * _SECOND_US)
        frame = (await pending).frame
        assert rows_of(frame) == [("AAPL", _OPEN_US, 263.18, 263.18, 263.12, 263.12, 350.0)]
        assert frame.feeds == {0: "yahoo/stream"}
        assert np.isnan(frame.vwap).all()
        assert frame.trade_count.tolist() == [-1]
        assert frame.flags.tolist() == [BarFlag.FINAL]


async def test_stream_given_a_real_night_tells_the_minutes_that_pandas_makes() -> None:
    """Twenty thousand trades of the E-mini, each a tick, as ten seconds at a time bring them."""
    table = read_trades().iloc[:20_000]
    truth = minutes_of_trades(table)
    time_us = table.index.tz_convert(None).to_numpy().astype("datetime64[us]").astype(np.int64)
    volume = np.cumsum(table["Volume"].to_numpy()).tolist()
    prices = table["Price"].to_numpy().tolist()
    ticks = [
        Tick("ESU13", moment, price, traded)
        for moment, price, traded in zip(time_us.tolist(), prices, volume, strict=True)
    ]
    clock = ManualClock(int(time_us[0]) - 90 * _SECOND_US)
    stretches = np.flatnonzero(np.diff(time_us // (10 * _SECOND_US))) + 1
    last: dict[int, tuple[Any, ...]] = {}
    async with (
        playing() as played,
        following(played, clock, Symbol("ESU13", provider_symbols={"yahoo": "ESU13"})) as events,
    ):
        await next_of(events, FeedUp)

        async def collect() -> None:
            async for event in events:
                assert isinstance(event, FeedBars)
                last.update({row[1]: row for row in rows_of(event.frame)})

        collecting = asyncio.create_task(collect())
        await played.subscribed(1)
        await played.tell([Tick("ESU13", int(time_us[0]) - 1, prices[0], 0)])
        for begin, end in pairwise([0, *stretches.tolist(), len(ticks)]):
            set_clock(clock, max(clock.now_us(), int(time_us[end - 1])))
            await played.tell(ticks[begin:end])
        set_clock(clock, int(time_us[-1]) + 2 * MINUTE_US)

        async def is_complete() -> bool:
            return sum(row[6] for row in last.values()) == volume[-1]

        await until(is_complete, seconds=60)
        await ended(collecting)
    assert [last[moment] for moment in sorted(last)] == rows_of(truth)


async def test_stream_given_a_normal_close_connects_anew() -> None:
    """The client of yfinance would spin for ever then."""
    clock = ManualClock(_OPEN_US)
    async with playing() as played, following(played, clock) as events:
        for _ in range(3):
            await next_of(events, FeedUp)
            pending = asyncio.create_task(next_of(events, FeedDown))
            await played.subscribed(1)
            await played.hang_up()
            assert "hung up" in (await pending).problem
            played.asked.clear()


async def test_stream_given_time_subscribes_again_and_again() -> None:
    """Yahoo forgets who does not say that he is there."""
    async with playing() as played, following(played, ManualClock(_OPEN_US)) as events:
        await next_of(events, FeedUp)
        pending = asyncio.create_task(next_of(events, FeedBars))
        await played.subscribed(3)
        assert played.asked[0] == played.asked[2]
        await ended(pending)


@pytest.mark.parametrize(
    "text", ["none", '{"type": "pricing"}', '{"message": "%%%"}', '{"message": "AAAA"}']
)
async def test_stream_given_a_message_that_is_none_connects_anew(text: str) -> None:
    """It says so; a message of another kind is left out."""
    async with playing() as played, following(played, ManualClock(_OPEN_US)) as events:
        await next_of(events, FeedUp)
        pending = asyncio.create_task(next_of(events, FeedDown))
        await played.subscribed(1)
        await played.tell_texts('{"type": "status"}', text)
        assert "yfinance" in (await pending).problem


def test_parse_tick_given_single_precision_means_the_price_that_was_quoted() -> None:
    """263.17 is not 263.1700134."""
    tick = Tick("AAPL", _OPEN_US, 263.17, 12)
    assert parse_tick(message(tick)) == tick
    assert [shortest(price) for price in (0.1, 5_000.25, 97_123.5)] == [0.1, 5_000.25, 97_123.5]


def test_counter_given_a_volume_that_goes_back_begins_anew() -> None:
    """The next session's volume begins at nothing."""
    counter = TickCounter()
    volumes = (1_000, 1_500, 20, 50)
    ticks = [Tick("AAPL", _OPEN_US + at, 10.0, volume) for at, volume in enumerate(volumes)]
    assert counter.trades(ticks).size.tolist() == [500.0, 30.0]
