"""Timestamps and ranges of requests and answers."""

from datetime import date
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import MICROSECONDS_PER_SECOND, Timeframe
from marketdata.wire.violations import Violations

_NANOS_PER_MICROSECOND: Final = 1_000
_NANOS_PER_SECOND: Final = 1_000_000_000
# Whatever the timeframe, no bar lies outside of the daily bounds: 1900 to 2100.
_EARLIEST_US: Final = Timeframe.DAY_1.earliest_us
_LATEST_US: Final = Timeframe.DAY_1.latest_us


def to_timestamp(time_us: int) -> Timestamp:
    """Make a Timestamp of Unix microseconds."""
    seconds, rest_us = divmod(time_us, MICROSECONDS_PER_SECOND)
    return Timestamp(seconds=seconds, nanos=rest_us * _NANOS_PER_MICROSECOND)


def parse_range(
    start: Timestamp | None,
    end: Timestamp | None,
    timeframe: Timeframe,
    now_us: int,
    violations: Violations,
) -> TimeRange:
    """Read a request's half-open range.

    Parameters
    ----------
    start, end : Timestamp or None
        As sent; None where not set: the earliest that bars of `timeframe` may have, and now.
    now_us : int
        Unix microseconds.

    Returns
    -------
    TimeRange
        Within the bounds of `timeframe`; empty where there are violations.
    """
    start_us = timeframe.earliest_us if start is None else parse_time("start_time", start, violations)
    end_us = now_us if end is None else parse_time("end_time", end, violations)
    if start_us is None or end_us is None:
        return TimeRange(0, 0)
    if start is not None and start_us >= end_us:
        what = "end_time" if end is not None else "now, which end_time is taken as,"
        violations.add(
            "start_time",
            "RANGE_REVERSED",
            f"is not before {what}; the range is [start_time, end_time)",
        )
    asked = TimeRange(start_us, max(start_us, end_us))
    return asked.intersect(TimeRange(timeframe.earliest_us, timeframe.latest_us))


def parse_date(field: str, text: str, violations: Violations) -> date | None:
    """Read an ISO 8601 date; None where it is empty."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        violations.add(field, "INVALID_DATE", "is not an ISO 8601 date such as 2013-02-28")
        return None


def parse_time(field: str, timestamp: Timestamp, violations: Violations) -> int | None:
    """Read a time as Unix microseconds; None where it is none that bars may have, which is noted."""
    if not 0 <= timestamp.nanos < _NANOS_PER_SECOND:
        violations.add(field, "INVALID_TIMESTAMP", "has nanos outside of 0 to 999,999,999")
        return None
    # Bars have whole microseconds, so a bound between two of them is the same as the later one.
    nanos_up = -(-timestamp.nanos // _NANOS_PER_MICROSECOND)
    time_us = timestamp.seconds * MICROSECONDS_PER_SECOND + nanos_up
    if not _EARLIEST_US <= time_us <= _LATEST_US:
        violations.add(field, "TIME_OUT_OF_BOUNDS", "lies outside of 1900-01-01 to 2100-01-01 UTC")
        return None
    return time_us
