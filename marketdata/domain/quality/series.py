"""Bars of one symbol in a row, made comparable: what the rules about neighbours look at."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from marketdata.domain.action_rules import sift_actions
from marketdata.domain.bar_rules import BoolArray
from marketdata.domain.bars import BarFrame, Float64Array, Int64Array
from marketdata.domain.calendar import SessionCalendar
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.quality.report import QualityContext
from marketdata.domain.time_range import session_label_us
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe

# Long enough that a few wrong bars do not move its median, short enough to follow a crash or a quiet
# summer: a year of days, half a session of minutes.
_BLOCK: Final = 200
# The median of |x| of a normal variable is 0.6745 of its standard deviation.
_SIGMA_OF_MEDIAN: Final = 1.4826


@dataclass(frozen=True, slots=True, eq=False)
class BarSeries:
    """Sound bars, ascending, no time twice; those known from before stand in front.

    Attributes
    ----------
    known : int
        How many of the bars are known from before: they are looked at, and not judged.
    label_us : int64[n]
        Each bar's session, as of daily bars; where the calendar does not know it, its UTC date.
    open, high, low, close : float64[n]
        Natural logarithms of the prices, known splits undone: a split is no jump.
    volume : float64[n]
        As given.
    """

    known: int
    label_us: Int64Array
    open: Float64Array
    high: Float64Array
    low: Float64Array
    close: Float64Array
    volume: Float64Array

    def __len__(self) -> int:
        """How many bars, those from before among them."""
        return len(self.close)

    def without(self, judged: BoolArray) -> "BarSeries":
        """Leave some of the judged bars out; bool[n - known]."""
        if not judged.any():
            return self
        kept = ~np.append(np.zeros(self.known, np.bool_), judged)
        names = ("label_us", "open", "high", "low", "close", "volume")
        return replace(self, **{name: getattr(self, name)[kept] for name in names})

    def judged_rows(self, rows: BoolArray | Int64Array) -> Int64Array:
        """Turn rows of the series into positions among the judged ones; the others are left out."""
        positions = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return positions[positions >= self.known] - self.known


def series_of(frame: BarFrame, context: QualityContext) -> BarSeries:
    """Line up bars behind those from before, prices on the split basis of the first.

    Parameters
    ----------
    frame : BarFrame
        Ascending, no time twice, prices finite and positive; not empty.
    """
    before = context.before
    before = before.take(before.time_us < frame.time_us[0])
    time_us = np.concatenate([before.time_us, frame.time_us])
    label_us = _labels(time_us, context.timeframe, context.calendar)
    shift = _split_shift(label_us, context.actions)
    prices = {
        name: np.log(np.concatenate([getattr(before, name), getattr(frame, name)])) + shift
        for name in ("open", "high", "low", "close")
    }
    volume = np.concatenate([before.volume, frame.volume])
    return BarSeries(len(before), label_us, **prices, volume=volume)


def _labels(time_us: Int64Array, timeframe: Timeframe, calendar: SessionCalendar | None) -> Int64Array:
    label_us = time_us - time_us % MICROSECONDS_PER_DAY
    if timeframe is Timeframe.DAY_1 or calendar is None:
        return label_us
    known = calendar.intraday_range
    start, end = np.searchsorted(time_us, (known.start_us, known.end_us))
    label_us[start:end] = calendar.session_labels(time_us[start:end])
    return label_us


def _split_shift(label_us: Int64Array, actions: Sequence[CorporateAction]) -> Float64Array:
    """Tell what to add to each logarithm to undo the splits up to its session, float64[n]."""
    shift = np.zeros(len(label_us) + 1)
    sound, _ = sift_actions(a for a in actions if a.kind is CorporateActionKind.SPLIT)
    for action in sound:
        first = np.searchsorted(label_us, session_label_us(action.ex_date))
        # The first bars are all on the same basis, whatever was before them.
        if action.split_ratio is not None and first > 0:
            shift[first] += np.log(action.split_ratio)
    undone: Float64Array = np.cumsum(shift[:-1])
    return undone


def usual_moves(log_close: Float64Array) -> Float64Array:
    """Estimate the standard deviation of the moves around each bar, robustly, float64[n].

    1.4826 times the median of ``|ln close_i - ln close_(i-1)|`` of each block of 200 moves; the
    greatest of a bar's own block and the two beside it, so that a crash at an edge is not judged by
    the quiet before it. 0 where most moves are 0.
    """
    moves = np.abs(np.diff(log_close, prepend=log_close[:1]))
    n = len(moves)
    if n < 2 * _BLOCK:
        middle = float(np.median(moves[1:])) if n > 1 else 0.0
        return np.full(n, _SIGMA_OF_MEDIAN * middle)
    blocks = n // _BLOCK
    middles = np.median(moves[: blocks * _BLOCK].reshape(blocks, _BLOCK), axis=1)
    middles = np.append(middles, np.median(moves[-_BLOCK:]))
    padded = np.pad(middles, 1, mode="edge")
    greatest = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
    return _SIGMA_OF_MEDIAN * np.repeat(greatest, _BLOCK)[:n]


def levels_around(log_close: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Tell the median of the three bars before each bar, and of the three after it, float64[n] each.

    At the ends the outermost bar stands for those that are missing: the first bar is its own level
    before, and the last its own level after.
    """
    padded = np.pad(log_close, 3, mode="edge")
    n = len(log_close)
    left = _median_of_three(padded[0:n], padded[1 : n + 1], padded[2 : n + 2])
    right = _median_of_three(padded[4 : n + 4], padded[5 : n + 5], padded[6 : n + 6])
    return left, right


def _median_of_three(one: Float64Array, two: Float64Array, three: Float64Array) -> Float64Array:
    low, high = np.minimum(one, two), np.maximum(one, two)
    return np.maximum(low, np.minimum(high, three))
