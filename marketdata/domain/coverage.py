"""Coverage: which bars a calendar lets expect, and which of them are missing, and why.

Expected are the slots of regular hours: every session for daily bars, every minute (or hour, anchored
as in `resample`) of a session's regular hours for intraday ones.

No trades in a minute means no bar, so a calendar alone cannot tell a quiet minute from a lost one.
Intraday gaps are therefore whole missing sessions, and runs of missing bars within a session that are
longer than `QUIET_US`. Bars outside of regular hours are counted but never expected.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from marketdata.domain.bar_slots import BarSlots, bar_slots
from marketdata.domain.bars import Int64Array
from marketdata.domain.calendar import Int8Array, SessionCalendar
from marketdata.domain.gap_causes import CauseLayer, explain_gaps
from marketdata.domain.gaps import GapReason, Gaps
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe

# Longer than a US volatility halt (5 minutes, extended once by 5), and than a liquid stock is ever
# quiet. Illiquid ones are quiet for longer: their gaps are true and mean nothing.
QUIET_US: Final = 15 * 60_000_000
_NO_TIMES: Final = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class SessionCounts:
    """Stored and expected bars of each session, as a heat map shows them.

    Attributes
    ----------
    label_us : int64[s]
        Session dates at 00:00:00 UTC, Unix microseconds, ascending.
    present, expected : int64[s]
        Bars of regular hours that are stored, and that could be.
    quarantined, derived : int64[s]
        Of those that are not stored: how many are in quarantine, and how many a read makes from
        minutes.
    reason : int8[s]
        The `GapReason` of most of the bars that are missing in gaps; 0 where there is no gap.
    """

    label_us: Int64Array
    present: Int64Array
    expected: Int64Array
    quarantined: Int64Array
    derived: Int64Array
    reason: Int8Array

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
    quarantined : int
        Those of them that are not stored but in quarantine.
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
    quarantined: int
    gaps: Gaps
    searched: TimeRange
    sessions: SessionCounts | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CoverageLook:
    """How coverage is looked at, beyond what is stored.

    Attributes
    ----------
    layers : tuple of CauseLayer
        Why bars may be missing, ascending in precedence.
    derived_us : int64[n]
        Times of the bars that a read makes from minutes, ascending, Unix microseconds.
    with_sessions : bool
        Whether to count session by session as well.
    split_us : int or None
        A time at which gaps are cut, whatever their cause: where a page before ended.
    quiet_us : int
        A run of missing bars within a session must be longer than this, microseconds of trading time,
        unless the whole session is missing. Not looked at for daily bars.
    """

    layers: tuple[CauseLayer, ...] = ()
    derived_us: Int64Array = field(default_factory=lambda: _NO_TIMES)
    with_sessions: bool = False
    split_us: int | None = None
    quiet_us: int = QUIET_US


_PLAIN_LOOK: Final = CoverageLook()


def find_coverage(
    time_us: Int64Array,
    timeframe: Timeframe,
    asked: TimeRange,
    calendar: SessionCalendar,
    *,
    now_us: int,
    look: CoverageLook = _PLAIN_LOOK,
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
    look : CoverageLook
        What else is known, and wanted.

    Returns
    -------
    BarCoverage
        Empty ranges and symbols without bars are answered alike: all that is expected is in gaps.
    """
    stored = time_us[slice(*np.searchsorted(time_us, (asked.start_us, asked.end_us)))]
    slots = bar_slots(timeframe, calendar)
    searched = asked.intersect(slots.range)
    window = slots.window(searched, now_us)
    present = slots.numbers(stored, window)
    quiet = 0 if timeframe is Timeframe.DAY_1 else look.quiet_us // timeframe.duration_us
    start, end = _gaps(slots, present, window, quiet)
    gaps, parts = explain_gaps(slots, start, end, look.layers, look.split_us)
    aside = _quarantined(slots, look.layers, present, window)
    counted = _Counted(slots, window, present, aside, gaps, parts)
    return BarCoverage(
        count=len(stored),
        first_us=int(stored[0]) if len(stored) else None,
        last_us=int(stored[-1]) if len(stored) else None,
        expected=window[1] - window[0],
        present=len(present),
        quarantined=len(aside),
        gaps=gaps,
        searched=searched,
        sessions=counted.by_session(calendar, look.derived_us) if look.with_sessions else None,
    )


def _quarantined(
    slots: BarSlots, layers: Sequence[CauseLayer], present: Int64Array, window: tuple[int, int]
) -> Int64Array:
    """Tell the numbers of the bars that are in quarantine and not stored, ascending."""
    aside = [
        slots.numbers(layer.times_us, window)
        for layer in layers
        if layer.cause.reason is GapReason.QUARANTINED
    ]
    return _without(np.unique(np.concatenate([_NO_TIMES, *aside])), present)


def _without(number: Int64Array, present: Int64Array) -> Int64Array:
    """Leave out what is present; both ascend, and millions that are present are not sorted anew."""
    place = np.searchsorted(present, number)
    left: Int64Array = number[np.append(present, -1)[place] != number]
    return left


@dataclass(frozen=True, slots=True, eq=False)
class _Counted:
    """What is there, by numbers of slots, to be counted session by session."""

    slots: BarSlots
    window: tuple[int, int]
    present: Int64Array
    quarantined: Int64Array
    gaps: Gaps
    parts: tuple[Int64Array, Int64Array]

    def by_session(self, calendar: SessionCalendar, derived_us: Int64Array) -> SessionCounts:
        slots, window = self.slots, self.window
        if window[0] >= window[1]:
            none = _NO_TIMES
            return SessionCounts(none, none, none, none, none, np.empty(0, np.int8))
        edges = slots.session_edges
        first, last = np.searchsorted(edges, (window[0], window[1] - 1), side="right")
        inner = np.clip(edges[first - 1 : last + 1], *window)
        derived = _without(slots.numbers(derived_us, window), self.present)
        return SessionCounts(
            label_us=calendar.label_us[slots.first_session + np.arange(first - 1, last)],
            present=np.diff(np.searchsorted(self.present, inner)),
            expected=np.diff(inner),
            quarantined=np.diff(np.searchsorted(self.quarantined, inner)),
            derived=np.diff(np.searchsorted(derived, inner)),
            reason=self._reasons(inner),
        )

    def _reasons(self, edges: Int64Array) -> Int8Array:
        reason, (first, last) = self.gaps.reason, self.parts
        missing = [np.zeros(len(edges) - 1, np.int64)]
        for one in GapReason:
            chosen = reason == one
            missing.append(np.diff(_held_before(edges, first[chosen], last[chosen])))
        found: Int8Array = np.argmax(missing, axis=0).astype(np.int8)
        return found


def _held_before(number: Int64Array, first: Int64Array, last: Int64Array) -> Int64Array:
    """Count the slots of ascending, disjoint ranges that lie before each number."""
    held = np.append(0, np.cumsum(last - first))
    begun = np.searchsorted(first, number, side="right")
    # Of the last range that has begun, what lies behind the number does not count.
    behind = np.append(np.iinfo(np.int64).min // 2, last)[begun] - number
    counted: Int64Array = held[begun] - np.maximum(0, behind)
    return counted


def _gaps(
    slots: BarSlots, present: Int64Array, window: tuple[int, int], quiet: int
) -> tuple[Int64Array, Int64Array]:
    """Find runs of missing numbers, each up to before its end; what is quiet at the ends is cut off."""
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
    return start[kept], end[kept]
