"""Prices that leave their neighbours and come back at once."""

from typing import Final

import numpy as np

from marketdata.domain.bar_rules import BoolArray
from marketdata.domain.bars import Float64Array, Int64Array
from marketdata.domain.quality.finding import Finding
from marketdata.domain.quality.rules import QualityRule
from marketdata.domain.quality.series import BarSeries, levels_around, usual_moves
from marketdata.domain.timeframe import Timeframe

# Standard deviations of the usual moves. Returns have fat tails: of the sample's 12,000 days, 2000 to
# 2013, none leaves and comes back by eight.
_SIGMAS: Final = 8.0
# Where the usual move is nothing (a quiet minute, an illiquid share) a tick is no spike.
_LEAST: Final = {
    Timeframe.MINUTE_1: 0.01,
    Timeframe.MINUTES_5: 0.015,
    Timeframe.MINUTES_15: 0.02,
    Timeframe.HOUR_1: 0.03,
    Timeframe.DAY_1: 0.10,
}
# A price that has come back is closer to where it left than half of the way that it was gone.
_COME_BACK: Final = 0.5


def spike_findings(series: BarSeries, timeframe: Timeframe) -> list[Finding]:
    """Find closes and extremes that stand alone.

    A close is held against the medians of the three bars before and of the three after it: up to two
    wrong ones in a row are found. The last bar has none after it, and is judged once it has. A high is
    held against the rest of its bar and the bars beside it, a low likewise.

    Returns
    -------
    list of Finding
        Rows are positions among the judged bars.
    """
    least = np.maximum(_SIGMAS * usual_moves(series.close), _LEAST[timeframe])
    spikes, distance = _lone_closes(series.close, least)
    above = series.high - _greatest_around(series.high, np.maximum(series.open, series.close))
    below = -series.low - _greatest_around(-series.low, -np.minimum(series.open, series.close))
    beyond = np.maximum(above, below)
    is_inner = np.ones(len(series), np.bool_)
    is_inner[[0, -1]] = False
    lone = (beyond > least) & is_inner & ~spikes
    return [
        _finding(series, QualityRule.SPIKE, spikes, "closes at {:g} times its neighbours", distance),
        _finding(series, QualityRule.LONE_EXTREME, lone, "lies {:g} times beyond", beyond),
    ]


def _lone_closes(log_close: Float64Array, least: Float64Array) -> tuple[BoolArray, Float64Array]:
    left, right = levels_around(log_close)
    from_left, from_right = log_close - left, log_close - right
    distance = np.where(np.abs(from_left) < np.abs(from_right), from_left, from_right)
    is_alone = from_left * from_right > 0
    has_come_back = np.abs(right - left) < _COME_BACK * np.abs(distance)
    return is_alone & has_come_back & (np.abs(distance) > least), distance


def _greatest_around(extreme: Float64Array, own: Float64Array) -> Float64Array:
    padded = np.pad(extreme, 1, mode="edge")
    return np.maximum(own, np.maximum(padded[:-2], padded[2:]))


def _finding(
    series: BarSeries, rule: QualityRule, rows: BoolArray, note: str, distance: Float64Array
) -> Finding:
    found: Int64Array = np.flatnonzero(rows)
    found = found[found >= series.known]
    return Finding(rule, series.judged_rows(found), note, np.exp(distance[found]))
