"""Real bars held to the rules: nothing is rejected, little is flagged, and planted errors are found.

Precision and recall are stated over errors planted at random rows of real series, with fixed seeds.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from marketdata.domain.bars import BarFrame, Int64Array
from marketdata.domain.quality import QualityReport
from marketdata.domain.timeframe import Timeframe
from marketdata.providers.sample.parse import SampleStock
from marketdata.providers.sample.source import fetch_sample_stocks
from tests.support.e_mini import minutes_of_trades, read_trades
from tests.support.quality import broken, changed, counted, judge, scaled

STOCKS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
SPLITS = {"AAPL": 2, "MSFT": 1}
TICK = 0.25


@cache
def stock(symbol: str) -> SampleStock:
    """Read a stock of the sample, once."""
    return {known.symbol.symbol: known for known in fetch_sample_stocks()}[symbol]


@cache
def e_mini() -> BarFrame:
    """Make the real minutes, once."""
    return minutes_of_trades(read_trades())


def judge_days(symbol: str, frame: BarFrame) -> QualityReport:
    """Hold days of a stock to the rules, with its splits."""
    return judge(frame, Timeframe.DAY_1, actions=stock(symbol).actions)


def judge_e_mini(frame: BarFrame) -> QualityReport:
    """Hold minutes of the future to the rules."""
    return judge(frame, calendar="CMES", tick_size=TICK)


@pytest.mark.parametrize("symbol", STOCKS)
def test_check_given_real_days_with_their_splits_finds_nothing(symbol: str) -> None:
    """12,154 days over two crashes: none rejected, none flagged."""
    report = judge_days(symbol, stock(symbol).bars)
    assert not counted(report)
    assert report.accepted is stock(symbol).bars


@pytest.mark.parametrize("symbol", STOCKS)
def test_check_given_real_days_without_their_splits_flags_the_splits_alone(symbol: str) -> None:
    """Three splits in five stocks, and no crash taken for one."""
    report = judge(stock(symbol).bars, Timeframe.DAY_1)
    count = SPLITS.get(symbol, 0)
    assert counted(report) == ({"SPLIT_SHAPED_JUMP": count} if count else {})
    assert report.suspects_split is bool(count)


def test_check_given_real_minutes_of_a_future_finds_nothing() -> None:
    """2,264 minutes over three sessions and a holiday."""
    assert not counted(judge_e_mini(e_mini()))


Plant = Callable[[BarFrame, Int64Array], BarFrame]


def _doubled(frame: BarFrame, rows: Int64Array) -> BarFrame:
    return scaled(frame, rows, 2.0)


def _in_pence(frame: BarFrame, rows: Int64Array) -> BarFrame:
    return scaled(frame, rows, 100.0)


def _wick(frame: BarFrame, rows: Int64Array) -> BarFrame:
    return changed(frame, rows, high=frame.high[rows] * 1.6)


def _repeated(frame: BarFrame, rows: Int64Array) -> BarFrame:
    columns = {n: getattr(frame, n)[rows - 1] for n in ("open", "high", "low", "close", "volume")}
    return changed(frame, rows, **columns)


def _without_prices(frame: BarFrame, rows: Int64Array) -> BarFrame:
    return changed(frame, rows, **dict.fromkeys(("open", "high", "low", "close"), np.nan))


def _zeros(frame: BarFrame, rows: Int64Array) -> BarFrame:
    return changed(frame, rows, **dict.fromkeys(("open", "high", "low", "close"), 0.0))


def _swapped(frame: BarFrame, rows: Int64Array) -> BarFrame:
    return changed(frame, rows, high=frame.low[rows] * 0.99, low=frame.high[rows] * 1.01)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("symbol", STOCKS)
@pytest.mark.parametrize(
    ("plant", "rule"),
    [
        (_doubled, "SPIKE"),
        (_in_pence, "SCALE_100X"),
        (_wick, "LONE_EXTREME"),
        (_repeated, "STALE_REPEAT"),
        (_without_prices, "NOT_FINITE"),
        (_zeros, "NOT_POSITIVE"),
        (_swapped, "HIGH_NOT_HIGHEST"),
    ],
)
def test_check_given_errors_planted_among_real_days_finds_all_and_no_other(
    plant: Plant, rule: str, symbol: str, seed: int
) -> None:
    """Precision 1 and recall 1, over twelve wrong days of each kind, each stock and three seeds."""
    frame = stock(symbol).bars
    rows = np.random.default_rng(seed).choice(np.arange(5, len(frame) - 5, 6), 12, replace=False)
    rows.sort()
    report = judge_days(symbol, plant(frame, rows))
    found = broken(report.rejected) | broken(report.flagged)
    assert set(found) == set(frame.time_us[rows].tolist())
    assert all(rule in rules for rules in found.values())


def test_check_given_splits_planted_among_real_days_finds_nearly_all() -> None:
    """Recall over 0.95 of 180 splits whose nights are real; nothing else is flagged."""
    random = np.random.default_rng(1)
    found = others = planted = 0
    for symbol in STOCKS:
        frame = stock(symbol).bars
        for ratio in (1.5, 2.0, 3.0, 7.0, 0.5, 0.1):
            for row in random.integers(10, len(frame) - 10, 6).tolist():
                report = judge_days(symbol, scaled(frame, slice(row, None), 1 / ratio))
                planted += 1
                times = set(broken(report.flagged))
                found += int(frame.time_us[row]) in times
                others += len(times - {int(frame.time_us[row])})
    assert planted == 180
    assert found / planted > 0.95
    assert others == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("factor", "rule"), [(1.03, "SPIKE"), (0.97, "SPIKE"), (100.0, "SCALE_100X"), (0.01, "SCALE_100X")]
)
def test_check_given_wrong_prices_among_real_minutes_finds_all_and_no_other(
    factor: float, rule: str, seed: int
) -> None:
    """Three percent in a minute and back is no trade; precision 1 and recall 1 over 20 rows."""
    frame = e_mini()
    rows = np.random.default_rng(seed).choice(np.arange(5, len(frame) - 5, 6), 20, replace=False)
    rows.sort()
    report = judge_e_mini(scaled(frame, rows, factor))
    found: dict[int, set[str]] = broken(report.rejected) | broken(report.flagged)
    assert set(found) == set(frame.time_us[rows].tolist())
    assert all(rule in rules for rules in found.values())


def test_check_given_real_minutes_and_sound_noise_flags_nothing() -> None:
    """Rows in any order, some twice: sorted and taken once."""
    frame = e_mini()
    random = np.random.default_rng(3)
    rows: Any = random.permutation(np.append(np.arange(len(frame)), np.arange(0, len(frame), 50)))
    report = judge_e_mini(frame.take(rows))
    assert np.array_equal(report.accepted.time_us, frame.time_us)
    assert len(report.rejected) == len(report.flagged) == 0
    assert counted(report)["DUPLICATE_ROW"] == len(rows) - len(frame)
