"""Prices that are a hundred times too great or too small: pence for pounds."""

from typing import Final

import numpy as np

from marketdata.domain.bars import Float64Array, Int64Array
from marketdata.domain.quality.finding import Finding
from marketdata.domain.quality.rules import QualityRule
from marketdata.domain.quality.series import BarSeries

_HUNDRED: Final = float(np.log(100.0))
# A wrong unit stands beside a real move: 78 to 128 times. Splits of these ratios are known from
# actions, and are undone before.
_TOLERANCE: Final = 0.25


def scale_findings(series: BarSeries) -> list[Finding]:
    """Find the bars on another scale than the rest.

    A step of a hundred between two closes begins another scale, and a step back ends it, however
    many bars lie between. What is right is the scale of the bars from before; without them that of
    most bars. A bar whose own low and high lie a hundred apart is on both.

    Returns
    -------
    list of Finding
        Rows are positions among the judged bars.
    """
    is_mixed = np.abs(series.high - series.low - _HUNDRED) <= _TOLERANCE
    rows = np.flatnonzero(~is_mixed)
    state = _states(series.close[rows])
    # No unmixed bar from before means that the majority decides.
    before = int(np.searchsorted(rows, series.known))
    wrong = is_mixed
    if len(rows):
        wrong[rows] = state != (state[before - 1] if before else _most_common(state))
    wrong[: series.known] = False
    found = np.flatnonzero(wrong)
    return [
        Finding(
            QualityRule.SCALE_100X,
            series.judged_rows(found),
            "closes at {:g} times the bar before",
            _ratios(series.close, found),
        )
    ]


def _states(log_close: Float64Array) -> Int64Array:
    moves = np.diff(log_close, prepend=log_close[:1])
    step = (np.abs(np.abs(moves) - _HUNDRED) <= _TOLERANCE) * np.sign(moves)
    return np.cumsum(step).astype(np.int64)


def _most_common(state: Int64Array) -> int:
    least = int(state.min())
    return int(np.bincount(state - least).argmax()) + least


def _ratios(log_close: Float64Array, rows: Int64Array) -> Float64Array:
    ratios: Float64Array = np.exp(log_close[rows] - log_close[np.maximum(rows - 1, 0)])
    return ratios
