"""What stands in the database, read with SQL that the service does not use."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString, NamedTuple

from psycopg import sql

from marketdata.domain.bars import ALL_COLUMNS
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_rows import decode_frame
from marketdata.storage.translate import translated
from tests.support.bars import Bar, bar_of, bars_of
from tests.support.storage import Storage

_VALUES: Final = sql.SQL("""
    symbol, (extract(epoch FROM time) * 1000000)::bigint, open, high, low, close, volume, vwap,
    trade_count, feed, flags, revision
""")
_STORED: Final = sql.SQL("SELECT {} FROM {} ORDER BY symbol, time")
_LATEST: Final = sql.SQL("SELECT {} FROM bar_latest WHERE timeframe = %s ORDER BY symbol").format(
    _VALUES
)
TABLES: Final = {
    Timeframe.MINUTE_1: "market_stock_hist_bars_min_ts",
    Timeframe.HOUR_1: "market_stock_hist_bars_hour_ts",
    Timeframe.DAY_1: "market_stock_hist_bars_day_ts",
}


@dataclass(frozen=True)
class LoggedChange:
    """One row of the change log, with its inline bars decoded."""

    seq: int
    kind: str
    symbols: tuple[str, ...]
    timeframe: str | None
    range_us: tuple[int | None, int | None]
    accepted: int
    revised: int
    bars: list[Bar] | None


class Partition(NamedTuple):
    """A partition of a bar table: its name and its bound, Unix microseconds."""

    name: str
    start_us: int
    end_us: int


async def fetch(
    storage: Storage, query: LiteralString | sql.Composed, parameters: Sequence[Any] = ()
) -> list[Any]:
    """Run one statement as the owner of the database, and return its rows."""
    with translated():
        async with storage.owner.connection() as connection:
            cursor = await connection.execute(query, list(parameters) or None)
            return await cursor.fetchall() if cursor.description else []


async def stored_bars(storage: Storage, timeframe: Timeframe) -> list[Bar]:
    """List all bars of a table by (symbol, time)."""
    query = _STORED.format(_VALUES, sql.Identifier(TABLES[timeframe]))
    return [bar_of(*row) for row in await fetch(storage, query)]


async def latest_bars(storage: Storage, timeframe: Timeframe) -> list[Bar]:
    """List the rows of `bar_latest` of a timeframe by symbol."""
    return [bar_of(*row) for row in await fetch(storage, _LATEST, [timeframe.value])]


async def changes(storage: Storage, after_seq: int = 0) -> list[LoggedChange]:
    """List the change log behind `after_seq` in its order."""
    rows = await fetch(
        storage,
        """
        SELECT seq, kind, symbols, timeframe, (extract(epoch FROM range_start) * 1000000)::bigint,
               (extract(epoch FROM range_end) * 1000000)::bigint, accepted, revised, bars
          FROM bar_change JOIN bar_write USING (write_id) WHERE seq > %s ORDER BY seq, part
        """,
        [after_seq],
    )
    return [_change(*row) for row in rows]


async def partitions(storage: Storage, timeframe: Timeframe) -> list[Partition]:
    """List the partitions, or chunks, of a timeframe's table by start."""
    ((kind,),) = await fetch(
        storage, "SELECT relkind::text FROM pg_class WHERE oid = %s::regclass", [TABLES[timeframe]]
    )
    if kind != "p":
        return await _chunks(storage, timeframe)
    rows = await fetch(
        storage,
        r"""
        SELECT name, (extract(epoch FROM bound[1]::timestamptz) * 1000000)::bigint,
               (extract(epoch FROM bound[2]::timestamptz) * 1000000)::bigint
          FROM (SELECT relname::text AS name, regexp_match(pg_get_expr(relpartbound, oid),
                       $$FROM \('(.*)'\) TO \('(.*)'\)$$) AS bound
                  FROM pg_class JOIN pg_inherits ON inhrelid = oid
                 WHERE inhparent = %s::regclass) AS part
         ORDER BY 2
        """,
        [TABLES[timeframe]],
    )
    return [Partition(*row) for row in rows]


async def _chunks(storage: Storage, timeframe: Timeframe) -> list[Partition]:
    rows = await fetch(
        storage,
        """
        SELECT chunk.table_name::text, slice.range_start, slice.range_end
          FROM _timescaledb_catalog.hypertable AS parent
          JOIN _timescaledb_catalog.chunk ON chunk.hypertable_id = parent.id
          JOIN _timescaledb_catalog.chunk_constraint AS bound ON bound.chunk_id = chunk.id
          JOIN _timescaledb_catalog.dimension_slice AS slice ON slice.id = bound.dimension_slice_id
         WHERE parent.table_name = %s ORDER BY 2
        """,
        [TABLES[timeframe]],
    )
    return [Partition(*row) for row in rows]


def _change(
    seq: int,
    kind: str,
    symbols: list[str],
    timeframe: str | None,
    start_us: int | None,
    end_us: int | None,
    accepted: int,
    revised: int,
    data: bytes | None,
) -> LoggedChange:
    named = tuple(symbols)
    bars = None if data is None else bars_of(decode_frame(data, ALL_COLUMNS, named, {}, many=True))
    return LoggedChange(seq, kind, named, timeframe, (start_us, end_us), accepted, revised, bars)
