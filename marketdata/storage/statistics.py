"""What is stored, counted."""

from collections.abc import Mapping
from typing import Any, Final

from psycopg import sql

from marketdata.domain.bar_statistics import TimeframeStatistics
from marketdata.domain.symbol import TickerSegment
from marketdata.domain.time_range import from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_counts import MOST_COUNTED_BYTES
from marketdata.storage.bar_storage import STORED
from marketdata.storage.bar_tables import bar_table
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.symbols import resolve, unknown_symbol
from marketdata.storage.table_sizes import read_table_size, tables_held

# By the primary key, within the partitions of the segment.
_SEGMENT: Final = sql.SQL("""
    SELECT count(*), (extract(epoch FROM min(time)) * 1000000)::bigint,
           (extract(epoch FROM max(time)) * 1000000)::bigint
      FROM {table} WHERE symbol = %(symbol)s AND time >= %(start)s AND time < %(end)s
""")


class StatisticsReader:
    """Counts what is stored.

    Parameters
    ----------
    pools : Pools
        Where queries run.
    most_counted_bytes : int
        Up to which size bars of all symbols are counted; above they are estimated.
    """

    def __init__(self, pools: Pools, most_counted_bytes: int = MOST_COUNTED_BYTES) -> None:
        self._pools = pools
        self._most_counted_bytes = most_counted_bytes

    async def of_all(self) -> list[TimeframeStatistics]:
        """Count the bars of all symbols in one snapshot, by timeframe; those without bars are left out.

        Raises
        ------
        DatabaseUnavailableError, QueryTimeoutError, WriteConflictError
            The database cannot answer now.
        """
        async with tables_held(self._pools) as connection:
            sizes = [
                await read_table_size(connection, timeframe, self._most_counted_bytes)
                for timeframe in STORED
            ]
        return [
            TimeframeStatistics(
                size.timeframe,
                size.rows,
                size.symbols,
                size.first_us,
                size.last_us,
                is_estimate=size.is_estimate,
                size_bytes=size.size_bytes,
                partitions=size.partitions,
                compressed_partitions=size.compressed,
                bytes_before_compression=size.bytes_before,
                bytes_after_compression=size.bytes_after,
            )
            for size in sizes
            if size.first_us is not None and size.last_us is not None
        ]

    async def of_symbol(self, symbol: str) -> list[TimeframeStatistics]:
        """Count the bars of one symbol, by timeframe.

        Raises
        ------
        SymbolNotFoundError
            The symbol is unknown.
        """
        found = []
        async with self._pools.query() as connection:
            for timeframe in (t for t in Timeframe if t.is_stored):
                resolved = await resolve(connection, [symbol], timeframe)
                if symbol not in resolved:
                    raise unknown_symbol(symbol)
                counts = [
                    await _count(connection, segment, timeframe)
                    for segment in resolved[symbol].segments
                ]
                counted = [count for count in counts if count[0]]
                if counted:
                    rows, firsts, lasts = zip(*counted, strict=True)
                    found.append(TimeframeStatistics(timeframe, sum(rows), 1, min(firsts), max(lasts)))
        return found


async def _count(
    connection: Connection, segment: TickerSegment, timeframe: Timeframe
) -> tuple[int, int, int]:
    parameters = {
        "symbol": segment.ticker,
        "start": from_unix_us(segment.range.start_us),
        "end": from_unix_us(segment.range.end_us),
    }
    query = _SEGMENT.format(table=bar_table(timeframe))
    rows, first_us, last_us = await _row(connection, query, parameters)
    return rows, first_us or 0, last_us or 0


async def _row(
    connection: Connection, query: str | sql.Composed, parameters: Mapping[str, Any]
) -> tuple[Any, ...]:
    cursor = await connection.execute(query, parameters)
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 -- aggregates have one row
    return row
