"""How one transaction stores many bars: compared with the stored ones here, written by COPY."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from marketdata.domain.bar_classification import classify
from marketdata.domain.bars import BarFrame, Int16Array, Int64Array
from marketdata.domain.time_range import from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.storage import commit_sql
from marketdata.storage.bar_rows import to_column_frame
from marketdata.storage.bar_tables import partition_numbers
from marketdata.storage.change_log import append_change, committed_seq
from marketdata.storage.commit_few import Alongside, Check, CommitResult, array_parameters, change_of
from marketdata.storage.copy_codec import native
from marketdata.storage.copy_in import copy_in
from marketdata.storage.copy_order import copy_order
from marketdata.storage.parameters import number_array, text_array, time_array
from marketdata.storage.pools import Connection
from marketdata.storage.rollup_marks import mark_written
from marketdata.storage.stripes import lock_stripes

# Where a batch has fewer bars than this share of the minutes (or days) that it spans, the stored bars
# are looked up one by one: reading the whole span would read many that the batch does not touch.
_SPARSE_SHARE: Final = 1 / 20
_WRITE_ID: Final = np.dtype(">i8")


@dataclass(frozen=True, slots=True, eq=False)
class _Surroundings:
    """What a batch may meet.

    Attributes
    ----------
    write_id : int
        Of this write.
    ranks : mapping of int to int
        Of all feeds.
    meeting : BarFrame
        Those of its bars that lie between the first and the last stored bar of their symbols.
    """

    write_id: int
    ranks: Mapping[int, int]
    meeting: BarFrame


@dataclass(frozen=True, slots=True, eq=False)
class _Stored:
    """Bars that are stored, and the write_id of each one's write, int64[n]."""

    bars: BarFrame
    write_id: Int64Array

    def take(self, rows: Int64Array) -> "_Stored":
        return _Stored(self.bars.take(rows), self.write_id[rows])


async def commit_many(
    connection: Connection,
    frame: BarFrame,
    timeframe: Timeframe,
    check: Check | None = None,
    alongside: Alongside | None = None,
) -> CommitResult:
    """Store many bars.

    Parameters
    ----------
    frame : BarFrame
        Sorted by symbol and time, without duplicates; all columns.
    check, alongside : callable, optional
        See `BarWriter.commit_bars`.

    Raises
    ------
    ValueError
        A bar is of a feed that does not exist: a defect of the caller.
    """
    frame = frame.with_used_symbols()
    async with connection.transaction():
        async with connection.pipeline():
            await lock_stripes(connection, frame.symbols, timeframe)
            if check is not None:
                await check(connection)
            around = await _read_surroundings(connection, frame, timeframe)
        if not set(_values(frame.feed)) <= set(around.ranks):
            raise ValueError("a bar of a feed that market_feed does not have")
        if len(around.meeting):
            stored = await _read_stored(connection, around.meeting, timeframe)
            result, written = await _merge(connection, frame, timeframe, stored, around)
        else:
            result = CommitResult(accepted=len(frame))
            written = replace(frame, revision=np.zeros(len(frame), np.int32))
        if result.changes == 0:
            if alongside is not None:
                await alongside(connection, result)
            return result
        await _write(connection, written, timeframe, around.write_id)
        change = change_of(written, timeframe, result.accepted, result.revised)
        async with connection.pipeline():
            await connection.execute(
                commit_sql.keep_latest(timeframe), {**_newest(written), "write_id": around.write_id}
            )
            await mark_written(connection, written, timeframe)
            await append_change(connection, around.write_id, change)
            if alongside is not None:
                await alongside(connection, result)
    return replace(result, seq=await committed_seq(connection, around.write_id))


async def _merge(
    connection: Connection,
    frame: BarFrame,
    timeframe: Timeframe,
    stored: _Stored,
    around: _Surroundings,
) -> tuple[CommitResult, BarFrame]:
    """Move away what is replaced; return the counts, and the bars that are still to be written."""
    classes = classify(frame, stored.bars, around.ranks)
    result = CommitResult(
        accepted=int(classes.new.sum()),
        revised=int(classes.different.sum()),
        unchanged=int(classes.same.sum()),
        outranked=int(classes.outranked.sum()),
    )
    if result.revised:
        replaced = stored.take(classes.stored_row[classes.different])
        await _supersede(connection, replaced, timeframe, around.write_id)
    is_written = classes.new | classes.different
    return result, replace(frame, revision=classes.revision).take(is_written).with_used_symbols()


async def _read_surroundings(
    connection: Connection, frame: BarFrame, timeframe: Timeframe
) -> _Surroundings:
    before = await connection.execute(commit_sql.BEFORE_WRITING)
    ranges = await connection.execute(
        commit_sql.STORED_RANGES, {"symbols": list(frame.symbols), "timeframe": timeframe.value}
    )
    row = await before.fetchone()
    held = {symbol: (first, last) for symbol, first, last in await ranges.fetchall()}
    assert row is not None  # noqa: S101 -- a SELECT without FROM has one row
    write_id, feeds, ranks = row
    return _Surroundings(write_id, dict(zip(feeds, ranks, strict=True)), _meeting(frame, held))


def _meeting(frame: BarFrame, held: Mapping[str, tuple[int, int]]) -> BarFrame:
    """Pick the bars between the first and the last stored bar of their symbols."""
    nothing = (1, 0)
    first, last = np.array([held.get(symbol, nothing) for symbol in frame.symbols], np.int64).T
    index = frame.row_symbol_index()
    return frame.take((frame.time_us >= first[index]) & (frame.time_us <= last[index]))


async def _read_stored(connection: Connection, meeting: BarFrame, timeframe: Timeframe) -> _Stored:
    index = meeting.row_symbol_index()
    begins = np.flatnonzero(np.diff(index, prepend=-1))
    ends = np.append(begins[1:], len(meeting)) - 1
    spans = (meeting.time_us[ends] - meeting.time_us[begins]) // timeframe.duration_us + 1
    if len(meeting) < _SPARSE_SHARE * int(spans.sum()):
        begins = ends = np.arange(len(meeting))
    parameters = {
        **_bounds(meeting),
        "index": number_array(index[begins]),
        "symbol": text_array(meeting.symbols, index[begins]),
        "first_time": time_array(meeting.time_us[begins]),
        "last_time": time_array(meeting.time_us[ends]),
    }
    cursor = await connection.execute(commit_sql.read_ranges(timeframe), parameters, binary=True)
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 -- an aggregate without GROUP BY has one row
    return await asyncio.to_thread(_to_stored, row, meeting.symbols)


def _to_stored(row: Sequence[bytes | None], symbols: tuple[str, ...]) -> _Stored:
    *columns, write_ids = row
    return _Stored(
        to_column_frame(columns, symbols, {}), native(np.frombuffer(write_ids or b"", _WRITE_ID))
    )


async def _supersede(
    connection: Connection, replaced: _Stored, timeframe: Timeframe, write_id: int
) -> None:
    """Move stored bars, ordered by symbol and time, to `bar_revision`."""
    bars = replaced.bars.with_used_symbols()
    parameters = {
        **_bounds(bars),
        "symbols": list(bars.symbols),
        "symbol": text_array(bars.symbols, bars.row_symbol_index()),
        "time": time_array(bars.time_us),
    }
    await connection.execute(commit_sql.delete_replaced(timeframe), parameters)
    more = {
        "write_id": replaced.write_id,
        "superseded_by": np.full(len(bars), write_id),
        "timeframe": np.full(len(bars), timeframe.value.encode()),
    }
    await copy_in(connection, commit_sql.COPY_REPLACED, bars, np.arange(len(bars)), more)


async def _write(
    connection: Connection, written: BarFrame, timeframe: Timeframe, write_id: int
) -> None:
    order = copy_order(partition_numbers(timeframe, written.time_us))
    more = {"write_id": np.full(len(written), write_id)}
    await copy_in(connection, commit_sql.copy_bars(timeframe), written, order, more)


def _newest(written: BarFrame) -> dict[str, Any]:
    """Make the parameters of `keep_latest`: the newest bar of each symbol, and its first one's time."""
    index = written.row_symbol_index()
    begins = np.flatnonzero(np.diff(index, prepend=-1))
    newest = written.take(np.append(begins[1:], len(written)) - 1)
    first_us: Int64Array = written.time_us[begins]
    return {**array_parameters(newest), "first_time": time_array(first_us)}


def _values(column: Int16Array) -> list[int]:
    """List the values of a column that has few, mostly in runs."""
    values: list[int] = np.unique(column[np.flatnonzero(np.diff(column, prepend=~column[:1]))]).tolist()
    return values


def _bounds(frame: BarFrame) -> dict[str, Any]:
    first, last = frame.time_bounds()
    return {"first": from_unix_us(first), "last": from_unix_us(last)}
