"""A provider whose pages are parsed already, in memory: what stands behind it is measured alone."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import numpy as np

from marketdata.domain.bars import BarFrame
from marketdata.domain.company import CompanyFacts
from marketdata.domain.corporate_action import CorporateAction
from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.providers.protocol import BarsPage, BarsRequest, Capabilities, Limits
from tests.benchmarks.synthetic import MINUTES_A_SESSION, SESSIONS, minute_bars

PROVIDER: Final = "alpaca"
FEED: Final = "alpaca/iex"
#: As Alpaca answers them.
PAGE_BARS: Final = 10_000
_FULL_DAY_US: Final = MINUTES_A_SESSION * Timeframe.MINUTE_1.duration_us


def session_minutes() -> BarFrame:
    """Make the minutes of 126 full sessions of New York, from 2024-01-02 on: 49,140 bars."""
    calendar = get_calendar("XNYS")
    is_full = calendar.close_us - calendar.open_us == _FULL_DAY_US
    first = int(np.searchsorted(calendar.label_us, np.datetime64("2024-01-02", "us").astype(np.int64)))
    opens = calendar.open_us[first:][is_full[first:]][:SESSIONS]
    minutes = np.arange(MINUTES_A_SESSION, dtype=np.int64) * Timeframe.MINUTE_1.duration_us
    frame = minute_bars("X", SESSIONS * MINUTES_A_SESSION)
    return replace(frame, time_us=(opens[:, np.newaxis] + minutes).reshape(-1))


@dataclass(frozen=True, slots=True)
class ParsedPages:
    """Answers every symbol with the same minutes."""

    minutes: BarFrame

    @property
    def capabilities(self) -> Capabilities:
        """Minutes of one feed."""
        feeds = {Timeframe.MINUTE_1: FEED}
        return Capabilities(PROVIDER, "Parsed pages", feeds, {}, False, False, (), "")  # noqa: FBT003

    @property
    def limits(self) -> Limits:
        """As many calls at once as Alpaca's adapter makes."""
        return Limits(calls_at_once=4)

    async def fetch_bars(self, request: BarsRequest) -> AsyncGenerator[BarsPage, None]:
        """Yield pages, each a view of the minutes under the symbol's name."""
        frame = replace(self.minutes, symbols=(request.symbol.symbol,), feeds={1: FEED})
        start_us = request.range.start_us
        for first in range(0, len(frame), PAGE_BARS):
            page = frame.take(slice(first, first + PAGE_BARS))
            is_last = first + PAGE_BARS >= len(frame)
            end_us = request.range.end_us if is_last else int(page.time_us[-1]) + 60_000_000
            yield BarsPage(page, TimeRange(start_us, end_us))
            start_us = end_us

    async def fetch_actions(self, symbol: Symbol, start: date, end: date) -> Sequence[CorporateAction]:
        """Know none."""
        del symbol, start, end
        return ()

    async def fetch_company(self, symbol: Symbol) -> CompanyFacts:
        """Know nothing."""
        del symbol
        return CompanyFacts()

    async def aclose(self) -> None:
        """Have nothing to close."""
