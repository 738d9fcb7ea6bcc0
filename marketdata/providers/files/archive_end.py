"""Whether a file of the archive reaches as far as it is asked for: pure.

A run notes a range as fetched, and what has no bar in it as not traded. A file that somebody has not
brought up to date yet says nothing of the sessions after its last bar: fetched, they would be missing
for good. What lags by less than runs fetch again anyway (a week of days, two days of minutes and
hours) is no matter.
"""

from collections.abc import Mapping
from datetime import date
from typing import Final

import numpy as np

from marketdata.domain.bars import Int64Array
from marketdata.domain.calendar import SessionCalendar
from marketdata.domain.time_range import session_date
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe

# Two days less than runs go back for days, one for the others: a run may come late, too.
_MAY_LAG_US: Final[Mapping[Timeframe, int]] = {
    Timeframe.DAY_1: 5 * MICROSECONDS_PER_DAY,
    Timeframe.HOUR_1: MICROSECONDS_PER_DAY,
    Timeframe.MINUTE_1: MICROSECONDS_PER_DAY,
}


def first_missing_session(
    calendar: SessionCalendar, timeframe: Timeframe, latest_us: int, until_us: int
) -> date | None:
    """Tell the session from which on a file has nothing, though it should.

    Parameters
    ----------
    calendar : SessionCalendar
        Of the symbol.
    timeframe : Timeframe
        Of the bars.
    latest_us : int
        Open of the file's last bar, Unix microseconds; for days its label.
    until_us : int
        Up to when it is asked for, and not after now, Unix microseconds.

    Returns
    -------
    date or None
        None where the file ends with the last session that has ended, or lags by little.
    """
    label_us: Int64Array = np.array([latest_us])
    if timeframe is not Timeframe.DAY_1:
        known = calendar.intraday_range
        label_us = calendar.session_labels(np.clip(label_us, known.start_us, known.end_us - 1))
    row = int(np.searchsorted(calendar.label_us, label_us[0], side="right"))
    if row >= len(calendar.label_us) or calendar.close_us[row] > until_us - _MAY_LAG_US[timeframe]:
        return None
    return session_date(int(calendar.label_us[row]))
