"""Session calendars: which session a moment belongs to, and what is expected of a session.

A calendar is a table of sorted arrays, so that a million bars are placed by one search. Where the
table comes from is `exchange_hours`; nothing here imports pandas.

Every moment belongs to one session and lies in one `SessionPart` of it::

    ── outside ──┬── pre-market ──┬── regular ──┬ break ┬── regular ──┬── after hours ──┬── outside ──
                 extended_start   open          (outside)           close          extended_end
    the gap before a session belongs to it: Sunday belongs to Monday, the night to the next morning

A calendar whose market never closes ("24/7", for crypto) has the UTC days as sessions, and no
moment of it is outside.
"""

from dataclasses import dataclass
from datetime import date
from enum import Enum, IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import Int32Array, Int64Array
from marketdata.domain.time_range import TimeRange, from_unix_us, session_date
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe

Int8Array = npt.NDArray[np.int8]
BoolArray = npt.NDArray[np.bool_]

_MICROSECONDS_PER_MINUTE: Final = 60_000_000


class CalendarRangeError(ValueError):
    """A moment lies before the first or after the last session that the calendar knows."""


class SessionPart(IntEnum):
    """Where in its session a moment lies."""

    OUTSIDE = 0
    PRE_MARKET = 1
    REGULAR = 2
    AFTER_HOURS = 3


class SessionHours(Enum):
    """Which bars a reader wants. `ALL` is everything, also what lies outside of all hours."""

    REGULAR = "regular"
    EXTENDED = "extended"
    ALL = "all"


_PARTS: Final = {
    SessionHours.REGULAR: (SessionPart.REGULAR,),
    SessionHours.EXTENDED: (SessionPart.PRE_MARKET, SessionPart.AFTER_HOURS),
    SessionHours.ALL: tuple(SessionPart),
}


@dataclass(frozen=True, slots=True, eq=False)
class SessionSpans:
    """Time cut at every change of session or part: half-open spans without gap or overlap.

    Attributes
    ----------
    start_us, end_us : int64[m]
        Unix microseconds, ascending; each span ends where the next starts. The spans of a session
        with a break are two regular ones, and the break between them is outside.
    part : int8[m]
        A `SessionPart`.
    session : int32[m]
        Row of the session in its calendar.
    """

    start_us: Int64Array
    end_us: Int64Array
    part: Int8Array
    session: Int32Array

    def take(self, rows: npt.NDArray[np.bool_]) -> "SessionSpans":
        """Return some of the spans; they may then have gaps between them."""
        return SessionSpans(self.start_us[rows], self.end_us[rows], self.part[rows], self.session[rows])


@dataclass(frozen=True, slots=True, eq=False)
class SessionCalendar:
    """The sessions of an exchange.

    Attributes
    ----------
    name : str
        As `exchange_calendars` calls it, aliases resolved (``XNYS``, also for ``XNAS``).
    time_zone : str
        IANA zone of the exchange.
    label_us : int64[s]
        Each session's date at 00:00:00 UTC, Unix microseconds: the time of its daily bar; ascending.
    open_us, close_us : int64[s]
        The regular hours `[open, close)`, Unix microseconds.
    break_start_us, break_end_us : int64[s]
        The lunch break `[start, end)`; both equal `close_us` where there is none.
    extended_start_us, extended_end_us : int64[s]
        The hours with pre-market and after hours; equal open and close where there are none.
    spans : SessionSpans
        The same as consecutive spans, from `Timeframe.MINUTE_1.earliest_us` on where the calendar
        reaches back so far.
    """

    name: str
    time_zone: str
    label_us: Int64Array
    open_us: Int64Array
    close_us: Int64Array
    break_start_us: Int64Array
    break_end_us: Int64Array
    extended_start_us: Int64Array
    extended_end_us: Int64Array
    spans: SessionSpans

    @property
    def intraday_range(self) -> TimeRange:
        """The time in which moments can be placed."""
        return TimeRange(int(self.spans.start_us[0]), int(self.spans.end_us[-1]))

    @property
    def expected_minutes(self) -> Int64Array:
        """Regular minutes of each session without its break, int64[s]."""
        regular = self.close_us - self.open_us - (self.break_end_us - self.break_start_us)
        return regular // _MICROSECONDS_PER_MINUTE

    def session_rows_in(self, labels: TimeRange) -> slice:
        """Return the rows of the sessions whose labels lie in a half-open range."""
        first, last = np.searchsorted(self.label_us, (labels.start_us, labels.end_us))
        return slice(int(first), int(last))

    def locate(self, time_us: Int64Array) -> Int64Array:
        """Find the span of each moment.

        Parameters
        ----------
        time_us : int64[n]
            Unix microseconds in any order; ascending ones are found fastest.

        Returns
        -------
        int64[n]
            Rows of `spans`.

        Raises
        ------
        CalendarRangeError
            A moment lies outside of `intraday_range`.
        """
        if len(time_us) == 0:
            return np.empty(0, np.int64)
        first, last = self._spans_around(int(time_us.min()), int(time_us.max()))
        starts = self.spans.start_us[first:last]
        if len(time_us) < len(starts) or np.any(time_us[1:] < time_us[:-1]):
            return np.searchsorted(starts, time_us, side="right") + (first - 1)
        # Few spans among many sorted moments: 20 times faster than to look up each moment.
        cuts = np.searchsorted(time_us, starts[1:])
        counts = np.diff(cuts, prepend=0, append=len(time_us))
        return np.repeat(np.arange(first, last), counts)

    def _spans_around(self, earliest_us: int, latest_us: int) -> tuple[int, int]:
        known = self.intraday_range
        if earliest_us < known.start_us or latest_us >= known.end_us:
            raise CalendarRangeError(
                f"calendar {self.name} knows sessions from {from_unix_us(known.start_us):%Y-%m-%d}"
                f" to {session_date(int(self.label_us[-1]))} only, and {from_unix_us(earliest_us)} to"
                f" {from_unix_us(latest_us)} was asked for; a newer exchange_calendars may know more"
            )
        first, last = np.searchsorted(self.spans.start_us, (earliest_us, latest_us), side="right")
        return int(first) - 1, int(last)

    def session_labels(self, time_us: Int64Array) -> Int64Array:
        """Tell the session that each moment belongs to, whatever part of it.

        Parameters
        ----------
        time_us : int64[n]
            Unix microseconds, any order.

        Returns
        -------
        int64[n]
            Session dates at 00:00:00 UTC, Unix microseconds. What lies outside of a session's hours
            belongs to the next one, and a break to its own.

        Raises
        ------
        CalendarRangeError
            A moment lies outside of `intraday_range`.
        """
        return self.label_us[self.spans.session][self.locate(time_us)]

    def session_parts(self, time_us: Int64Array) -> Int8Array:
        """Tell the `SessionPart` of each moment, int8[n]; raises as `session_labels` does."""
        return self.spans.part[self.locate(time_us)]

    def in_hours(self, time_us: Int64Array, hours: SessionHours) -> BoolArray:
        """Tell which moments lie in the wanted hours, bool[n]; raises as `session_labels` does."""
        return in_parts(self.spans.part, hours)[self.locate(time_us)]

    def has_ended(self, label_us: Int64Array, now_us: int) -> BoolArray:
        """Tell for which sessions no more regular trading comes.

        Parameters
        ----------
        label_us : int64[n]
            Session dates at 00:00:00 UTC, any order. One that is no session ends with its UTC day.
        now_us : int
            Unix microseconds.

        Returns
        -------
        bool[n]
            True where the session's close is not after `now_us`.
        """
        rows = np.minimum(np.searchsorted(self.label_us, label_us), len(self.label_us) - 1)
        known = self.label_us[rows] == label_us
        end_us = np.where(known, self.close_us[rows], label_us + MICROSECONDS_PER_DAY)
        return end_us <= now_us

    def previous_labels(self, label_us: Int64Array) -> Int64Array:
        """Tell the last session before each date.

        Parameters
        ----------
        label_us : int64[n]
            Dates at 00:00:00 UTC, Unix microseconds, any order; sessions or not.

        Returns
        -------
        int64[n]
            Labels of the sessions strictly before.

        Raises
        ------
        CalendarRangeError
            One lies after the last session that the calendar knows, or none lies before it.
        """
        rows = np.searchsorted(self.label_us, label_us) - 1
        if np.any(rows < 0) or np.any(label_us > self.label_us[-1]):
            raise CalendarRangeError(
                f"calendar {self.name} knows sessions from {session_date(int(self.label_us[0]))}"
                f" to {session_date(int(self.label_us[-1]))} only"
            )
        return self.label_us[rows]

    def last_session(self, timeframe: Timeframe, end_us: int, now_us: int) -> date | None:
        """Tell the last session of a range, and so the last whose corporate actions count.

        Parameters
        ----------
        timeframe : Timeframe
            Of the bars that are read.
        end_us : int
            End of the range, exclusive, Unix microseconds; for daily bars an end of labels.
        now_us : int
            Unix microseconds. A session counts from the start of its extended hours on: an action
            of tomorrow does not count tonight, although tomorrow's label is already past in UTC.

        Returns
        -------
        date or None
            None where no known session has begun. After the last session that the calendar knows every
            date is taken for one: an action that may count is rather reported than forgotten.
        """
        latest_us = min(now_us, end_us - 1)
        if latest_us >= self.extended_end_us[-1]:
            return session_date(latest_us)
        begun = np.searchsorted(self.extended_start_us, now_us, side="right")
        starts = self.label_us if timeframe is Timeframe.DAY_1 else self.extended_start_us
        row = min(int(begun), int(np.searchsorted(starts, end_us))) - 1
        return session_date(int(self.label_us[row])) if row >= 0 else None


def in_parts(part: Int8Array, hours: SessionHours) -> BoolArray:
    """Tell which parts belong to the wanted hours, bool[n]."""
    wanted = np.zeros(len(SessionPart), np.bool_)
    wanted[list(_PARTS[hours])] = True
    return wanted[part]
