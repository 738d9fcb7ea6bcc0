"""Acknowledged means on disk: settings, and kill -9 of PostgreSQL under a writer."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

import numpy as np
import pytest
from psycopg import sql

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import DatabaseSetupError, DatabaseUnavailableError
from marketdata.storage import modes
from marketdata.storage.address import SERVICE_ROLE
from marketdata.storage.embedded import EmbeddedPostgres, ServerAddress
from marketdata.storage.migrate import migrate
from marketdata.storage.modes import StorageMode, probe
from tests.support.bar_oracle import BarOracle
from tests.support.bars import MANUAL_FEED, Bar, days, frame_of
from tests.support.databases import running_server
from tests.support.reads import read_in_bulk
from tests.support.rows import changes, fetch, latest_bars, stored_bars
from tests.support.storage import Storage, opened_storage
from tests.support.symbols import create_symbols
from tests.support.waiting import until

DAY: Final = Timeframe.DAY_1
KILLS: Final = 10
DURABLE: Final = """
    SELECT current_setting('fsync'), current_setting('full_page_writes'),
           current_setting('synchronous_commit')
"""


@pytest.mark.modes("plain", reason="the embedded server")
async def test_probe_given_the_embedded_server_finds_it_durable(storage: Storage) -> None:
    """What the service starts acknowledges only what is on disk."""
    async with storage.pools.query() as connection:
        facts = await probe(connection)
    assert facts.is_durable
    assert facts.mode is StorageMode.PLAIN
    assert int(facts.postgres_version.split(".")[0]) >= modes.OLDEST_POSTGRES


@pytest.mark.parametrize("setting", ["off", "local", "on"])
async def test_probe_given_synchronous_commit_says_whether_it_is_durable(
    storage: Storage, setting: str
) -> None:
    """Off is told; local is enough where there is no standby."""
    async with storage.pools.query() as connection, connection.transaction():
        await connection.execute("SELECT set_config('synchronous_commit', %s, true)", [setting])
        assert (await probe(connection)).is_durable == (setting != "off")


async def test_probe_given_an_old_postgres_refuses_it(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says which release is needed."""
    monkeypatch.setattr(modes, "OLDEST_POSTGRES", 99)
    async with storage.pools.query() as connection:
        with pytest.raises(DatabaseSetupError, match="this service needs 99 or later"):
            await probe(connection)


@pytest.mark.modes("plain", "apache", reason="databases know their names")
async def test_session_given_a_server_that_defaults_to_less_is_durable(storage: Storage) -> None:
    """A writer's session asks for it by itself, whatever the database or the role says."""
    for scope in ("DATABASE", "ROLE"):
        await fetch(
            storage,
            sql.SQL("ALTER {} {} SET synchronous_commit = off").format(
                sql.SQL(scope),
                sql.Identifier(SERVICE_ROLE)
                if scope == "ROLE"
                else sql.Identifier(str(storage.address().connection_parameters()["dbname"])),
            ),
        )
    try:
        async with opened_storage(storage.address) as other:
            for pool in (other.pools.query, other.pools.lookup, other.pools.stream):
                async with pool() as connection:
                    cursor = await connection.execute(DURABLE)
                    assert await cursor.fetchall() == [("on", "on", "on")]
    finally:
        role = sql.Identifier(SERVICE_ROLE)
        await fetch(storage, sql.SQL("ALTER ROLE {} RESET synchronous_commit").format(role))


@pytest.fixture
async def supervised() -> AsyncIterator[EmbeddedPostgres]:
    """Run a server of the test's own that comes back whenever it is killed."""
    with running_server(in_memory=True) as server:
        assert server.address is not None
        await migrate(server.address, StorageMode.PLAIN)
        supervisor = asyncio.create_task(restart_at_once(server))
        yield server
        supervisor.cancel()
        with suppress(asyncio.CancelledError):
            await supervisor


async def restart_at_once(server: EmbeddedPostgres) -> None:
    """Supervise without the pauses that `supervise` makes when a server dies again and again."""
    while True:
        await asyncio.to_thread(server.restart_if_dead)
        await asyncio.sleep(0.01)


class Ledger:
    """A writer that keeps what was acknowledged, and sends again what was not."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.oracle = BarOracle({MANUAL_FEED: 1000})
        self.acknowledged = 0
        self.failed = 0
        self.is_open = True

    async def write(self, symbol: str) -> None:
        """Write bars of one symbol while the ledger is open, new ones and revisions."""
        number = 0
        while self.is_open:
            number += 1
            bars = [Bar(symbol, days(number // 3 + place), volume=float(number)) for place in range(3)]
            while not await self._is_acknowledged(bars):
                self.failed += 1
            self.acknowledged += 1
            self.oracle.commit(bars)

    async def _is_acknowledged(self, bars: list[Bar]) -> bool:
        try:
            await self._storage.writer.commit_bars(frame_of(bars), DAY)
        except DatabaseUnavailableError:
            return False
        return True


async def test_commit_given_kill_9_of_postgres_keeps_every_acknowledged_bar(
    supervised: EmbeddedPostgres,
) -> None:
    """Ten kills under four writers: the table is the ledger, the log tells the table, pools recover."""

    def address() -> ServerAddress:
        assert supervised.address is not None
        return supervised.address

    async with opened_storage(address) as storage:
        await create_symbols(storage, "A", "B", "C", "D")
        ledger = Ledger(storage)
        async with asyncio.TaskGroup() as writing:
            for symbol in "ABCD":
                writing.create_task(ledger.write(symbol))
            await kill_under(supervised, ledger)
            ledger.is_open = False
        assert ledger.failed >= KILLS
        await assert_intact(storage, ledger.oracle)
        everything = TimeRange(DAY.earliest_us, DAY.latest_us)
        answer = await read_in_bulk(storage, BarQuery(("A", "B", "C", "D"), DAY, everything))
        assert answer.rows() == [bar.key for bar in ledger.oracle.stored()]


async def kill_under(server: EmbeddedPostgres, ledger: Ledger) -> None:
    """Kill the postmaster again and again, each time while commits are acknowledged."""
    rng = np.random.default_rng(11)
    for _ in range(KILLS):
        await further_commits(ledger, int(rng.integers(5, 60)))
        killed = server.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)

        async def is_back(killed: int = killed) -> bool:
            return server.is_alive() and server.pid != killed

        await until(is_back)
    await further_commits(ledger, 20)


async def further_commits(ledger: Ledger, count: int) -> None:
    """Wait until so many more commits were acknowledged."""
    enough = ledger.acknowledged + count

    async def are_enough() -> bool:
        return ledger.acknowledged >= enough

    await until(are_enough)


async def assert_intact(storage: Storage, oracle: BarOracle) -> None:
    """Compare the table with the ledger: bars, revisions, the newest bars and the log."""
    stored = await stored_bars(storage, DAY)
    logged = BarOracle({MANUAL_FEED: 1000})
    log = await changes(storage)
    assert [change.seq for change in log] == list(range(1, len(log) + 1))
    for change in log:
        logged.commit(change.bars or [])
    assert stored == logged.stored()
    assert await latest_bars(storage, DAY) == logged.newest()
    # Bars and their values. A commit whose end nobody heard of was sent again, and changed nothing.
    assert stored == oracle.stored()
