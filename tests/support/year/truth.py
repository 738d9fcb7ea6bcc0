"""The truth of a simulated year, and how its provider departs from it: by a seed, and a table.

The sessions of 2024 have both switches of the clocks, holidays and three half days. The provider
begins in November 2023.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from tests.support.year.events import EVENTS
from tests.support.year.series import NEVER_US, Series, in_pence, slightly_wrong, spiked, walked
from tests.support.year.sessions import (
    DAY_US,
    HOUR_US,
    MINUTE_US,
    Int64,
    Sessions,
    extended_hours,
    sessions_of,
    utc,
)

#: A ticker and a timeframe: ``1d`` or ``1m``.
Key = tuple[str, str]

#: When the service begins to keep its targets current, and the end of what is simulated.
BEGIN: Final = "2024-01-02 12:00"
END: Final = "2025-01-01 12:00"
#: What is wanted, and what the provider has: history that nobody can give is a gap for good.
HISTORY_START: Final = "2023-10-02"
PROVIDER_START: Final = "2023-11-15"
#: The first fetch reaches back a year: what is before was never asked for.
FIRST_ASKED: Final = "2023-01-02"

NEW_YORK: Final = (
    "AMBER", "BIRCH", "CEDAR", "ELDER", "FIR", "GORSE", "HAZEL", "IVY", "JUNIPER", "KELP", "LARCH",
    "MAPLE",
)  # fmt: skip
LONDON: Final = ("OAK",)
#: ELDER is called ELM from that session on; the service is told before it has the last bar of ELDER.
OLD_NAME, NEW_NAME, RENAMED = "ELDER", "ELM", "2024-05-15"
DELISTED, DELISTED_ON = "FIR", "2024-08-31"
BORN, BORN_ON = "KELP", "2024-04-02"
ILLIQUID: Final = "GORSE"
WITH_MINUTES: Final = ("AMBER", "BIRCH")
#: Both switches of New York's clocks, and a half day before a holiday.
MINUTE_WINDOWS: Final = (
    ("2024-03-06", "2024-03-14"),
    ("2024-07-01", "2024-07-06"),
    ("2024-10-31", "2024-11-07"),
)
#: When the provider answers nothing but errors: a night, hours of a session, a whole day, hours again.
OUTAGES: Final = (
    ("2024-02-06 21:00", "2024-02-07 04:00"),
    ("2024-03-11 15:10", "2024-03-11 18:10"),
    ("2024-09-17 00:00", "2024-09-18 00:00"),
    ("2024-11-04 08:10", "2024-11-04 12:40"),
)
#: Rows of a symbol's days whose first version is slightly wrong, and for how many days.
CORRECTED: Final = {
    "HAZEL": ((45, 1), (46, 2), (47, 3), (90, 3), (133, 2), (180, 1), (221, 3), (260, 2)),
    "AMBER": ((70, 1), (150, 3)),
    "CEDAR": ((175, 2),),
    "OAK": ((60, 3), (200, 1)),
    # Its last days under the old name, mended when it has the new one.
    "ELDER": ((122, 3), (123, 2)),
}
#: The same of minutes, as (window, session in it, minute after the open, hours until it is mended):
#: before the next session, in it, or on the Monday after.
CORRECTED_MINUTES: Final = (
    (0, 0, 30, 12),
    (0, 2, 60, 72),
    (0, 3, 200, 22),
    (1, 0, 100, 12),
    (2, 0, 389, 12),
)
#: Prices in pence: (symbol, row, days until mended); None: never. ELDER's is the first as ELM.
IN_PENCE: Final = (("IVY", 80, 2), ("IVY", 140, None), ("OAK", 120, 1), ("ELDER", 124, 1))
SPIKED: Final = (("JUNIPER", 100, 3), ("JUNIPER", 210, 3))


@dataclass(frozen=True, slots=True, eq=False)
class Year:
    """The truth, by ticker and timeframe; bars stand under the ticker as quoted then."""

    bars: Mapping[Key, Series]

    def expected(self, key: Key) -> Series:
        """Give the bars that have to be stored in the end."""
        series = self.bars[key]
        return series.take(series.mended_us != NEVER_US)


def gap_reasons(truth: Year, tickers: tuple[str, ...], label_us: Int64) -> dict[int, str]:
    """Tell why there is no daily bar of an identity, by session.

    Parameters
    ----------
    tickers : tuple of str
        What it was called in turn.
    label_us : int64[s]
        Sessions.
    """
    told = np.concatenate([truth.bars[ticker, "1d"].time_us for ticker in tickers])
    stored = np.concatenate([truth.expected((ticker, "1d")).time_us for ticker in tickers])
    reasons = {}
    for label in np.setdiff1d(label_us, stored).tolist():
        if label in told:
            reasons[label] = "QUARANTINED"
        elif told[0] < label < told[-1]:
            reasons[label] = "NO_TRADES"
        elif label < utc(FIRST_ASKED):
            reasons[label] = "MISSING"
        else:
            reasons[label] = "PROVIDER_HAS_NONE"
    return reasons


def is_out(now_us: int, outages: Sequence[tuple[str, str]] = OUTAGES) -> bool:
    """Tell whether a provider answers errors only."""
    return any(utc(start) <= now_us < utc(end) for start, end in outages)


@cache
def year() -> Year:
    """Make the year."""
    bars: dict[Key, Series] = {}
    for seed, symbol in enumerate((*NEW_YORK, *LONDON)):
        calendar = "XLON" if symbol in LONDON else "XNYS"
        bars[symbol, "1d"] = _days(
            symbol, sessions_of(calendar).between(PROVIDER_START, END[:10]), seed
        )
    elder = bars[OLD_NAME, "1d"]
    bars[OLD_NAME, "1d"] = elder.take(elder.time_us < utc(RENAMED))
    bars[NEW_NAME, "1d"] = elder.take(elder.time_us >= utc(RENAMED))
    for seed, symbol in enumerate(WITH_MINUTES, start=100):
        bars[symbol, "1m"] = _minutes(seed)
    bars["AMBER", "1m"] = _with_wrong_minutes(bars["AMBER", "1m"])
    return Year(bars)


def _days(symbol: str, sessions: Sessions, seed: int) -> Series:
    # A daily bar is complete with the closing auction, and what trades after hours.
    series = walked(sessions.label_us, sessions.close_us + 4 * HOUR_US, seed, 0.008)
    for event in EVENTS:
        if event.symbol == symbol and event.ratio is not None:
            series = series.split_at(event.ex_us, event.ratio)
    for row, days in CORRECTED.get(symbol, ()):
        series = series.wrong_at(row, slightly_wrong(series.right[row]), _later(series, row, days))
    for wrong, row, days_or_never in IN_PENCE:
        if wrong == symbol:
            series = series.wrong_at(
                row, in_pence(series.right[row]), _later(series, row, days_or_never)
            )
    for wrong, row, days in SPIKED:
        if wrong == symbol:
            series = series.wrong_at(row, spiked(series.right[row]), _later(series, row, days))
    return series.take(_is_traded(symbol, series.time_us, seed))


def _is_traded(symbol: str, label_us: Int64, seed: int) -> "np.typing.NDArray[np.bool_]":
    is_traded = np.ones(len(label_us), np.bool_)
    if symbol == DELISTED:
        is_traded = label_us < utc(DELISTED_ON)
    if symbol == BORN:
        is_traded = label_us >= utc(BORN_ON)
    if symbol == ILLIQUID:
        is_traded = np.random.default_rng(seed + 1_000).random(len(label_us)) < 0.7
    return is_traded


def _later(series: Series, row: int, days: int | None) -> int:
    return NEVER_US if days is None else int(series.ended_us[row]) + days * DAY_US


def _minutes(seed: int) -> Series:
    """Trade in most minutes of regular hours, and in some of the others."""
    random = np.random.default_rng(seed)
    parts = []
    for window in MINUTE_WINDOWS:
        sessions = sessions_of("XNYS").between(*window)
        for (start, end), opens, closes in zip(
            extended_hours(sessions), sessions.open_us.tolist(), sessions.close_us.tolist(), strict=True
        ):
            minutes = np.arange(start, end, MINUTE_US, dtype=np.int64)
            is_regular = (minutes >= opens) & (minutes < closes)
            # The first and the last always: so that coverage has something to hold itself to.
            is_edge = (minutes == opens) | (minutes == closes - MINUTE_US)
            chance = np.where(is_regular, 0.97, 0.1)
            parts.append(minutes[(random.random(len(minutes)) < chance) | is_edge])
    time_us = np.concatenate(parts)
    return walked(time_us, time_us + MINUTE_US, seed, 0.0004)


def _with_wrong_minutes(series: Series) -> Series:
    for row, mended_us in wrong_minutes(series):
        series = series.wrong_at(row, slightly_wrong(series.right[row]), mended_us)
    return series


def wrong_minutes(series: Series) -> list[tuple[int, int]]:
    """Find the rows of `CORRECTED_MINUTES`, or those that follow, and when they are mended."""
    found = []
    for window, session, minute, hours in CORRECTED_MINUTES:
        opened_us = int(sessions_of("XNYS").between(*MINUTE_WINDOWS[window]).open_us[session])
        row = int(np.searchsorted(series.time_us, opened_us + minute * MINUTE_US))
        found.append((row, int(series.ended_us[row]) + hours * HOUR_US))
    return found
