"""2,500 partitions: ten years of days, in which every answer is what it is in one.

The statements are those of the service's pools, which prepare each at its second run. Run often enough
to be prepared, they answer the same bars, in every storage mode, in rows and in columns. One test:
making so many partitions takes longer than all the rest.
"""

from typing import Final

import numpy as np
import pytest

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bar_statistics import TimeframeStatistics
from marketdata.domain.bars import BarColumn, BarFlag, BarFrame, full_columns
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.columnstore import settle_columnstore
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.modes import StorageMode
from marketdata.storage.statistics import StatisticsReader
from tests.support.bars import MANUAL_FEED, Bar, bars_of, days, frame_of
from tests.support.reads import read_in_bulk
from tests.support.rows import fetch, partitions
from tests.support.storage import Storage
from tests.support.symbols import create_symbols

MINUTE: Final = Timeframe.MINUTE_1
FIRST_DAY: Final = 17_000
DAYS: Final = 2_500
SYMBOLS: Final = ("A", "B")
# A statement is prepared at its second run, and first used as prepared at its third.
RUNS: Final = 3
PREPARED: Final = """
    SELECT count(*)::int FROM pg_prepared_statements
     WHERE statement LIKE '%market_stock_hist_bars_min_ts%' AND generic_plans + custom_plans > 1
"""
# Not all at once: each is locked until its transaction ends.
COMPRESS: Final = """
    SELECT count(compress_chunk(chunk))::int
      FROM (SELECT format('%%I.%%I', chunk_schema, chunk_name)::regclass AS chunk
              FROM timescaledb_information.chunks
             WHERE hypertable_name = 'market_stock_hist_bars_min_ts' AND NOT is_compressed
             ORDER BY range_start LIMIT %s) AS part
"""
COMPRESSED_AT_ONCE: Final = 250


def frame(symbol: str) -> BarFrame:
    """Make a bar a day, each with a price of its own."""
    numbers = np.arange(DAYS, dtype=np.int64)
    given = {
        BarColumn.TIME: numbers * days(1) + days(FIRST_DAY + 0.5),
        BarColumn.CLOSE: numbers / 100 + SYMBOLS.index(symbol),
        BarColumn.FEED: np.full(DAYS, MANUAL_FEED),
        BarColumn.FLAGS: np.full(DAYS, int(BarFlag.FINAL)),
    }
    return BarFrame((symbol,), **full_columns(DAYS, given))


def within(day_from: int, day_to: int) -> TimeRange:
    """Make a range of days from the first stored one."""
    return TimeRange(days(FIRST_DAY + day_from), days(FIRST_DAY + day_to))


async def answer(storage: Storage, query: BarQuery) -> list[Bar]:
    """Read a query to its end."""
    found = await read_in_bulk(storage, query)
    return [bar for block in found.frames for bar in bars_of(block)]


async def assert_reads(storage: Storage, stored: dict[str, list[Bar]]) -> None:
    """Hold every kind of read to the bars that are stored."""
    everything = within(0, DAYS)
    newest = {symbol: bars[-1] for symbol, bars in stored.items()}
    assert await answer(storage, BarQuery(("A",), MINUTE, everything)) == stored["A"]
    backwards = BarQuery(("B",), MINUTE, everything, descending=True)
    assert await answer(storage, backwards) == stored["B"][::-1]
    last = BarQuery(SYMBOLS, MINUTE, everything, limit=3)
    assert await answer(storage, last) == [bar for bars in stored.values() for bar in bars[-3:]]
    few = [bar for bars in stored.values() for bar in bars if 1_200 <= day_of(bar) < 1_203]
    assert await answer(storage, BarQuery(SYMBOLS, MINUTE, within(1_200, 1_203))) == few
    by_time = BarQuery(SYMBOLS, MINUTE, within(1_200, 1_203), by_time=True)
    assert await answer(storage, by_time) == sorted(few, key=lambda bar: (bar.time_us, bar.symbol))
    page = await storage.reader.read_page(BarQuery(("B",), MINUTE, within(700, DAYS)), 5)
    assert page.frame.time_us.tolist() == [bar.time_us for bar in stored["B"][700:705]]
    assert page.frame.close.tolist() == [bar.close for bar in stored["B"][700:705]]
    latest = await storage.latest.read_many(SYMBOLS, MINUTE)
    assert {row.symbol: row.time_us for row in latest.bars} == {
        symbol: bar.time_us for symbol, bar in newest.items()
    }
    counted = TimeframeStatistics(
        MINUTE, len(stored["A"]), 1, stored["A"][0].time_us, newest["A"].time_us
    )
    assert await storage.statistics.of_symbol("A") == [counted]


async def assert_counts(storage: Storage, stored: dict[str, list[Bar]]) -> None:
    """Hold what is told of the whole table to what is stored."""
    # Compressed, a bar alone in its chunk takes more pages than are counted otherwise.
    (of_all,) = await StatisticsReader(storage.pools, most_counted_bytes=2**30).of_all()
    assert (of_all.rows, of_all.is_estimate) == (sum(map(len, stored.values())), False)
    assert (of_all.partitions, of_all.symbols) == (DAYS, len(SYMBOLS))


async def assert_changes(storage: Storage, stored: dict[str, list[Bar]], run: int) -> None:
    """Correct, delete and store again, in partitions far apart; the bars are as before but for one."""
    again = await storage.writer.commit_bars(frame_of(stored["B"][900:905]), MINUTE)
    assert (again.unchanged, again.accepted, again.revised) == (5, 0, 0)
    corrected = stored["A"][run]._replace(high=99.0)
    assert (await storage.writer.commit_bars(frame_of([corrected]), MINUTE)).revised == 1
    stored["A"][run] = corrected._replace(revision=corrected.revision + 1)
    gone = await storage.deleter.delete("B", MINUTE, within(1_800, 1_802), "bad")
    assert gone.deleted == 2
    back = await storage.writer.commit_bars(frame_of(stored["B"][1_799:1_803]), MINUTE)
    assert (back.unchanged, back.accepted) == (2, 2)


def day_of(bar: Bar) -> int:
    """Tell the day of a bar from the first stored one."""
    return bar.time_us // days(1) - FIRST_DAY


@pytest.mark.timeout(300)
async def test_prepared_statements_given_2500_partitions_answer_what_is_stored(
    storage: Storage, database: ServerAddress, storage_mode: StorageMode
) -> None:
    """Read, counted, corrected and deleted, again and again; and once more when all are compressed."""
    await create_symbols(storage, *SYMBOLS)
    stored = {symbol: bars_of(frame(symbol)) for symbol in SYMBOLS}
    for symbol in SYMBOLS:
        await storage.writer.commit_bars(frame(symbol), MINUTE)
    assert len(await partitions(storage, MINUTE)) == DAYS
    for run in range(RUNS):
        await assert_reads(storage, stored)
        await assert_changes(storage, stored, run)
    await assert_counts(storage, stored)
    async with storage.pools.query() as connection:
        ((prepared,),) = await (await connection.execute(PREPARED)).fetchall()
    assert prepared > 0
    if storage_mode is StorageMode.TIMESCALE:
        await settle_columnstore(database, storage_mode)
        while (await fetch(storage, COMPRESS, [COMPRESSED_AT_ONCE])) != [(0,)]:
            pass
        for run in range(RUNS):
            await assert_reads(storage, stored)
            await assert_changes(storage, stored, RUNS + run)
        await assert_counts(storage, stored)
