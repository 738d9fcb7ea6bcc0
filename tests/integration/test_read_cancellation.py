"""Bulk reads that end before their end: cancelled, left, failed. The connection survives each."""

import asyncio
import faulthandler
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

import numpy as np
import pytest

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarColumn, BarFrame, full_columns
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import DatabaseUnavailableError, StreamStalledError
from marketdata.storage.bar_reader import BarReader
from tests.support.bars import MANUAL_FEED, days
from tests.support.databases import Databases
from tests.support.reads import read_in_bulk
from tests.support.rows import fetch
from tests.support.storage import Storage, opened_storage
from tests.support.symbols import create_symbols
from tests.support.waiting import until

pytestmark = pytest.mark.modes("plain", "apache", reason="statements that can be cancelled")

MINUTE: Final = Timeframe.MINUTE_1
FIRST_US: Final = days(20_000)
SYMBOLS: Final = ("A", "B", "C", "D")
BARS_A_SYMBOL: Final = 50_000
EVERYTHING: Final = BarQuery(
    SYMBOLS, MINUTE, TimeRange(FIRST_US, FIRST_US + BARS_A_SYMBOL * MINUTE.duration_us)
)
# A read that fits into the blocks that may wait for a slow consumer.
SOME_BARS: Final = 20_000
SOME: Final = BarQuery(("A",), MINUTE, TimeRange(FIRST_US, FIRST_US + SOME_BARS * MINUTE.duration_us))
READS: Final = 1_000
# A few more than there are connections: some are cancelled while they wait for one.
AT_A_TIME: Final = 10
BUSY: Final = """
    SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'marketdata-streams'
       AND state <> 'idle'
"""


@pytest.fixture(scope="module")
async def shared(databases: Databases) -> AsyncIterator[Storage]:
    """Store 200,000 minutes of four symbols."""
    database = await databases.migrated()
    async with opened_storage(lambda: database) as storage:
        await create_symbols(storage, *SYMBOLS)
        for symbol in SYMBOLS:
            given = {
                BarColumn.TIME: FIRST_US + np.arange(BARS_A_SYMBOL) * MINUTE.duration_us,
                BarColumn.FEED: np.full(BARS_A_SYMBOL, MANUAL_FEED),
            }
            frame = BarFrame((symbol,), **full_columns(BARS_A_SYMBOL, given))
            await storage.writer.commit_bars(frame, MINUTE)
        yield storage
    databases.drop(database)


@pytest.fixture
async def filled(shared: Storage) -> AsyncIterator[Storage]:
    """Give the storage, and hold every test to leaving its pool whole."""
    bad_before = shared.pools.stats()["streams"].get("returns_bad", 0)
    yield shared
    await assert_whole(shared, bad_before)


async def assert_whole(storage: Storage, bad_before: int) -> None:
    """Within two seconds no backend is busy; every connection is back, none was thrown away."""

    async def is_idle() -> bool:
        stats = storage.pools.stats()["streams"]
        are_back = stats["pool_available"] == stats["pool_size"] > 0
        return are_back and await fetch(storage, BUSY) == [(0,)]

    await until(is_idle, seconds=2.0)
    stats = storage.pools.stats()["streams"]
    assert stats["requests_waiting"] == 0
    assert stats.get("returns_bad", 0) == bad_before
    answer = await read_in_bulk(storage, SOME)
    assert sum(len(frame) for frame in answer.frames) == SOME_BARS


async def test_snapshot_given_cancellation_at_random_moments_leaves_the_pool_whole(
    filled: Storage,
) -> None:
    """A thousand reads, cut off while they wait, open, read, or hand out; no crash, nothing busy."""
    assert faulthandler.is_enabled()
    rng = np.random.default_rng(3)
    # Most while they open and in the first blocks, where most happens; some anywhere, or not at all.
    early, late = rng.exponential(0.01, READS * 4 // 5), rng.uniform(0, 0.15, READS // 5)
    moments = iter(rng.permutation(np.concatenate([early, late])).tolist())
    ended = {"cancelled": 0, "read": 0}

    async def read_some() -> None:
        for moment in moments:
            reading = asyncio.create_task(read_in_bulk(filled, EVERYTHING))
            await asyncio.wait([reading], timeout=moment)
            reading.cancel()
            await asyncio.wait([reading])
            ended["cancelled" if reading.cancelled() else "read"] += 1
            if not reading.cancelled():
                assert reading.exception() is None

    async with asyncio.TaskGroup() as readers:
        for _ in range(AT_A_TIME):
            readers.create_task(read_some())
    assert sum(ended.values()) == READS
    assert ended["cancelled"] > READS // 2


async def test_snapshot_given_a_second_cancellation_still_waits_for_the_thread(filled: Storage) -> None:
    """Impatience does not free the connection under the thread that reads from it."""
    for _ in range(20):
        reading = asyncio.create_task(read_in_bulk(filled, EVERYTHING))
        await asyncio.wait([reading], timeout=0.02)
        while not reading.done():
            reading.cancel()
            await asyncio.sleep(0)
        assert reading.cancelled()


@pytest.mark.parametrize("blocks_taken", [0, 1, 3])
async def test_blocks_given_a_consumer_that_stops_ends_the_read(
    filled: Storage, blocks_taken: int
) -> None:
    """Whoever has enough closes the blocks; the rest of the answer is not read."""
    async with (
        filled.reader.snapshot(EVERYTHING) as snapshot,
        aclosing(snapshot.blocks(len)) as blocks,
    ):
        taken = [await anext(blocks) for _ in range(blocks_taken)]
    assert len(taken) == blocks_taken


async def test_blocks_given_a_consumer_that_forgets_to_close_ends_the_read(filled: Storage) -> None:
    """The snapshot's own end is enough: nothing reads on behind it."""
    async with filled.reader.snapshot(EVERYTHING) as snapshot:
        async for _ in (left := snapshot.blocks(len)):
            break
    await left.aclose()


async def test_snapshot_given_no_read_at_all_gives_the_connection_back(filled: Storage) -> None:
    """To open and to leave is no error."""
    async with filled.reader.snapshot(EVERYTHING) as snapshot:
        assert snapshot.unresolved == ()


@pytest.mark.parametrize("first_good", [0, 1, 4])
async def test_blocks_given_a_transform_that_fails_raises_its_error(
    filled: Storage, first_good: int
) -> None:
    """A defect in the encoding reaches the caller as it is, and costs no connection."""
    seen: list[int] = []

    def transform(frame: BarFrame) -> int:
        if len(seen) >= first_good:
            raise ZeroDivisionError("in the reading thread")
        seen.append(len(frame))
        return len(frame)

    taken: list[int] = []

    async def read() -> None:
        async with (
            filled.reader.snapshot(EVERYTHING) as snapshot,
            aclosing(snapshot.blocks(transform)) as blocks,
        ):
            async for block in blocks:
                taken.append(block)  # noqa: PERF401 -- what came before the error counts

    with pytest.raises(ZeroDivisionError, match="in the reading thread"):
        await read()
    assert taken == seen
    assert len(seen) == first_good


async def test_blocks_given_a_failure_of_the_consumer_raises_that(filled: Storage) -> None:
    """A client that is gone makes writing fail: its error is what comes out."""

    async def read() -> None:
        async with (
            filled.reader.snapshot(EVERYTHING) as snapshot,
            aclosing(snapshot.blocks(len)) as blocks,
        ):
            async for _ in blocks:
                raise ConnectionResetError("the client is gone")

    with pytest.raises(ConnectionResetError):
        await read()


async def test_blocks_given_a_slow_consumer_does_not_hold_the_database(filled: Storage) -> None:
    """What fits into the blocks that may wait is read at once: the connection is soon free."""
    async with (
        filled.reader.snapshot(SOME) as snapshot,
        aclosing(snapshot.blocks(len)) as blocks,
    ):
        first = await anext(blocks)

        async def is_idle() -> bool:
            return await fetch(filled, BUSY) == [(0,)]

        await until(is_idle)
        assert first + sum([block async for block in blocks]) == SOME_BARS


async def test_blocks_given_a_consumer_that_stalls_ends_the_stream(filled: Storage) -> None:
    """A snapshot that grows too old is given up, with the way to go on; what was read still comes."""
    with pytest.raises(StreamStalledError, match="resume_after"):
        await read_very_slowly(filled)


async def read_very_slowly(storage: Storage) -> None:
    """Take a block, and the next one only when the database has given up."""
    reader = BarReader(storage.pools, storage.reader._executor, most_snapshot_seconds=0.2)
    async with (
        reader.snapshot(EVERYTHING) as snapshot,
        aclosing(snapshot.blocks(len)) as blocks,
    ):
        await anext(blocks)

        async def is_idle() -> bool:
            return await fetch(storage, BUSY) == [(0,)]

        await until(is_idle)
        async for _ in blocks:
            pass


async def test_blocks_given_a_session_that_is_ended_raises_database_unavailable(
    shared: Storage,
) -> None:
    """The answer is incomplete, and says so; the next read has another connection."""

    async def read() -> None:
        async with (
            shared.reader.snapshot(EVERYTHING) as snapshot,
            aclosing(snapshot.blocks(len)) as blocks,
        ):
            await anext(blocks)
            await fetch(shared, BUSY.replace("count(*)", "pg_terminate_backend(pid)"))
            async for _ in blocks:
                pass

    with pytest.raises(DatabaseUnavailableError):
        await read()
    bad = shared.pools.stats()["streams"].get("returns_bad", 0)
    await assert_whole(shared, bad)
