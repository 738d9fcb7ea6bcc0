"""Sessions of a simulated year, and when which slot is due: from `exchange_calendars` itself.

Nothing here is the service's: what its schedule and its calendars do is held against this.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import exchange_calendars
import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]

MINUTE_US: Final = 60_000_000
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US
_NEW_YORK: Final = ZoneInfo("America/New_York")
# So far back a process that has just started looks for a slot that nobody executed.
_LOOK_BACK_US: Final = 14 * DAY_US


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """Sessions of an exchange, int64[s] each, Unix microseconds: label, open and close."""

    label_us: Int64
    open_us: Int64
    close_us: Int64

    def between(self, start: str, end: str) -> "Sessions":
        """Return those with dates in `[start, end)`."""
        chosen = (self.label_us >= utc(start)) & (self.label_us < utc(end))
        return Sessions(self.label_us[chosen], self.open_us[chosen], self.close_us[chosen])


def utc(text: str) -> int:
    """Turn ``2024-03-08`` or ``2024-03-08 20:00`` in UTC into Unix microseconds."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


def day_of(label_us: int) -> date:
    """Give the date of a session's label."""
    return datetime.fromtimestamp(label_us / 1_000_000, UTC).date()


@cache
def sessions_of(calendar: str) -> Sessions:
    """Give the sessions around the year 2024."""
    known = exchange_calendars.get_calendar(calendar, start="2022-06-01", end="2025-03-01")
    opens, closes = known.schedule["open"], known.schedule["close"]
    labels = [moment.tz_localize(UTC) for moment in known.sessions]
    return Sessions(_us(labels), _us(opens), _us(closes))


def _us(moments: Any) -> Int64:
    return np.array([round(moment.timestamp() * 1_000_000) for moment in moments], np.int64)


def daily_slots(*calendars: str) -> Int64:
    """Give when days are due: six hours after each close, at 00:05 of the next day the earliest."""
    of_all = [
        np.maximum(sessions.close_us + 6 * HOUR_US, sessions.label_us + DAY_US + 5 * MINUTE_US)
        for sessions in map(sessions_of, calendars)
    ]
    return np.unique(np.concatenate(of_all))


def repair_slots() -> Int64:
    """Give when gaps are filled: at 05:00 of every day."""
    return np.arange(utc("2023-06-01 05:00"), utc("2025-03-01 05:00"), DAY_US, dtype=np.int64)


def actions_slots() -> Int64:
    """Give when corporate actions are asked for: on Saturdays at 08:00."""
    saturday_us = utc("2023-06-03 08:00")
    return np.arange(saturday_us, utc("2025-03-01"), 7 * DAY_US, dtype=np.int64)


def company_slots() -> Int64:
    """Give when facts of companies and listings are asked for: on Saturdays at 10:00."""
    return actions_slots() + 2 * HOUR_US


def extended_hours(sessions: Sessions) -> list[tuple[int, int]]:
    """Give New York's hours with pre-market, from 04:00 of its clock to four hours after the close."""
    starts = [
        datetime.combine(day_of(label), datetime.min.time(), _NEW_YORK).replace(hour=4)
        for label in sessions.label_us.tolist()
    ]
    start_us = [round(start.timestamp() * 1_000_000) for start in starts]
    end_us = (sessions.close_us + 4 * HOUR_US).tolist()
    return list(zip(start_us, end_us, strict=True))


def minute_slots(every_us: int) -> Int64:
    """Give when minutes of New York are due: in its extended hours, and once behind them."""
    parts = [
        np.append(np.arange(start + every_us, end + 1, every_us), end + every_us)
        for start, end in extended_hours(sessions_of("XNYS"))
    ]
    return np.concatenate(parts).astype(np.int64)


@dataclass(slots=True)
class ExpectedSlots:
    """The slots that have to be executed, each once, as time goes by."""

    _due_us: dict[str, Int64] = field(default_factory=dict)
    _settled_us: dict[str, int] = field(default_factory=dict)

    def want(self, prefix: str, due_us: Int64, now_us: int) -> None:
        """Begin a series at a moment; the newest slot before it is due at once."""
        self._due_us[prefix] = due_us
        self._settled_us[prefix] = now_us - _LOOK_BACK_US

    def forget(self, prefix: str) -> None:
        """End a series."""
        del self._due_us[prefix], self._settled_us[prefix]

    def next_us(self, after_us: int) -> int:
        """Tell when the next slot of any series is due."""
        following = [due[due > after_us][0] for due in self._due_us.values()]
        return int(min(following))

    def take(self, now_us: int) -> list[str]:
        """Name the newest slot of each series that is due now and not settled; it is from now on."""
        names = []
        for prefix, due_us in self._due_us.items():
            due = due_us[(due_us > self._settled_us[prefix]) & (due_us <= now_us)]
            if len(due):
                self._settled_us[prefix] = int(due[-1])
                moment = datetime.fromtimestamp(int(due[-1]) / 1_000_000, UTC)
                names.append(f"{prefix}{moment:%Y-%m-%dT%H:%M:%SZ}")
        return names
