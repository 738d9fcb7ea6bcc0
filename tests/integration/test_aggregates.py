"""Bars counted by day ahead of time: statistics are the same with and without it, whatever happens."""

import random
from typing import Final

import pytest
from psycopg import errors as pg

from marketdata.config import Settings
from marketdata.database import migrate_database
from marketdata.domain.bar_statistics import TimeframeStatistics
from marketdata.domain.calendar_span import CalendarSpan
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.address import DatabaseRoles
from marketdata.storage.aggregates import settle_aggregates
from marketdata.storage.bar_storage import BarStorage
from marketdata.storage.columnstore import settle_columnstore
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.modes import StorageMode
from marketdata.storage.retention import Retention
from marketdata.storage.statistics import StatisticsReader
from tests.support.bars import days, frame_of, series
from tests.support.databases import Databases, connected
from tests.support.kept import BARS_A_DAY, midnight_us, store_minutes
from tests.support.privileges import as_service
from tests.support.rows import TABLES, fetch
from tests.support.storage import Storage
from tests.support.symbols import create_symbols

AGGREGATES: Final = pytest.mark.modes("timescale", reason="continuous aggregates")

MINUTE: Final = Timeframe.MINUTE_1
FIRST_DAY: Final = 19_730
DAYS: Final = 6
BARS: Final = 400
SYMBOLS: Final = ("A", "B")
REFRESH: Final = "CALL refresh_continuous_aggregate('bar_statistics_min', NULL, '2024-02-01 00:00+00')"
COMPRESS: Final = """
    SELECT count(compress_chunk(chunk, if_not_compressed => true))
      FROM show_chunks('market_stock_hist_bars_min_ts') AS chunk
"""
DROP_OLDEST: Final = """
    SELECT drop_chunks('market_stock_hist_bars_min_ts', older_than => min(range_end))
      FROM timescaledb_information.chunks WHERE hypertable_name = 'market_stock_hist_bars_min_ts'
"""
TRUTH: Final = """
    SELECT count(*), count(DISTINCT symbol), (extract(epoch FROM min(time)) * 1000000)::bigint,
           (extract(epoch FROM max(time)) * 1000000)::bigint
      FROM market_stock_hist_bars_min_ts
"""
POLICIES: Final = """
    SELECT hypertable_name::text, config ->> 'start_offset', config ->> 'end_offset'
      FROM timescaledb_information.jobs WHERE proc_name = 'policy_refresh_continuous_aggregate'
     ORDER BY 1
"""
COMPRESSION_POLICIES: Final = """
    SELECT hypertable_name FROM timescaledb_information.jobs WHERE proc_name = 'policy_compression'
"""
RUN_POLICY: Final = """
    SELECT format('CALL run_job(%s)', job_id) FROM timescaledb_information.jobs
     WHERE proc_name = 'policy_refresh_continuous_aggregate' AND hypertable_name = 'bar_statistics_min'
"""
SOURCES: Final = """
    SELECT view_name::text, hypertable_name::text FROM timescaledb_information.continuous_aggregates
"""
KNOWN_DAYS: Final = """
    SELECT (extract(epoch FROM day) * 1000000)::bigint, bars, symbols,
           (extract(epoch FROM first_time) * 1000000)::bigint,
           (extract(epoch FROM last_time) * 1000000)::bigint FROM bar_statistics_min ORDER BY 1
"""


async def settle(database: ServerAddress, mode: StorageMode) -> None:
    """Bring the database to what migrations leave."""
    await settle_columnstore(database, mode)
    await settle_aggregates(database, mode)


async def fill(storage: Storage) -> None:
    """Store six days of two symbols."""
    await create_symbols(storage, *SYMBOLS)
    for symbol in SYMBOLS:
        for day in range(FIRST_DAY, FIRST_DAY + DAYS):
            await store(storage, symbol, day)


async def store(storage: Storage, symbol: str, day: int, price: float = 10.0) -> None:
    """Store, or correct, the minutes of a symbol's day."""
    bars = series(symbol, MINUTE, days(day) + days(0.5), BARS, price)
    await storage.writer.commit_bars(frame_of(bars), MINUTE)


async def run(storage: Storage, call: str) -> None:
    """Run what must not stand in a transaction."""
    async with storage.owner.connection() as connection:
        await connection.execute(call.encode(), prepare=False)


async def run_policy(storage: Storage) -> None:
    """Let the policy of the minutes run, as its worker does every hour."""
    ((call,),) = await fetch(storage, RUN_POLICY)
    await run(storage, call)


async def minutes(storage: Storage, **options: int) -> TimeframeStatistics:
    """Ask for the statistics of the minutes."""
    (found,) = await StatisticsReader(storage.pools, **options).of_all()
    return found


async def assert_true(storage: Storage) -> None:
    """Hold the statistics to what is stored."""
    found = await minutes(storage)
    assert not found.is_estimate
    assert [(found.rows, found.symbols, found.first_us, found.last_us)] == await fetch(storage, TRUTH)


async def is_counted_ahead(storage: Storage) -> bool:
    """Whether nothing has to be counted: where nothing may be, the rest would be an estimate."""
    return not (await minutes(storage, most_counted_bytes=0)).is_estimate


@AGGREGATES
async def test_settle_given_a_new_database_makes_aggregates_and_policies(
    database: ServerAddress, storage: Storage, storage_mode: StorageMode
) -> None:
    """One a table, directly on it, back to the first bar; a second run finds nothing to do."""
    assert len(await settle_aggregates(database, storage_mode)) == 6
    assert await settle_aggregates(database, storage_mode) == []
    assert await fetch(storage, POLICIES) == [
        ("bar_statistics_day", None, "1 day"),
        ("bar_statistics_hour", None, "1 day"),
        ("bar_statistics_min", None, "1 day"),
    ]
    assert dict(await fetch(storage, SOURCES)) == {
        "bar_statistics_day": TABLES[Timeframe.DAY_1],
        "bar_statistics_hour": TABLES[Timeframe.HOUR_1],
        "bar_statistics_min": TABLES[MINUTE],
    }


@AGGREGATES
async def test_migrate_given_an_empty_database_settles_all_of_it(databases: Databases) -> None:
    """What `marketdata migrate` or the start of a service leaves: both kinds of policies, once."""
    owner = databases.empty()
    roles = DatabaseRoles(service=lambda: owner, owner=lambda: owner)
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    assert await migrate_database(roles, settings)
    with connected(owner) as connection:
        assert len(connection.execute(POLICIES).fetchall()) == 3
        assert len(connection.execute(COMPRESSION_POLICIES).fetchall()) == 3
    assert await migrate_database(roles, settings) == []
    databases.drop(owner)


@pytest.mark.modes("plain", "apache", reason="no continuous aggregates")
async def test_settle_given_no_aggregates_makes_none(
    database: ServerAddress, storage_mode: StorageMode
) -> None:
    """Nothing is asked of an edition that would refuse it."""
    assert await settle_aggregates(database, storage_mode) == []


@AGGREGATES
async def test_settle_given_confirmed_retention_refreshes_no_further_back(
    database: ServerAddress, storage: Storage, storage_mode: StorageMode
) -> None:
    """A refresh behind it would forget days whose bars were dropped."""
    await settle(database, storage_mode)
    await store_minutes(storage, "A", 20, 4)
    settings = BarStorage(storage.pools)
    await settings.change(MINUTE, keep=CalendarSpan(days=7))
    await settings.confirm_retention(MINUTE, CalendarSpan(days=7))
    assert await settle_aggregates(database, storage_mode) == ["1m: policy of the count by day"]
    assert await settle_aggregates(database, storage_mode) == []
    assert ("bar_statistics_min", "7 days", "1 day") in await fetch(storage, POLICIES)
    await run_policy(storage)
    assert [row[0] for row in await fetch(storage, KNOWN_DAYS)] == [midnight_us(4)]
    assert (await minutes(storage)).rows == 2 * BARS_A_DAY
    await assert_true(storage)


@AGGREGATES
async def test_settle_given_bars_dropped_and_more_kept_refreshes_what_was_not_dropped(
    database: ServerAddress, storage: Storage, storage_mode: StorageMode
) -> None:
    """Longer than what is left of the bars is no reason to forget the days of those that are gone."""
    await settle(database, storage_mode)
    await store_minutes(storage, "A", 20, 12, 4)
    await run_policy(storage)
    settings = BarStorage(storage.pools)
    await settings.change(MINUTE, keep=CalendarSpan(days=7))
    await settings.confirm_retention(MINUTE, CalendarSpan(days=7))
    assert (await Retention(storage.pools).apply(MINUTE, "old")).rows == 2 * BARS_A_DAY
    await settings.change(MINUTE, keep=CalendarSpan(months=6))
    await settle_aggregates(database, storage_mode)
    assert await settle_aggregates(database, storage_mode) == []
    await run_policy(storage)
    known = [row[0] for row in await fetch(storage, KNOWN_DAYS)]
    assert known == [midnight_us(20), midnight_us(12), midnight_us(4)]
    assert (await minutes(storage)).rows == BARS_A_DAY
    await assert_true(storage)


@AGGREGATES
async def test_policy_given_old_and_new_days_counts_the_old_ones(
    database: ServerAddress, storage: Storage, storage_mode: StorageMode
) -> None:
    """Up to the day before yesterday; with what is counted now the figures are those of all."""
    await settle(database, storage_mode)
    await store_minutes(storage, "A", 400, 9, 2, 0)
    await store_minutes(storage, "B", 9)
    await run_policy(storage)
    minute_us = MINUTE.duration_us
    assert await fetch(storage, KNOWN_DAYS) == [
        (day, bars, symbols, day, day + (BARS_A_DAY - 1) * minute_us)
        for day, bars, symbols in (
            (midnight_us(400), BARS_A_DAY, 1),
            (midnight_us(9), 2 * BARS_A_DAY, 2),
            (midnight_us(2), BARS_A_DAY, 1),
        )
    ]
    await assert_true(storage)


@AGGREGATES
async def test_statistics_given_days_counted_ahead_do_not_count_them(
    database: ServerAddress, storage: Storage, storage_mode: StorageMode
) -> None:
    """The same figures as by counting; before the first refresh nothing is known."""
    await settle(database, storage_mode)
    await fill(storage)
    counted = await minutes(storage)
    assert not await is_counted_ahead(storage)
    await run(storage, REFRESH)
    assert await minutes(storage, most_counted_bytes=0) == counted
    assert counted.rows == DAYS * BARS * len(SYMBOLS)


@AGGREGATES
@pytest.mark.parametrize("is_compressed", [False, True], ids=["rows", "columns"])
@pytest.mark.parametrize(
    "change", ["late bars", "corrections", "deletion", "all of a symbol deleted", "chunk dropped"]
)
async def test_statistics_given_a_late_change_are_right_at_once(
    database: ServerAddress,
    storage: Storage,
    storage_mode: StorageMode,
    change: str,
    *,
    is_compressed: bool,
) -> None:
    """Before and after the next refresh; meanwhile the changed days are counted, not taken as known."""
    await settle(database, storage_mode)
    await fill(storage)
    await run(storage, REFRESH)
    if is_compressed:
        await fetch(storage, COMPRESS)
    match change:
        case "late bars":
            await create_symbols(storage, "LATE")
            await store(storage, "LATE", FIRST_DAY + 2)
        case "corrections":
            await store(storage, "A", FIRST_DAY + 2, 11.0)
        case "deletion":
            within = TimeRange(days(FIRST_DAY + 2.5), days(FIRST_DAY + 2.6))
            assert (await storage.deleter.delete("A", MINUTE, within, "bad")).deleted == 144
        case "all of a symbol deleted":
            await storage.symbol_deleter.delete("A", force=True)
        case _:
            await fetch(storage, DROP_OLDEST)
    assert not await is_counted_ahead(storage)
    await assert_true(storage)
    await run(storage, REFRESH)
    assert await is_counted_ahead(storage)
    await assert_true(storage)


@AGGREGATES
@pytest.mark.parametrize("until", ["'2024-02-01 00:00+00'", "NULL"], ids=["a day", "the end"])
async def test_statistics_given_bars_behind_the_last_refresh_are_right_at_once(
    database: ServerAddress, storage: Storage, storage_mode: StorageMode, until: str
) -> None:
    """Nothing is noted of what comes behind the refreshed days; it is counted."""
    await settle(database, storage_mode)
    await fill(storage)
    await run(storage, REFRESH.replace("'2024-02-01 00:00+00'", until))
    await store(storage, "A", 19_800)
    assert not await is_counted_ahead(storage)
    await assert_true(storage)


@AGGREGATES
async def test_statistics_given_any_order_of_changes_are_right_after_each(
    database: ServerAddress, storage: Storage, storage_mode: StorageMode
) -> None:
    """Writes, corrections, deletions, drops, compressions and refreshes as they come."""
    await settle(database, storage_mode)
    await create_symbols(storage, *SYMBOLS)
    chance = random.Random(11)  # noqa: S311 -- no secret
    for _ in range(40):
        symbol, day = chance.choice(SYMBOLS), FIRST_DAY + chance.randrange(DAYS)
        match chance.randrange(8):
            case 0 | 1 | 2:
                await store(storage, symbol, day, chance.choice([10.0, 11.0]))
            case 3:
                within = TimeRange(days(day), days(day + chance.choice([0.6, 1, 3])))
                await storage.deleter.delete(symbol, MINUTE, within, "bad")
            case 4:
                await fetch(storage, DROP_OLDEST)
            case 5:
                await fetch(storage, COMPRESS)
            case 6:
                await run(storage, REFRESH)
            case _:
                until = f"to_timestamp({(day + 1) * 86_400})"
                await run(storage, REFRESH.replace("'2024-02-01 00:00+00'", until))
        lines = await StatisticsReader(storage.pools).of_all()
        found = [(line.rows, line.symbols) for line in lines] or [(0, 0)]
        assert found == [row[:2] for row in await fetch(storage, TRUTH)]
        assert not any(line.is_estimate for line in lines)


@AGGREGATES
async def test_service_given_aggregates_can_only_read_them(
    database: ServerAddress, storage: Storage, storage_mode: StorageMode
) -> None:
    """It changes bars of days that were counted; it can neither change the counts nor their policy."""
    await settle(database, storage_mode)
    await fill(storage)
    await run(storage, REFRESH)
    with as_service(database) as service:
        assert len(service.execute(KNOWN_DAYS).fetchall()) == DAYS
        service.execute("DELETE FROM market_stock_hist_bars_min_ts WHERE symbol = 'A'")
        service.execute("UPDATE market_stock_hist_bars_min_ts SET volume = 1 WHERE symbol = 'B'")
        for statement in (
            b"DELETE FROM bar_statistics_min",
            b"DROP MATERIALIZED VIEW bar_statistics_min",
            b"SELECT remove_continuous_aggregate_policy('bar_statistics_min')",
        ):
            with pytest.raises(pg.InsufficientPrivilege), service.transaction():
                service.execute(statement)
