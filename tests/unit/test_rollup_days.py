"""Which bars a UTC day of minutes belongs to, against asking minute by minute."""

from datetime import date
from itertools import pairwise
from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.bars import Int64Array
from marketdata.domain.calendar import SessionHours
from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.resample import resample
from marketdata.domain.rollup import ROLLED_UP, have_ended, labels_from, labels_of_days
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from tests.support.sessions import LONG_AFTER_US, MINUTE_US, walk

CALENDARS: Final = ("XNYS", "XASX", "XTKS", "CMES", "XBOM", "24/7")
FIRST_DAY: Final = (date(2024, 3, 1) - date(1970, 1, 1)).days
DAYS: Final = 20
NEVER_US: Final = Timeframe.DAY_1.earliest_us

OF_DAYS = st.sets(st.integers(FIRST_DAY, FIRST_DAY + DAYS - 1), min_size=1, max_size=6).map(
    lambda days: np.array(sorted(days), np.int64)
)


def minutes_of(days: Int64Array) -> Int64Array:
    """List every minute of some UTC days."""
    return (
        days[:, np.newaxis] * MICROSECONDS_PER_DAY + np.arange(0, MICROSECONDS_PER_DAY, MINUTE_US)
    ).ravel()


def labels(minutes: Int64Array, timeframe: Timeframe, calendar: str) -> list[int]:
    """List the times of the bars that minutes make."""
    hours = SessionHours.REGULAR if timeframe is Timeframe.DAY_1 else SessionHours.ALL
    known = get_calendar(calendar)
    made = resample(walk(minutes), timeframe, known, now_us=LONG_AFTER_US, hours=hours)
    times: list[int] = made.time_us.tolist()
    return times


def lies_in(time_us: int, ranges: tuple[TimeRange, ...]) -> bool:
    """Tell whether a time lies in one of some ranges."""
    return any(one.start_us <= time_us < one.end_us for one in ranges)


@pytest.mark.parametrize("calendar", CALENDARS)
@pytest.mark.parametrize("timeframe", ROLLED_UP)
@given(days=OF_DAYS)
def test_labels_of_days_given_any_days_has_every_bar_with_a_minute_in_them(
    calendar: str, timeframe: Timeframe, days: Int64Array
) -> None:
    """A bar that is left out would be served as it was before its minute changed."""
    found = labels_of_days(days, timeframe, get_calendar(calendar), NEVER_US)
    assert all(lies_in(label, found) for label in labels(minutes_of(days), timeframe, calendar))
    assert all(one.end_us < other.start_us for one, other in pairwise(found))


@pytest.mark.parametrize("calendar", CALENDARS)
@pytest.mark.parametrize("timeframe", ROLLED_UP)
@given(days=OF_DAYS, first=st.integers(FIRST_DAY, FIRST_DAY + DAYS))
def test_labels_of_days_given_dropped_minutes_has_no_bar_that_begins_among_them(
    calendar: str, timeframe: Timeframe, days: Int64Array, first: int
) -> None:
    """A bar of which some minutes are gone would be made of the rest."""
    since_us = first * MICROSECONDS_PER_DAY
    found = labels_of_days(days, timeframe, get_calendar(calendar), since_us)
    everything = minutes_of(np.arange(FIRST_DAY - 2, FIRST_DAY + DAYS + 2))
    gone = labels(everything[everything < since_us], timeframe, calendar)
    assert not any(lies_in(label, found) for label in gone)
    kept = labels(minutes_of(days[days >= first]), timeframe, calendar)
    assert all(lies_in(label, found) for label in kept if label not in gone)


@pytest.mark.parametrize("calendar", CALENDARS)
@given(day=st.integers(FIRST_DAY, FIRST_DAY + DAYS), minute=st.integers(0, 3 * 1_440))
def test_have_ended_given_a_day_that_has_has_only_final_bars(
    calendar: str, day: int, minute: int
) -> None:
    """What is rolled up is final, and two and a half days after it began it is."""
    known = get_calendar(calendar)
    days = np.array([day], np.int64)
    now_us = day * MICROSECONDS_PER_DAY + minute * MINUTE_US
    (ended,) = have_ended(days, known, now_us)
    if not ended:
        assert minute < 2.5 * 1_440
        return
    for timeframe in ROLLED_UP:
        not_ended = labels_from(timeframe, known, now_us)
        made = labels(minutes_of(days), timeframe, calendar)
        assert not any(lies_in(label, (not_ended,)) for label in made)


def test_have_ended_given_a_day_past_the_calendar_is_not_known() -> None:
    """A later release of the calendar may know the day: nothing is made of it until then."""
    calendar = get_calendar("XNYS")
    last = calendar.intraday_range.end_us // MICROSECONDS_PER_DAY
    days = np.array([last - 30, last, last + 30], np.int64)
    assert have_ended(days, calendar, Timeframe.DAY_1.latest_us).tolist() == [True, False, False]
