"""The good bars of a batch told apart from those that break a rule."""

from dataclasses import dataclass, replace

import numpy as np

from marketdata.domain.bar_rules import BrokenRule, check_bars
from marketdata.domain.bars import BarFrame
from marketdata.domain.timeframe import Timeframe


@dataclass(frozen=True, slots=True)
class BarSelection:
    """What a batch consists of.

    Attributes
    ----------
    good : BarFrame
        The bars that keep every rule, by symbol and time.
    broken : list of BrokenRule
        Why the others do not; `rows` are positions in the batch as it was given.
    """

    good: BarFrame
    broken: list[BrokenRule]


def select_good_bars(frame: BarFrame, timeframe: Timeframe, now_us: int) -> BarSelection:
    """Split a batch by the rules of `check_bars`, whatever the order of its rows.

    Of bars of the same symbol and time all are left out but the first: which of them is right is not
    known, and the first is what the same batch sent in two parts would have stored first.

    Parameters
    ----------
    frame : BarFrame
        All columns present; symbols without repeats.
    now_us : int
        Unix microseconds; see `check_bars`.
    """
    order = np.lexsort((frame.time_us, frame.row_symbol_index()))
    ordered = frame.take(order)
    broken = check_bars(ordered, timeframe, now_us)
    is_good = np.ones(len(frame), np.bool_)
    for rule in broken:
        is_good[rule.rows] = False
    return BarSelection(
        good=ordered.take(is_good),
        broken=[replace(rule, rows=order[rule.rows]) for rule in broken],
    )
