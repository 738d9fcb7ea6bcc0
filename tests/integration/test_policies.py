"""Policies of the community edition after late changes to compressed chunks: traps known upstream.

Nothing schedules them here; their jobs are run by hand, as their workers do.
"""

from typing import Final

import pytest

from marketdata.domain.bars import BarFrame
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.aggregates import settle_aggregates
from marketdata.storage.columnstore import settle_columnstore
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.modes import StorageMode
from tests.benchmarks.synthetic import half_revised, minute_bars
from tests.support.rows import fetch
from tests.support.storage import Storage
from tests.support.symbols import create_symbols

pytestmark = pytest.mark.modes("timescale", reason="the community edition's policies")

MINUTE: Final = Timeframe.MINUTE_1
# Two sessions, below and above the number of rows from which the writer takes its other way.
FEW: Final = 400
MANY: Final = 780
JOB: Final = """
    SELECT format('CALL run_job(%%s)', job_id) FROM timescaledb_information.jobs
     WHERE proc_name = %s AND hypertable_name IN ('market_stock_hist_bars_min_ts', 'bar_statistics_min')
"""
COMPRESSION: Final = "policy_compression"
REFRESH: Final = "policy_refresh_continuous_aggregate"
# Bits of a chunk: compressed, and rows beside the compressed ones.
STATUS: Final = """
    SELECT DISTINCT status & 1 = 1, status & 8 = 8 FROM _timescaledb_catalog.chunk
     WHERE hypertable_id = (SELECT id FROM _timescaledb_catalog.hypertable
                             WHERE table_name = 'market_stock_hist_bars_min_ts')
"""
WHOLE: Final = [(True, False)]
PARTIAL: Final = [(True, True)]
COUNTED: Final = "SELECT day, bars, symbols FROM bar_statistics_min ORDER BY 1"
TRUTH: Final = """
    SELECT time_bucket(interval '1 day', time), count(*), count(DISTINCT symbol)
      FROM market_stock_hist_bars_min_ts GROUP BY 1 ORDER BY 1
"""


async def run_policy(storage: Storage, name: str) -> None:
    """Run the job of the minutes' policy, in no transaction."""
    ((call,),) = await fetch(storage, JOB, [name])
    async with storage.owner.connection() as connection:
        await connection.execute(str(call).encode(), prepare=False)


@pytest.fixture
async def compressed(storage: Storage, database: ServerAddress, storage_mode: StorageMode) -> BarFrame:
    """Store two sessions of a symbol, compressed and counted by their policies."""
    await settle_columnstore(database, storage_mode)
    await settle_aggregates(database, storage_mode)
    await create_symbols(storage, "A", "LATE")
    frame = minute_bars("A", MANY)
    await storage.writer.commit_bars(frame, MINUTE)
    await run_policy(storage, COMPRESSION)
    await run_policy(storage, REFRESH)
    assert await fetch(storage, STATUS) == WHOLE
    assert await fetch(storage, COUNTED) == await fetch(storage, TRUTH)
    return frame


async def change(storage: Storage, frame: BarFrame, what: str) -> None:
    """Do to compressed bars what the service does."""
    match what:
        case "few late bars":
            await storage.writer.commit_bars(minute_bars("LATE", FEW), MINUTE)
        case "many late bars":
            await storage.writer.commit_bars(minute_bars("LATE", MANY), MINUTE)
        case "corrections":
            await storage.writer.commit_bars(half_revised(frame), MINUTE)
        case _:
            within = TimeRange(int(frame.time_us[0]) + 1, int(frame.time_us[-1]))
            await storage.deleter.delete("A", MINUTE, within, "bad")


@pytest.mark.parametrize("what", ["few late bars", "many late bars", "corrections"])
async def test_compression_given_late_bars_compresses_their_chunks_again(
    storage: Storage, compressed: BarFrame, what: str
) -> None:
    """By the policy's next run, not before (timescaledb #9049): until then they lie beside the rest."""
    await change(storage, compressed, what)
    count = await fetch(storage, "SELECT count(*) FROM market_stock_hist_bars_min_ts")
    assert PARTIAL[0] in await fetch(storage, STATUS)
    await run_policy(storage, COMPRESSION)
    assert await fetch(storage, STATUS) == WHOLE
    assert await fetch(storage, "SELECT count(*) FROM market_stock_hist_bars_min_ts") == count


@pytest.mark.parametrize("what", ["few late bars", "many late bars", "corrections", "deletion"])
async def test_refresh_given_late_changes_of_compressed_chunks_counts_them(
    storage: Storage, compressed: BarFrame, what: str
) -> None:
    """By the policy's next run, whichever way they came (timescaledb #5455: never)."""
    before = await fetch(storage, COUNTED)
    await change(storage, compressed, what)
    truth = await fetch(storage, TRUTH)
    assert (truth != before) == (what != "corrections")
    await run_policy(storage, REFRESH)
    assert await fetch(storage, COUNTED) == truth
    await run_policy(storage, COMPRESSION)
    await run_policy(storage, REFRESH)
    assert await fetch(storage, COUNTED) == truth


async def test_refresh_given_an_insert_that_leaves_conflicts_counts_what_it_added(
    storage: Storage, compressed: BarFrame
) -> None:
    """As it was reported (#5455): INSERT ... ON CONFLICT DO NOTHING into a compressed chunk."""
    await fetch(
        storage,
        """
        INSERT INTO market_stock_hist_bars_min_ts
        SELECT known.symbol, bar.time, open, high, low, close, volume, vwap, trade_count, feed, flags,
               revision, write_id
          FROM market_stock_hist_bars_min_ts AS bar, unnest('{A,B}'::text[]) AS known (symbol)
            ON CONFLICT DO NOTHING
        """,
    )
    await run_policy(storage, REFRESH)
    counted = await fetch(storage, COUNTED)
    assert sum(bars for _, bars, _ in counted) == 2 * len(compressed)
    assert counted == await fetch(storage, TRUTH)
