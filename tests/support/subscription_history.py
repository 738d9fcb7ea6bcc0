"""What subscribers were told, recorded; and what was committed, as the change log has it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bifrost.marketdata.v1 import bar_pb2
from bifrost.marketdata.v1 import bar_subscription_pb2 as messages

from marketdata.domain.timeframe import Timeframe
from marketdata.storage.log_entries import LogEntry
from marketdata.storage.log_reader import LogReader
from marketdata.wire.enums import TIMEFRAME_FROM_PROTO


class Version(NamedTuple):
    """One version of one bar: unique in a log in which no bar is deleted."""

    symbol: str
    timeframe: Timeframe
    time_us: int
    revision: int


class Committed(NamedTuple):
    """A version, and the write that made it."""

    seq: int
    version: Version


@dataclass(frozen=True)
class Told:
    """One event, as a subscriber got it.

    Attributes
    ----------
    kind : str
        The name of the event's field: ``bars``, ``heartbeat``.
    seq : int
        As the event has it.
    versions : tuple of Version
        The bars that it has.
    is_stored : bool
        Whether they are what the subscription began with.
    """

    kind: str
    seq: int
    versions: tuple[Version, ...] = ()
    is_stored: bool = False


@dataclass
class Connection:
    """One call: where it began, and what it was told.

    Attributes
    ----------
    resumed_seq : int or None
        The seq of the event whose token it resumed with; None for the first.
    """

    resumed_seq: int | None = None
    told: list[Told] = field(default_factory=list)


@dataclass
class SubscriptionHistory:
    """All calls of one subscriber, one after the other.

    Attributes
    ----------
    symbols : frozenset of str
        What it subscribed to; empty: all.
    timeframes : frozenset of Timeframe
        Likewise.
    after_seq : int
        Behind it, changes are its business: the seq of the first ack.
    """

    symbols: frozenset[str]
    timeframes: frozenset[Timeframe]
    after_seq: int = 0
    connections: list[Connection] = field(default_factory=list)

    @property
    def told(self) -> list[Told]:
        """All events in the order in which they came."""
        return [told for connection in self.connections for told in connection.told]

    @property
    def changes(self) -> list[Told]:
        """The events that tell bars which changed."""
        return [told for told in self.told if told.kind == "bars" and not told.is_stored]

    def wants(self, version: Version) -> bool:
        """Whether a version is its business."""
        is_symbol = not self.symbols or version.symbol in self.symbols
        return is_symbol and version.timeframe in self.timeframes


def record(event: messages.BarEvent) -> Told:
    """Take an event down."""
    kind = event.WhichOneof("event") or ""
    versions = tuple(_versions(event.bars)) if kind == "bars" else ()
    return Told(kind, event.seq, versions, event.stored)


def _versions(batch: bar_pb2.BarBatch) -> Iterable[Version]:
    timeframe = TIMEFRAME_FROM_PROTO[batch.timeframe]
    index = batch.symbol_index or [0] * len(batch.time_us)
    for position, time_us, revision in zip(index, batch.time_us, batch.revision, strict=True):
        yield Version(batch.symbols[position], timeframe, time_us, revision)


async def committed_versions(reader: LogReader) -> list[Committed]:
    """List all versions of bars that the log has inline, in the order of commits."""
    bounds = await reader.bounds()
    found: list[Committed] = []
    seq = bounds.oldest_seq - 1
    while seq < bounds.head_seq:
        page = await reader.page(seq)
        found += [committed for entry in page for committed in _of(entry)]
        seq = page[-1].seq
    return found


def _of(entry: LogEntry) -> Sequence[Committed]:
    frame, timeframe = entry.bars, entry.timeframe
    if frame is None or timeframe is None:
        return []
    rows = zip(
        frame.row_symbol_index().tolist(), frame.time_us.tolist(), frame.revision.tolist(), strict=True
    )
    return [
        Committed(entry.seq, Version(frame.symbols[position], timeframe, time_us, revision))
        for position, time_us, revision in rows
    ]
