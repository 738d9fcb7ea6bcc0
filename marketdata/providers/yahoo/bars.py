"""Charts turned into bars as they were traded: pure, no loop per bar."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import PRICE_COLUMNS, BarColumn, BarFlag, BarFrame, Int64Array, full_columns
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.providers.yahoo.chart import Chart, ChartEvent
from marketdata.providers.yahoo.late_splits import check_recent_splits
from marketdata.providers.yahoo.local_dates import daily_labels, local_labels
from marketdata.providers.yahoo.splits import Split, split_ratios, traded_prices, traded_volumes

FEED: Final = "yahoo/chart"


@dataclass(frozen=True, slots=True)
class ChartContext:
    """What is to be known beside a chart to read its bars.

    Attributes
    ----------
    symbol : str
        In this service's spelling.
    timeframe : Timeframe
        Of the chart.
    splits : tuple of Split
        All from the chart's first session on up to today.
    asked_us : int
        When the chart was asked for, Unix microseconds: what had not ended then is forming.
    """

    symbol: str
    timeframe: Timeframe
    splits: tuple[Split, ...]
    asked_us: int


def to_bars(chart: Chart, context: ChartContext, time_range: TimeRange) -> BarFrame:
    """Read the bars of a chart.

    Rows without any number are no bars: that is how Yahoo says that nothing traded. Rows that have a
    volume and no prices, as before the open, stay, with NaN. Of rows for the same bar the last one
    stays: Yahoo sends the running session's a second time, with its latest state. Left out is the row
    that intraday charts end with while the market is open, which is the latest trade and no bar, and
    of hours what lies outside of the sessions.

    Parameters
    ----------
    chart : Chart
        As parsed.
    context : ChartContext
        Beside it.
    time_range : TimeRange
        Opens of the bars that are wanted; for daily bars their labels.

    Returns
    -------
    BarFrame
        All columns, ascending by time; feed `FEED`, FINAL on every bar but what was forming. Volumes of
        0 outside of regular hours are NaN: Yahoo prices those minutes and never counts their shares.

    Raises
    ------
    ProviderAnswerError
        The chart's time zone is none, or a recent split is not in its prices yet.
    """
    is_daily = context.timeframe is Timeframe.DAY_1
    labels = (
        daily_labels(chart.time_us, chart.time_zone, has_live_end=True)
        if is_daily
        else local_labels(chart.time_us, chart.time_zone)
    )
    check_recent_splits(chart, labels, context.splits, context.asked_us)
    ratios = split_ratios(labels, context.splits)
    given: dict[BarColumn, npt.NDArray[Any]] = {
        column: traded_prices(chart.columns[column], ratios) for column in PRICE_COLUMNS
    }
    volume = traded_volumes(chart.columns[BarColumn.VOLUME], ratios)
    is_outside = chart.periods.is_outside(chart.time_us)
    given[BarColumn.VOLUME] = np.where(is_outside & (volume == 0), np.nan, volume)
    given[BarColumn.TIME] = labels if is_daily else chart.time_us
    given[BarColumn.FLAGS] = _flags(chart.time_us, labels, chart.time_zone, context)
    frame = BarFrame((context.symbol,), **full_columns(len(labels), given), feeds={0: FEED})
    is_wanted = _is_bar(chart, context.timeframe, is_outside)
    is_wanted &= (frame.time_us >= time_range.start_us) & (frame.time_us < time_range.end_us)
    return _last_of_each(frame.take(is_wanted))


def _flags(
    time_us: Int64Array, labels: Int64Array, time_zone: str, context: ChartContext
) -> npt.NDArray[np.int16]:
    if context.timeframe is Timeframe.DAY_1:
        # Today's is not final before tomorrow, here and there: Yahoo corrects volumes after the close.
        there = int(local_labels(np.array([context.asked_us]), time_zone)[0])
        here = context.asked_us - context.asked_us % MICROSECONDS_PER_DAY
        is_final = labels < min(there, here)
    else:
        is_final = time_us + context.timeframe.duration_us <= context.asked_us
    return np.where(is_final, np.int16(BarFlag.FINAL), np.int16(0))


def _is_bar(
    chart: Chart, timeframe: Timeframe, is_outside: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    is_bar: npt.NDArray[np.bool_] = ~np.all(
        [np.isnan(column) for column in chart.columns.values()], axis=0
    )
    if timeframe is Timeframe.DAY_1:
        return is_bar
    is_bar &= chart.time_us % timeframe.alignment_us == 0
    if timeframe is Timeframe.HOUR_1:
        # After the close an "hour" at 16:00 holds the closing price.
        is_bar &= ~is_outside
    return is_bar


def _last_of_each(frame: BarFrame) -> BarFrame:
    ordered = frame.take(np.argsort(frame.time_us, kind="stable"))
    is_last = np.append(np.diff(ordered.time_us) > 0, np.ones(min(len(ordered), 1), np.bool_))
    return ordered if is_last.all() else ordered.take(is_last)


def ex_dates(events: Sequence[ChartEvent], time_zone: str) -> Int64Array:
    """Tell the ex-dates of events, int64[n]: labels of their sessions, Unix microseconds."""
    stamps = np.array([event.time_us for event in events], np.int64)
    return daily_labels(stamps, time_zone, has_live_end=False)


def splits_of(charts: Iterable[Chart]) -> tuple[Split, ...]:
    """List the splits of charts, each once."""
    found = {
        Split(int(label_us), split.value)
        for chart in charts
        for split, label_us in zip(chart.splits, ex_dates(chart.splits, chart.time_zone), strict=True)
        if split.value != 1
    }
    return tuple(sorted(found, key=lambda split: split.label_us))
