"""What a bulk read does, one COPY after the other: stored bars as they are, or adjusted."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Generic, TypeVar

from marketdata.domain.adjust import adjust_frames
from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarColumn, BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_rows import decode_frame
from marketdata.storage.calendars import session_labels
from marketdata.storage.copy_out import CopyStep, ReadyBlock
from marketdata.storage.pools import Connection
from marketdata.storage.read_sql import BarStatement, bar_statements
from marketdata.storage.snapshot_facts import SnapshotFacts

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
        for statement in bar_statements(self._query, self._facts.resolved):
            text = statement.text.as_bytes(self._connection)
            yield CopyStep(text, partial(self._take, statement))

    def _take(self, statement: BarStatement, data: bytes) -> Block | None:
        frame = decode(data, self._query, statement, self._facts)
        if len(frame) == 0:
            return None  # a COPY has a header and a trailer, whatever it found
        return self._transform(finish(frame, self._query, self._facts))


def decode(data: bytes, query: BarQuery, statement: BarStatement, facts: SnapshotFacts) -> BarFrame:
    """Decode rows of a statement's answer."""
    columns = query.columns | {BarColumn.TIME}
    return decode_frame(data, columns, statement.symbols, facts.feeds.names, many=statement.many)


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
    return not query.stored_only and bool(facts.have_minutes)


def source_timeframe(query: BarQuery, facts: SnapshotFacts) -> Timeframe:
    """Tell of which stored bars the answer is made; where some are derived, the finest."""
    return Timeframe.MINUTE_1 if is_derived(query, facts) else query.timeframe
