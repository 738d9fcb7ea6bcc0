"""Ranges cut at the months of a wall clock, for providers that answer by the month."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from marketdata.domain.time_range import TimeRange, from_unix_us, to_unix_us

_DECEMBER: Final = 12


def month_name(start_us: int, zone: ZoneInfo) -> str:
    """Name the month that a moment lies in by the clock of a zone: ``2024-03``."""
    return f"{from_unix_us(start_us).astimezone(zone):%Y-%m}"


def month_around(moment_us: int, zone: ZoneInfo) -> TimeRange:
    """Give the whole month that a moment lies in by the clock of a zone."""
    local = from_unix_us(moment_us).astimezone(zone)
    start = datetime(local.year, local.month, 1, tzinfo=zone)
    is_last = local.month == _DECEMBER
    end = datetime(local.year + is_last, 1 if is_last else local.month + 1, 1, tzinfo=zone)
    return TimeRange(to_unix_us(start), to_unix_us(end))


def by_months(wanted: TimeRange, zone: ZoneInfo) -> Iterator[TimeRange]:
    """Cut a range at the months of a zone; ascending, without gap or overlap."""
    reached_us = wanted.start_us
    while reached_us < wanted.end_us:
        end_us = min(month_around(reached_us, zone).end_us, wanted.end_us)
        yield TimeRange(reached_us, end_us)
        reached_us = end_us
