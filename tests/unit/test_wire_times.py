"""Timestamps and ranges of requests: whole microseconds, half-open, within sane bounds."""

import math
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Final

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import example, given
from hypothesis import strategies as st

from marketdata.domain.time_range import TimeRange, to_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import InvalidRequestError
from marketdata.wire.times import parse_date, parse_range, to_timestamp
from marketdata.wire.violations import Violations

FIRST_US: Final = to_unix_us(datetime(1900, 1, 1, tzinfo=UTC))
FIRST_INTRADAY_US: Final = to_unix_us(datetime(1990, 1, 1, tzinfo=UTC))
LAST_US: Final = to_unix_us(datetime(2100, 1, 1, tzinfo=UTC))
NOW_US: Final = to_unix_us(datetime(2024, 1, 3, 15, 30, tzinfo=UTC))


def timestamp(year: int, month: int = 1, day: int = 1, nanos: int = 0) -> Timestamp:
    """Make a Timestamp of a date, which may lie outside of what datetime knows."""
    days = (date(2000, month, day) - date(2000, 1, 1)).days
    seconds = round((year - 1970) * 365.2425 + days) * 86_400
    if 1 <= year <= 9999:
        seconds = int(datetime(year, month, day, tzinfo=UTC).timestamp())
    return Timestamp(seconds=seconds, nanos=nanos)


def parse(
    start: Timestamp | None, end: Timestamp | None, timeframe: Timeframe = Timeframe.DAY_1
) -> tuple[TimeRange, set[tuple[str, str]]]:
    """Read a range: what is used, and what is wrong as (field, reason)."""
    violations = Violations()
    parsed = parse_range(start, end, timeframe, NOW_US, violations)
    try:
        violations.raise_any()
    except InvalidRequestError as error:
        return parsed, {(v.field, v.reason) for v in error.violations}
    return parsed, set()


@given(st.integers(FIRST_US, LAST_US - 1))
@example(-1)
@example(FIRST_US)
def test_to_timestamp_given_time_is_read_back(time_us: int) -> None:
    """Whole microseconds survive, before 1970 too."""
    stamp = to_timestamp(time_us)
    assert 0 <= stamp.nanos < 1_000_000_000
    assert stamp.seconds * 10**6 + Fraction(stamp.nanos, 1_000) == time_us
    assert parse(stamp, to_timestamp(LAST_US))[0].start_us == time_us


@given(st.integers(FIRST_US // 10**6, LAST_US // 10**6 - 2), st.integers(0, 999_999_999))
@example(0, 1)
@example(-1, 999_999_999)
def test_parse_range_given_nanos_takes_the_next_microsecond(seconds: int, nanos: int) -> None:
    """A bound between two microseconds is the later one: no bar before the bound gets in."""
    expected = math.ceil(seconds * 10**6 + Fraction(nanos, 1_000))
    stamp = Timestamp(seconds=seconds, nanos=nanos)
    assert parse(stamp, to_timestamp(LAST_US))[0].start_us == expected
    assert parse(None, stamp)[0].end_us == max(expected, FIRST_US)


@pytest.mark.parametrize(
    ("timeframe", "earliest"),
    [(Timeframe.DAY_1, FIRST_US), (Timeframe.MINUTE_1, FIRST_INTRADAY_US)],
)
def test_parse_range_given_no_bounds_is_all_up_to_now(timeframe: Timeframe, earliest: int) -> None:
    """Without bounds a range begins with the earliest bar there can be and ends now."""
    assert parse(None, None, timeframe) == (TimeRange(earliest, NOW_US), set())


def test_parse_range_given_bounds_of_the_sane_range_takes_them() -> None:
    """The first and the last sane instant are no violation."""
    parsed, found = parse(timestamp(1900), timestamp(2100))
    assert (parsed, found) == (TimeRange(FIRST_US, LAST_US), set())


def test_parse_range_given_intraday_before_1990_is_clipped() -> None:
    """A range that begins before such bars can exist is served from where they can."""
    parsed, found = parse(timestamp(1950), timestamp(2000), Timeframe.MINUTE_1)
    assert (parsed.start_us, found) == (FIRST_INTRADAY_US, set())


def test_parse_range_given_all_of_it_before_1990_is_empty() -> None:
    """Intraday bars of the 1950s are an empty answer, not an error."""
    parsed, found = parse(timestamp(1950), timestamp(1960), Timeframe.HOUR_1)
    assert parsed.is_empty
    assert found == set()


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        (timestamp(2020), timestamp(2019), {("start_time", "RANGE_REVERSED")}),
        (timestamp(2020), timestamp(2020), {("start_time", "RANGE_REVERSED")}),
        (timestamp(2025), None, {("start_time", "RANGE_REVERSED")}),
        (timestamp(1899, 12, 31), None, {("start_time", "TIME_OUT_OF_BOUNDS")}),
        (None, timestamp(2100, nanos=1), {("end_time", "TIME_OUT_OF_BOUNDS")}),
        (
            timestamp(1),
            timestamp(9999),
            {("start_time", "TIME_OUT_OF_BOUNDS"), ("end_time", "TIME_OUT_OF_BOUNDS")},
        ),
        (timestamp(-290_000), None, {("start_time", "TIME_OUT_OF_BOUNDS")}),
        (None, Timestamp(seconds=2**63 - 1), {("end_time", "TIME_OUT_OF_BOUNDS")}),
        (Timestamp(seconds=-(2**63)), None, {("start_time", "TIME_OUT_OF_BOUNDS")}),
        (timestamp(2020, nanos=-1), None, {("start_time", "INVALID_TIMESTAMP")}),
        (None, timestamp(2020, nanos=10**9), {("end_time", "INVALID_TIMESTAMP")}),
    ],
)
def test_parse_range_given_absurd_bounds_says_which(
    start: Timestamp | None, end: Timestamp | None, found: set[tuple[str, str]]
) -> None:
    """Reversed, empty, impossible and insane bounds are each named, on their own field."""
    assert parse(start, end)[1] == found


def test_parse_range_given_start_after_now_says_that_now_is_the_end() -> None:
    """Where no end was sent, the text says what it was compared with."""
    violations = Violations()
    parse_range(timestamp(2025), None, Timeframe.DAY_1, NOW_US, violations)
    with pytest.raises(InvalidRequestError, match="is not before now"):
        violations.raise_any()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", None), ("2013-02-28", date(2013, 2, 28)), ("2012-02-29", date(2012, 2, 29))],
)
def test_parse_date_given_iso_date_reads_it(text: str, expected: date | None) -> None:
    """A date is ISO 8601; empty is not known."""
    violations = Violations()
    assert parse_date("ipo_date", text, violations) == expected
    violations.raise_any()


@pytest.mark.parametrize("text", ["2013-02-29", "28.02.2013", "today", "0000-01-01", " 2013-02-28"])
def test_parse_date_given_other_text_is_refused(text: str) -> None:
    """What is no date of the calendar is a violation."""
    violations = Violations()
    assert parse_date("ipo_date", text, violations) is None
    with pytest.raises(InvalidRequestError) as caught:
        violations.raise_any()
    assert [(v.field, v.reason) for v in caught.value.violations] == [("ipo_date", "INVALID_DATE")]
