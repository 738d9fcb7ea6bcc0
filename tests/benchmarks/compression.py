"""compression: what the columnstore makes of bars, with prices as float64 and as scaled integers.

Not on the server of the other benchmarks, which has no columnstore: TimescaleDB's community edition in
WebAssembly, as in the tests. Bars are stored by the service and compressed with its own settings (a
segment a symbol, ordered by time); then the same bars in a table whose prices are integers: ticks of
the market, vwap in ten millionths, whole volumes. A line a form: bytes a bar compressed, and before,
all with indexes, so the machine does not matter. Real bars are stored under forty tickers, since a
chunk of one symbol is mostly pages that are not full. The bound is that of seeded minutes: three times
less.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, LiteralString

import numpy as np
from psycopg import sql

from marketdata.domain.bars import BarFrame
from marketdata.domain.calendar_span import CalendarSpan
from marketdata.domain.symbol import NewSymbol
from marketdata.domain.timeframe import Timeframe
from marketdata.providers.sample.source import fetch_sample_stocks
from marketdata.storage.bar_storage import BarStorage
from marketdata.storage.bar_tables import bar_table_name
from marketdata.storage.columnstore import settle_columnstore
from marketdata.storage.modes import StorageMode
from marketdata.storage.pools import Pools
from tests.benchmarks.sampling import Bound, Line
from tests.benchmarks.setting import LIMITS, Setting, SyncConnection, opened_storage
from tests.benchmarks.synthetic import FEED_ID, MINUTES_A_SESSION, minute_bars, renamed
from tests.support.databases import Databases, connected
from tests.support.e_mini import minutes_of_trades, read_trades
from tests.support.servers.running import server_of

NAME: Final = "compression"
FLOOR: Final = 3.0

_SYMBOLS: Final = 100
_SESSIONS: Final = 2
_COPIES: Final = 40
_INTEGERS: Final = "bars_of_integers"
# Measured one by one too, in compressed chunks.
_COLUMNS: Final = (
    "time", "open", "high", "low", "close", "volume", "vwap", "trade_count", "feed", "flags",
    "revision", "write_id",
)  # fmt: skip
_CREATE: Final = sql.SQL("""
    CREATE TABLE {integers} (
        symbol text COLLATE "C" NOT NULL, time timestamptz NOT NULL, open integer NOT NULL,
        high integer NOT NULL, low integer NOT NULL, close integer NOT NULL, volume bigint,
        vwap bigint, trade_count bigint NOT NULL, feed smallint NOT NULL, flags smallint NOT NULL,
        revision integer NOT NULL, write_id bigint NOT NULL, PRIMARY KEY (symbol, time))
""")
_PARTITION: Final = """
    SELECT create_hypertable(%(integers)s, by_range('time', dimension.time_interval),
                             create_default_indexes => false)
      FROM timescaledb_information.dimensions AS dimension
     WHERE dimension.hypertable_name = %(table)s
"""
_FILL: Final = sql.SQL("""
    INSERT INTO {integers}
    SELECT symbol, time, round(open / {tick})::integer, round(high / {tick})::integer,
           round(low / {tick})::integer, round(close / {tick})::integer,
           nullif(volume, 'NaN')::bigint, round(nullif(vwap, 'NaN') * 1e7)::bigint,
           trade_count, feed, flags, revision, write_id
      FROM {table}
""")
_ALTER: Final = sql.SQL("""
    ALTER TABLE {integers} SET (timescaledb.compress, timescaledb.compress_segmentby = 'symbol',
                                timescaledb.compress_orderby = 'time')
""")
_COMPRESS: Final = "SELECT count(compress_chunk(chunk)) FROM show_chunks(%s) AS chunk"
_SIZES: Final = """
    SELECT before_compression_total_bytes, after_compression_total_bytes
      FROM hypertable_compression_stats(%s)
"""
_CHUNKS: Final = """
    SELECT compressed.schema_name, compressed.table_name
      FROM _timescaledb_catalog.hypertable AS parent
      JOIN _timescaledb_catalog.chunk ON chunk.hypertable_id = parent.id
      JOIN _timescaledb_catalog.chunk AS compressed ON compressed.id = chunk.compressed_chunk_id
     WHERE parent.table_name = %s
"""


@dataclass(frozen=True, slots=True)
class Case:
    """Bars that are compressed.

    Attributes
    ----------
    name : str
        In the report.
    timeframe : Timeframe
        In whose table, and so in chunks of which interval.
    tick : float
        Of the market: what integers count.
    frames : tuple of BarFrame
        One a symbol.
    floor : float or None
        How many times less they must take.
    interval : CalendarSpan or None
        Of a chunk; None: the default of the table.
    """

    name: str
    timeframe: Timeframe
    tick: float
    frames: tuple[BarFrame, ...]
    floor: float | None = None
    interval: CalendarSpan | None = None


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a table takes, with its indexes, and each column of its compressed chunks alone."""

    before: int
    after: int
    columns: Mapping[str, int]

    @property
    def ratio(self) -> float:
        """How many times less it takes compressed."""
        return self.before / self.after


def seeded_minutes(symbols: int, sessions: int, vwap_decimals: int) -> tuple[BarFrame, ...]:
    """Make minutes of many symbols, prices in cents, vwap of so many decimals."""
    frames = []
    for number in range(symbols):
        frame = minute_bars(f"S{number:03}", sessions * MINUTES_A_SESSION, seed=number)
        share = np.random.default_rng(number).random(len(frame))
        vwap = np.round(frame.low + share * (frame.high - frame.low), vwap_decimals)
        frames.append(replace(frame, vwap=vwap))
    return tuple(frames)


def cases() -> list[Case]:
    """Make the bars: seeded minutes, real minutes, real days."""
    minute, tick = Timeframe.MINUTE_1, 0.01
    seeded = f"{_SYMBOLS} symbols, {_SESSIONS} sessions of seeded minutes"
    e_mini = minutes_of_trades(read_trades())
    days = [stock.bars for stock in fetch_sample_stocks()]
    return [
        Case(f"{seeded}, vwap of {decimals} decimals", minute, tick, frames, FLOOR)
        for decimals in (4, 7)
        for frames in [seeded_minutes(_SYMBOLS, _SESSIONS, decimals)]
    ] + [
        Case("real minutes of the E-mini", minute, 0.25, _copies([e_mini], _COPIES)),
        Case("real days of 5 stocks", Timeframe.DAY_1, tick, _copies(days, _COPIES)),
        Case(
            "the same in chunks of a year",
            Timeframe.DAY_1,
            tick,
            _copies(days, _COPIES),
            interval=CalendarSpan(days=366),
        ),
    ]


def _copies(frames: Sequence[BarFrame], count: int) -> tuple[BarFrame, ...]:
    """Give the bars as those of so many tickers."""
    return tuple(renamed(frames[number % len(frames)], f"C{number:02}") for number in range(count))


async def run(setting: Setting) -> list[Line]:  # noqa: ARG001 -- it has a server of its own
    """Compress each case in both forms; a line a form."""
    lines = []
    with server_of(StorageMode.TIMESCALE) as server:
        databases = Databases(server, StorageMode.TIMESCALE)
        for case in cases():
            floats, integers = await measure(databases, case)
            bars = sum(len(frame) for frame in case.frames)
            lines += [
                _line(case, "float64", floats, bars, case.floor),
                _line(case, "scaled integers", integers, bars, None),
            ]
    return lines


async def measure(databases: Databases, case: Case) -> tuple[Sizes, Sizes]:
    """Store the bars of a case, compress them, and do the same to a table of integers."""
    database = await databases.migrated()
    async with Pools(lambda: database, LIMITS) as pools:
        await BarStorage(pools).change(case.timeframe, interval=case.interval)
    await settle_columnstore(database, StorageMode.TIMESCALE)
    async with opened_storage(database) as storage:
        for frame in case.frames:
            await storage.symbols.create(NewSymbol(frame.symbols[0]))
            bars = replace(frame, feed=np.full_like(frame.feed, FEED_ID))
            await storage.writer.commit_bars(bars, case.timeframe)
    table = bar_table_name(case.timeframe)
    names = {
        "integers": sql.Identifier(_INTEGERS),
        "table": sql.Identifier(table),
        "tick": sql.Literal(case.tick),
    }
    with connected(database) as connection:
        connection.prepare_threshold = None  # a prepared ALTER is skipped without a word
        connection.execute(_CREATE.format(**names))
        connection.execute(_PARTITION, {"integers": _INTEGERS, "table": table})
        connection.execute(_FILL.format(**names))
        connection.execute(_ALTER.format(**names))
        found = _compressed(connection, table), _compressed(connection, _INTEGERS)
    databases.drop(database)
    return found


def _compressed(connection: SyncConnection, table: str) -> Sizes:
    connection.execute(_COMPRESS, [table])
    ((before, after),) = connection.execute(_SIZES, [table]).fetchall()
    columns = dict.fromkeys(_COLUMNS, 0)
    for chunk in connection.execute(_CHUNKS, [table]).fetchall():
        sizes = sql.SQL(", ").join(
            sql.SQL("sum(pg_column_size({}))").format(sql.Identifier(column)) for column in _COLUMNS
        )
        query = sql.SQL("SELECT {} FROM {}").format(sizes, sql.Identifier(*map(str, chunk)))
        ((*found,),) = connection.execute(query).fetchall()
        for column, size in zip(_COLUMNS, found, strict=True):
            columns[column] += int(str(size or 0))
    return Sizes(int(str(before)), int(str(after)), columns)


def _line(case: Case, form: LiteralString, sizes: Sizes, bars: int, floor: float | None) -> Line:
    return Line(
        benchmark=NAME,
        case=f"{case.name}, {form}",
        unit="bytes a bar",
        ours=sizes.after / bars,
        peer=sizes.before / bars,
        ratio=sizes.ratio,
        quartiles=(sizes.ratio, sizes.ratio),
        bound=None if floor is None else Bound(floor),
        samples={column: [size / bars] for column, size in sizes.columns.items()},
    )
