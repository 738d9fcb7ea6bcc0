"""The rules that every bar keeps before it may be stored, vectorised."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import MISSING_TRADE_COUNT, PRICE_COLUMNS, BarColumn, BarFrame
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
    return [
        BrokenRule(rule, column, description, np.flatnonzero(broken))
        for rule, column, broken, description in _findings(frame, timeframe, now_us)
        if broken.any()
    ]


_Finding = tuple[str, BarColumn, BoolArray, str]


def _findings(frame: BarFrame, timeframe: Timeframe, now_us: int) -> Iterator[_Finding]:
    with np.errstate(invalid="ignore"):
        yield from _price_findings(frame)
        yield from _size_findings(frame)
    yield from _time_findings(frame, timeframe, now_us)
    yield from _order_findings(frame)


def _price_findings(frame: BarFrame) -> Iterator[_Finding]:
    usable = np.ones(len(frame), np.bool_)
    for column in PRICE_COLUMNS:
        price = frame.column(column)
        finite = np.isfinite(price)
        positive = price > 0
        usable &= finite & positive
        yield "NOT_FINITE", column, ~finite, "is NaN or infinite; leave the bar out instead"
        yield "NOT_POSITIVE", column, finite & ~positive, "is zero or negative; send a traded price"
    slack = PRICE_TOLERANCE * np.abs(frame.high)
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


def _time_findings(frame: BarFrame, timeframe: Timeframe, now_us: int) -> Iterator[_Finding]:
    time_us = frame.time_us
    sane = (time_us >= timeframe.earliest_us) & (time_us < timeframe.latest_us)
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
    if timeframe is Timeframe.DAY_1:
        forming = time_us >= now_us - now_us % MICROSECONDS_PER_DAY
        remedy = "is today or later; a daily bar can be stored from the next day (UTC) on"
    else:
        forming = time_us + timeframe.duration_us > now_us
        remedy = "is of a bar that has not ended yet; send it once it is final"
    yield "BAR_NOT_ENDED", BarColumn.TIME, sane & forming, remedy


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
