"""Half-open ranges of time, and the exact turns between microseconds, instants and sessions."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.time_range import (
    TimeRange,
    from_unix_us,
    session_date,
    session_label_us,
    to_unix_us,
)
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe

# From 1900 to 2100, as bars may have.
TIMES_US = st.integers(Timeframe.DAY_1.earliest_us, Timeframe.DAY_1.latest_us)
SMALL_RANGES = st.tuples(st.integers(-20, 20), st.integers(0, 20)).map(
    lambda pair: TimeRange(pair[0], pair[0] + pair[1])
)


def times(within: TimeRange) -> set[int]:
    """List every microsecond of a small range."""
    return set(range(within.start_us, within.end_us))


@given(SMALL_RANGES, SMALL_RANGES)
def test_intersect_given_two_ranges_holds_the_times_of_both(a: TimeRange, b: TimeRange) -> None:
    """A range is a set of times, and intersects like one."""
    assert times(a.intersect(b)) == times(a) & times(b)


@given(SMALL_RANGES, SMALL_RANGES)
def test_intersect_given_any_ranges_never_ends_before_its_start(a: TimeRange, b: TimeRange) -> None:
    """An empty intersection is still a well-formed range."""
    both = a.intersect(b)
    assert both.start_us <= both.end_us
    assert both.is_empty == (not times(a) & times(b))


def test_intersect_given_touching_ranges_is_empty() -> None:
    """The end is exclusive: [0, 10) and [10, 20) share nothing."""
    assert TimeRange(0, 10).intersect(TimeRange(10, 20)).is_empty


def test_is_empty_given_equal_bounds_is_true() -> None:
    """No time lies in [t, t), one microsecond does in [t, t + 1)."""
    assert TimeRange(5, 5).is_empty
    assert not TimeRange(5, 6).is_empty


@given(
    st.sampled_from(list(Timeframe)),
    st.integers(-(10**14), 10**14),
    st.integers(0, 5 * MICROSECONDS_PER_DAY),
)
def test_most_bars_given_any_range_is_no_less_than_the_aligned_starts_within(
    timeframe: Timeframe, start_us: int, length_us: int
) -> None:
    """The bound holds for bars on a grid, and is at most one too high."""
    step = timeframe.duration_us
    end_us = start_us + length_us
    within = -(-end_us // step) - -(-start_us // step)
    assert within <= TimeRange(start_us, end_us).most_bars(timeframe) <= within + 1


@pytest.mark.parametrize(
    ("length_us", "most"), [(0, 0), (1, 1), (60_000_000, 1), (60_000_001, 2), (120_000_000, 2)]
)
def test_most_bars_given_length_rounds_up(length_us: int, most: int) -> None:
    """A started minute can hold one more start of a bar."""
    assert TimeRange(7, 7 + length_us).most_bars(Timeframe.MINUTE_1) == most


@given(TIMES_US)
def test_unix_us_given_any_microsecond_survives_the_round_trip(time_us: int) -> None:
    """No microsecond is lost through a float."""
    assert to_unix_us(from_unix_us(time_us)) == time_us


def test_from_unix_us_given_zero_is_the_epoch_in_utc() -> None:
    """Instants are aware, in UTC."""
    assert from_unix_us(0) == datetime(1970, 1, 1, tzinfo=UTC)
    assert from_unix_us(-1).microsecond == 999_999


def test_to_unix_us_given_another_zone_keeps_the_instant() -> None:
    """09:30 in a zone five hours behind is 14:30 UTC."""
    new_york = datetime(2024, 1, 2, 9, 30, tzinfo=timezone(timedelta(hours=-5)))
    assert to_unix_us(new_york) == to_unix_us(datetime(2024, 1, 2, 14, 30, tzinfo=UTC))


def test_to_unix_us_given_naive_datetime_is_refused() -> None:
    """A time without a zone is not guessed to be UTC."""
    with pytest.raises(TypeError, match="naive"):
        to_unix_us(datetime(2024, 1, 2))  # noqa: DTZ001 - naive on purpose


@given(st.dates(date(1900, 1, 1), date(2099, 12, 31)))
def test_session_label_given_any_date_is_its_utc_midnight_and_turns_back(session: date) -> None:
    """A session's label is its date at 00:00:00 UTC, also before 1970."""
    label = session_label_us(session)
    midnight = datetime(session.year, session.month, session.day, tzinfo=UTC)
    assert label == to_unix_us(midnight)
    assert session_date(label) == session
