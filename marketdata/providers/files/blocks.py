"""Blocks: a bounded number of rows of a file, at each step of their way to bars."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from marketdata.domain.bars import BarFrame, Int64Array
from marketdata.providers.files.rejections import RejectedRows


@dataclass(frozen=True, slots=True, eq=False)
class RawBlock:
    """Rows as a source has them.

    Attributes
    ----------
    columns : mapping of int to Array
        The columns that were asked for, by their place in the file; length n each.
    lines : int64[n]
        Where each row begins, from 1.
    rejected : sequence of RejectedRows
        Rows between them that have no columns at all; not among the n.
    position : int
        How far the source is, in its own unit.
    """

    columns: Mapping[int, pa.Array]
    lines: Int64Array
    rejected: Sequence[RejectedRows]
    position: int


def gathered(blocks: Iterable[RawBlock], enough_rows: int) -> Iterator[RawBlock]:
    """Join small blocks to larger ones, in their order.

    Parameters
    ----------
    blocks : iterable of RawBlock
        All with the same columns.
    enough_rows : int
        A block of so many rows is handed over; the last one can have fewer. When `blocks` fails, what
        came before is handed over first.
    """
    waiting: list[RawBlock] = []
    try:
        for block in blocks:
            waiting.append(block)
            if sum(len(each.lines) for each in waiting) >= enough_rows:
                yield _joined(waiting)
                waiting = []
    except Exception:
        if waiting:
            yield _joined(waiting)
        raise
    if waiting:
        yield _joined(waiting)


def _joined(blocks: Sequence[RawBlock]) -> RawBlock:
    if len(blocks) == 1:
        return blocks[0]
    return RawBlock(
        columns={
            place: pa.concat_arrays([block.columns[place] for block in blocks])
            for place in blocks[0].columns
        },
        lines=np.concatenate([block.lines for block in blocks]),
        rejected=[group for block in blocks for group in block.rejected],
        position=blocks[-1].position,
    )


@dataclass(frozen=True, slots=True, eq=False)
class BarBlock:
    """Bars of a block, and an account of its rows.

    ``rows == len(frame) + duplicates + rejected rows``, where a rejected row can stand under several
    rules of `rejected`.

    Attributes
    ----------
    frame : BarFrame
        All columns; `symbols` ascending and, once checked, only those that have bars.
    lines : int64[n]
        Where the row of each bar begins, from 1.
    rejected : sequence of RejectedRows
        Rows that are no bars, and why.
    rows : int
        How many rows the block has, without blank ones.
    duplicates : int
        Rows left out because another one says exactly the same.
    position : int
        How far the file is read, in the unit of its size.
    """

    frame: BarFrame
    lines: Int64Array
    rejected: Sequence[RejectedRows]
    rows: int
    duplicates: int = 0
    position: int = 0

    @property
    def rejected_rows(self) -> int:
        """How many rows are no bars."""
        return self.rows - len(self.frame) - self.duplicates
