"""How one transaction stores few bars: sent as array parameters, classified by the server.

As `commit_many` it ends so: the stripes are locked, the bars are written, `bar_latest` is kept, the
change log has its entry, COMMIT gives the seq.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from marketdata.domain.bars import BarColumn, BarFrame, Int32Array
from marketdata.domain.calendar import BoolArray
from marketdata.domain.time_range import from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.storage import commit_sql
from marketdata.storage.bar_rows import SQL_NAMES
from marketdata.storage.change_log import (
    Change,
    ChangeKind,
    append_change,
    committed_seq,
)
from marketdata.storage.copy_codec import native
from marketdata.storage.parameters import number_array, text_array, time_array
from marketdata.storage.pools import Connection
from marketdata.storage.stripes import lock_stripes

Check = Callable[[Connection], Awaitable[None]]

_ANSWER: Final = np.dtype([("ord", ">i4"), ("revision", ">i4"), ("class", ">i4")])
# The first two classes, new and different, are those that are written.
_CHANGED: Final = 2


@dataclass(frozen=True, slots=True)
class CommitResult:
    """What became of the bars of a commit; every bar is counted once.

    Attributes
    ----------
    accepted, revised, unchanged, outranked : int
        Stored for the first time; replaced; stored already as they are; left out because a
        higher-ranked feed's bar stands in their place.
    seq : int
        Position in the change log; 0 where nothing changed.
    """

    accepted: int = 0
    revised: int = 0
    unchanged: int = 0
    outranked: int = 0
    seq: int = 0

    @property
    def changes(self) -> int:
        """How many bars were written."""
        return self.accepted + self.revised


# Called last within the transaction of a commit, with its connection and the result (its seq is 0 yet).
Alongside = Callable[[Connection, CommitResult], Awaitable[None]]


async def commit_few(
    connection: Connection,
    frame: BarFrame,
    timeframe: Timeframe,
    check: Check | None = None,
    alongside: Alongside | None = None,
) -> CommitResult:
    """Store few bars, sent as array parameters.

    Two round trips: up to the classification, and from the change log to the seq.

    Parameters
    ----------
    frame : BarFrame
        Sorted by symbol and time, without duplicates; all columns.
    check, alongside : callable, optional
        See `BarWriter.commit_bars`.
    """
    async with connection.pipeline():
        async with connection.transaction():
            await lock_stripes(connection, frame.symbols, timeframe)
            if check is not None:
                await check(connection)
            result, write_id = await _classify_and_write(connection, frame, timeframe)
            if alongside is not None:
                await alongside(connection, result)
        seq = await committed_seq(connection, write_id) if result.changes else 0
    return replace(result, seq=seq)


async def _classify_and_write(
    connection: Connection, frame: BarFrame, timeframe: Timeframe
) -> tuple[CommitResult, int]:
    written = await write_few(connection, frame, timeframe)
    return written.result(slice(None)), written.write_id


@dataclass(frozen=True, slots=True, eq=False)
class WrittenBars:
    """What a statement did with a frame.

    Attributes
    ----------
    write_id : int
        Of the write.
    classes : int32[n]
        Of each bar of the frame: its place among `commit_sql.CLASSES`, from 0.
    """

    write_id: int
    classes: Int32Array

    def result(self, rows: slice | BoolArray) -> CommitResult:
        """Count what became of some rows of the frame; without the seq, which COMMIT gives."""
        counts = np.bincount(self.classes[rows], minlength=len(commit_sql.CLASSES)).tolist()
        return CommitResult(
            accepted=counts[0], revised=counts[1], unchanged=counts[2], outranked=counts[3]
        )


async def write_few(connection: Connection, frame: BarFrame, timeframe: Timeframe) -> WrittenBars:
    """Classify and write bars, and append to the log what changed.

    Within a transaction that holds the stripes of its symbols.
    """
    first, last = frame.time_bounds()
    cursor = await connection.execute(
        commit_sql.classify_and_write(timeframe),
        {**array_parameters(frame), "first": from_unix_us(first), "last": from_unix_us(last)},
        binary=True,
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 -- an aggregate without GROUP BY has one row
    write_id, data = row
    rows = np.sort(np.frombuffer(data or b"", _ANSWER), order="ord")
    if len(rows) != len(frame):
        # The join with the feeds would drop their bars without a word.
        raise ValueError("a bar of a feed that market_feed does not have")
    written = WrittenBars(write_id, native(rows["class"]) - np.int32(1))
    is_changed = written.classes < _CHANGED
    if is_changed.any():
        changed = replace(frame, revision=native(rows["revision"])).take(is_changed)
        result = written.result(slice(None))
        change = change_of(changed.with_used_symbols(), timeframe, result.accepted, result.revised)
        await append_change(connection, write_id, change)
    return written


def change_of(changed: BarFrame, timeframe: Timeframe, accepted: int, revised: int) -> Change:
    """Describe written bars for the change log."""
    first, last = changed.time_bounds()
    return Change(
        kind=ChangeKind.BARS,
        symbols=changed.symbols,
        timeframe=timeframe,
        start_us=first,
        end_us=last + timeframe.duration_us,
        accepted=accepted,
        revised=revised,
        bars=changed,
    )


def array_parameters(frame: BarFrame) -> dict[str, Any]:
    """Make the parameters of the statements that take bars as arrays."""
    parameters: dict[str, Any] = {
        SQL_NAMES[column]: number_array(frame.column(column)) for column in BarColumn
    }
    parameters["time"] = time_array(frame.time_us)
    parameters["symbol"] = text_array(frame.symbols, frame.row_symbol_index())
    parameters["ord"] = number_array(np.arange(len(frame), dtype=np.int32))
    return parameters
