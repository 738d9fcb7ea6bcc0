"""Rows of one time, and rows out of order."""

from typing import Any

import numpy as np
import numpy.typing as npt

from marketdata.domain.bar_rules import BoolArray
from marketdata.domain.bars import BarColumn, BarFrame, Int64Array
from marketdata.domain.quality.finding import Finding
from marketdata.domain.quality.rules import QualityRule

_COMPARED = (
    BarColumn.OPEN,
    BarColumn.HIGH,
    BarColumn.LOW,
    BarColumn.CLOSE,
    BarColumn.VOLUME,
    BarColumn.VWAP,
    BarColumn.TRADE_COUNT,
    BarColumn.FEED,
)


def order_findings(time_us: Int64Array) -> list[Finding]:
    """Find the rows behind a later one. An answer with the newest first is in order, too."""
    if not np.any(time_us[1:] > time_us[:-1]):
        return []
    behind = np.flatnonzero(time_us[1:] < time_us[:-1]) + 1
    return [Finding(QualityRule.TIME_NOT_ASCENDING, behind)]


def repeat_findings(frame: BarFrame) -> list[Finding]:
    """Find all rows of a time but the first.

    Which of two that differ is right is not known. The first is taken, as everywhere
    (`bar_selection`); the other is rejected, so that a person can compare them.

    Parameters
    ----------
    frame : BarFrame
        Ascending by time, in the given order within one; all columns.
    """
    again = np.flatnonzero(frame.time_us[1:] == frame.time_us[:-1]) + 1
    if len(again) == 0:
        return []
    first = np.searchsorted(frame.time_us, frame.time_us[again])
    same = np.ones(len(again), np.bool_)
    for column in _COMPARED:
        values = frame.column(column)
        same &= _equal(values[again], values[first])
    return [
        Finding(QualityRule.DUPLICATE_ROW, again[same]),
        Finding(
            QualityRule.DUPLICATE_TIME,
            again[~same],
            "the first closes at {:g}",
            frame.close[first[~same]],
        ),
    ]


def _equal(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> BoolArray:
    equal: BoolArray = one == other
    # NaN is the same as NaN, and nothing else differs from itself.
    both_missing: BoolArray = (one != one) & (other != other)  # noqa: PLR0124
    return equal | both_missing
