"""Moves between sessions that look like a split that nobody told of."""

from typing import Final

import numpy as np

from marketdata.domain.bars import Float64Array
from marketdata.domain.quality.finding import Finding
from marketdata.domain.quality.rules import QualityRule
from marketdata.domain.quality.series import BarSeries, levels_around

_RATIOS: Final = (1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 8.0, 10.0, 15.0, 20.0, 25.0, 50.0)
_MOVES: Final = np.sort([sign * np.log(ratio) for ratio in _RATIOS for sign in (-1, 1)])
# What the night adds to a split: four standard deviations of the symbol's own nights, within bounds,
# since a crash by half is no split of 2:1, and quiet nights may come by chance.
_NIGHTS: Final = 4.0
_LEAST_TOLERANCE: Final = 0.03
_MOST_TOLERANCE: Final = 0.08
_ENOUGH_NIGHTS: Final = 20
_SIGMA_OF_MEDIAN: Final = 1.4826
# The price stays where a split took it: three bars on it is as near as three bars usually are.
_STAYS_WITHIN: Final = 0.15


def split_findings(series: BarSeries) -> list[Finding]:
    """Find first bars of a session that open at a split's ratio of the last close, and stay there.

    Returns
    -------
    list of Finding
        Rows are positions among the judged bars.
    """
    rows = np.flatnonzero(series.label_us[1:] > series.label_us[:-1]) + 1
    if len(rows) == 0:
        return []
    move = series.open[rows] - series.close[rows - 1]
    split = _nearest_split(move)
    # The level that includes the bar itself: its right neighbours are those of the bar before it.
    left, right = levels_around(series.close)
    stays = np.abs(right[rows - 1] - left[rows] - split) <= _STAYS_WITHIN
    found = (np.abs(move - split) <= _tolerance(move)) & stays & (rows >= series.known)
    return [
        Finding(
            QualityRule.SPLIT_SHAPED_JUMP,
            series.judged_rows(rows[found]),
            "opens at {:.4g} times the last close",
            np.exp(move[found]),
        )
    ]


def _nearest_split(move: Float64Array) -> Float64Array:
    above = np.clip(np.searchsorted(_MOVES, move), 1, len(_MOVES) - 1)
    low, high = _MOVES[above - 1], _MOVES[above]
    return np.where(move - low < high - move, low, high)


def _tolerance(move: Float64Array) -> float:
    if len(move) < _ENOUGH_NIGHTS:
        return (_LEAST_TOLERANCE + _MOST_TOLERANCE) / 2
    usual = _NIGHTS * _SIGMA_OF_MEDIAN * float(np.median(np.abs(move)))
    return min(max(usual, _LEAST_TOLERANCE), _MOST_TOLERANCE)
