"""The change log: what every transaction that changes an answer writes beside its data.

A transaction takes a `write_id` from the sequence of that name, appends what it changed, and gets its
`seq` inside COMMIT from the deferred trigger on `bar_write`: no client round trip lies between the
lock on the head row and its release. A write_id is unique and says nothing about order: seq does.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from marketdata.domain.bars import BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_rows import encode_inline
from marketdata.storage.pools import Connection, note_append

# Bars stand inline so that tailers need not read the tables again. Past these bounds the row would be
# slower to write and to read than the bars themselves.
MOST_INLINE_BARS: Final = 16_384
MOST_INLINE_BYTES: Final = 2 * 1024 * 1024

_APPEND_WRITE: Final = "INSERT INTO bar_write (write_id) VALUES (%s)"
_APPEND_CHANGE: Final = """
    INSERT INTO bar_change (write_id, part, kind, symbols, timeframe, range_start, range_end,
                            accepted, revised, bars, reason)
    VALUES (%(write_id)s, %(part)s, %(kind)s, %(symbols)s, %(timeframe)s,
            timestamptz 'epoch' + %(start_us)s * interval '1 microsecond',
            timestamptz 'epoch' + %(end_us)s * interval '1 microsecond',
            %(accepted)s, %(revised)s, %(bars)b, %(reason)s)
"""
# By the primary key of bar_write.
_SEQ: Final = "SELECT seq FROM bar_write WHERE write_id = %s"
_HEAD: Final = """
    SELECT seq, (extract(epoch FROM committed_at) * 1000000)::bigint FROM bar_log_head
"""


class ChangeKind(Enum):
    """What a change is about."""

    BARS = "bars"
    DELETED = "deleted"
    RETENTION = "retention"
    ACTION = "action"
    SYMBOL = "symbol"


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the log, before it has a seq.

    Attributes
    ----------
    kind : ChangeKind
        What it is about.
    symbols : tuple of str
        The tickers concerned, as stored.
    timeframe : Timeframe or None
        Of which bars.
    start_us, end_us : int or None
        Range within which answers change, Unix microseconds, half-open.
    accepted, revised : int
        Bars stored for the first time, and bars replaced.
    bars : BarFrame or None
        The changed bars, where they go inline.
    reason : str
        Why, where somebody said so.
    """

    kind: ChangeKind
    symbols: tuple[str, ...]
    timeframe: Timeframe | None = None
    start_us: int | None = None
    end_us: int | None = None
    accepted: int = 0
    revised: int = 0
    bars: BarFrame | None = None
    reason: str = ""


async def new_write_id(connection: Connection) -> int:
    """Take the write_id of a new write."""
    cursor = await connection.execute("SELECT nextval('bar_write_id')")
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 -- nextval always answers
    return int(row[0])


async def append_change(connection: Connection, write_id: int, *changes: Change) -> None:
    """Append to the log what a write changed, within the transaction that makes it.

    Parameters
    ----------
    changes : Change
        One or many; readers get them in this order.
    """
    note_append(connection)
    await connection.execute(_APPEND_WRITE, [write_id])
    for part, change in enumerate(changes):
        await connection.execute(_APPEND_CHANGE, _parameters(write_id, part, change))


async def committed_seq(connection: Connection, write_id: int) -> int:
    """Tell the seq that COMMIT gave to a write; only after that COMMIT."""
    cursor = await connection.execute(_SEQ, [write_id])
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 -- the caller committed this row
    return int(row[0])


async def head(connection: Connection) -> tuple[int, int]:
    """Tell the last seq that this transaction's snapshot holds, and when it was committed.

    Returns
    -------
    (int, int)
        The seq, 0 in an empty log, and Unix microseconds.
    """
    cursor = await connection.execute(_HEAD)
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 -- the head row is made by the first migration
    return int(row[0]), int(row[1])


def _parameters(write_id: int, part: int, change: Change) -> dict[str, Any]:
    return {
        "write_id": write_id,
        "part": part,
        "kind": change.kind.value,
        "symbols": list(change.symbols),
        "timeframe": change.timeframe.value if change.timeframe else None,
        "start_us": change.start_us,
        "end_us": change.end_us,
        "accepted": change.accepted,
        "revised": change.revised,
        "bars": _inline(change.bars),
        "reason": change.reason,
    }


def _inline(bars: BarFrame | None) -> bytes | None:
    if bars is None or len(bars) > MOST_INLINE_BARS:
        return None
    data = encode_inline(bars)
    return data if len(data) <= MOST_INLINE_BYTES else None
