"""Rules that a row keeps or breaks by itself: values, time, and where it lies in its session."""

from typing import Final

import numpy as np

from marketdata.domain.bar_rules import (
    BoolArray,
    BrokenRule,
    check_times,
    check_values,
    is_forming,
    price_slack,
)
from marketdata.domain.bars import BarColumn, BarFlag, BarFrame, Int64Array
from marketdata.domain.calendar import SessionCalendar, SessionPart
from marketdata.domain.quality.finding import Finding, row_values
from marketdata.domain.quality.report import QualityContext
from marketdata.domain.quality.rules import QualityRule
from marketdata.domain.timeframe import MICROSECONDS_PER_SECOND, Timeframe

# Vendors round vwap to two to four places, and a flat bar of a share of 1 has no room for that: a
# basis point is less than any tick of such a share, and far less than a wrong vwap is off by.
_VWAP_TOLERANCE: Final = 1e-4
# Currencies trade from 17:00 in New York on Sunday, which is 21:00 or 22:00 UTC; `exchange_calendars`
# has weeks that begin with Monday.
_FOREIGN_EXCHANGE: Final = "24/5"
_EARLY_US: Final = 3 * 3_600 * MICROSECONDS_PER_SECOND


def empty_rows(frame: BarFrame) -> BoolArray:
    """Tell the rows without prices and volume, bool[n]: nothing was traded."""
    no_prices = (
        np.isnan(frame.close) & np.isnan(frame.open) & np.isnan(frame.high) & np.isnan(frame.low)
    )
    empty: BoolArray = no_prices & (np.isnan(frame.volume) | (frame.volume == 0))
    return empty


def forming_rows(frame: BarFrame, context: QualityContext) -> BoolArray:
    """Tell the bars that are not final, or had not ended, bool[n].

    With a calendar a daily bar ends with its session, and an intraday bar no later than the stretch
    of hours that it lies in. Times are within the sane bounds of the timeframe.
    """
    forming = is_forming(frame.time_us, context.timeframe, context.now_us)
    if context.calendar is not None:
        if context.timeframe is Timeframe.DAY_1:
            forming = ~context.calendar.has_ended(frame.time_us, context.now_us)
        elif forming.any():
            forming[forming] = _ends_after(frame.time_us[forming], context.calendar, context.now_us)
    forming |= frame.flags & BarFlag.FINAL == 0
    return forming


def _ends_after(time_us: Int64Array, calendar: SessionCalendar, now_us: int) -> BoolArray:
    known = _is_known(time_us, calendar)
    after = np.ones(len(time_us), np.bool_)
    spans = calendar.locate(time_us[known])
    after[known] = calendar.spans.end_us[spans] > now_us
    return after


def value_findings(frame: BarFrame, tick_size: float | None) -> list[Finding]:
    """Hold prices and sizes to `bar_rules`."""
    return [_to_finding(frame, broken) for broken in check_values(frame, tick_size)]


def time_findings(frame: BarFrame, timeframe: Timeframe) -> list[Finding]:
    """Hold times to `bar_rules`."""
    return [_to_finding(frame, broken) for broken in check_times(frame, timeframe)]


def _to_finding(frame: BarFrame, broken: BrokenRule) -> Finding:
    rule = QualityRule[broken.rule]
    column = broken.column.value
    if rule is QualityRule.TIME_OUT_OF_BOUNDS:
        return Finding(rule, broken.rows, "time_us {:.0f}", row_values(frame, column, broken.rows))
    if broken.column is BarColumn.TIME:
        return Finding(rule, broken.rows)
    return Finding(rule, broken.rows, f"{column} {{:g}}", row_values(frame, column, broken.rows))


def vwap_findings(frame: BarFrame, tick_size: float | None) -> list[Finding]:
    """Find vwaps outside of `[low, high]`; bars that keep every rule of `value_findings`."""
    slack = np.maximum(price_slack(frame.close, tick_size), _VWAP_TOLERANCE * frame.close)
    with np.errstate(invalid="ignore"):
        outside = (frame.vwap < frame.low - slack) | (frame.vwap > frame.high + slack)
    rows = np.flatnonzero(outside)
    return [
        Finding(QualityRule.VWAP_OUTSIDE_OF_RANGE, rows, "vwap {:g}", row_values(frame, "vwap", rows))
    ]


def session_findings(
    time_us: Int64Array, timeframe: Timeframe, calendar: SessionCalendar
) -> list[Finding]:
    """Hold bars to the sessions of their calendar; times that it does not know keep every rule.

    Parameters
    ----------
    time_us : int64[n]
        Aligned to the timeframe, within its sane bounds.
    """
    if timeframe is Timeframe.DAY_1:
        return [Finding(QualityRule.NOT_A_SESSION, np.flatnonzero(_has_no_session(time_us, calendar)))]
    known = _is_known(time_us, calendar)
    rows = np.flatnonzero(known)
    times = time_us if known.all() else time_us[rows]
    spans = calendar.locate(times)
    outside = _is_outside(times, spans, calendar)
    begun = (times - calendar.spans.start_us[spans]) % timeframe.duration_us
    return [
        Finding(QualityRule.OUTSIDE_OF_SESSION, rows[outside]),
        Finding(QualityRule.NOT_AT_SESSION_ANCHOR, rows[~outside & (begun != 0)]),
    ]


def _is_known(time_us: Int64Array, calendar: SessionCalendar) -> BoolArray:
    span = calendar.intraday_range
    known: BoolArray = (time_us >= span.start_us) & (time_us < span.end_us)
    return known


def _has_no_session(label_us: Int64Array, calendar: SessionCalendar) -> BoolArray:
    labels = calendar.label_us
    rows = np.minimum(np.searchsorted(labels, label_us), len(labels) - 1)
    known = (label_us >= labels[0]) & (label_us <= labels[-1])
    absent: BoolArray = known & (labels[rows] != label_us)
    return absent


def _is_outside(time_us: Int64Array, spans: Int64Array, calendar: SessionCalendar) -> BoolArray:
    table = calendar.spans
    outside: BoolArray = table.part[spans] == SessionPart.OUTSIDE
    # The auction that ends a morning is printed as the break begins, in the minute of that label.
    rows = np.flatnonzero(outside)
    auction = time_us[rows] == calendar.break_start_us[table.session[spans[rows]]]
    outside[rows[auction]] = False
    if calendar.name == _FOREIGN_EXCHANGE:
        early = calendar.open_us[table.session[spans[rows]]] - time_us[rows] <= _EARLY_US
        outside[rows[early]] = False
    return outside
