"""Compressed chunks answer and are written to as others are; the traps that were known upstream.

Each test stores minutes, compresses their chunks, and does to them what the service does.
"""

from typing import Final

import numpy as np
import pytest
from psycopg import errors as pg
from psycopg import sql

from marketdata.domain.as_of import AsOf
from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarFrame
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.columnstore import settle_columnstore
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.modes import StorageMode
from marketdata.storage.table_sizes import read_table_size, tables_held
from tests.benchmarks.compression import seeded_minutes
from tests.benchmarks.synthetic import half_revised, minute_bars, range_of
from tests.support.bars import bars_of
from tests.support.reads import read_in_bulk
from tests.support.rows import fetch, latest_bars, stored_bars
from tests.support.storage import Storage
from tests.support.symbols import create_symbols

pytestmark = pytest.mark.modes("timescale", reason="the community edition's columnstore")

MINUTE: Final = Timeframe.MINUTE_1
COMPRESS: Final = """
    SELECT count(compress_chunk(chunk, if_not_compressed => true))
      FROM show_chunks('market_stock_hist_bars_min_ts') AS chunk
"""
COUNT: Final = "SELECT count(*)::int FROM market_stock_hist_bars_min_ts"
# Compressed, and in part not any more.
WAITING: Final = """
    SELECT chunk.table_name::text FROM _timescaledb_catalog.chunk
      JOIN _timescaledb_catalog.hypertable AS parent ON parent.id = chunk.hypertable_id
     WHERE parent.table_name = 'market_stock_hist_bars_min_ts' AND chunk.status & 8 = 8 ORDER BY 1
"""
RUN_POLICY: Final = """
    SELECT format('CALL run_job(%s)', job_id) FROM timescaledb_information.jobs
     WHERE proc_name = 'policy_compression' AND hypertable_name = 'market_stock_hist_bars_min_ts'
"""
# A session: below and above the number of rows from which the writer takes its other way.
FEW: Final = 780
MANY: Final = 7_800


async def stored(
    storage: Storage, database: ServerAddress, mode: StorageMode, count: int, symbol: str = "A"
) -> BarFrame:
    """Store minutes of a symbol, and compress all chunks."""
    await settle_columnstore(database, mode)
    await create_symbols(storage, symbol)
    frame = minute_bars(symbol, count)
    await storage.writer.commit_bars(frame, MINUTE)
    await fetch(storage, COMPRESS)
    return frame


@pytest.mark.parametrize("count", [FEW, MANY])
async def test_read_given_compressed_chunks_answers_as_before(
    storage: Storage, database: ServerAddress, storage_mode: StorageMode, count: int
) -> None:
    """The same bars in the same order, the same latest one, the same number."""
    frame = await stored(storage, database, storage_mode, count)
    answer = await read_in_bulk(storage, BarQuery(("A",), MINUTE, range_of(frame, MINUTE)))
    assert answer.rows() == [("A", time_us) for time_us in frame.time_us.tolist()]
    prices = np.concatenate([block.close for block in answer.frames])
    assert prices.tolist() == frame.close.tolist()
    assert await fetch(storage, COUNT) == [(count,)]
    assert len(await latest_bars(storage, MINUTE)) == 1


@pytest.mark.parametrize("count", [FEW, MANY])
async def test_commit_given_the_same_bars_of_compressed_chunks_changes_nothing(
    storage: Storage, database: ServerAddress, storage_mode: StorageMode, count: int
) -> None:
    """Sent twice, they are known again also where they are compressed (timescaledb #5448: doubled)."""
    frame = await stored(storage, database, storage_mode, count)
    result = await storage.writer.commit_bars(frame, MINUTE)
    assert (result.accepted, result.revised, result.unchanged) == (0, 0, count)
    assert await fetch(storage, COUNT) == [(count,)]


@pytest.mark.parametrize("count", [FEW, MANY])
async def test_commit_given_corrections_of_compressed_chunks_revises_each(
    storage: Storage, database: ServerAddress, storage_mode: StorageMode, count: int
) -> None:
    """All of them, not those up to the first conflict (timescaledb #7672); counts are right at once."""
    frame = await stored(storage, database, storage_mode, count)
    result = await storage.writer.commit_bars(half_revised(frame), MINUTE)
    assert (result.accepted, result.revised, result.unchanged) == (0, count // 2, count // 2)
    assert await fetch(storage, COUNT) == [(count,)]
    bars = await stored_bars(storage, MINUTE)
    assert [bar.close for bar in bars] == half_revised(frame).close.tolist()
    assert [bar.revision for bar in bars] == [1, 0] * (count // 2)
    before = BarQuery(("A",), MINUTE, range_of(frame, MINUTE), as_of=AsOf(seq=result.seq - 1))
    answer = await read_in_bulk(storage, before)
    assert np.concatenate([f.close for f in answer.frames]).tolist() == frame.close.tolist()


async def test_commit_given_new_bars_beside_compressed_ones_keeps_both(
    storage: Storage, database: ServerAddress, storage_mode: StorageMode
) -> None:
    """A late symbol in a compressed day: stored beside, and compressed by the next run."""
    await stored(storage, database, storage_mode, FEW)
    await create_symbols(storage, "B")
    late = minute_bars("B", FEW, seed=5)
    assert (await storage.writer.commit_bars(late, MINUTE)).accepted == FEW
    await fetch(storage, COMPRESS)
    assert await fetch(storage, COUNT) == [(2 * FEW,)]
    assert bars_of(late) == [bar for bar in await stored_bars(storage, MINUTE) if bar.symbol == "B"]


async def test_delete_given_compressed_chunks_and_the_bars_again_has_them_once(
    storage: Storage, database: ServerAddress, storage_mode: StorageMode
) -> None:
    """Deleted out of compressed chunks, then copied in anew: neither lost nor doubled."""
    frame = await stored(storage, database, storage_mode, MANY)
    first, last = int(frame.time_us[100]), int(frame.time_us[5_000])
    result = await storage.deleter.delete("A", MINUTE, TimeRange(first, last), "a bad day")
    assert result.deleted == 4_900
    assert await fetch(storage, COUNT) == [(MANY - 4_900,)]
    again = await storage.writer.commit_bars(frame, MINUTE)
    assert (again.accepted, again.unchanged) == (4_900, MANY - 4_900)
    assert await fetch(storage, COUNT) == [(MANY,)]
    assert [bar.time_us for bar in await stored_bars(storage, MINUTE)] == frame.time_us.tolist()


async def test_commit_given_a_limit_of_decompressed_rows_is_not_held_to_it(
    storage: Storage, database: ServerAddress, storage_mode: StorageMode
) -> None:
    """The limit is real, 100,000 by default, and the service's sessions have none."""
    frame = await stored(storage, database, storage_mode, MANY)
    update = "UPDATE market_stock_hist_bars_min_ts SET volume = volume + 1"
    async with storage.owner.connection() as other:
        await other.execute("SET timescaledb.max_tuples_decompressed_per_dml_transaction = 100")
        with pytest.raises(pg.ConfigurationLimitExceeded):
            await other.execute(update)
        await other.execute("RESET timescaledb.max_tuples_decompressed_per_dml_transaction")
    async with storage.pools.query() as own:
        cursor = await own.execute("SHOW timescaledb.max_tuples_decompressed_per_dml_transaction")
        assert await cursor.fetchone() == ("0",)
    assert (await storage.writer.commit_bars(half_revised(frame), MINUTE)).revised == MANY // 2


async def test_size_given_compressed_chunks_tells_both_sizes_and_the_rows(
    storage: Storage, database: ServerAddress, storage_mode: StorageMode
) -> None:
    """Of many symbols a day; of one alone a chunk's pages would be all that is measured."""
    await settle_columnstore(database, storage_mode)
    symbols = tuple(f"S{number:02}" for number in range(40))
    await create_symbols(storage, *symbols)
    for symbol in symbols:
        await storage.writer.commit_bars(minute_bars(symbol, FEW), MINUTE)
    await fetch(storage, COMPRESS)
    async with tables_held(storage.pools) as connection:
        size = await read_table_size(connection, MINUTE)
    assert (size.partitions, size.compressed, size.rows) == (2, 2, 40 * FEW)
    assert size.bytes_before > 2 * size.bytes_after > 0


async def test_size_given_seeded_minutes_is_three_times_less(
    storage: Storage, database: ServerAddress, storage_mode: StorageMode
) -> None:
    """Prices of cents as float64, and a vwap of seven decimals: what a market's minutes are like."""
    await settle_columnstore(database, storage_mode)
    for frame in seeded_minutes(symbols=100, sessions=1, vwap_decimals=7):
        await create_symbols(storage, *frame.symbols)
        await storage.writer.commit_bars(frame, MINUTE)
    await fetch(storage, COMPRESS)
    async with tables_held(storage.pools) as connection:
        size = await read_table_size(connection, MINUTE)
    assert (size.rows, size.compressed, size.partitions) == (100 * 390, 1, 1)
    assert size.bytes_before >= 3 * size.bytes_after


@pytest.mark.parametrize(
    "change", ["late bars", "few corrections", "many corrections", "deleted, again"]
)
async def test_policy_given_late_changes_of_compressed_chunks_compresses_them_again(
    storage: Storage, database: ServerAddress, storage_mode: StorageMode, change: str
) -> None:
    """A changed chunk is marked, which is its place in the queue; the next run leaves no row outside.

    Counts and bars are right before and after it (timescaledb #9049: nothing compressed them again).
    """
    frame = await stored(storage, database, storage_mode, MANY)
    expected = bars_of(frame)
    match change:
        case "late bars":
            await create_symbols(storage, "B")
            late = minute_bars("B", FEW, seed=5)
            await storage.writer.commit_bars(late, MINUTE)
            expected += bars_of(late)
        case "few corrections" | "many corrections":
            part = half_revised(frame.take(np.arange(FEW // 2 if change.startswith("few") else MANY)))
            await storage.writer.commit_bars(part, MINUTE)
            expected = await stored_bars(storage, MINUTE)
            assert sum(bar.revision for bar in expected) == len(part) // 2
        case _:
            first, last = int(frame.time_us[100]), int(frame.time_us[300])
            await storage.deleter.delete("A", MINUTE, TimeRange(first, last), "a bad morning")
            await storage.writer.commit_bars(frame, MINUTE)
    assert await stored_bars(storage, MINUTE) == expected
    assert await fetch(storage, COUNT) == [(len(expected),)]
    waiting = await fetch(storage, WAITING)
    assert waiting
    assert await rows_outside(storage, waiting) > 0
    ((call,),) = await fetch(storage, RUN_POLICY)
    async with storage.owner.connection() as connection:
        await connection.execute(call.encode())
    assert await fetch(storage, WAITING) == []
    assert await rows_outside(storage, waiting) == 0
    assert await stored_bars(storage, MINUTE) == expected
    assert await fetch(storage, COUNT) == [(len(expected),)]


async def rows_outside(storage: Storage, chunks: list[tuple[str]]) -> int:
    """Count the rows of chunks that are not in the columnstore."""
    total = 0
    for (chunk,) in chunks:
        name = sql.Identifier("_timescaledb_internal", chunk)
        ((count,),) = await fetch(storage, sql.SQL("SELECT count(*) FROM ONLY {}").format(name))
        total += count
    return total
