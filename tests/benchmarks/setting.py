"""What every benchmark runs on: a PostgreSQL of its own, with databases and bars in them."""

from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import psycopg
from psycopg import sql

from marketdata.domain.bars import BarFrame
from marketdata.domain.symbol import NewSymbol
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_reader import BarReader
from marketdata.storage.bar_rows import sql_columns
from marketdata.storage.bar_tables import bar_table, bar_table_label, partition_starts
from marketdata.storage.commit import BarWriter
from marketdata.storage.copy_codec import COPY_HEADER, COPY_TRAILER, encode_text_rows
from marketdata.storage.embedded import EmbeddedPostgres, ServerAddress
from marketdata.storage.partitions import Partitions
from marketdata.storage.pools import PoolLimits, Pools
from marketdata.storage.symbols import SymbolStore
from tests.benchmarks.synthetic import daily_bars, minute_bars, renamed
from tests.support.databases import Databases, connected

SyncConnection = psycopg.Connection[tuple[object, ...]]

# As many connections as the largest number of writers that is measured, open before it starts.
LIMITS: Final = PoolLimits(size=16, overflow=4, stream_size=8, timeout_seconds=30.0)

# One writer on one connection, which knows all partitions after the first round, as the other side's.
ONE_WRITER: Final = PoolLimits(size=1, overflow=0, stream_size=1, timeout_seconds=30.0)

# Symbols of the database that the reading benchmarks share: a partition has many symbols' bars.
STORED_SYMBOLS: Final = 20

_COPY_FROM: Final = sql.SQL("COPY {} FROM {} (FORMAT binary)")
_ENSURE: Final = """
    SELECT bar_partition_ensure(%s::bar_table, ARRAY(
        SELECT timestamptz 'epoch' + start_us * interval '1 microsecond'
          FROM unnest(%s::int8[]) AS start_us))
"""
_KEEP_LATEST: Final = sql.SQL("""
    INSERT INTO bar_latest (symbol, timeframe, first_time, time, open, high, low, close, volume, vwap,
                            trade_count, feed, flags, revision, write_id)
    SELECT symbol, %(timeframe)s, bounds.first_time, time, open, high, low, close, volume, vwap,
           trade_count, feed, flags, revision, write_id
      FROM (SELECT symbol, min(time) AS first_time, max(time) AS time
              FROM {table} GROUP BY symbol) AS bounds
      JOIN {table} USING (symbol, time)
""")


@dataclass(frozen=True, slots=True)
class Setting:
    """What a benchmark is given.

    Attributes
    ----------
    server : EmbeddedPostgres
        Started, with the launcher's own settings: durable.
    databases : Databases
        Makes migrated databases on it.
    folder : Path
        For files that PostgreSQL's account reads.
    rounds : int
        How many samples to take of each side.
    is_quick : bool
        Whether to leave out what takes long.
    """

    server: EmbeddedPostgres
    databases: Databases
    folder: Path
    rounds: int
    is_quick: bool
    _stored: list[ServerAddress] = field(default_factory=list)

    def program(self, name: str) -> Path:
        """Path of a program of the PostgreSQL that runs, such as psql."""
        return Path(f"/proc/{self.server.pid}/exe").resolve().with_name(name)

    async def stored_bars(self) -> ServerAddress:
        """Make, once a run, a database of symbols with minutes and days; for reading only."""
        if not self._stored:
            database = await self.database_of_minutes(STORED_SYMBOLS)
            names = [symbol_name(number) for number in range(STORED_SYMBOLS)]
            days = [renamed(daily_bars("S"), name) for name in names]
            load(database, self.folder, days, Timeframe.DAY_1)
            self._stored.append(database)
        return self._stored[0]

    async def database_of_minutes(self, symbols: int) -> ServerAddress:
        """Make a database with minutes of the symbols ``S000``, ``S001``, …, vacuumed."""
        database = await self.databases.migrated()
        names = [symbol_name(number) for number in range(symbols)]
        async with opened_storage(database) as storage:
            await create_symbols(storage.symbols, names)
        load(database, self.folder, [renamed(minute_bars("S"), name) for name in names])
        return database


@dataclass(frozen=True, slots=True)
class Storage:
    """What reads and writes the bars of one database in this process."""

    writer: BarWriter
    reader: BarReader
    symbols: SymbolStore


@asynccontextmanager
async def opened_storage(
    database: ServerAddress, limits: PoolLimits = LIMITS
) -> AsyncIterator[Storage]:
    """Open the pools of a database, and close them at the end."""
    with ThreadPoolExecutor(limits.stream_size, thread_name_prefix="bulk-read") as executor:
        async with Pools(lambda: database, limits) as pools:
            yield Storage(
                writer=BarWriter(pools, Partitions(pools)),
                reader=BarReader(pools, executor),
                symbols=SymbolStore(pools),
            )


def symbol_name(number: int) -> str:
    """Name of a symbol of `Setting.database_of_minutes`."""
    return f"S{number:03}"


def service_variables(database: ServerAddress) -> dict[str, str]:
    """Environment variables by which a service finds `database`."""
    return {
        "DB_HOST": database.host,
        "DB_PORT": str(database.port),
        "DB_NAME": database.database,
        "DB_USERNAME": database.user,
        "DB_PASSWORD": database.password,
    }


async def create_symbols(store: SymbolStore, names: Iterable[str]) -> None:
    """Create symbols, so that requests about them are answered."""
    for name in names:
        await store.create(NewSymbol(name))


def write_copy_file(path: Path, frame: BarFrame) -> None:
    """Write the bars as whole rows of their table in binary COPY's format."""
    columns = {**sql_columns(frame), "write_id": np.zeros(len(frame), np.int64)}
    rows = encode_text_rows(frame.symbols, frame.row_symbol_index(), columns)
    path.write_bytes(b"".join((COPY_HEADER, rows, COPY_TRAILER)))
    path.chmod(0o644)


def copy_file(connection: SyncConnection, path: Path, timeframe: Timeframe) -> None:
    """Let the server itself load a file, in a transaction of its own."""
    connection.execute(_COPY_FROM.format(bar_table(timeframe), sql.Literal(str(path))))


def make_partitions(connection: SyncConnection, frame: BarFrame, timeframe: Timeframe) -> None:
    """Make the partitions that the bars need."""
    starts = partition_starts(timeframe, frame.time_us)
    connection.execute(_ENSURE, [bar_table_label(timeframe), starts])


def load(
    database: ServerAddress,
    folder: Path,
    frames: Iterable[BarFrame],
    timeframe: Timeframe = Timeframe.MINUTE_1,
) -> None:
    """Store bars on the shortest way, past the change log, and vacuum their table."""
    path = folder / "load.copy"
    with connected(database) as connection:
        for frame in frames:
            make_partitions(connection, frame, timeframe)
            write_copy_file(path, frame)
            copy_file(connection, path, timeframe)
        _keep_latest(connection, timeframe)
        connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(bar_table(timeframe)))
    path.unlink()


def _keep_latest(connection: SyncConnection, timeframe: Timeframe) -> None:
    """Bring `bar_latest` to what was loaded: reads ask it what there is."""
    connection.execute(_KEEP_LATEST.format(table=bar_table(timeframe)), {"timeframe": timeframe.value})
