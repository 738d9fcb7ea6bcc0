"""Bulk reads, collected."""

from contextlib import aclosing
from dataclasses import dataclass

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarFrame
from tests.support.storage import Storage


@dataclass(frozen=True)
class BulkAnswer:
    """All of a bulk read.

    Attributes
    ----------
    seq : int
        Of the snapshot.
    unresolved : tuple of str
        Unknown symbols.
    frames : list of BarFrame
        The blocks in their order.
    """

    seq: int
    unresolved: tuple[str, ...]
    frames: list[BarFrame]

    def rows(self) -> list[tuple[str, int]]:
        """List (symbol, time) of every bar in the order of the answer."""
        return [
            (frame.symbols[index], time_us)
            for frame in self.frames
            for index, time_us in zip(frame.row_symbol_index(), frame.time_us.tolist(), strict=True)
        ]


async def read_in_bulk(storage: Storage, query: BarQuery) -> BulkAnswer:
    """Read a query to its end."""
    async with (
        storage.reader.snapshot(query) as snapshot,
        aclosing(snapshot.blocks(lambda frame: frame)) as blocks,
    ):
        frames = [frame async for frame in blocks]
        return BulkAnswer(snapshot.seq, snapshot.unresolved, frames)
