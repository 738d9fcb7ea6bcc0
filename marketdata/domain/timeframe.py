"""The timeframes of bars: one enum everywhere."""

from datetime import UTC, datetime
from enum import Enum
from typing import Final

MICROSECONDS_PER_SECOND: Final = 1_000_000
MICROSECONDS_PER_DAY: Final = 86_400 * MICROSECONDS_PER_SECOND


def _midnight_us(year: int) -> int:
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * MICROSECONDS_PER_SECOND


# Daily series of indices reach back to the 1920s. No exchange published minute bars before the
# 1990s. The bounds keep one mistyped year from making partitions that nothing ever drops.
_EARLIEST_DAILY_US: Final = _midnight_us(1900)
_EARLIEST_INTRADAY_US: Final = _midnight_us(1990)
_LATEST_US: Final = _midnight_us(2100)


class Timeframe(Enum):
    """How much time a bar covers; the value is its label in SQL, commands and docs."""

    MINUTE_1 = "1m"
    MINUTES_5 = "5m"
    MINUTES_15 = "15m"
    HOUR_1 = "1h"
    DAY_1 = "1d"

    @property
    def duration_us(self) -> int:
        """Length in microseconds. For `DAY_1` the length of its label, not of a session."""
        return _SECONDS[self] * MICROSECONDS_PER_SECOND

    @property
    def is_stored(self) -> bool:
        """Whether bars of this timeframe have a table; the others are derived on read."""
        return self in _STORED

    @property
    def earliest_us(self) -> int:
        """The earliest time a bar of this timeframe may have, inclusive, Unix microseconds."""
        return _EARLIEST_DAILY_US if self is Timeframe.DAY_1 else _EARLIEST_INTRADAY_US

    @property
    def latest_us(self) -> int:
        """The end of the time a bar of this timeframe may have, exclusive, Unix microseconds."""
        return _LATEST_US

    @property
    def alignment_us(self) -> int:
        """What a bar's time must be a multiple of, in microseconds since the Unix epoch.

        An hour bar is anchored at its session's open (09:30 in New York), so it is held to whole
        minutes only; a daily bar is labelled by its session date at 00:00:00 UTC.
        """
        return MICROSECONDS_PER_DAY if self is Timeframe.DAY_1 else 60 * MICROSECONDS_PER_SECOND


_SECONDS: Final = {
    Timeframe.MINUTE_1: 60,
    Timeframe.MINUTES_5: 300,
    Timeframe.MINUTES_15: 900,
    Timeframe.HOUR_1: 3_600,
    Timeframe.DAY_1: 86_400,
}
_STORED: Final = frozenset({Timeframe.MINUTE_1, Timeframe.HOUR_1, Timeframe.DAY_1})
