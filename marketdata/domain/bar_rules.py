"""The rules that every bar keeps before it may be stored, vectorised."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import (
    MISSING_TRADE_COUNT,
    PRICE_COLUMNS,
    BarColumn,
    BarFrame,
    Float64Array,
    Int64Array,
)
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe

# Vendors send prices that went through binary floats (236.889999 for 236.89), so the order of open,
# high, low and close is held to one part in a million: far below a tick of any quoted price.
PRICE_TOLERANCE: Final = 1e-6

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A rule that some rows break.

    Attributes
    ----------
    rule : str
        UPPER_SNAKE name, stable.
    column : BarColumn
        Where the value that breaks it stands.
    description : str
        What is wrong and what to send instead, for people.
    rows : int64[k]
        Positions of the rows that break it, ascending, k >= 1.
    """

    rule: str
    column: BarColumn
    description: str
    rows: npt.NDArray[np.int64]


def check_bars(frame: BarFrame, timeframe: Timeframe, now_us: int) -> list[BrokenRule]:
    """Hold every bar of `frame` to the rules.

    Parameters
    ----------
    frame : BarFrame
        All columns present; rows in the order in which they were given.
    timeframe : Timeframe
        What each bar covers.
    now_us : int
        Unix microseconds. A bar that has not ended by now is still forming and is refused; so is a
        daily bar of today (UTC) or later.

    Returns
    -------
    list of BrokenRule
        Empty where every bar may be stored. A row can break several rules.
    """
    return _broken(
        chain(
            _value_findings(frame, None),
            _time_findings(frame.time_us, timeframe),
            _forming_findings(frame.time_us, timeframe, now_us),
            _order_findings(frame),
        )
    )


def check_values(frame: BarFrame, tick_size: float | None = None) -> list[BrokenRule]:
    """Hold prices and sizes to the rules, whatever the time of their bars.

    Parameters
    ----------
    frame : BarFrame
        All columns present.
    tick_size : float or None
        Smallest price step, quote currency. Half of it is what the order of prices may be off by;
        None: `PRICE_TOLERANCE`.
    """
    return _broken(_value_findings(frame, tick_size))


def check_times(frame: BarFrame, timeframe: Timeframe) -> list[BrokenRule]:
    """Hold every bar's time to its timeframe, by itself and whether or not it has ended."""
    return _broken(_time_findings(frame.time_us, timeframe))


def price_slack(price: Float64Array, tick_size: float | None) -> Float64Array:
    """Tell by how much a price may be beyond one that it must not exceed, float64[n].

    Parameters
    ----------
    price : float64[n]
        Quote currency a share.
    tick_size : float or None
        Smallest price step; None where it is not known.
    """
    if tick_size is None:
        return PRICE_TOLERANCE * np.abs(price)
    return np.full(len(price), tick_size / 2)


def is_forming(time_us: Int64Array, timeframe: Timeframe, now_us: int) -> BoolArray:
    """Tell which bars have not ended, without a calendar, bool[n].

    Parameters
    ----------
    time_us : int64[n]
        Times within the sane bounds of the timeframe.
    timeframe : Timeframe
        What each bar covers. A daily bar has ended when its UTC day has.
    now_us : int
        Unix microseconds.
    """
    if timeframe is Timeframe.DAY_1:
        return time_us >= now_us - now_us % MICROSECONDS_PER_DAY
    return time_us + timeframe.duration_us > now_us


_Finding = tuple[str, BarColumn, BoolArray, str]


def _broken(findings: Iterable[_Finding]) -> list[BrokenRule]:
    return [
        BrokenRule(rule, column, description, np.flatnonzero(broken))
        for rule, column, broken, description in findings
        if broken.any()
    ]


def _value_findings(frame: BarFrame, tick_size: float | None) -> Iterator[_Finding]:
    with np.errstate(invalid="ignore"):
        yield from _price_findings(frame, tick_size)
        yield from _size_findings(frame)


def _price_findings(frame: BarFrame, tick_size: float | None) -> Iterator[_Finding]:
    usable = np.ones(len(frame), np.bool_)
    for column in PRICE_COLUMNS:
        price = frame.column(column)
        finite = np.isfinite(price)
        positive = price > 0
        usable &= finite & positive
        yield "NOT_FINITE", column, ~finite, "is NaN or infinite; leave the bar out instead"
        yield "NOT_POSITIVE", column, finite & ~positive, "is zero or negative; send a traded price"
    slack = price_slack(frame.high, tick_size)
    too_low = frame.high < np.maximum(np.maximum(frame.open, frame.close), frame.low) - slack
    too_high = frame.low > np.minimum(frame.open, frame.close) + slack
    yield "HIGH_NOT_HIGHEST", BarColumn.HIGH, usable & too_low, "is below open, low or close"
    yield "LOW_NOT_LOWEST", BarColumn.LOW, usable & too_high, "is above open or close"


def _size_findings(frame: BarFrame) -> Iterator[_Finding]:
    volume, vwap, trades = frame.volume, frame.vwap, frame.trade_count
    yield (
        "NEGATIVE_VOLUME",
        BarColumn.VOLUME,
        np.isinf(volume) | (volume < 0),
        "is negative or infinite; send shares, or NaN where it is not known",
    )
    yield (
        "VWAP_NOT_POSITIVE",
        BarColumn.VWAP,
        np.isinf(vwap) | (vwap <= 0),
        "is not a price; send NaN where it is not known",
    )
    yield (
        "NEGATIVE_TRADE_COUNT",
        BarColumn.TRADE_COUNT,
        trades < MISSING_TRADE_COUNT,
        "is negative; send -1 where it is not known",
    )


def _is_sane(time_us: Int64Array, timeframe: Timeframe) -> BoolArray:
    return (time_us >= timeframe.earliest_us) & (time_us < timeframe.latest_us)


def _time_findings(time_us: Int64Array, timeframe: Timeframe) -> Iterator[_Finding]:
    sane = _is_sane(time_us, timeframe)
    yield (
        "TIME_OUT_OF_BOUNDS",
        BarColumn.TIME,
        ~sane,
        f"lies outside of what {timeframe.value} bars may have; send Unix microseconds, UTC",
    )
    yield (
        "TIME_NOT_ALIGNED",
        BarColumn.TIME,
        sane & (time_us % timeframe.alignment_us != 0),
        "is not the open of such a bar; send 00:00:00 UTC of the session date"
        if timeframe is Timeframe.DAY_1
        else "is not the open of such a bar; send a whole minute",
    )


def _forming_findings(time_us: Int64Array, timeframe: Timeframe, now_us: int) -> Iterator[_Finding]:
    yield (
        "BAR_NOT_ENDED",
        BarColumn.TIME,
        _is_sane(time_us, timeframe) & is_forming(time_us, timeframe, now_us),
        "is today or later; a daily bar can be stored from the next day (UTC) on"
        if timeframe is Timeframe.DAY_1
        else "is of a bar that has not ended yet; send it once it is final",
    )


def _order_findings(frame: BarFrame) -> Iterator[_Finding]:
    index = frame.row_symbol_index()
    rows = np.argsort(index, kind="stable")
    same_symbol = index[rows][1:] == index[rows][:-1]
    # Compared, not subtracted: next to a time that is out of all bounds a difference overflows and
    # blames the good bar.
    time_us = frame.time_us[rows]
    duplicate = np.zeros(len(frame), np.bool_)
    unsorted = np.zeros(len(frame), np.bool_)
    duplicate[rows[1:]] = same_symbol & (time_us[1:] == time_us[:-1])
    unsorted[rows[1:]] = same_symbol & (time_us[1:] < time_us[:-1])
    yield "DUPLICATE_TIME", BarColumn.TIME, duplicate, "repeats the time of the bar before it"
    yield (
        "TIME_NOT_ASCENDING",
        BarColumn.TIME,
        unsorted,
        "is before the bar before it; sort each symbol's bars by time",
    )
