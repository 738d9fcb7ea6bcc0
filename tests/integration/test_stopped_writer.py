"""A writer that stands still in the middle of its transaction: the others go on."""

import asyncio
import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from marketdata.domain.timeframe import Timeframe
from marketdata.storage import commit_few
from tests.support.bars import Bar, days, frame_of
from tests.support.embedded import REPOSITORY
from tests.support.rows import fetch, stored_bars
from tests.support.stopping_writer import ANYWHERE, DAY, PLACES, SYMBOL
from tests.support.storage import Storage
from tests.support.waiting import until

pytestmark = pytest.mark.modes("plain", "apache", reason="many transactions at once")

STOPS: Final = 25
_WAITS: Final = """
    SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0
"""


@contextmanager
def writing(storage: Storage, where: str) -> Iterator["subprocess.Popen[str]"]:
    """Run the other writer from its first word on."""
    parameters = json.dumps(storage.address().connection_parameters())
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.stopping_writer", parameters, where],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def said(process: "subprocess.Popen[str]") -> str:
    """Wait for the next line that it says."""
    assert process.stdout is not None
    async with asyncio.timeout(60):
        return (await asyncio.to_thread(process.stdout.readline)).strip()


async def write_beside(storage: Storage, writers: int, first: int = 0) -> list[int]:
    """Write bars of other symbols, each in a transaction that waits 2 s for a lock and no longer."""

    async def write(number: int) -> int:
        frame = frame_of([Bar(f"X{number}", days(20_000 + first))])
        async with storage.pools.query() as connection:
            await connection.execute("SET lock_timeout = '2s'")
            try:
                return (await commit_few.commit_few(connection, frame, Timeframe.DAY_1)).seq
            finally:
                await connection.execute("SET lock_timeout = '10s'")

    return list(await asyncio.gather(*(write(number) for number in range(writers))))


async def make_partitions(storage: Storage) -> None:
    """Store bars where the others' will lie: TimescaleDB makes a chunk in a writer's transaction.

    Whoever stands still in there keeps all others from that chunk; native partitions are made before.
    """
    bars = [Bar("FIRST", days(20_000 + number)) for number in range(STOPS)]
    await storage.writer.commit_bars(frame_of(bars), DAY)


async def waits(storage: Storage) -> int:
    """Count the sessions that wait for another one's lock."""
    ((count,),) = await fetch(storage, _WAITS)
    return int(count)


@pytest.mark.parametrize("where", PLACES)
async def test_commit_given_a_writer_that_stands_still_goes_on(storage: Storage, where: str) -> None:
    """It holds its stripe and no other, and not the log's head: only writers of its symbol wait."""
    await make_partitions(storage)
    with writing(storage, where) as process:
        assert await said(process) == "stopping"
        seqs = await write_beside(storage, 8)
        assert sorted(seqs) == list(range(2, 10))
        assert await waits(storage) == 0
        blocked = asyncio.create_task(
            storage.writer.commit_bars(frame_of([Bar(SYMBOL, days(20_000), close=10.5)]), DAY)
        )

        async def it_waits() -> bool:
            return await waits(storage) == 1

        await until(it_waits)
        # Also beside one that waits.
        assert sorted(await write_beside(storage, 4, first=1)) == list(range(10, 14))
        process.send_signal(signal.SIGCONT)
        assert await said(process) == "14"
        assert (await blocked).seq == 15
    assert [bar.close for bar in await stored_bars(storage, DAY) if bar.symbol == SYMBOL] == [10.5]


async def test_commit_given_a_writer_that_is_stopped_anywhere_goes_on(storage: Storage) -> None:
    """Wherever a process stands still, in the middle of COMMIT too: nobody else waits for it."""
    dice = random.Random(5)  # noqa: S311 -- the same in every run
    await make_partitions(storage)
    with writing(storage, ANYWHERE) as process:
        assert await said(process) == "writing"
        for number in range(STOPS):
            await asyncio.sleep(dice.expovariate(1 / 0.005))
            process.send_signal(signal.SIGSTOP)
            assert len(await write_beside(storage, 4, first=number)) == 4
            process.send_signal(signal.SIGCONT)
    ((head, writes),) = await fetch(
        storage, "SELECT (SELECT seq FROM bar_log_head), count(seq) FROM bar_write"
    )
    assert head == writes > 4 * STOPS
