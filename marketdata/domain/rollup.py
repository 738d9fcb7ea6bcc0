"""Which hour and day bars belong to which UTC days of minutes.

A day of minutes is part of every bar that has a minute in it: of the sessions around it, which in
Sydney and Chicago begin on the evening before, and of an hour that spans midnight.
"""

from typing import Final

import numpy as np

from marketdata.domain.bars import Int64Array
from marketdata.domain.calendar import BoolArray, SessionCalendar, SessionPart
from marketdata.domain.range_sets import RangeSet, union
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe

# The timeframes that minutes are rolled up into.
ROLLED_UP: Final = (Timeframe.HOUR_1, Timeframe.DAY_1)

# Days that are no farther apart are taken for a run: what a week-end or a holiday divides is read in
# one piece, and to make the bars between two days anew costs less than a read of its own.
_LONGEST_GAP_DAYS: Final = 4


def labels_of_days(
    days: Int64Array, timeframe: Timeframe, calendar: SessionCalendar, since_us: int
) -> RangeSet:
    """Tell the times of all bars that have a minute in some days.

    Parameters
    ----------
    days : int64[n]
        UTC days since 1970-01-01, ascending.
    timeframe : Timeframe
        `HOUR_1` or `DAY_1`.
    calendar : SessionCalendar
        Of the symbol.
    since_us : int
        Unix microseconds: bars whose minutes begin before are left out, since some of them are gone.

    Returns
    -------
    tuple of TimeRange
        Ascending, apart from each other. Bars between days that are close together are among them.
    """
    if len(days) == 0:
        return ()
    cuts = np.flatnonzero(np.diff(days) > _LONGEST_GAP_DAYS) + 1
    firsts, lasts = days[np.append(0, cuts)], days[np.append(cuts, len(days)) - 1]
    labels = _day_labels if timeframe is Timeframe.DAY_1 else _hour_labels
    runs = zip(firsts.tolist(), lasts.tolist(), strict=True)
    return union(
        labels(calendar, first * MICROSECONDS_PER_DAY, (last + 1) * MICROSECONDS_PER_DAY, since_us)
        for first, last in runs
    )


def labels_from(timeframe: Timeframe, calendar: SessionCalendar, now_us: int) -> TimeRange:
    """Tell the times of the bars that have not ended; a short hour bar that has may be among them."""
    if timeframe is not Timeframe.DAY_1:
        return TimeRange(now_us - timeframe.duration_us + 1, timeframe.latest_us)
    row = int(np.searchsorted(calendar.close_us, now_us, side="right"))
    known = row < len(calendar.label_us)
    start_us = calendar.label_us[row] if known else calendar.label_us[-1] + MICROSECONDS_PER_DAY
    return TimeRange(int(start_us), max(int(start_us), timeframe.latest_us))


def have_ended(days: Int64Array, calendar: SessionCalendar, now_us: int) -> BoolArray:
    """Tell which days have only bars that have ended.

    Parameters
    ----------
    days : int64[n]
        UTC days since 1970-01-01.
    now_us : int
        Unix microseconds.

    Returns
    -------
    bool[n]
        False also where the calendar does not know the day: a later release of it may.
    """
    start_us = days * MICROSECONDS_PER_DAY
    # An hour that spans midnight is over an hour later.
    end_us = start_us + MICROSECONDS_PER_DAY + Timeframe.HOUR_1.duration_us
    known = calendar.intraday_range
    last = np.searchsorted(calendar.open_us, start_us + MICROSECONDS_PER_DAY) - 1
    close_us = np.where(last >= 0, calendar.close_us[np.maximum(last, 0)], start_us)
    is_known = (start_us >= known.start_us) & (end_us <= known.end_us)
    ended: BoolArray = is_known & (np.maximum(end_us, close_us) <= now_us)
    return ended


def _day_labels(calendar: SessionCalendar, start_us: int, end_us: int, since_us: int) -> TimeRange:
    first = int(np.searchsorted(calendar.close_us, start_us, side="right"))
    first = max(first, int(np.searchsorted(calendar.open_us, since_us)))
    last = int(np.searchsorted(calendar.open_us, end_us))
    if first >= last:
        return TimeRange(start_us, start_us)
    return TimeRange(
        int(calendar.label_us[first]), int(calendar.label_us[last - 1]) + MICROSECONDS_PER_DAY
    )


def _hour_labels(calendar: SessionCalendar, start_us: int, end_us: int, since_us: int) -> TimeRange:
    first_us = max(_under_way(calendar, start_us), since_us)
    return TimeRange(first_us, max(first_us, end_us))


def _under_way(calendar: SessionCalendar, moment_us: int) -> int:
    """Tell when the hour bar began that is under way at a moment; the moment where there is none."""
    known = calendar.intraday_range
    if not known.start_us <= moment_us < known.end_us:
        return moment_us
    row = int(calendar.locate(np.array([moment_us], np.int64))[0])
    if calendar.spans.part[row] == SessionPart.OUTSIDE:
        return moment_us
    anchor_us = int(calendar.spans.start_us[row])
    return moment_us - (moment_us - anchor_us) % Timeframe.HOUR_1.duration_us
