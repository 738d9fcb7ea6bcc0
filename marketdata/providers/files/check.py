"""Bars of a block held to the rules of bars, sorted, and without repeats: pure."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from marketdata.domain.bar_rules import check_bars
from marketdata.domain.bars import BarColumn, BarFlag, BarFrame, Int64Array
from marketdata.domain.timeframe import Timeframe
from marketdata.providers.files.blocks import BarBlock
from marketdata.providers.files.fields import FileField
from marketdata.providers.files.rejections import RejectedRows

BoolArray = npt.NDArray[np.bool_]

# Repeats are looked for here among the bars that are good, and judged by what they say.
_REPEATED: Final = "DUPLICATE_TIME"
# Of a block's repeats these must agree; the revision is the database's.
_SAID: Final = tuple(
    column for column in BarColumn if column not in (BarColumn.TIME, BarColumn.REVISION)
)


def check_block(block: BarBlock, timeframe: Timeframe, now_us: int) -> BarBlock:
    """Leave the good bars of a block, each once.

    Bars that break a rule go first, so that a wrong row does not cost the right one beside it. Of
    bars that say exactly the same one is kept; of bars that contradict each other none, since
    nothing tells which is right.

    Parameters
    ----------
    block : BarBlock
        As parsed; `symbols` ascending.
    now_us : int
        Unix microseconds; see `check_bars`.

    Returns
    -------
    BarBlock
        Bars ascending by symbol, then time.
    """
    order = np.lexsort((block.frame.time_us, block.frame.row_symbol_index()))
    frame, lines = block.frame.take(order), block.lines[order]
    bad = np.zeros(len(frame), np.bool_)
    rejected = list(block.rejected)
    for rule, column, description, rows in _broken_rules(frame, timeframe, now_us):
        bad[rows] = True
        rejected.append(_rejected(frame, lines, rows, rule, column, description))
    frame, lines = frame.take(~bad), lines[~bad]
    repeated, contradicted = _repeats(frame)
    if contradicted.any():
        rows = np.flatnonzero(contradicted)
        description = "has another row with other values in this file; keep one of them"
        rejected.append(_rejected(frame, lines, rows, "CONFLICTING_BARS", BarColumn.TIME, description))
    kept = ~(repeated | contradicted)
    return replace(
        block,
        frame=frame.take(kept).with_used_symbols(),
        lines=lines[kept],
        rejected=rejected,
        duplicates=block.duplicates + int(repeated.sum()),
    )


_Broken = tuple[str, BarColumn, str, npt.NDArray[np.int64]]


def _broken_rules(frame: BarFrame, timeframe: Timeframe, now_us: int) -> Iterator[_Broken]:
    for broken in check_bars(frame, timeframe, now_us):
        if broken.rule != _REPEATED:
            yield broken.rule, broken.column, broken.description, broken.rows
    derived = np.flatnonzero(frame.flags & BarFlag.DERIVED)
    if len(derived):
        problem = "marks a bar that was rolled up from finer ones; import those (or --map flags=)"
        yield "DERIVED_BAR", BarColumn.FLAGS, problem, derived
    forming = np.flatnonzero((frame.flags & BarFlag.FINAL) == 0)
    if len(forming):
        problem = "marks a bar that was still forming; import it once final (or --map flags=)"
        yield "NOT_FINAL", BarColumn.FLAGS, problem, forming


def _repeats(frame: BarFrame) -> tuple[BoolArray, BoolArray]:
    """Tell the bars that say what the one before them says, and those that contradict each other."""
    n = len(frame)
    same_key = np.zeros(n, np.bool_)
    if n == 0:
        return same_key, same_key
    index = frame.row_symbol_index()
    same_key[1:] = (index[1:] == index[:-1]) & (frame.time_us[1:] == frame.time_us[:-1])
    if not same_key.any():
        return same_key, same_key.copy()
    agrees = np.ones(n - 1, np.bool_)
    for column in _SAID:
        values = frame.column(column)
        equal = values[1:] == values[:-1]
        if values.dtype.kind == "f":
            equal |= np.isnan(values[1:]) & np.isnan(values[:-1])
        agrees &= equal
    group = np.cumsum(~same_key) - 1
    contradictory = np.zeros(int(group[-1]) + 1, np.bool_)
    contradictory[group[1:][same_key[1:] & ~agrees]] = True
    contradicted = contradictory[group]
    return same_key & ~contradicted, contradicted


def _rejected(
    frame: BarFrame,
    lines: Int64Array,
    rows: npt.NDArray[np.int64],
    rule: str,
    column: BarColumn,
    description: str,
) -> RejectedRows:
    field = FileField.TIME.value if column is BarColumn.TIME else column.value
    return RejectedRows(rule, field, description, lines[rows], _shown(frame, rows, column))


def _shown(frame: BarFrame, rows: npt.NDArray[np.int64], column: BarColumn) -> Sequence[str]:
    values = frame.column(column)[rows]
    if column is BarColumn.TIME:
        texts: list[str] = np.datetime_as_string(values.astype("datetime64[us]"), unit="s").tolist()
        return texts
    return [str(value) for value in values.tolist()]
