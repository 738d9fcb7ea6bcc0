"""Bars that repeat those before them."""

from typing import Final

import numpy as np

from marketdata.domain.bar_rules import BoolArray
from marketdata.domain.quality.finding import Finding
from marketdata.domain.quality.rules import QualityRule
from marketdata.domain.quality.series import BarSeries
from marketdata.domain.timeframe import Timeframe

# From how many equal bars on they are no chance. Two days with the same five numbers do not happen;
# of an illiquid share several minutes in a row have one trade of 100 at one price.
_EQUAL_BARS: Final = {
    Timeframe.MINUTE_1: 5,
    Timeframe.MINUTES_5: 5,
    Timeframe.MINUTES_15: 5,
    Timeframe.HOUR_1: 3,
    Timeframe.DAY_1: 2,
}


def stale_findings(series: BarSeries, timeframe: Timeframe) -> list[Finding]:
    """Find bars that repeat prices and volume, and bars without trades that repeat a price.

    The first bar of a run is not among them. What never has a volume (an index) repeats nothing
    by it.

    Returns
    -------
    list of Finding
        Rows are positions among the judged bars.
    """
    close, volume = series.close, series.volume
    same = np.zeros(len(series), np.bool_)
    same[1:] = close[1:] == close[:-1]
    is_flat = (series.high == series.low) & (series.open == close)
    findings = []
    filled = same & is_flat & (volume == 0)
    for column in (series.open, series.high, series.low, volume):
        same[1:] &= column[1:] == column[:-1]
    runs = [(QualityRule.STALE_REPEAT, same & (volume > 0))]
    if np.any(volume > 0):
        runs.append((QualityRule.ZERO_VOLUME_REPEAT, filled))
    for rule, repeats in runs:
        long_enough = _in_runs_of(repeats, _EQUAL_BARS[timeframe] - 1)
        findings.append(Finding(rule, series.judged_rows(long_enough)))
    return findings


def _in_runs_of(repeats: BoolArray, least: int) -> BoolArray:
    """Keep of True values those in a run of at least so many."""
    if not repeats.any():
        return repeats
    edges = np.flatnonzero(np.diff(repeats, prepend=False, append=False))
    starts, ends = edges[::2], edges[1::2]
    kept = ends - starts >= least
    change = np.zeros(len(repeats) + 1, np.int64)
    change[starts[kept]] = 1
    change[ends[kept]] = -1
    return np.cumsum(change[:-1]).astype(np.bool_)
