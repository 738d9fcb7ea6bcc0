"""Live bars held to the rules that a bar breaks by itself; neighbours are judged by the next batch."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from marketdata.domain.bar_rules import check_times, check_values, is_forming
from marketdata.domain.bars import BarFrame
from marketdata.domain.quality import QualityContext, check_quality
from marketdata.domain.quality.report import JudgedBars
from marketdata.domain.symbol import Symbol
from marketdata.domain.timeframe import Timeframe

# How far behind the exchange's clock this one may be: a bar comes as soon as its minute is over.
_CLOCK_BEHIND_US: Final = 5_000_000


@dataclass(frozen=True, slots=True, eq=False)
class LiveReport:
    """What is to be stored of live bars.

    Attributes
    ----------
    accepted : BarFrame
        Sorted by symbol and time, each once.
    rejected : tuple of JudgedBars
        Those that break a rule, a symbol each; of some symbols of thousands at most.
    left_out : int
        Earlier bars of a symbol and time of which a later one is there, and bars of minutes that have
        not ended.
    """

    accepted: BarFrame
    rejected: tuple[JudgedBars, ...]
    left_out: int


def judge_live(frame: BarFrame, symbols: Mapping[str, Symbol], now_us: int) -> LiveReport:
    """Judge minutes of many symbols at once.

    Parameters
    ----------
    frame : BarFrame
        As they came, all columns.
    symbols : mapping of str to Symbol
        Those of the frame, by ticker.
    now_us : int
        Unix microseconds.
    """
    timeframe = Timeframe.MINUTE_1
    broken = np.zeros(len(frame), np.bool_)
    for finding in (*check_values(frame), *check_times(frame, timeframe)):
        broken[finding.rows] = True
    rejected = _rejected(frame.take(broken), symbols, now_us)
    sound = frame.take(~broken)
    ended = sound.take(~is_forming(sound.time_us, timeframe, now_us + _CLOCK_BEHIND_US))
    accepted = latest_of_each(ended)
    return LiveReport(accepted, rejected, len(sound) - len(accepted))


def latest_of_each(frame: BarFrame) -> BarFrame:
    """Return of bars with the same symbol and time the last one, sorted by symbol and time."""
    index = frame.row_symbol_index()
    order = np.lexsort((frame.time_us, index))
    same = np.zeros(len(frame), np.bool_)
    same[:-1] = (np.diff(index[order]) == 0) & (np.diff(frame.time_us[order]) == 0)
    kept = order[~same]
    full = replace(frame, symbol_index=index)
    return full.take(kept).with_used_symbols().sorted_by_symbol_time()


def _rejected(frame: BarFrame, symbols: Mapping[str, Symbol], now_us: int) -> tuple[JudgedBars, ...]:
    index = frame.row_symbol_index()
    found = []
    for position in np.unique(index).tolist():
        symbol = symbols[frame.symbols[position]]
        rows = replace(frame.take(index == position), symbols=(symbol.symbol,))
        rows = replace(rows, symbol_index=np.empty(0, np.int32))
        context = QualityContext(
            timeframe=Timeframe.MINUTE_1,
            calendar=None,
            now_us=now_us,
            tick_size=None,
            before=BarFrame.empty((symbol.symbol,)),
        )
        found.append(check_quality(rows, context).rejected)
    return tuple(found)
