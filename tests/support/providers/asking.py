"""Asking an adapter, and comparing what it says with the truth."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from marketdata.domain.bars import BarColumn, BarFlag, BarFrame
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import TimeRange, session_label_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ProviderError
from marketdata.providers.protocol import BarsPage, BarsRequest, Provider
from tests.support.providers.adapters import AdapterUnderTest, Circumstances, Played
from tests.support.providers.truth import FIRST_DAY, NOW_US, Truth
from tests.support.sessions import local_us
from tests.support.waiting import until

#: A range of each timeframe: minutes and hours over a switch of the clocks, days over all there are.
RANGES: Final = {
    Timeframe.MINUTE_1: TimeRange(local_us("2024-03-07 00:00"), local_us("2024-03-14 00:00")),
    Timeframe.HOUR_1: TimeRange(local_us("2024-10-31 00:00"), local_us("2024-11-07 00:00")),
    Timeframe.DAY_1: TimeRange(session_label_us(FIRST_DAY), NOW_US),
}
#: Up to now: the last bar of each is forming.
LATEST: Final = {
    Timeframe.MINUTE_1: TimeRange(local_us("2024-11-26 00:00"), NOW_US),
    Timeframe.HOUR_1: TimeRange(local_us("2024-11-26 00:00"), NOW_US),
    Timeframe.DAY_1: TimeRange(session_label_us(FIRST_DAY), NOW_US),
}
#: Nothing is traded in it.
WEEKEND: Final = {
    Timeframe.MINUTE_1: TimeRange(local_us("2024-11-02 00:00"), local_us("2024-11-04 00:00")),
    Timeframe.HOUR_1: TimeRange(local_us("2024-11-02 00:00"), local_us("2024-11-04 00:00")),
    Timeframe.DAY_1: TimeRange(
        session_label_us(date(2024, 11, 2)), session_label_us(date(2024, 11, 4))
    ),
}
_SIZES: Final = (BarColumn.VOLUME, BarColumn.VWAP, BarColumn.TRADE_COUNT)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """All pages of one answer."""

    request: BarsRequest
    pages: Sequence[BarsPage]

    @property
    def frame(self) -> BarFrame:
        """The bars that have prices, ascending."""
        frame = BarFrame.concatenate([page.frame for page in self.pages])
        frame = frame.take(~np.isnan(frame.close))
        return frame.take(np.argsort(frame.time_us, kind="stable"))


async def ask(provider: Provider, symbol: Symbol, timeframe: Timeframe, wanted: TimeRange) -> Answer:
    """Fetch all pages of a range."""
    request = BarsRequest(symbol, timeframe, wanted)
    return Answer(request, [page async for page in provider.fetch_bars(request)])


async def outcome(
    provider: Provider, symbol: Symbol, timeframe: Timeframe, wanted: TimeRange
) -> Answer | ProviderError:
    """Fetch all pages of a range, or tell why not."""
    try:
        return await ask(provider, symbol, timeframe, wanted)
    except ProviderError as error:
        return error


def check_cover(answer: Answer) -> None:
    """Hold pages to what they complete: all of the request, in order, each with no bar of elsewhere."""
    reached_us = answer.request.range.start_us
    for page in answer.pages:
        assert page.range.start_us == reached_us
        assert page.range.end_us >= reached_us
        times = page.frame.time_us
        assert ((times >= page.range.start_us) & (times < page.range.end_us)).all()
        reached_us = page.range.end_us
    assert reached_us == answer.request.range.end_us


def check_truth(answer: Answer, truth: Truth, adapter: AdapterUnderTest, feed: str) -> None:
    """Hold the bars of an answer to the truth, column by column; what is not told to its mark."""
    request = answer.request
    expected = truth.within(request.symbol.symbol, request.timeframe, request.range)
    found = answer.frame
    assert found.time_us.tolist() == expected.time_us.tolist()
    for column in sorted(adapter.columns, key=lambda column: column.value):
        np.testing.assert_array_equal(found.column(column), expected.column(column), column.value)
    for column in set(_SIZES) - adapter.columns:
        values = found.column(column)
        assert (values == -1).all() if column is BarColumn.TRADE_COUNT else np.isnan(values).all()
    assert (found.flags & ~BarFlag.FINAL == 0).all()
    assert (found.flags & BarFlag.FINAL).tolist() == (expected.flags & BarFlag.FINAL).tolist()
    assert found.symbols == (request.symbol.symbol,)
    assert {found.feeds[key] for key in np.unique(found.feed).tolist()} <= {feed}


def timeframes(played: Played) -> list[Timeframe]:
    """List what a provider has, in the order of the enum."""
    return [timeframe for timeframe in Timeframe if timeframe in played.provider.capabilities.feeds]


def short(timeframe: Timeframe) -> TimeRange:
    """Give a range that a call or two answer."""
    if timeframe is Timeframe.DAY_1:
        return TimeRange(session_label_us(date(2024, 2, 1)), session_label_us(date(2024, 5, 1)))
    return TimeRange(local_us("2024-03-08 00:00"), local_us("2024-03-12 00:00"))


@asynccontextmanager
async def tried(adapter: AdapterUnderTest, given: Circumstances | None = None) -> AsyncIterator[Played]:
    """Play an adapter, and hold it to leaving nothing behind at its end (C17)."""
    before = asyncio.all_tasks()
    async with adapter.play(given or Circumstances()) as played:
        yield played
        await played.provider.aclose()
        await until(lambda: is_true(played.side.open_connections() == 0))
    await until(lambda: is_true(not asyncio.all_tasks() - before))


async def is_true(value: bool) -> bool:  # noqa: FBT001 -- what `until` waits for
    """Answer `value`."""
    return value
