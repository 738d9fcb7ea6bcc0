"""What is left of the year, read with SQL of the tests' own and held against the truth."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np

from marketdata.domain.timeframe import Timeframe
from tests.support.bars import Bar
from tests.support.rows import changes, fetch, stored_bars
from tests.support.storage import Storage
from tests.support.year.series import CLOSE
from tests.support.year.truth import Key, Year

#: A bar by what is unique of it: ticker, timeframe and time.
BarKey = tuple[str, str, int]

# What an error makes of a close.
_PENCE: Final = 100.0
_SPIKE: Final = 1.25
_TIMEFRAMES: Final = (Timeframe.DAY_1, Timeframe.MINUTE_1)


async def stored_by_key(storage: Storage) -> dict[BarKey, Bar]:
    """Read all bars that are stored."""
    return {
        (bar.symbol, timeframe.value, bar.time_us): bar
        for timeframe in _TIMEFRAMES
        for bar in await stored_bars(storage, timeframe)
    }


async def stored_of(storage: Storage, key: Key) -> list[Bar]:
    """Read the bars of a ticker and timeframe, ascending."""
    return [bar for bar in await stored_bars(storage, Timeframe(key[1])) if bar.symbol == key[0]]


def differences(stored: Sequence[Bar], truth: Year, key: Key) -> list[str]:
    """Say what is missing, too much or different of a ticker and timeframe."""
    expected = truth.expected(key)
    found_us, wanted_us = {bar.time_us for bar in stored}, set(expected.time_us.tolist())
    problems = [f"{_day(time_us)} is missing" for time_us in sorted(wanted_us - found_us)]
    problems += [f"{_day(time_us)} is too much" for time_us in sorted(found_us - wanted_us)]
    if len(stored) != len(found_us):
        problems.append("a bar is there twice")
    if problems:
        return problems
    values = np.array([bar[2:9] for bar in stored], np.float64).reshape(-1, 7)
    wrong = np.flatnonzero((values != expected.right).any(axis=1))
    return [f"{_day(int(expected.time_us[row]))} is {values[row]}" for row in wrong]


def _day(time_us: int) -> str:
    return f"{datetime.fromtimestamp(time_us / 1_000_000, UTC):%Y-%m-%d %H:%M}"


def mended_bars(truth: Year) -> set[BarKey]:
    """List the bars that were stored as they were told first, and mended later."""
    wrong = wrong_bars(truth)
    return {key for key, factor in wrong.items() if factor != _PENCE}


def planted_errors(truth: Year) -> dict[BarKey, tuple[list[str], float]]:
    """List the bars that quality has to find, with the rules that they break and their closes."""
    rules = {_PENCE: ["SCALE_100X"], _SPIKE: ["SPIKE"]}
    found = {}
    for (ticker, label, time_us), factor in wrong_bars(truth).items():
        if factor in rules:
            series = truth.bars[ticker, label]
            row = int(np.searchsorted(series.time_us, time_us))
            found[ticker, label, time_us] = (rules[factor], float(series.first[row, CLOSE]))
    return found


def wrong_bars(truth: Year) -> dict[BarKey, float]:
    """List the bars that are told wrong at first, with the factor of their close; about 1 for most."""
    return {
        (ticker, label, int(series.time_us[row])): round(
            float(series.first[row, CLOSE] / series.right[row, CLOSE]), 2
        )
        for (ticker, label), series in truth.bars.items()
        for row in np.flatnonzero(series.mended_us != 0).tolist()
    }


async def quarantined(storage: Storage) -> dict[BarKey, tuple[list[str], float]]:
    """List the quarantine in the same form."""
    rows = await fetch(
        storage,
        """
        SELECT symbol, timeframe, (extract(epoch FROM time) * 1000000)::bigint, rules, close
          FROM bar_quarantine
        """,
    )
    found = {(symbol, label, time_us): (rules, close) for symbol, label, time_us, rules, close in rows}
    assert len(found) == len(rows)
    return found


async def replayed(storage: Storage) -> dict[BarKey, Bar]:
    """Read the change log from its beginning, and apply one change after the other."""
    bars: dict[BarKey, Bar] = {}
    for change in await changes(storage):
        if change.kind != "bars":
            continue
        assert change.bars is not None, "bars are not inline"
        for bar in change.bars:
            bars[bar.symbol, str(change.timeframe), bar.time_us] = bar
    return bars
