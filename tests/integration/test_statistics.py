"""What is stored, counted: the same figures in every storage mode, exact or said to be an estimate."""

from dataclasses import replace
from typing import Final

import pytest

from marketdata.domain.bar_statistics import TimeframeStatistics
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.columnstore import settle_columnstore
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.modes import StorageMode
from marketdata.storage.statistics import StatisticsReader
from tests.benchmarks.synthetic import MINUTES_A_SESSION, minute_bars
from tests.support.bars import days, frame_of, series
from tests.support.rows import TABLES, fetch
from tests.support.storage import Storage
from tests.support.symbols import create_symbols

MINUTE: Final = Timeframe.MINUTE_1
SESSIONS: Final = 3
SYMBOLS: Final = tuple(f"S{number:02}" for number in range(20))
BARS: Final = SESSIONS * MINUTES_A_SESSION * len(SYMBOLS)
ANALYZE: Final = "ANALYZE market_stock_hist_bars_min_ts"
COMPRESS: Final = """
    SELECT count(compress_chunk(chunk, if_not_compressed => true))::int
      FROM show_chunks('market_stock_hist_bars_min_ts') AS chunk
"""
SIZE: Final = """
    SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits
     WHERE inhparent = 'market_stock_hist_bars_min_ts'::regclass
"""


@pytest.fixture
async def filled(storage: Storage) -> Storage:
    """Store three sessions of minutes of twenty symbols."""
    await create_symbols(storage, *SYMBOLS)
    for symbol in SYMBOLS:
        await storage.writer.commit_bars(minute_bars(symbol, SESSIONS * MINUTES_A_SESSION), MINUTE)
    return storage


async def estimated(storage: Storage) -> TimeframeStatistics:
    """Ask as if counting would take too long."""
    (found,) = await StatisticsReader(storage.pools, most_counted_bytes=0).of_all()
    assert found.is_estimate
    return found


async def test_of_all_given_bars_counts_them_without_statistics_of_the_database(
    filled: Storage,
) -> None:
    """Nobody has analyzed the partitions: rows, symbols, ends and sizes are exact all the same."""
    (found,) = await filled.statistics.of_all()
    first, last = minute_bars("S", SESSIONS * MINUTES_A_SESSION).time_bounds()
    (size,) = (await fetch(filled, SIZE))[0]
    assert found == TimeframeStatistics(
        MINUTE, BARS, len(SYMBOLS), first, last, size_bytes=size, partitions=SESSIONS
    )


@pytest.mark.parametrize("is_analyzed", [False, True], ids=["never analyzed", "analyzed"])
async def test_of_all_given_too_much_to_count_says_that_it_estimates(
    filled: Storage, *, is_analyzed: bool
) -> None:
    """Near the truth in either case; what is not estimated stays exact."""
    if is_analyzed:
        await fetch(filled, ANALYZE)
    (exact,) = await filled.statistics.of_all()
    found = await estimated(filled)
    assert abs(found.rows - BARS) < BARS * 0.1
    assert replace(found, rows=BARS, is_estimate=False) == exact


async def test_of_all_given_bars_since_the_last_analyze_estimates_them_too(filled: Storage) -> None:
    """What a page held then, times the pages of now: as the planner does it."""
    await fetch(filled, ANALYZE)
    await create_symbols(filled, "LATE")
    # As many again in the first of the three partitions.
    bars = series("LATE", MINUTE, minute_bars("S", 1).time_bounds()[0] // days(1) * days(1), 1_400)
    for number in range(6):
        await create_symbols(filled, f"L{number}")
        late = [bar._replace(symbol=f"L{number}") for bar in bars]
        await filled.writer.commit_bars(frame_of(late), MINUTE)
    found = await estimated(filled)
    assert abs(found.rows - BARS - 8_400) < BARS * 0.1


async def test_of_all_given_the_first_bars_deleted_tells_the_first_that_is_left(
    filled: Storage,
) -> None:
    """A partition that has become empty is passed over."""
    first, last = minute_bars("S", SESSIONS * MINUTES_A_SESSION).time_bounds()
    midnight = first // days(1) * days(1) + days(1)
    for symbol in SYMBOLS:
        await filled.deleter.delete(symbol, MINUTE, TimeRange(first, midnight), "gone")
    (found,) = await filled.statistics.of_all()
    assert (found.rows, found.partitions) == (BARS * 2 // 3, SESSIONS)
    assert (found.first_us, found.last_us) == (first + days(1), last)


async def test_of_all_given_three_tables_tells_each_its_own(storage: Storage) -> None:
    """In the order of the timeframes; none takes another's partitions."""
    await create_symbols(storage, "A")
    counts = {MINUTE: 3, Timeframe.HOUR_1: 4, Timeframe.DAY_1: 40}
    for timeframe, count in counts.items():
        await storage.writer.commit_bars(
            frame_of(series("A", timeframe, days(20_010), count)), timeframe
        )
    found = await storage.statistics.of_all()
    assert {line.timeframe: line.rows for line in found} == counts
    assert [line.partitions for line in found] == [1, 1, 2]
    for line in found:
        size = SIZE.replace(TABLES[MINUTE], TABLES[line.timeframe]).encode()
        assert (await fetch(storage, size)) == [(line.size_bytes,)]  # type: ignore[arg-type]


@pytest.mark.modes("plain", "apache", reason="no columnstore")
async def test_of_all_given_no_columnstore_tells_no_compression(filled: Storage) -> None:
    """Nothing is asked of an edition that would refuse it."""
    (found,) = await filled.statistics.of_all()
    assert found.compressed_partitions == 0
    assert (found.bytes_before_compression, found.bytes_after_compression) == (0, 0)


@pytest.mark.modes("timescale", reason="the community edition's columnstore")
async def test_of_all_given_compressed_chunks_tells_both_sizes(
    filled: Storage, database: ServerAddress, storage_mode: StorageMode
) -> None:
    """The columnstore's own figures; on disk a chunk keeps the pages of an empty index beside."""
    (before,) = await filled.statistics.of_all()
    await settle_columnstore(database, storage_mode)
    assert await fetch(filled, COMPRESS) == [(SESSIONS,)]
    (after,) = await filled.statistics.of_all()
    assert (after.rows, after.partitions, after.compressed_partitions) == (BARS, SESSIONS, SESSIONS)
    assert after.bytes_before_compression == before.size_bytes
    assert 0 < after.bytes_after_compression <= after.size_bytes < before.size_bytes / 2
    # What was compressed was counted then.
    assert (await estimated(filled)).rows == BARS


async def test_of_all_given_every_bar_deleted_tells_nothing(filled: Storage) -> None:
    """Partitions are left, and no timeframe has bars."""
    first, last = minute_bars("S", SESSIONS * MINUTES_A_SESSION).time_bounds()
    for symbol in SYMBOLS:
        await filled.deleter.delete(symbol, MINUTE, TimeRange(first, last + 1), "gone")
    assert await filled.statistics.of_all() == []
    assert await fetch(filled, "SELECT count(*)::int FROM bar_partitions('min')") == [(SESSIONS,)]
