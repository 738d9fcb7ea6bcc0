"""Coverage: which bars a calendar lets expect, and which of them are missing.

Expected are the slots of regular hours: every session for daily bars, every minute (or hour, anchored
as in `resample`) of a session's regular hours for intraday ones. Slots are numbered across sessions, so
that stored times turn into numbers and a gap is a jump between two of them: the work grows with the
bars that are there, not with those that are not.

No trades in a minute means no bar, so a calendar alone cannot tell a quiet minute from a lost one.
Intraday gaps are therefore whole missing sessions, and runs of missing bars within a session that are
longer than `QUIET_US`. Bars outside of regular hours are counted but never expected.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from marketdata.domain.bars import Int64Array
from marketdata.domain.calendar import Int8Array, SessionCalendar, SessionPart, SessionSpans
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe

# Longer than a US volatility halt (5 minutes, extended once by 5), and than a liquid stock is ever
# quiet. Illiquid ones are quiet for longer: their gaps are true and mean nothing.
QUIET_US: Final = 15 * 60_000_000


class GapReason(IntEnum):
    """Why bars are not there, as far as it is known."""

    MISSING = 1


@dataclass(frozen=True, slots=True, eq=False)
class Gaps:
    """Stretches of time without the bars that are expected, as columns.

    Attributes
    ----------
    start_us, end_us : int64[g]
        Half-open, Unix microseconds, ascending: the open of the first missing bar and the end of the
        last; for daily bars session labels, the end a day after the last missing one.
    missing : int64[g]
        How many bars are missing, at least 1.
    reason : int8[g]
        A `GapReason`.
    """

    start_us: Int64Array
    end_us: Int64Array
    missing: Int64Array
    reason: Int8Array

    def __len__(self) -> int:
        """How many gaps."""
        return len(self.start_us)


@dataclass(frozen=True, slots=True, eq=False)
class SessionCounts:
    """Stored and expected bars of each session, as a heat map shows them.

    Attributes
    ----------
    label_us : int64[s]
        Session dates at 00:00:00 UTC, Unix microseconds, ascending.
    present, expected : int64[s]
        Bars of regular hours that are stored, and that could be.
    """

    label_us: Int64Array
    present: Int64Array
    expected: Int64Array

    def __len__(self) -> int:
        """How many sessions."""
        return len(self.label_us)


@dataclass(frozen=True, slots=True, eq=False)
class BarCoverage:
    """What is stored of one symbol and timeframe within a range.

    Attributes
    ----------
    count : int
        Stored bars in the range, also those that no calendar expects.
    first_us, last_us : int or None
        Their first and last time; None where there is none.
    expected : int
        Bars that the calendar lets expect within `searched`.
    present : int
        Those of them that are stored.
    gaps : Gaps
        Stretches of missing bars; short quiet ones are left out, so `missing` may add up to less than
        `expected - present`.
    searched : TimeRange
        The part of the range that the calendar knows: nothing is said of the rest.
    sessions : SessionCounts or None
        The same session by session; None where nobody asked.
    """

    count: int
    first_us: int | None
    last_us: int | None
    expected: int
    present: int
    gaps: Gaps
    searched: TimeRange
    sessions: SessionCounts | None = None


def find_coverage(
    time_us: Int64Array,
    timeframe: Timeframe,
    asked: TimeRange,
    calendar: SessionCalendar,
    *,
    now_us: int,
    quiet_us: int = QUIET_US,
) -> BarCoverage:
    """Compare what is stored with what the calendar lets expect.

    Parameters
    ----------
    time_us : int64[n]
        Times of the stored bars of one symbol, Unix microseconds, ascending; those outside of `asked`
        are not looked at.
    timeframe : Timeframe
        Of the bars.
    asked : TimeRange
        Range of bar times, start inclusive, end exclusive; for daily bars of session labels.
    calendar : SessionCalendar
        Of the symbol.
    now_us : int
        Unix microseconds. Bars that have not ended are not expected, and neither is the daily bar of a
        session before its UTC day is over: it could not be stored.
    quiet_us : int
        A run of missing bars within a session must be longer than this, microseconds of trading time,
        unless the whole session is missing. Not looked at for daily bars.

    Returns
    -------
    BarCoverage
        Empty ranges and symbols without bars are answered alike: one gap over all that is expected.
    """
    stored = time_us[slice(*np.searchsorted(time_us, (asked.start_us, asked.end_us)))]
    slots = _slots(timeframe, calendar)
    searched = asked.intersect(slots.range)
    window = slots.window(searched, now_us)
    present = slots.numbers(stored, window)
    quiet = 0 if timeframe is Timeframe.DAY_1 else quiet_us // timeframe.duration_us
    return BarCoverage(
        count=len(stored),
        first_us=int(stored[0]) if len(stored) else None,
        last_us=int(stored[-1]) if len(stored) else None,
        expected=window[1] - window[0],
        present=len(present),
        gaps=_gaps(slots, present, window, quiet),
        searched=searched,
    )


def count_by_session(
    time_us: Int64Array,
    timeframe: Timeframe,
    asked: TimeRange,
    calendar: SessionCalendar,
    *,
    now_us: int,
) -> SessionCounts:
    """Count stored and expected bars session by session.

    Parameters
    ----------
    time_us, timeframe, asked, calendar, now_us
        As `find_coverage` takes them.

    Returns
    -------
    SessionCounts
        The sessions with at least one expected bar in the range.
    """
    slots = _slots(timeframe, calendar)
    window = slots.window(asked.intersect(slots.range), now_us)
    if window[0] >= window[1]:
        return SessionCounts(*(np.empty(0, np.int64) for _ in range(3)))
    present = slots.numbers(time_us, window)
    edges = slots.session_edges
    first, last = np.searchsorted(edges, (window[0], window[1] - 1), side="right")
    inner = np.clip(edges[first - 1 : last + 1], *window)
    return SessionCounts(
        label_us=calendar.label_us[slots.first_session + np.arange(first - 1, last)],
        present=np.diff(np.searchsorted(present, inner)),
        expected=np.diff(inner),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Slots:
    """The expected bars of a calendar, numbered from 0 across its regular spans.

    `first_number` is int64[m + 1]: the number of each span's first slot, and the total. `session_edges`
    is int64[s + 1]: the same of each session, the first being row `first_session` of the calendar.
    `ready_us` is int64[m], when the last bar of each span is due; the others are due at their ends.
    """

    spans: SessionSpans
    step_us: int
    first_number: Int64Array
    first_session: int
    session_edges: Int64Array
    ready_us: Int64Array

    @property
    def range(self) -> TimeRange:
        return TimeRange(int(self.spans.start_us[0]), int(self.spans.end_us[-1]))

    def window(self, searched: TimeRange, now_us: int) -> tuple[int, int]:
        """Return the first number in a range and the one after the last that has ended."""
        first, last = (self._from(time) for time in (searched.start_us, searched.end_us))
        return first, max(first, min(last, self._ended(now_us)))

    def _from(self, time_us: int) -> int:
        span = int(np.searchsorted(self.spans.end_us, time_us, side="right"))
        if span == len(self.ready_us):
            return int(self.first_number[-1])
        into_us = max(0, time_us - int(self.spans.start_us[span]))
        return min(
            int(self.first_number[span]) - (-into_us // self.step_us), int(self.first_number[span + 1])
        )

    def _ended(self, now_us: int) -> int:
        span = int(np.searchsorted(self.ready_us, now_us, side="right"))
        if span == len(self.ready_us):
            return int(self.first_number[-1])
        into_us = max(0, now_us - int(self.spans.start_us[span]))
        whole = min(
            into_us // self.step_us, int(self.first_number[span + 1] - self.first_number[span]) - 1
        )
        return int(self.first_number[span]) + whole

    def numbers(self, time_us: Int64Array, window: tuple[int, int]) -> Int64Array:
        """Turn ascending times into distinct numbers of slots within the window."""
        span = np.searchsorted(self.spans.start_us, time_us, side="right") - 1
        inside = span >= 0
        inside &= time_us < self.spans.end_us[span]
        time_us, span = time_us[inside], span[inside]
        number = self.first_number[span] + (time_us - self.spans.start_us[span]) // self.step_us
        number = number[(number >= window[0]) & (number < window[1])]
        return number[np.diff(number, prepend=-1) > 0]

    def starts(self, number: Int64Array) -> Int64Array:
        """Tell when slots start, int64[k]."""
        span = np.searchsorted(self.first_number, number, side="right") - 1
        return self.spans.start_us[span] + (number - self.first_number[span]) * self.step_us

    def ends(self, number: Int64Array) -> Int64Array:
        """Tell when slots end, int64[k]; the last of a span may be short."""
        span = np.searchsorted(self.first_number, number, side="right") - 1
        return np.minimum(self.starts(number) + self.step_us, self.spans.end_us[span])


def _slots(timeframe: Timeframe, calendar: SessionCalendar) -> _Slots:
    if timeframe is Timeframe.DAY_1:
        return _daily_slots(calendar)
    spans = calendar.spans.take(calendar.spans.part == SessionPart.REGULAR)
    step_us = timeframe.duration_us
    counts = -((spans.start_us - spans.end_us) // step_us)
    first_number = np.append(0, np.cumsum(counts))
    is_first = np.diff(spans.session, prepend=-1) != 0
    return _Slots(
        spans=spans,
        step_us=step_us,
        first_number=first_number,
        first_session=int(spans.session[0]),
        session_edges=np.append(first_number[:-1][is_first], first_number[-1]),
        ready_us=spans.end_us,
    )


def _daily_slots(calendar: SessionCalendar) -> _Slots:
    """Treat the label's UTC day of each session as a span of one slot."""
    label_us, n = calendar.label_us, len(calendar.label_us)
    end_us = label_us + MICROSECONDS_PER_DAY
    return _Slots(
        spans=SessionSpans(
            label_us, end_us, np.full(n, SessionPart.REGULAR, np.int8), np.arange(n, dtype=np.int32)
        ),
        step_us=MICROSECONDS_PER_DAY,
        first_number=np.arange(n + 1),
        first_session=0,
        session_edges=np.arange(n + 1),
        ready_us=np.maximum(calendar.close_us, end_us),
    )


def _gaps(slots: _Slots, present: Int64Array, window: tuple[int, int], quiet: int) -> Gaps:
    """Find runs of missing numbers; what is quiet at the ends of a run is cut off."""
    before = np.append(window[0] - 1, present)
    after = np.append(present, window[1])
    jumps = after - before > 1
    start, end = before[jumps] + 1, after[jumps]
    edges = slots.session_edges
    # Sessions of the first and the last missing number.
    head = np.searchsorted(edges, start, side="right") - 1
    tail = np.searchsorted(edges, end - 1, side="right") - 1
    head_end = np.minimum(edges[head + 1], end)
    tail_start = np.maximum(edges[tail], start)
    keep_head = (head_end - start > quiet) | (start == edges[head]) & (head_end == edges[head + 1])
    keep_tail = (end - tail_start > quiet) | (tail_start == edges[tail]) & (end == edges[tail + 1])
    start = np.where(keep_head, start, head_end)
    end = np.where(keep_tail, end, tail_start)
    kept = start < end
    start, end = start[kept], end[kept]
    return Gaps(
        start_us=slots.starts(start),
        end_us=slots.ends(end - 1),
        missing=end - start,
        reason=np.full(len(start), GapReason.MISSING, np.int8),
    )
