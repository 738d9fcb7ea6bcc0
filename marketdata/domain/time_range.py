"""Half-open ranges of time, `[start, end)`, in UTC."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def from_unix_us(time_us: int) -> datetime:
    """Turn Unix microseconds into an aware datetime in UTC, exactly."""
    return _EPOCH + timedelta(microseconds=time_us)


def to_unix_us(time: datetime) -> int:
    """Turn an aware datetime into Unix microseconds, exactly."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def session_date(time_us: int) -> date:
    """Tell the session date that the time of a daily bar labels."""
    return from_unix_us(time_us).date()


def session_label_us(session: date) -> int:
    """Label a session date as the time of its daily bar: 00:00:00 UTC, Unix microseconds."""
    return (session - _EPOCH.date()).days * MICROSECONDS_PER_DAY


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A half-open range of time.

    Attributes
    ----------
    start_us, end_us : int
        Unix microseconds, UTC; start inclusive, end exclusive. `start_us <= end_us`.
    """

    start_us: int
    end_us: int

    @property
    def is_empty(self) -> bool:
        """Whether no time lies within."""
        return self.start_us >= self.end_us

    def intersect(self, other: "TimeRange") -> "TimeRange":
        """Return the time that lies within both; empty where they do not meet."""
        start = max(self.start_us, other.start_us)
        return TimeRange(start, max(start, min(self.end_us, other.end_us)))

    def most_bars(self, timeframe: Timeframe) -> int:
        """Estimate how many bars of one symbol start within, were there one at every step."""
        return -(-(self.end_us - self.start_us) // timeframe.duration_us)
