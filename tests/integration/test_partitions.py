"""Partitions, or chunks: where their bounds lie, and when they are made."""

import asyncio
from typing import Final

import numpy as np
import pytest
from psycopg import errors as pg
from psycopg import sql

from marketdata.domain.bars import BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_tables import partition_starts
from marketdata.storage.modes import StorageMode
from marketdata.storage.partitions import Partitions
from tests.support.bars import Bar, days, frame_of, series
from tests.support.rows import TABLES, Partition, fetch, partitions, stored_bars
from tests.support.storage import Storage

MADE_BY_THE_SERVICE: Final = pytest.mark.modes("plain", reason="TimescaleDB makes chunks itself")

WIDTHS: Final = {Timeframe.MINUTE_1: days(1), Timeframe.HOUR_1: days(7), Timeframe.DAY_1: days(30)}
STORED = pytest.mark.parametrize("timeframe", list(WIDTHS), ids=lambda timeframe: timeframe.value)


def minutes(timeframe: Timeframe, *times_us: int) -> list[Bar]:
    """List a bar for each of these times, moved to what the timeframe is aligned to."""
    return [Bar("AAPL", time_us - time_us % timeframe.alignment_us) for time_us in times_us]


@STORED
async def test_commit_given_bars_around_a_bound_makes_the_partition_of_each(
    storage: Storage, timeframe: Timeframe
) -> None:
    """Partitions are 1, 7 and 30 days wide, counted from the epoch; the bound belongs to the later."""
    width = WIDTHS[timeframe]
    bound = days(20_160)  # a bound of all three grids
    bars = minutes(timeframe, bound - 1, bound, bound + 3 * width)
    await storage.writer.commit_bars(frame_of(bars), timeframe)
    made = await partitions(storage, timeframe)
    assert [(part.start_us, part.end_us) for part in made] == [
        (bound - width, bound), (bound, bound + width), (bound + 3 * width, bound + 4 * width),
    ]  # fmt: skip
    assert await stored_bars(storage, timeframe) == bars


async def test_commit_given_days_before_1970_makes_partitions_back_to_1900(storage: Storage) -> None:
    """The grid goes on below zero: the first and the last day a bar may have, and those at zero."""
    day = Timeframe.DAY_1
    bars = minutes(day, day.earliest_us, days(-30), days(-1), 0, day.latest_us - days(1))
    await storage.writer.commit_bars(frame_of(bars), day)
    starts = [part.start_us // days(1) for part in await partitions(storage, day)]
    assert starts == [-25_590, -30, 0, 47_460]
    assert await stored_bars(storage, day) == bars


@MADE_BY_THE_SERVICE
@STORED
async def test_ensure_given_partitions_that_exist_asks_the_database_no_more(
    storage: Storage, timeframe: Timeframe
) -> None:
    """A writer remembers what is there."""
    time_us = np.array([days(20_000)])
    await storage.partitions.ensure(timeframe, time_us)
    made = await partitions(storage, timeframe)
    requests = storage.pools.stats()["queries"]["requests_num"]
    await storage.partitions.ensure(timeframe, time_us)
    assert storage.pools.stats()["queries"]["requests_num"] == requests
    await Partitions(storage.pools).ensure(timeframe, time_us)
    assert await partitions(storage, timeframe) == made


@pytest.mark.usefixtures("any_path")
@STORED
async def test_commit_given_a_partition_dropped_behind_its_back_makes_it_again(
    storage: Storage, storage_mode: StorageMode, timeframe: Timeframe
) -> None:
    """What a writer remembers is no promise: the bars are stored all the same."""
    bars = series("AAPL", timeframe, days(21_000), 3)
    await storage.writer.commit_bars(frame_of(bars), timeframe)
    before = await partitions(storage, timeframe)
    await fetch(storage, drop(before[0], storage_mode))
    assert await partitions(storage, timeframe) == before[1:]
    result = await storage.writer.commit_bars(frame_of(bars), timeframe)
    assert result.accepted == 3
    # A chunk that is made again has another name.
    assert [part[1:] for part in await partitions(storage, timeframe)] == [part[1:] for part in before]
    assert await stored_bars(storage, timeframe) == bars


def drop(partition: Partition, mode: StorageMode) -> sql.Composed:
    """Compose a statement that drops a partition."""
    schema = "_timescaledb_internal" if mode.has_hypertables else "public"
    return sql.SQL("DROP TABLE {}").format(sql.Identifier(schema, partition.name))


@MADE_BY_THE_SERVICE
async def test_ensure_given_many_makers_at_once_makes_each_once(storage: Storage) -> None:
    """Processes that start with the same backfill do not stop each other."""
    times_us = np.arange(0, days(2_000), days(30))
    makers = [Partitions(storage.pools) for _ in range(8)]
    await asyncio.gather(*(maker.ensure(Timeframe.DAY_1, times_us) for maker in makers))
    made = await partitions(storage, Timeframe.DAY_1)
    assert [part.start_us for part in made] == times_us.tolist()


async def test_commit_given_a_new_partition_has_the_keys_of_its_table(
    storage: Storage, storage_mode: StorageMode
) -> None:
    """Each has the primary key (symbol, time); a chunk has its bound as a constraint beside it."""
    await storage.writer.commit_bars(frame_of([Bar("AAPL", days(20_000))]), Timeframe.MINUTE_1)
    (part,) = await partitions(storage, Timeframe.MINUTE_1)
    rows = await fetch(
        storage,
        """
        SELECT contype::text, pg_get_constraintdef(bound.oid) FROM pg_constraint AS bound
          JOIN pg_class AS class ON class.oid = conrelid
         WHERE relname = %s AND contype <> 'n' ORDER BY 1 DESC
        """,
        [part.name],
    )
    assert rows[0] == ("p", 'PRIMARY KEY (symbol, "time")')
    assert [kind for kind, _ in rows[1:]] == (["c"] if storage_mode.has_hypertables else [])


@MADE_BY_THE_SERVICE
async def test_ensure_given_a_partition_is_named_after_its_day(storage: Storage) -> None:
    """People find it by its name."""
    await storage.partitions.ensure(Timeframe.MINUTE_1, np.array([days(20_000)]))
    (part,) = await partitions(storage, Timeframe.MINUTE_1)
    assert part.name == f"{TABLES[Timeframe.MINUTE_1]}_p20241004"


@MADE_BY_THE_SERVICE
async def test_ensure_given_a_start_off_the_grid_is_refused(storage: Storage) -> None:
    """The function in the database holds every maker to the same grid."""
    with pytest.raises(pg.InvalidParameterValue, match="not the start of a partition"):
        await fetch(
            storage, "SELECT bar_partition_ensure('hour', ARRAY['2024-10-04 00:00+00'::timestamptz])"
        )


@MADE_BY_THE_SERVICE
async def test_ensure_given_readers_and_writers_waits_for_none(storage: Storage) -> None:
    """Open transactions that read or wrote the table do not stop a new partition."""
    day = Timeframe.DAY_1
    await storage.writer.commit_bars(frame_of([Bar("AAPL", days(20_000))]), day)
    async with storage.pools.query() as user, user.transaction():
        await user.execute("LOCK TABLE market_stock_hist_bars_day_ts IN ROW EXCLUSIVE MODE")
        await user.execute("SELECT * FROM market_stock_hist_bars_day_ts")
        async with asyncio.timeout(5):
            await storage.partitions.ensure(day, np.array([days(30_000)]))
    assert len(await partitions(storage, day)) == 2


@STORED
def test_partition_starts_given_any_times_covers_each(timeframe: Timeframe) -> None:
    """Every time lies within the partition of one of the starts, also before 1970."""
    rng = np.random.default_rng(3)
    times_us = rng.integers(timeframe.earliest_us, timeframe.latest_us, 500)
    starts = partition_starts(timeframe, times_us)
    assert starts == sorted(set(starts))
    floors = {time_us // WIDTHS[timeframe] * WIDTHS[timeframe] for time_us in times_us.tolist()}
    assert set(starts) == floors


def test_partition_starts_given_no_times_is_empty() -> None:
    """No bar needs no partition."""
    assert partition_starts(Timeframe.DAY_1, BarFrame.empty(()).time_us) == []
