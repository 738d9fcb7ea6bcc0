"""Which slots come due, and what each brings: from exchange_calendars, without the service's code."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

import exchange_calendars

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_SATURDAY: Final = 6
# Where in its hour the only bar of it opens: no skew of the test's clocks reaches the slots around.
_INTO_THE_HOUR: Final = timedelta(minutes=40)


@dataclass(frozen=True, slots=True)
class Due:
    """A slot.

    Attributes
    ----------
    name : str
        Of its series and its time, as its run is called behind the target: ``daily/1d/...``.
    at : datetime
        When it is due, UTC.
    bar : datetime or None
        The label of the bar that came since the slot before; None where there is none.
    """

    name: str
    at: datetime
    bar: datetime | None

    @property
    def series(self) -> str:
        """What is done, of which bars."""
        return self.name.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Market:
    """An exchange: minutes are fetched every hour, days six hours after the close, actions weekly.

    Attributes
    ----------
    calendar, zone : str
        As `exchange_calendars` and the time zone database call them.
    pre_market : timedelta
        From local midnight to where a session begins.
    after_hours : timedelta or None
        From the close to where it ends; None: at local midnight.
    """

    calendar: str
    zone: str
    pre_market: timedelta
    after_hours: timedelta | None

    def due(self, year: int) -> list[Due]:
        """List the slots of a year's sessions and weeks, ascending by time; four series."""
        calendar = exchange_calendars.get_calendar(
            self.calendar, start=f"{year}-01-01", end=f"{year}-12-31"
        )
        found: dict[str, Due] = {}
        for label, close in calendar.schedule["close"].items():
            for slot in self._of_session(label.date(), close.to_pydatetime()):
                # Behind the end of a session the next one may have begun: then it is a slot of both.
                if slot.bar is not None or slot.name not in found:
                    found[slot.name] = slot
        return sorted([*found.values(), *_of_weeks(year)], key=lambda slot: slot.at)

    def _of_session(self, day: date, closed: datetime) -> Iterator[Due]:
        yield from self._of_minutes(day, closed)
        label = _midnight(day, UTC)
        at = max(closed + 6 * _HOUR, label + _DAY + timedelta(minutes=5))
        yield _slot("daily/1d", at, label)
        # Minutes once more: they have all come.
        yield _slot("daily/1m", at, None)

    def _of_minutes(self, day: date, closed: datetime) -> Iterator[Due]:
        zone = ZoneInfo(self.zone)
        start = _midnight(day, zone) + self.pre_market
        end = _midnight(day + _DAY, zone)
        if self.after_hours is not None:
            end = closed + self.after_hours
        hour = start.astimezone(UTC)
        while hour < end.astimezone(UTC):
            yield _slot("minutes/1m", hour + _HOUR, hour + _INTO_THE_HOUR)
            hour += _HOUR
        yield _slot("minutes/1m", hour + _HOUR, None)


def _of_weeks(year: int) -> Iterator[Due]:
    at = datetime(year, 1, 1, 8, tzinfo=UTC)
    while at.year == year:
        if at.isoweekday() == _SATURDAY:
            yield _slot("actions", at, None)
        at += _DAY


def _slot(series: str, at: datetime, bar: datetime | None) -> Due:
    return Due(f"{series}/{at:%Y-%m-%dT%H:%M:%SZ}", at, bar)


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)
