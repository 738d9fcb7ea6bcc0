"""The three ways in which one transaction stores bars; `BarWriter` chooses.

All end alike: the stripes are locked, the bars are written, `bar_latest` is kept, the change log has
its entry, COMMIT gives the seq.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from psycopg import errors as pg

from marketdata.domain.bars import BarColumn, BarFrame
from marketdata.domain.time_range import from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.storage import commit_sql
from marketdata.storage.bar_rows import SQL_NAMES, sql_columns
from marketdata.storage.change_log import (
    Change,
    ChangeKind,
    append_change,
    committed_seq,
    new_write_id,
)
from marketdata.storage.copy_codec import (
    COPY_HEADER,
    COPY_TRAILER,
    Columns,
    encode_text_rows,
    native,
)
from marketdata.storage.parameters import number_array, text_array, time_array
from marketdata.storage.pools import Connection
from marketdata.storage.stripes import lock_stripes

# A COPY that meets a bar which it should not is undone back to its savepoint, and no further.
MOST_BARS_A_SAVEPOINT: Final = 50_000

_WRITTEN: Final = np.dtype([("ord", ">i4"), ("revision", ">i4")])


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


async def commit_arrays(connection: Connection, frame: BarFrame, timeframe: Timeframe) -> CommitResult:
    """Store few bars, sent as array parameters.

    Two round trips: up to the classification, and from the change log to the seq.

    Parameters
    ----------
    frame : BarFrame
        Sorted by symbol and time, without duplicates; all columns.
    """
    async with connection.pipeline():
        async with connection.transaction():
            await lock_stripes(connection, frame.symbols, timeframe)
            result, write_id = await _classify_and_write(
                connection, frame, timeframe, _array_parameters(frame)
            )
        seq = await committed_seq(connection, write_id) if result.changes else 0
    return replace(result, seq=seq)


async def commit_staged(connection: Connection, frame: BarFrame, timeframe: Timeframe) -> CommitResult:
    """Store many bars through the connection's staging table; parameters as `commit_arrays`."""
    await connection.execute(commit_sql.CREATE_STAGING)
    async with connection.transaction():
        async with connection.cursor().copy(commit_sql.COPY_STAGING) as copy:
            await copy.write(_staging_bytes(frame))
        await connection.execute(commit_sql.ANALYZE_STAGING)
        await lock_stripes(connection, frame.symbols, timeframe)
        result, write_id = await _classify_and_write(connection, frame, timeframe, {})
    seq = await committed_seq(connection, write_id) if result.changes else 0
    return replace(result, seq=seq)


async def commit_direct(
    connection: Connection, frame: BarFrame, timeframe: Timeframe
) -> CommitResult | None:
    """Store many bars by COPY straight into the table, where their range is empty.

    Parameters as `commit_arrays`. Returns None, with nothing stored, where the range of one of the
    symbols has a bar already, or a feed is not known: those bars must be classified.
    """
    frame = frame.with_used_symbols()
    try:
        async with connection.transaction():
            await lock_stripes(connection, frame.symbols, timeframe)
            if not await _may_be_copied(connection, frame, timeframe):
                return None
            write_id = await new_write_id(connection)
            await _copy_direct(connection, frame, timeframe, write_id)
    except pg.UniqueViolation:
        return None  # a writer passed the stripes by: the staged path sorts it out
    seq = await committed_seq(connection, write_id)
    return CommitResult(accepted=len(frame), seq=seq)


async def _may_be_copied(connection: Connection, frame: BarFrame, timeframe: Timeframe) -> bool:
    first, last = frame.time_bounds()
    cursor = await connection.execute(
        commit_sql.find_obstacle(timeframe),
        {
            "symbols": list(frame.symbols),
            "first": from_unix_us(first),
            "last": from_unix_us(last),
            "feeds": number_array(np.unique(frame.feed)),
        },
    )
    return await cursor.fetchone() is None


async def _copy_direct(
    connection: Connection, frame: BarFrame, timeframe: Timeframe, write_id: int
) -> None:
    frame = replace(frame, revision=np.zeros(len(frame), np.int32))
    for first in range(0, len(frame), MOST_BARS_A_SAVEPOINT):
        part = frame.take(np.arange(first, min(first + MOST_BARS_A_SAVEPOINT, len(frame))))
        async with (
            connection.transaction(),
            connection.cursor().copy(commit_sql.copy_bars(timeframe)) as copy,
        ):
            await copy.write(_direct_bytes(part, write_id))
    index = frame.row_symbol_index()
    newest = frame.take(np.flatnonzero(np.append(np.diff(index) != 0, True)))
    async with connection.pipeline():
        parameters = _array_parameters(newest)
        await connection.execute(
            commit_sql.keep_latest(timeframe), {**parameters, "write_id": write_id}
        )
        await append_change(connection, write_id, _change(frame, timeframe, len(frame), 0))


async def _classify_and_write(
    connection: Connection, frame: BarFrame, timeframe: Timeframe, arrays: dict[str, Any]
) -> tuple[CommitResult, int]:
    first, last = frame.time_bounds()
    cursor = await connection.execute(
        commit_sql.classify_and_write(timeframe, staged=not arrays),
        {**arrays, "first": from_unix_us(first), "last": from_unix_us(last)},
        binary=True,
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 -- an aggregate without GROUP BY has one row
    if sum(row[:4]) != len(frame):
        # The join with the feeds would drop their bars without a word.
        raise ValueError("a bar of a feed that market_feed does not have")
    result = CommitResult(accepted=row[0], revised=row[1], unchanged=row[2], outranked=row[3])
    if result.changes:
        changed = _changed(frame, np.frombuffer(row[4], _WRITTEN))
        change = _change(changed, timeframe, result.accepted, result.revised)
        await append_change(connection, row[5], change)
    return result, row[5]


def _changed(frame: BarFrame, written: npt.NDArray[Any]) -> BarFrame:
    written = written[np.argsort(written["ord"])]
    changed = replace(frame.take(written["ord"]), revision=native(written["revision"]))
    return changed.with_used_symbols()


def _change(changed: BarFrame, timeframe: Timeframe, accepted: int, revised: int) -> Change:
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


def _array_parameters(frame: BarFrame) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        SQL_NAMES[column]: number_array(frame.column(column)) for column in BarColumn
    }
    parameters["time"] = time_array(frame.time_us)
    parameters["symbol"] = text_array(frame.symbols, frame.row_symbol_index())
    parameters["ord"] = number_array(np.arange(len(frame), dtype=np.int32))
    return parameters


def _staging_bytes(frame: BarFrame) -> bytes:
    columns = {"ord": np.arange(len(frame), dtype=np.int32), **sql_columns(frame)}
    del columns["revision"]  # decided by what is stored
    return _copy_bytes(frame, columns)


def _direct_bytes(frame: BarFrame, write_id: int) -> bytes:
    return _copy_bytes(frame, {**sql_columns(frame), "write_id": np.full(len(frame), write_id)})


def _copy_bytes(frame: BarFrame, columns: Columns) -> bytes:
    rows = encode_text_rows(frame.symbols, frame.row_symbol_index(), columns)
    return b"".join((COPY_HEADER, rows, COPY_TRAILER))
