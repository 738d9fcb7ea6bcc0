"""What is stored, counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from psycopg import sql

from marketdata.domain.symbol import TickerSegment
from marketdata.domain.time_range import from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_tables import bar_table, bar_table_name
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.symbols import resolve, unknown_symbol

# Partitions' own statistics, which autovacuum keeps: counting ten years of minutes takes minutes. A
# partition that was never analyzed says -1, and its size stands for its rows (120 bytes each).
_SIZES: Final = """
    SELECT count(*), coalesce(sum(pg_total_relation_size(child.oid)), 0)::bigint,
           coalesce(sum(CASE WHEN child.reltuples < 0 THEN pg_relation_size(child.oid) / 120
                             ELSE child.reltuples END), 0)::bigint
      FROM pg_inherits AS link JOIN pg_class AS child ON child.oid = link.inhrelid
     WHERE link.inhparent = %(table)s::regclass
"""
# Latest bars tell symbols and the end; the beginning is the first bar of the first partition with any.
_SYMBOLS: Final = """
    SELECT count(*), (extract(epoch FROM max(time)) * 1000000)::bigint
      FROM bar_latest WHERE timeframe = %(timeframe)s
"""
_FIRST: Final = sql.SQL("SELECT (extract(epoch FROM min(time)) * 1000000)::bigint FROM {table}")
# By the primary key, within the partitions of the segment.
_SEGMENT: Final = sql.SQL("""
    SELECT count(*), (extract(epoch FROM min(time)) * 1000000)::bigint,
           (extract(epoch FROM max(time)) * 1000000)::bigint
      FROM {table} WHERE symbol = %(symbol)s AND time >= %(start)s AND time < %(end)s
""")


@dataclass(frozen=True, slots=True)
class TimeframeStatistics:
    """What is stored of one timeframe.

    Attributes
    ----------
    rows : int
        Bars: an estimate for all symbols, exact for one.
    symbols : int
        Symbols that have bars.
    first_us, last_us : int
        Times of the first and the last bar, Unix microseconds.
    size_bytes, partitions : int
        On disk with indexes; 0 for one symbol.
    """

    timeframe: Timeframe
    rows: int
    symbols: int
    first_us: int
    last_us: int
    size_bytes: int = 0
    partitions: int = 0


class StatisticsReader:
    """Counts what is stored.

    Parameters
    ----------
    pools : Pools
        Where queries run.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def of_all(self) -> list[TimeframeStatistics]:
        """Count the bars of all symbols, by timeframe; timeframes without bars are left out."""
        found = []
        async with self._pools.query() as connection:
            for timeframe in (t for t in Timeframe if t.is_stored):
                symbols, last_us = await _row(connection, _SYMBOLS, {"timeframe": timeframe.value})
                if symbols == 0:
                    continue
                table = {"table": bar_table_name(timeframe)}
                partitions, size_bytes, rows = await _row(connection, _SIZES, table)
                (first_us,) = await _row(connection, _FIRST.format(table=bar_table(timeframe)), {})
                found.append(
                    TimeframeStatistics(
                        timeframe, rows, symbols, first_us, last_us, size_bytes, partitions
                    )
                )
        return found

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
