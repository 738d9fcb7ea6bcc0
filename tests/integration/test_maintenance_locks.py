"""Maintenance of half a year of minutes under an open stream: who waits for whom, by pg_locks."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from marketdata.clock import SystemClock
from marketdata.domain.bar_query import BarQuery
from marketdata.domain.calendar_span import CalendarSpan
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage import retention as retention_module
from marketdata.storage.bar_storage import BarStorage
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.maintenance import Maintenance, Upkeep
from marketdata.storage.modes import StorageMode
from marketdata.storage.pools import Connection
from marketdata.storage.retention import BackOff, Retention
from marketdata.storage.stripes import lock_all_stripes
from tests.support.bars import Bar, frame_of
from tests.support.kept import midnight_us
from tests.support.many_minutes import BARS, DAYS, MINUTES_A_DAY, SYMBOLS, fill_half_a_year
from tests.support.reads import read_in_bulk
from tests.support.rows import fetch
from tests.support.storage import Storage, opened_storage
from tests.support.waiting import until

pytestmark = [
    pytest.mark.modes("plain", "apache", reason="transactions at once"),
    pytest.mark.timeout(300),
]

MINUTE: Final = Timeframe.MINUTE_1
KEPT: Final = CalendarSpan(days=170)
OLD: Final = DAYS - 170
YESTERDAY: Final = BarQuery(SYMBOLS[:1], MINUTE, TimeRange(midnight_us(1), midnight_us(0)))
BRIEF: Final = BackOff(attempts=3, first_seconds=0.01, most_seconds=0.02)
# Locks of the minutes, their partitions and chunks that somebody asked for and does not have yet, and
# what those who are in the way are there for.
WAITING: Final = """
    SELECT own.mode, asking.application_name,
           ARRAY(SELECT DISTINCT holding.application_name FROM pg_stat_activity AS holding
                  WHERE holding.pid = ANY (pg_blocking_pids(own.pid)) ORDER BY 1)
      FROM pg_locks AS own JOIN pg_stat_activity AS asking USING (pid)
     WHERE NOT own.granted AND asking.datname = current_database()
       AND (own.relation = 'market_stock_hist_bars_min_ts'::regclass
            OR own.relation IN (SELECT inhrelid FROM pg_inherits
                                 WHERE inhparent = 'market_stock_hist_bars_min_ts'::regclass))
"""
DROP: Final = ("AccessExclusiveLock", "marketdata-queries")
STREAM: Final = "marketdata-streams"


@dataclass
class Witness:
    """What was seen while maintenance ran.

    Attributes
    ----------
    waits : Counter
        By the lock that was waited for, who waited, and who was in the way.
    reads, writes : int
        That began and ended meanwhile.
    """

    waits: Counter[tuple[str, str, tuple[str, ...]]] = field(default_factory=Counter)
    reads: int = 0
    writes: int = 0


@asynccontextmanager
async def witnessed(storage: Storage, beside: Storage) -> AsyncIterator[Witness]:
    """Look at the locks, read and write, again and again, until the end of the body."""
    seen = Witness()
    async with asyncio.TaskGroup() as tasks:
        works = (look(storage, seen), read(beside, seen), write(beside, seen))
        running = [tasks.create_task(work) for work in works]
        yield seen
        for task in running:
            task.cancel()


async def look(storage: Storage, seen: Witness) -> None:
    """Collect who waits."""
    async with storage.owner.connection() as connection:
        while True:
            for mode, asking, holding in await (await connection.execute(WAITING)).fetchall():
                seen.waits[mode, asking, tuple(holding)] += 1


async def read(storage: Storage, seen: Witness) -> None:
    """Begin new streams; one that meets a lock for longer than its session waits fails the test."""
    while True:
        assert len((await read_in_bulk(storage, YESTERDAY)).rows()) == MINUTES_A_DAY
        seen.reads += 1


async def write(storage: Storage, seen: Witness) -> None:
    """Store bars of today."""
    while True:
        bar = Bar(SYMBOLS[0], midnight_us(0), volume=float(seen.writes))
        await storage.writer.commit_bars(frame_of([bar]), MINUTE)
        seen.writes += 1


@pytest.fixture
async def half_a_year(storage: Storage, storage_mode: StorageMode) -> Storage:
    """Give minutes of half a year, of which ten days are older than what is kept, confirmed."""
    await fill_half_a_year(storage, storage_mode)
    settings = BarStorage(storage.pools)
    await settings.change(MINUTE, keep=KEPT)
    await settings.confirm_retention(MINUTE, KEPT)
    return storage


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Collect how long the sessions that drop wait for a lock, asked where they take the first one."""
    found: set[str] = set()

    async def ask_and_lock(connection: Connection, timeframe: Timeframe) -> None:
        row: Any = await (await connection.execute("SHOW lock_timeout")).fetchone()
        found.add(row[0])
        await lock_all_stripes(connection, timeframe)

    monkeypatch.setattr(retention_module, "lock_all_stripes", ask_and_lock)
    return found


async def partition_count(storage: Storage) -> int:
    """Count the partitions of minutes."""
    ((count,),) = await fetch(storage, "SELECT count(*) FROM bar_partitions('min')")
    return int(count)


def everything() -> BarQuery:
    """Ask for all bars but today's; a day may begin while the tests run."""
    return BarQuery(SYMBOLS, MINUTE, TimeRange(midnight_us(DAYS), midnight_us(0)))


async def test_maintenance_given_an_open_stream_lets_readers_and_writers_go_on(
    half_a_year: Storage, database: ServerAddress, patience: set[str]
) -> None:
    """The drop waits for the stream, 50 ms a time; nobody else does, and the stream gets every bar."""
    upkeep = Upkeep(half_a_year.pools, SystemClock())
    upkeep.retention = Retention(half_a_year.pools, back_off=BRIEF)
    maintenance = Maintenance(half_a_year.pools, upkeep.steps())
    await upkeep.make_partitions_ahead()
    await half_a_year.writer.commit_bars(frame_of([Bar(SYMBOLS[0], midnight_us(0))]), MINUTE)
    before = await partition_count(half_a_year)
    async with (
        opened_storage(database.for_service, owner=lambda: database) as beside,
        half_a_year.reader.snapshot(everything()) as stream,
    ):
        async with witnessed(half_a_year, beside) as seen:

            async def has_waited() -> bool:
                assert len(await maintenance.run_once()) == len(upkeep.steps())
                waited = {wait[:2] for wait in seen.waits}
                return DROP in waited and min(seen.reads, seen.writes) >= 5

            await until(has_waited, 30)
        assert await partition_count(half_a_year) == before
        async with aclosing(stream.blocks(len)) as blocks:
            assert sum([count async for count in blocks]) == BARS
    assert patience == {"50ms"}
    assert any(wait[:2] == DROP and STREAM in wait[2] for wait in seen.waits)
    # Others wait behind a drop, which gives up: never for the stream that the drop waits for.
    others = {wait for wait in seen.waits if wait[:2] != DROP}
    assert all(mode == "AccessShareLock" and STREAM not in holding for mode, _, holding in others)
    await maintenance.run_once()
    assert await partition_count(half_a_year) == before - OLD
    answer = await read_in_bulk(half_a_year, everything())
    assert len(answer.rows()) == BARS - OLD * MINUTES_A_DAY * len(SYMBOLS)
