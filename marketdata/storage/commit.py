"""The one write path of bars: one transaction from classification to change log."""

import zlib
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import stamina
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
)
from marketdata.storage.copy_codec import COPY_HEADER, COPY_TRAILER, encode_text_rows, native
from marketdata.storage.parameters import number_array, text_array, time_array
from marketdata.storage.partitions import PlainPartitions
from marketdata.storage.pools import Connection, Pools

# Advisory locks of a transaction live in shared memory: 64 a table bound them whatever a batch holds,
# and still let writers of different symbols pass each other.
STRIPES: Final = 64
# Up to here array parameters beat a staging table: COPY and ANALYZE cost about 2 ms whatever the size.
MOST_UNSTAGED_BARS: Final = 5_000
# One transaction's time under its locks, and its memory, stay bounded; callers send more in parts.
MOST_BARS_A_COMMIT: Final = 250_000
# First half of the advisory lock's key: "BA" and the table's number, apart from other users' locks.
_LOCK_KEYS: Final = {
    Timeframe.MINUTE_1: 0x42410001,
    Timeframe.HOUR_1: 0x42410002,
    Timeframe.DAY_1: 0x42410003,
}
_ATTEMPTS: Final = 5
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


class BarWriter:
    """Commits bars.

    Parameters
    ----------
    pools : Pools
        Where transactions run.
    partitions : PlainPartitions
        Makes what the bars need to stand in.
    """

    def __init__(self, pools: Pools, partitions: PlainPartitions) -> None:
        self._pools = pools
        self._partitions = partitions

    async def commit_bars(self, frame: BarFrame, timeframe: Timeframe) -> CommitResult:
        """Store bars in one transaction, and acknowledge it after COMMIT.

        The same bars again change nothing and leave no entry in the change log.

        Parameters
        ----------
        frame : BarFrame
            All columns; raw prices; `symbols` as tickers are stored, `feed` as ids of
            `market_feed`, times within the sane bounds; `revision` is ignored.
        timeframe : Timeframe
            One that is stored.

        Raises
        ------
        ValueError
            For two bars of the same symbol and time, or more than `MOST_BARS_A_COMMIT`: a defect
            of the caller.
        DatabaseUnavailableError, QueryTimeoutError, StorageFullError, WriteConflictError
            Nothing was stored. When the connection breaks during COMMIT the outcome is not known;
            sending the same bars again is safe.
        """
        if len(frame) == 0:
            return CommitResult()
        if len(frame) > MOST_BARS_A_COMMIT:
            raise ValueError(f"{len(frame)} bars in one commit; the most is {MOST_BARS_A_COMMIT}")
        frame = frame.sorted_by_symbol_time()
        _refuse_duplicates(frame)
        async for attempt in stamina.retry_context(
            on=_is_worth_a_retry, attempts=_ATTEMPTS, wait_initial=0.01, wait_max=0.5, timeout=None
        ):
            with attempt:
                result = await self._attempt(frame, timeframe)
        return result

    async def _attempt(self, frame: BarFrame, timeframe: Timeframe) -> CommitResult:
        await self._partitions.ensure(timeframe, frame.time_us)
        try:
            async with self._pools.query() as connection:
                if len(frame) > MOST_UNSTAGED_BARS:
                    return await _commit_staged(connection, frame, timeframe)
                return await _commit_arrays(connection, frame, timeframe)
        except pg.CheckViolation:
            # "No partition of relation found for row": one was dropped behind our back.
            self._partitions.forget()
            raise


def _is_worth_a_retry(error: Exception) -> bool:
    # Not LockNotAvailable: whoever waited that long once would wait as long again.
    cause = error.__cause__ or error
    return isinstance(cause, (pg.DeadlockDetected, pg.SerializationFailure, pg.CheckViolation))


def stripes(symbols: tuple[str, ...]) -> list[int]:
    """List the lock stripes of these symbols, ascending, without repeats.

    Every writer takes them in this order, so that no two writers wait for each other.
    """
    return sorted({zlib.crc32(symbol.encode()) % STRIPES for symbol in symbols})


def _refuse_duplicates(frame: BarFrame) -> None:
    if len(set(frame.symbols)) != len(frame.symbols):
        raise ValueError("a symbol twice in the dictionary of one commit")
    index = frame.row_symbol_index()
    if bool(((np.diff(index) == 0) & (np.diff(frame.time_us) == 0)).any()):
        raise ValueError("two bars of the same symbol and time in one commit")


async def _commit_arrays(connection: Connection, frame: BarFrame, timeframe: Timeframe) -> CommitResult:
    # Two round trips: up to the classification, and from the change log to the seq.
    async with connection.pipeline():
        async with connection.transaction():
            await _lock_stripes(connection, frame, timeframe)
            result, write_id = await _classify_and_write(
                connection, frame, timeframe, _array_parameters(frame)
            )
        seq = await committed_seq(connection, write_id) if result.changes else 0
    return replace(result, seq=seq)


async def _commit_staged(connection: Connection, frame: BarFrame, timeframe: Timeframe) -> CommitResult:
    await connection.execute(commit_sql.CREATE_STAGING)
    async with connection.transaction():
        async with connection.cursor().copy(commit_sql.COPY_STAGING) as copy:
            await copy.write(_staging_bytes(frame))
        await connection.execute(commit_sql.ANALYZE_STAGING)
        await _lock_stripes(connection, frame, timeframe)
        result, write_id = await _classify_and_write(connection, frame, timeframe, {})
    seq = await committed_seq(connection, write_id) if result.changes else 0
    return replace(result, seq=seq)


async def _lock_stripes(connection: Connection, frame: BarFrame, timeframe: Timeframe) -> None:
    parameters = {"table_key": _LOCK_KEYS[timeframe], "stripes": stripes(frame.symbols)}
    await connection.execute(commit_sql.LOCK_STRIPES, parameters)


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
    result = CommitResult(accepted=row[0], revised=row[1], unchanged=row[2], outranked=row[3])
    if result.changes:
        written = np.frombuffer(row[4], _WRITTEN)
        await append_change(connection, row[5], _change(frame, timeframe, result, written))
    return result, row[5]


def _change(
    frame: BarFrame, timeframe: Timeframe, result: CommitResult, written: npt.NDArray[Any]
) -> Change:
    order = np.argsort(written["ord"])
    changed = replace(
        frame.take(written["ord"][order]), revision=native(written["revision"][order])
    ).with_used_symbols()
    first, last = changed.time_bounds()
    return Change(
        kind=ChangeKind.BARS,
        symbols=changed.symbols,
        timeframe=timeframe,
        start_us=first,
        end_us=last + timeframe.duration_us,
        accepted=result.accepted,
        revised=result.revised,
        bars=changed,
    )


def _array_parameters(frame: BarFrame) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        SQL_NAMES[column]: number_array(frame.column(column)) for column in BarColumn
    }
    parameters["time"] = time_array(frame.time_us)
    parameters["symbol"] = text_array(frame.symbols, frame.row_symbol_index())
    parameters["ord"] = number_array(np.arange(len(frame), dtype=np.int32))
    del parameters["revision"]  # decided by what is stored
    return parameters


def _staging_bytes(frame: BarFrame) -> bytes:
    columns = {"ord": np.arange(len(frame), dtype=np.int32), **sql_columns(frame)}
    del columns["revision"]
    rows = encode_text_rows(frame.symbols, frame.row_symbol_index(), columns)
    return b"".join((COPY_HEADER, rows, COPY_TRAILER))
