"""Splits that Yahoo lists before it has divided the prices: pure.

On the morning of an ex-date the event can be there some hours before the prices of before are divided.
Undone all the same, they would come out twice as high as they ever were.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import BarColumn, Float64Array, Int64Array
from marketdata.domain.time_range import session_date
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY
from marketdata.errors import ProviderAnswerError
from marketdata.providers.yahoo.chart import Chart
from marketdata.providers.yahoo.splits import Split

# Later it is no delay any more, and refusing would keep a symbol's history away for good.
_RECENT_US: Final = 7 * MICROSECONDS_PER_DAY
# Of smaller ones an ordinary opening cannot be told: of 3 for 2, one 22% away from the close can.
_LEAST_RATIO: Final = 1.5
_ASK_AGAIN_SECONDS: Final = 3_600.0


def check_recent_splits(
    chart: Chart, label_us: Int64Array, splits: Iterable[Split], asked_us: int
) -> None:
    """Refuse a chart whose prices jump by the ratio of a recent split.

    Parameters
    ----------
    chart : Chart
        As Yahoo has it.
    label_us : int64[n]
        Session of each of its rows.
    splits : iterable of Split
        All that are listed.
    asked_us : int
        When, Unix microseconds.

    Raises
    ------
    ProviderAnswerError
        The prices before the split are as they were traded, so that undoing it would falsify them.
    """
    for split in splits:
        size = max(split.ratio, 1 / split.ratio)
        if size < _LEAST_RATIO or split.label_us < asked_us - _RECENT_US:
            continue
        before = _prices(chart, BarColumn.CLOSE, label_us < split.label_us)
        after = _prices(chart, BarColumn.OPEN, label_us >= split.label_us)
        if not len(before) or not len(after):
            continue
        jump = np.log(before[-1] / after[0])
        if abs(jump - np.log(split.ratio)) < abs(jump):
            raise ProviderAnswerError(
                f"Yahoo lists a split of {split.ratio:g} on {session_date(split.label_us)} and has not"
                " divided the prices before it yet; ask again in some hours",
                retry_after_seconds=_ASK_AGAIN_SECONDS,
            )


def _prices(chart: Chart, column: BarColumn, rows: npt.NDArray[np.bool_]) -> Float64Array:
    """Take the prices of some rows, by time."""
    order = np.argsort(chart.time_us[rows], kind="stable")
    values = chart.columns[column][rows][order]
    return values[values > 0]
