"""Quality agrees with the calendar and the resampler, market by market."""

from dataclasses import replace

import numpy as np
import pytest

from marketdata.domain.bars import BarFlag, BarFrame
from marketdata.domain.calendar import SessionHours, SessionPart
from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.quality import QualityRule
from marketdata.domain.resample import resample
from marketdata.domain.timeframe import Timeframe
from tests.support.markets import MARKETS, Market
from tests.support.quality import judge
from tests.support.sessions import LONG_AFTER_US

ABOUT_SESSIONS = (
    QualityRule.OUTSIDE_OF_SESSION,
    QualityRule.NOT_A_SESSION,
    QualityRule.NOT_AT_SESSION_ANCHOR,
)


@pytest.fixture(params=MARKETS, ids=lambda market: f"{market.calendar} {market.symbol}")
def market(request: pytest.FixtureRequest) -> Market:
    """Give each market whose sessions lie in the UTC day in another way."""
    found: Market = request.param
    return found


def misplaced(frame: BarFrame, timeframe: Timeframe, market: Market) -> int:
    """Count the bars that quality holds to be outside of their sessions."""
    report = judge(frame, timeframe, calendar=market.calendar)
    return sum(report.counts.get(rule, 0) for rule in ABOUT_SESSIONS)


@pytest.mark.parametrize("timeframe", [Timeframe.MINUTES_15, Timeframe.HOUR_1, Timeframe.DAY_1])
def test_check_given_bars_of_the_resampler_finds_all_in_place(
    market: Market, timeframe: Timeframe
) -> None:
    """What the service makes itself, of regular and extended hours, keeps the rules of sessions."""
    made = resample(
        market.minutes(),
        timeframe,
        get_calendar(market.calendar),
        now_us=LONG_AFTER_US,
        hours=SessionHours.ALL,
    )
    assert len(made) > 3
    assert misplaced(made, timeframe, market) == 0


def test_check_given_hours_by_the_clock_finds_those_that_mix_sessions(market: Market) -> None:
    """Hours that are moved by a quarter are in place in no market."""
    calendar = get_calendar(market.calendar)
    made = resample(market.minutes(), Timeframe.HOUR_1, calendar, now_us=LONG_AFTER_US)
    moved = made.time_us + 15 * 60_000_000
    still_inside = calendar.in_hours(moved, SessionHours.REGULAR)
    late = replace(made, time_us=moved).take(still_inside)
    assert misplaced(late, Timeframe.HOUR_1, market) == len(late) > 0


def test_check_given_minutes_finds_those_outside_of_all_hours(market: Market) -> None:
    """Exactly those that the calendar says, but for the auction that ends a morning."""
    minutes = market.minutes()
    minutes = replace(minutes, flags=np.full(len(minutes), BarFlag.FINAL, np.int16))
    calendar = get_calendar(market.calendar)
    spans = calendar.locate(minutes.time_us)
    outside = calendar.spans.part[spans] == SessionPart.OUTSIDE
    auction = minutes.time_us == calendar.break_start_us[calendar.spans.session[spans]]
    assert misplaced(minutes, Timeframe.MINUTE_1, market) == np.count_nonzero(outside & ~auction)
