"""What the bar tables hold: partitions, bytes, compression, and how many bars."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from psycopg import sql

from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_counts import (
    MOST_COUNTED_BYTES,
    PartitionSize,
    count_bars,
    find_first,
)
from marketdata.storage.bar_storage import STORED
from marketdata.storage.bar_tables import bar_table, bar_table_label, bar_table_name
from marketdata.storage.day_counts import NOTHING_KNOWN, read_day_counts
from marketdata.storage.pools import Connection, Pools

_ONE_SNAPSHOT: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
# Before the snapshot, so that no partition is dropped while it is looked at (read_locks.py).
_HOLD: Final = sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(
    sql.SQL(", ").join(sql.SQL("ONLY {}").format(bar_table(timeframe)) for timeframe in STORED)
)
# Only the community edition has a columnstore; others refuse questions about it. To PostgreSQL a
# hypertable is an ordinary table.
_HAS_COLUMNSTORE: Final = """
    SELECT relkind = 'r' AND coalesce(current_setting('timescaledb.license', true), '') = 'timescale'
      FROM pg_class WHERE oid = %(name)s::regclass
"""
_PARTITIONS: Final = """
    SELECT (extract(epoch FROM range_start) * 1000000)::bigint,
           (extract(epoch FROM range_end) * 1000000)::bigint, is_compressed, size_bytes, rows_estimate
      FROM bar_partitions(%(which)s::bar_table) ORDER BY 1
"""
_COMPRESSION: Final = """
    SELECT coalesce(sum(before_compression_total_bytes), 0)::bigint,
           coalesce(sum(after_compression_total_bytes), 0)::bigint
      FROM hypertable_compression_stats(%(name)s::text::regclass)
"""
# By the primary key; a row a symbol.
_LATEST: Final = """
    SELECT count(*), (extract(epoch FROM max(time)) * 1000000)::bigint
      FROM bar_latest WHERE timeframe = %(timeframe)s
"""


@dataclass(frozen=True, slots=True)
class TableSize:
    """What one bar table holds.

    Attributes
    ----------
    partitions, compressed : int
        How many there are, and how many of them are compressed.
    rows : int
        How many bars.
    is_estimate : bool
        Whether `rows` is an estimate.
    symbols : int
        How many tickers have bars.
    size_bytes : int
        On disk with indexes.
    bytes_before, bytes_after : int
        Of the compressed ones: what they took before they were compressed, and right after it; 0
        where there are none.
    first_us, last_us : int or None
        Times of the first and the last bar; None in an empty table.
    """

    timeframe: Timeframe
    partitions: int
    compressed: int
    rows: int
    is_estimate: bool
    symbols: int
    size_bytes: int
    bytes_before: int
    bytes_after: int
    first_us: int | None
    last_us: int | None


@asynccontextmanager
async def tables_held(pools: Pools) -> AsyncIterator[Connection]:
    """Borrow a connection in a transaction that sees one snapshot, and all partitions in it."""
    async with pools.query() as connection, connection.transaction():
        await connection.execute(_ONE_SNAPSHOT)
        await connection.execute(_HOLD)
        yield connection


async def read_table_size(
    connection: Connection, timeframe: Timeframe, most_counted_bytes: int = MOST_COUNTED_BYTES
) -> TableSize:
    """Read what a bar table holds.

    Parameters
    ----------
    connection : Connection
        Of `tables_held`.
    most_counted_bytes : int
        Up to which size bars are counted that no aggregate counts.
    """
    parameters = {
        "which": bar_table_label(timeframe),
        "name": bar_table_name(timeframe),
        "timeframe": timeframe.value,
    }
    cursor = await connection.execute(_PARTITIONS, parameters)
    partitions = [
        PartitionSize(TimeRange(start_us, end_us), is_compressed, size_bytes, rows)
        for start_us, end_us, is_compressed, size_bytes, rows in await cursor.fetchall()
    ]
    known, before, after = NOTHING_KNOWN, 0, 0
    (has_columnstore,) = await _row(connection, _HAS_COLUMNSTORE, parameters)
    if has_columnstore:
        known = await read_day_counts(connection, timeframe)
        before, after = await _row(connection, _COMPRESSION, parameters)
    counted = await count_bars(connection, timeframe, partitions, known, most_counted_bytes)
    symbols, last_us = await _row(connection, _LATEST, parameters)
    return TableSize(
        timeframe=timeframe,
        partitions=len(partitions),
        compressed=sum(partition.is_compressed for partition in partitions),
        rows=counted.rows,
        is_estimate=counted.is_estimate,
        symbols=symbols,
        size_bytes=sum(partition.size_bytes for partition in partitions),
        bytes_before=before,
        bytes_after=after,
        # Without a symbol there is no bar to be looked for in any partition.
        first_us=await find_first(connection, timeframe, partitions) if symbols else None,
        last_us=last_us,
    )


async def _row(connection: Connection, query: str, parameters: dict[str, Any]) -> tuple[Any, ...]:
    cursor = await connection.execute(query, parameters)
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 -- each asks for exactly one
    return row
