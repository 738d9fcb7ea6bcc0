"""Frames as users of the client make them."""

from datetime import UTC, date, datetime
from typing import Any, Final

import numpy as np

from marketdata.client import BarFrame
from marketdata.domain.time_range import to_unix_us

# Sessions of January 2024; New York opens at 14:30 UTC.
SESSIONS: Final = [date(2024, 1, day) for day in (2, 3, 4, 5, 8, 9, 10, 11, 12)]
OPEN: Final = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)


def frame_of(symbol: str, times: list[datetime], **columns: Any) -> BarFrame:
    """Make good bars at these times, each with another price."""
    close = 100.0 + np.arange(len(times))
    good = {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": close * 10}
    times_us = np.array([to_unix_us(time) for time in times], np.int64)
    return BarFrame(symbols=(symbol,), time_us=times_us, **(good | columns))


def labels(sessions: list[date]) -> list[datetime]:
    """Make the times of daily bars."""
    return [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in sessions]
