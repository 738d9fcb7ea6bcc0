"""Coarser bars made from minutes: anchored at the session's open, session by session.

The rules, where the field has more than one:

* A bar is labelled by its open and anchored at the start of its span: the session's open, the end of
  the lunch break, the start of the extended hours (04:00 in New York) or the close. So no bar spans a
  break, or mixes regular and extended hours, and the last bar of a span may be short. Morning and
  afternoon are anchored apart as in `exchange_calendars.trading_index` and on vendors' charts: hours
  in Tokyo start at 09:00, 10:00, 11:00 (short), 12:30, 13:30.
* A day bar is of the whole regular session, break or not. There are no day bars of extended hours:
  before and after the regular session are not one stretch of time.
* A stretch without minutes has no bar.
* A sum is known where every part is: volume is NaN where the volume of any of the minutes is, and
  trade_count -1 where any is. vwap is weighted by volume; minutes of volume 0 weigh nothing; NaN where
  the volume is NaN or 0, or a minute that weighs has none.
* Volumes of different feeds are never merged. A bar with minutes of several feeds has the prices of
  all, no volume, vwap and trade_count, and the name of the lowest-ranked feed among them: it is no
  better than its worst minute.
* The revision is the sum of the minutes' revisions, so that it grows whenever one of them is revised.
* A bar is final once its end has come and all its minutes are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import (
    MISSING_TRADE_COUNT,
    BarColumn,
    BarFlag,
    BarFrame,
    Float64Array,
    Int16Array,
    Int32Array,
    Int64Array,
)
from marketdata.domain.calendar import SessionCalendar, SessionHours, SessionPart, in_parts
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe

BoolArray = npt.NDArray[np.bool_]

NO_RANKS: Final[Mapping[int, int]] = MappingProxyType({})
_SIZES: Final = frozenset({BarColumn.VOLUME, BarColumn.VWAP, BarColumn.TRADE_COUNT})


def resample(
    minutes: BarFrame,
    timeframe: Timeframe,
    calendar: SessionCalendar,
    *,
    now_us: int,
    hours: SessionHours = SessionHours.REGULAR,
    feed_ranks: Mapping[int, int] = NO_RANKS,
) -> BarFrame:
    """Make bars of a coarser timeframe from minutes.

    Parameters
    ----------
    minutes : BarFrame
        Minute bars of one or many symbols of one calendar: rows grouped by symbol, times ascending
        within each. `source_columns` says which columns a wanted one needs; columns that are absent
        stay absent. Without `feed` all minutes count as of one feed.
    timeframe : Timeframe
        Any but `MINUTE_1`.
    calendar : SessionCalendar
        Of the symbols.
    now_us : int
        Unix microseconds: bars that end later are not final. Where minutes come late, the time up to
        which they are all in.
    hours : SessionHours
        `REGULAR` leaves minutes outside of regular hours out. `EXTENDED` makes bars of only these,
        `ALL` of both, apart. Minutes outside of all hours, and in a break, make no bar.
    feed_ranks : mapping of int to int
        Rank of each key of the `feed` column, the greater outranks; keys without one rank lowest.

    Returns
    -------
    BarFrame
        `symbols` and `feeds` as in `minutes`; `flags` are always there: DERIVED, FINAL and
        EXTENDED_SESSION. Bars at the edges of a range of minutes may lack minutes: read
        `minute_range`.

    Raises
    ------
    CalendarRangeError
        A minute lies outside of what the calendar knows.
    ValueError
        The rows are not ordered, or day bars of extended hours are asked for.
    """
    if timeframe is Timeframe.MINUTE_1:
        raise ValueError("bars of 1m are not made from minutes: they are minutes")
    if timeframe is Timeframe.DAY_1 and hours is SessionHours.EXTENDED:
        raise ValueError("there are no day bars of extended hours; ask for 1h or finer")
    _check_order(minutes)
    spans = calendar.locate(minutes.time_us)
    wanted = _wanted_spans(calendar, timeframe, hours)[spans]
    if not wanted.all():
        rows = np.flatnonzero(wanted)
        minutes, spans = minutes.take(rows), spans[rows]
    if len(minutes) == 0:
        return minutes
    return _reduced(minutes, _group(minutes, spans, timeframe, calendar), now_us, feed_ranks)


def source_columns(columns: frozenset[BarColumn]) -> frozenset[BarColumn]:
    """Tell which columns of the minutes a resampled answer of `columns` needs."""
    needed = set(columns) | {BarColumn.TIME, BarColumn.FLAGS}
    if needed & _SIZES:
        needed.add(BarColumn.FEED)
    if BarColumn.VWAP in needed:
        needed.add(BarColumn.VOLUME)
    return frozenset(needed)


def minute_range(labels: TimeRange, timeframe: Timeframe, calendar: SessionCalendar) -> TimeRange:
    """Tell which minutes make all bars whose times lie in a range.

    Parameters
    ----------
    labels : TimeRange
        Of the times of the coarser bars; of session labels for `DAY_1`.
    timeframe : Timeframe
        Of the coarser bars.
    calendar : SessionCalendar
        Of the symbol.

    Returns
    -------
    TimeRange
        A bar that starts before `labels` may be made from the first of these minutes in part: bars
        outside of `labels` are to be dropped after resampling.
    """
    if timeframe is not Timeframe.DAY_1:
        return TimeRange(labels.start_us, labels.end_us + timeframe.duration_us)
    rows = calendar.session_rows_in(labels)
    if rows.start >= rows.stop:
        return TimeRange(labels.start_us, labels.start_us)
    return TimeRange(int(calendar.open_us[rows.start]), int(calendar.close_us[rows.stop - 1]))


@dataclass(frozen=True, slots=True, eq=False)
class _Groups:
    """Runs of rows that make one bar each; all arrays int64[g] but `is_extended`, bool[g]."""

    first: Int64Array
    last: Int64Array
    time_us: Int64Array
    end_us: Int64Array
    is_extended: BoolArray


def _check_order(minutes: BarFrame) -> None:
    is_sound = minutes.time_us[1:] > minutes.time_us[:-1]
    if len(minutes.symbol_index):
        index = minutes.symbol_index
        is_next = index[1:] != index[:-1]
        is_sound |= is_next
        # A symbol that comes back later would make two bars of one time.
        runs = np.concatenate([index[:1], index[1:][is_next]])
        is_sound[-1:] &= len(np.unique(runs)) == len(runs)
    if not is_sound.all():
        raise ValueError("minutes are to be grouped by symbol, ascending by time within each")


def _wanted_spans(calendar: SessionCalendar, timeframe: Timeframe, hours: SessionHours) -> BoolArray:
    part = calendar.spans.part
    if timeframe is Timeframe.DAY_1:
        hours = SessionHours.REGULAR
    wanted: BoolArray = in_parts(part, hours) & (part != SessionPart.OUTSIDE)
    return wanted


def _group(
    minutes: BarFrame, spans: Int64Array, timeframe: Timeframe, calendar: SessionCalendar
) -> _Groups:
    table = calendar.spans
    if timeframe is Timeframe.DAY_1:
        time_us = calendar.label_us[table.session][spans]
    else:
        anchor_us = table.start_us[spans]
        step = timeframe.duration_us
        time_us = anchor_us + (minutes.time_us - anchor_us) // step * step
    is_first = np.ones(len(minutes), np.bool_)
    np.not_equal(time_us[1:], time_us[:-1], out=is_first[1:])
    if len(minutes.symbol_index):
        is_first[1:] |= minutes.symbol_index[1:] != minutes.symbol_index[:-1]
    first = np.flatnonzero(is_first)
    labels = time_us[first]
    if timeframe is Timeframe.DAY_1:
        end_us = calendar.close_us[table.session[spans[first]]]
    else:
        end_us = np.minimum(labels + timeframe.duration_us, table.end_us[spans[first]])
    return _Groups(
        first=first,
        last=np.append(first[1:], len(minutes)) - 1,
        time_us=labels,
        end_us=end_us,
        is_extended=table.part[spans[first]] != SessionPart.REGULAR,
    )


def _reduced(
    minutes: BarFrame, groups: _Groups, now_us: int, feed_ranks: Mapping[int, int]
) -> BarFrame:
    first = groups.first
    columns: dict[str, Any] = {
        "time_us": groups.time_us,
        "flags": _flags(minutes.flags, groups, now_us),
    }
    reducers: Mapping[str, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
        "open": lambda array: array[first],
        "high": lambda array: np.maximum.reduceat(array, first),
        "low": lambda array: np.minimum.reduceat(array, first),
        "close": lambda array: array[groups.last],
        "volume": lambda array: np.add.reduceat(array, first),
        "vwap": lambda array: _vwap(array, minutes.volume, columns.get("volume"), first),
        "trade_count": lambda array: _trade_count(array, first),
        "revision": lambda array: _revision(array, first),
        "symbol_index": lambda array: array[first],
    }
    for name, reduce in reducers.items():
        if len(getattr(minutes, name)):
            columns[name] = reduce(getattr(minutes, name))
    if len(minutes.feed):
        columns["feed"], is_mixed = _feed(minutes.feed, first, feed_ranks)
        _forget_sizes(columns, is_mixed)
    return replace(minutes, **columns)


def _vwap(
    vwap: Float64Array, volume: Float64Array, total: Float64Array | None, first: Int64Array
) -> Float64Array:
    if total is None:
        raise ValueError("the vwap of coarser bars needs the minutes' volume")
    notional = vwap * volume
    # A minute without trades has no vwap, and needs none.
    notional[volume == 0] = 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        of_bars: Float64Array = np.add.reduceat(notional, first) / total
    return of_bars


# The next three look for the rare case first: one pass over a column costs a tenth of a reduction.


def _trade_count(trade_count: Int64Array, first: Int64Array) -> Int64Array:
    total: Int64Array = np.add.reduceat(trade_count, first)
    if trade_count.min() <= MISSING_TRADE_COUNT:
        total[np.minimum.reduceat(trade_count, first) <= MISSING_TRADE_COUNT] = MISSING_TRADE_COUNT
    return total


def _revision(revision: Int32Array, first: Int64Array) -> Int32Array:
    if not revision.any():
        return revision[first]
    total: Int32Array = np.add.reduceat(revision, first, dtype=np.int32)
    return total


def _flags(flags: Int16Array, groups: _Groups, now_us: int) -> Int16Array:
    is_final = groups.end_us <= now_us
    if not np.all(flags & BarFlag.FINAL):
        is_final &= (np.bitwise_and.reduceat(flags, groups.first) & BarFlag.FINAL) != 0
    made = np.full(len(groups.first), BarFlag.DERIVED, np.int16)
    made[is_final] |= BarFlag.FINAL
    made[groups.is_extended] |= BarFlag.EXTENDED_SESSION
    return made


def _feed(
    feed: Int16Array, first: Int64Array, feed_ranks: Mapping[int, int]
) -> tuple[Int16Array, BoolArray]:
    if np.all(feed == feed[0]):
        return feed[first], np.zeros(len(first), np.bool_)
    lowest = min(feed_ranks.values(), default=0) - 1
    keys = sorted(np.unique(feed).tolist(), key=lambda key: (feed_ranks.get(key, lowest), key))
    position = np.zeros(max(keys) + 1, np.int16)
    position[keys] = np.arange(len(keys))
    row_position = position[feed]
    worst = np.minimum.reduceat(row_position, first)
    is_mixed = worst != np.maximum.reduceat(row_position, first)
    return np.array(keys, np.int16)[worst], is_mixed


def _forget_sizes(columns: dict[str, Any], is_mixed: BoolArray) -> None:
    for column, missing in (("volume", np.nan), ("vwap", np.nan), ("trade_count", MISSING_TRADE_COUNT)):
        if column in columns:
            columns[column][is_mixed] = missing
