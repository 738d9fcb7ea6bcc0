"""The bars that a calendar lets expect, numbered across its sessions.

Stored times turn into numbers, so that a gap is a jump between two of them: the work grows with the
bars that are there, not with those that are not.
"""

from dataclasses import dataclass

import numpy as np

from marketdata.domain.bars import Int64Array
from marketdata.domain.calendar import SessionCalendar, SessionPart, SessionSpans
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe


@dataclass(frozen=True, slots=True, eq=False)
class BarSlots:
    """The expected bars of a calendar, numbered from 0 across its regular spans.

    Attributes
    ----------
    spans : SessionSpans
        The m spans.
    step_us : int
        From the open of a bar to that of the next one within a span.
    first_number : int64[m + 1]
        The number of each span's first slot, and the total.
    first_session : int
        Row of the calendar that the first session is.
    session_edges : int64[s + 1]
        The number of each session's first slot, and the total.
    ready_us : int64[m]
        When the last bar of each span is due; the others are due at their ends.
    """

    spans: SessionSpans
    step_us: int
    first_number: Int64Array
    first_session: int
    session_edges: Int64Array
    ready_us: Int64Array

    @property
    def range(self) -> TimeRange:
        """The time that the calendar knows."""
        return TimeRange(int(self.spans.start_us[0]), int(self.spans.end_us[-1]))

    def window(self, searched: TimeRange, now_us: int) -> tuple[int, int]:
        """Return the first number in a range and the one after the last that has ended."""
        edges_us = np.array([searched.start_us, searched.end_us], np.int64)
        first, last = self.first_from(edges_us).tolist()
        return first, max(first, min(last, self._ended(now_us)))

    def first_from(self, time_us: Int64Array) -> Int64Array:
        """Tell which slot is the first that starts at or after each time, int64[k]."""
        span = np.searchsorted(self.spans.end_us, time_us, side="right")
        is_behind = span == len(self.ready_us)
        span = np.where(is_behind, 0, span)
        into_us = np.maximum(0, time_us - self.spans.start_us[span])
        number = self.first_number[span] - (-into_us // self.step_us)
        number = np.minimum(number, self.first_number[span + 1])
        found: Int64Array = np.where(is_behind, self.first_number[-1], number)
        return found

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


def bar_slots(timeframe: Timeframe, calendar: SessionCalendar) -> BarSlots:
    """Give numbers to the bars of a timeframe that a calendar lets expect: those of regular hours."""
    if timeframe is Timeframe.DAY_1:
        return _daily_slots(calendar)
    spans = calendar.spans.take(calendar.spans.part == SessionPart.REGULAR)
    step_us = timeframe.duration_us
    counts = -((spans.start_us - spans.end_us) // step_us)
    first_number = np.append(0, np.cumsum(counts))
    is_first = np.diff(spans.session, prepend=-1) != 0
    return BarSlots(
        spans=spans,
        step_us=step_us,
        first_number=first_number,
        first_session=int(spans.session[0]),
        session_edges=np.append(first_number[:-1][is_first], first_number[-1]),
        ready_us=spans.end_us,
    )


def _daily_slots(calendar: SessionCalendar) -> BarSlots:
    """Treat the label's UTC day of each session as a span of one slot."""
    label_us, n = calendar.label_us, len(calendar.label_us)
    end_us = label_us + MICROSECONDS_PER_DAY
    return BarSlots(
        spans=SessionSpans(
            label_us, end_us, np.full(n, SessionPart.REGULAR, np.int8), np.arange(n, dtype=np.int32)
        ),
        step_us=MICROSECONDS_PER_DAY,
        first_number=np.arange(n + 1),
        first_session=0,
        session_edges=np.arange(n + 1),
        ready_us=np.maximum(calendar.close_us, end_us),
    )
