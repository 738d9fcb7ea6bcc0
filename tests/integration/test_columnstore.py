"""The columnstore and its policies follow the settings, idempotently, and only where there is one."""

from typing import Final

import pytest

from marketdata.domain.calendar_span import CalendarSpan
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_storage import BarStorage
from marketdata.storage.columnstore import settle_columnstore
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.modes import StorageMode
from tests.support.kept import store_minutes
from tests.support.rows import fetch
from tests.support.storage import Storage

MINUTE: Final = Timeframe.MINUTE_1
HYPERTABLES: Final = pytest.mark.modes("apache", "timescale", reason="hypertables")
COLUMNSTORE: Final = pytest.mark.modes("timescale", reason="the community edition's columnstore")
POLICIES: Final = """
    SELECT hypertable_name::text, (config ->> 'compress_after')::interval::text
      FROM timescaledb_information.jobs WHERE proc_name = 'policy_compression' ORDER BY 1
"""
COMPRESSED: Final = "SELECT is_compressed FROM bar_partitions('min')"
RUN_POLICY: Final = """
    SELECT format('CALL run_job(%s)', job_id) FROM timescaledb_information.jobs
     WHERE proc_name = 'policy_compression' AND hypertable_name = 'market_stock_hist_bars_min_ts'
"""


@COLUMNSTORE
async def test_settle_given_a_new_database_sets_columnstore_and_policies(
    database: ServerAddress, storage: Storage, storage_mode: StorageMode
) -> None:
    """A policy a table with the age of the settings; a second run finds nothing to do."""
    changed = await settle_columnstore(database, storage_mode)
    assert len(changed) == 6
    assert await settle_columnstore(database, storage_mode) == []
    assert await fetch(storage, POLICIES) == [
        ("market_stock_hist_bars_day_ts", "30 days"),
        ("market_stock_hist_bars_hour_ts", "7 days"),
        ("market_stock_hist_bars_min_ts", "1 day"),
    ]


@COLUMNSTORE
async def test_settle_given_another_age_replaces_the_policy(
    database: ServerAddress, storage: Storage, storage_mode: StorageMode
) -> None:
    """The tenth time as well: a prepared ALTER would be skipped without a word."""
    await settle_columnstore(database, storage_mode)
    for count in range(2, 12):
        await BarStorage(storage.pools).change(MINUTE, compress_after=CalendarSpan(days=count))
        assert await settle_columnstore(database, storage_mode) == ["1m: compression policy"]
    assert ("market_stock_hist_bars_min_ts", "11 days") in await fetch(storage, POLICIES)


@COLUMNSTORE
async def test_policy_given_an_old_chunk_compresses_it(
    database: ServerAddress, storage: Storage, storage_mode: StorageMode
) -> None:
    """What is older than the settings say is compressed when the policy runs, and the rest is not."""
    await settle_columnstore(database, storage_mode)
    await BarStorage(storage.pools).change(MINUTE, compress_after=CalendarSpan(days=7))
    await settle_columnstore(database, storage_mode)
    await store_minutes(storage, "A", 20, 2)
    ((call,),) = await fetch(storage, RUN_POLICY)
    async with storage.owner.connection() as connection:
        await connection.execute(call.encode())
    assert await fetch(storage, COMPRESSED) == [(True,), (False,)]


@HYPERTABLES
async def test_settle_given_another_interval_makes_new_chunks_of_it(
    database: ServerAddress, storage: Storage, storage_mode: StorageMode
) -> None:
    """Chunks that are there stay as they are."""
    await settle_columnstore(database, storage_mode)
    await store_minutes(storage, "A", 40)
    await BarStorage(storage.pools).change(MINUTE, interval=CalendarSpan(days=7))
    assert await settle_columnstore(database, storage_mode) == ["1m: interval of new chunks"]
    await store_minutes(storage, "B", 20)
    spans = "SELECT extract(day FROM range_end - range_start)::int FROM bar_partitions('min')"
    assert await fetch(storage, spans) == [(1,), (7,)]


@pytest.mark.modes("plain", "apache", reason="no columnstore")
async def test_settle_given_no_columnstore_leaves_the_tables_alone(
    database: ServerAddress, storage_mode: StorageMode
) -> None:
    """Nothing is asked of an edition that would refuse it."""
    assert await settle_columnstore(database, storage_mode) == []
