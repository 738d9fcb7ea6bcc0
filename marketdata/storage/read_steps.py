"""What a bulk read does, one COPY after the other: stored bars as they are, or adjusted."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, Generic, TypeVar

import numpy as np

from marketdata.domain.adjust import adjust_frames
from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarColumn, BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_rows import decode_column_frame
from marketdata.storage.calendars import session_labels
from marketdata.storage.copy_out import CopyStep, ReadyBlock
from marketdata.storage.pools import Connection
from marketdata.storage.read_sql import BarStatement, bar_statements
from marketdata.storage.snapshot_facts import SnapshotFacts

# Large enough that what a block costs vanishes, small enough to stay in cache (1.5 MB) and far below
# gRPC's message limit.
BLOCK_ROWS: Final = 16_384

Block = TypeVar("Block")
Transform = Callable[[BarFrame], Block]


class ReadSteps(Generic[Block]):
    """The steps of one bulk read.

    Parameters
    ----------
    query : BarQuery
        What is asked.
    facts : SnapshotFacts
        What the snapshot says.
    connection : Connection
        Whose encoding the statements are written in.
    transform : callable
        What becomes of each frame, in the reading thread.
    """

    def __init__(
        self,
        query: BarQuery,
        facts: SnapshotFacts,
        connection: Connection,
        transform: Transform[Block],
    ) -> None:
        self._query = query
        self._facts = facts
        self._connection = connection
        self._transform = transform

    def all(self) -> Iterator[CopyStep[Block] | ReadyBlock[Block]]:
        """Yield the steps in the order of the answer."""
        stored = self._facts.stored(self._query.timeframe)
        for statement in bar_statements(self._query, stored):
            text = statement.text.as_bytes(self._connection)
            yield CopyStep(text, partial(self._take, statement), is_independent=True)

    def _take(self, statement: BarStatement, data: bytes) -> Iterator[Block]:
        frame = finish(decode(data, self._query, statement, self._facts), self._query, self._facts)
        return map(self._transform, in_blocks(frame))


def decode(data: bytes, query: BarQuery, statement: BarStatement, facts: SnapshotFacts) -> BarFrame:
    """Decode a statement's answer."""
    columns = query.columns | {BarColumn.TIME}
    return decode_column_frame(data, columns, statement.symbols, facts.feeds.names, many=statement.many)


def in_blocks(frame: BarFrame) -> Iterator[BarFrame]:
    """Cut a frame into blocks of at most `BLOCK_ROWS`; none of an empty one."""
    if 0 < len(frame) <= BLOCK_ROWS:
        yield frame
        return
    for first in range(0, len(frame), BLOCK_ROWS):
        yield frame.take(np.arange(first, min(first + BLOCK_ROWS, len(frame))))


def finish(frame: BarFrame, query: BarQuery, facts: SnapshotFacts) -> BarFrame:
    """Adjust raw bars as the query asks for it."""
    if not facts.adjustments.factors or len(frame) == 0:
        return frame
    labels = None
    if query.timeframe is not Timeframe.DAY_1:
        labels = session_labels(frame, facts.calendars)
    factors = [facts.adjustments.factors[symbol] for symbol in frame.symbols]
    return adjust_frames(frame, factors, labels)


def is_derived(query: BarQuery, facts: SnapshotFacts) -> bool:
    """Tell whether bars may have to be derived from minutes."""
    is_stored_alone = query.stored_only or query.timeframe is Timeframe.MINUTE_1
    return (facts.have_minutes or bool(facts.rollups.ranges)) and not is_stored_alone


def source_timeframe(query: BarQuery, facts: SnapshotFacts) -> Timeframe:
    """Tell of which stored bars the answer is made; where some are derived, the finest."""
    return Timeframe.MINUTE_1 if is_derived(query, facts) else query.timeframe
