"""Many writers at once: seq without gaps and in the order of commits, and no deadlock for callers."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Final

import psycopg
import pytest

from marketdata.storage.commit import CommitResult
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.stripes import stripes
from tests.support.bar_oracle import BarOracle
from tests.support.bars import MANUAL_FEED, Bar, frame_of
from tests.support.rows import changes, fetch, latest_bars, stored_bars
from tests.support.storage import Storage
from tests.support.unsteady_writers import DAY, REFUSE, START_US, WRITERS, WRITES, Writer
from tests.support.waiting import until

pytestmark = pytest.mark.modes("plain", "apache", reason="many transactions at once")

# Everything of one moment: head, count, greatest, rows without a seq, rows out of the order of time.
_LOOK: Final = """
    SELECT (SELECT seq FROM bar_log_head), count(*), coalesce(max(seq), 0),
           count(*) FILTER (WHERE seq IS NULL OR committed_at IS NULL),
           count(*) FILTER (WHERE committed_at < before)
      FROM (SELECT seq, committed_at, lag(committed_at) OVER (ORDER BY seq) AS before
              FROM bar_write) AS write
"""


async def watch(storage: Storage, ended: asyncio.Event) -> list[int]:
    """Look again and again until `ended`; return the heads seen."""
    heads: list[int] = []
    while not ended.is_set() or not heads:
        ((head, count, greatest, unnumbered, disordered),) = await fetch(storage, _LOOK)
        # Rows 1 to n and no other: whoever sees seq n sees all before it.
        assert head == count == greatest
        assert (unnumbered, disordered) == (0, 0)
        heads.append(head)
    assert heads == sorted(heads)
    return heads


async def test_seq_given_writers_that_pause_and_roll_back_has_no_gap_and_follows_commits(
    storage: Storage,
) -> None:
    """At every moment the log is 1 to n; no writer hears a number twice."""
    await fetch(storage, REFUSE)
    ended = asyncio.Event()
    writers = [Writer(storage, number) for number in range(WRITERS)]
    # A task group ends the others where one fails.
    async with asyncio.timeout(60), asyncio.TaskGroup() as watching:
        watchers = [watching.create_task(watch(storage, ended)) for _ in range(2)]
        async with asyncio.TaskGroup() as writing:
            for writer in writers:
                writing.create_task(writer.run())
        ended.set()
    heads = [watcher.result() for watcher in watchers]
    (last,) = await fetch(storage, "SELECT seq FROM bar_log_head")
    acknowledged = [seq for writer in writers for seq in writer.seqs]
    # Writers that shared a transaction share its number.
    assert all(len(set(writer.seqs)) == len(writer.seqs) for writer in writers)
    # A cancelled writer may have committed without hearing of it.
    assert set(acknowledged) <= set(range(1, last[0] + 1))
    assert len(acknowledged) > 0.7 * WRITERS * WRITES
    assert all(len(set(seen)) > 10 for seen in heads), "the watchers saw nothing happen"
    # Each writer heard its numbers in the order of its commits.
    assert all(writer.seqs == sorted(writer.seqs) for writer in writers)
    await assert_log_tells_the_table(storage)


async def assert_log_tells_the_table(storage: Storage) -> None:
    """Replay the log into an oracle: it must end in what the tables hold, revision by revision."""
    oracle = BarOracle({MANUAL_FEED: 1000})
    for change in await changes(storage):
        assert change.bars is not None
        assert oracle.commit(change.bars).changed == change.bars
    assert await stored_bars(storage, DAY) == oracle.stored()
    assert await latest_bars(storage, DAY) == oracle.newest()


async def test_commit_given_opposite_orders_of_symbols_never_deadlocks(storage: Storage) -> None:
    """Writers lock their stripes in one order, whatever order their bars come in."""
    names = [f"X{number}" for number in range(40)]
    assert len(stripes(names)) > 20
    orders = [names, names[::-1], names[::2] + names[1::2], names[20:] + names[:20]]
    prices = itertools.count(1)

    async def write(order: list[str]) -> list[CommitResult]:
        return [
            await storage.writer.commit_bars(
                frame_of([Bar(symbol, START_US, volume=float(next(prices))) for symbol in order]), DAY
            )
            for _ in range(25)
        ]

    async with asyncio.timeout(60):
        results = list(itertools.chain(*await asyncio.gather(*(write(order) for order in orders))))
    assert sum(result.accepted for result in results) == 40
    assert sum(result.revised for result in results) == 40 * 99
    assert sorted(result.seq for result in results) == list(range(1, 101))
    assert await deadlocks(storage) == 0
    assert {bar.revision for bar in await stored_bars(storage, DAY)} == {99}


async def deadlocks(storage: Storage) -> int:
    """Count the deadlocks that PostgreSQL met in this database."""
    # A session reports its numbers when it goes idle for long, or when it is told to.
    await fetch(storage, "SELECT pg_stat_force_next_flush()")
    ((count,),) = await fetch(
        storage, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    return int(count)


@pytest.fixture
async def intruder(
    database: ServerAddress,
) -> AsyncIterator[psycopg.AsyncConnection[tuple[object, ...]]]:
    """Connect somebody who does not keep the rules of writers."""
    parameters = database.connection_parameters()
    async with await psycopg.AsyncConnection.connect(**parameters) as connection:  # type: ignore[arg-type]
        yield connection


async def test_commit_given_a_deadlock_with_a_stranger_is_tried_again(
    storage: Storage, intruder: psycopg.AsyncConnection[tuple[object, ...]]
) -> None:
    """Where PostgreSQL ends the writer's transaction, the caller hears of a commit all the same."""
    bars = [Bar("A", START_US), Bar("B", START_US)]
    await storage.writer.commit_bars(frame_of(bars), DAY)
    changed = frame_of([bar._replace(close=10.5) for bar in bars])
    # Only the writer looks for the deadlock, so only it is ended.
    await intruder.execute("SET deadlock_timeout = '1min'")
    lock = "SELECT 1 FROM market_stock_hist_bars_day_ts WHERE symbol = %s FOR UPDATE"
    await intruder.execute(lock, ["B"])
    writing = asyncio.create_task(storage.writer.commit_bars(changed, DAY))

    async def somebody_waits() -> bool:
        query = """
            SELECT 1 FROM pg_stat_activity
             WHERE wait_event_type = 'Lock' AND datname = current_database()
        """
        return bool(await fetch(storage, query))

    await until(somebody_waits)
    await intruder.execute(lock, ["A"])
    await intruder.rollback()
    assert await writing == CommitResult(revised=2, seq=2)
    assert await deadlocks(storage) == 1
