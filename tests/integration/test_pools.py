"""Pools, and the tree's errors for psycopg's: each provoked on a real server where it can be."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Final

import psycopg
import pytest
from psycopg import errors as pg

from marketdata.domain.timeframe import Timeframe
from marketdata.errors import (
    DatabaseUnavailableError,
    MarketDataError,
    QueryTimeoutError,
    ServiceError,
    StorageFullError,
    WriteConflictError,
)
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.pools import Connection, PoolLimits, Pools
from marketdata.storage.stripes import lock_stripes
from marketdata.storage.translate import translated
from tests.support.bars import Bar, days, frame_of
from tests.support.databases import Databases
from tests.support.rows import fetch, stored_bars
from tests.support.storage import Storage
from tests.support.waiting import until

# What the server says with each of these codes, and what a caller hears.
ANSWERS: Final = {
    "40P01": WriteConflictError,  # deadlock_detected
    "40001": WriteConflictError,  # serialization_failure
    "55P03": WriteConflictError,  # lock_not_available
    "57014": QueryTimeoutError,  # query_canceled
    "53100": StorageFullError,  # disk_full
    "53200": DatabaseUnavailableError,  # out_of_memory
    "58P01": DatabaseUnavailableError,  # undefined_file
    "53300": DatabaseUnavailableError,  # too_many_connections
    "57P01": DatabaseUnavailableError,  # admin_shutdown
    "57P02": DatabaseUnavailableError,  # crash_shutdown
    "57P03": DatabaseUnavailableError,  # cannot_connect_now
    "25P03": DatabaseUnavailableError,  # idle_in_transaction_session_timeout
}


@pytest.fixture
async def other(storage: Storage) -> AsyncIterator[Connection]:
    """Borrow a connection to stand in the way of others."""
    async with storage.pools.query() as connection:
        yield connection


async def transact(storage: Storage, *statements: str) -> None:
    """Run statements in one transaction of the query pool."""
    async with storage.pools.query() as connection, connection.transaction():
        for statement in statements:
            await connection.execute(statement.encode())


@pytest.mark.parametrize(("sqlstate", "meaning"), ANSWERS.items())
async def test_translated_given_a_servers_error_raises_its_meaning(
    storage: Storage, caplog: pytest.LogCaptureFixture, sqlstate: str, meaning: type[ServiceError]
) -> None:
    """One error of the tree for each; the driver's text stays out of it, and in the log is the code."""
    text = f"DO $$ BEGIN RAISE EXCEPTION 'secret' USING ERRCODE = '{sqlstate}'; END $$"
    with caplog.at_level(logging.WARNING), pytest.raises(MarketDataError) as caught:
        await transact(storage, text)
    assert type(caught.value) is meaning
    assert "secret" not in str(caught.value)
    assert [vars(record).get("sqlstate") for record in caplog.records] == [sqlstate]
    if meaning is not QueryTimeoutError:  # the same call would take as long again
        assert caught.value.retry_after_seconds == 1.0


@pytest.mark.parametrize(
    "statement", ["SELECT nonsense", "SELECT 1 / 0", "INSERT INTO bar_write VALUES (NULL)"]
)
async def test_translated_given_a_defect_passes_it_on(storage: Storage, statement: str) -> None:
    """What no caller can do anything about stays psycopg's error: the service calls it INTERNAL."""
    with pytest.raises(psycopg.Error):
        await transact(storage, statement)


def test_translated_given_other_errors_passes_them_on() -> None:
    """Only psycopg's errors are looked at."""
    with pytest.raises(ZeroDivisionError), translated():
        raise ZeroDivisionError


@pytest.mark.modes("plain", "apache", reason="statement_timeout has an effect")
async def test_query_given_a_statement_that_takes_too_long_raises_query_timeout(
    storage: Storage,
) -> None:
    """The server ends it."""
    with pytest.raises(QueryTimeoutError, match="ask for a shorter range"):
        await transact(storage, "SET LOCAL statement_timeout = '20ms'", "SELECT pg_sleep(20)")
    assert await fetch(storage, "SELECT 1") == [(1,)]


@pytest.mark.modes("plain", "apache", reason="two transactions at once")
async def test_query_given_a_lock_that_stays_taken_raises_write_conflict(
    storage: Storage, other: Connection
) -> None:
    """A writer behind a stripe that nobody gives back is told so; its bars are not stored."""

    async def lock_too() -> None:
        async with storage.pools.query() as connection, connection.transaction():
            await connection.execute("SET LOCAL lock_timeout = '20ms'")
            await lock_stripes(connection, ["MSFT", "AAPL"], Timeframe.DAY_1)

    async with other.transaction():
        await lock_stripes(other, ["AAPL"], Timeframe.DAY_1)
        with pytest.raises(WriteConflictError, match="nothing was changed, send the call again"):
            await lock_too()
        # Locks are a table's own: writers of other timeframes pass.
        bar = Bar("AAPL", days(20_000))
        async with asyncio.timeout(5):
            await storage.writer.commit_bars(frame_of([bar]), Timeframe.HOUR_1)
    assert await stored_bars(storage, Timeframe.HOUR_1) == [bar]


@pytest.mark.modes("plain", "apache", reason="two transactions at once")
async def test_query_given_a_deadlock_raises_write_conflict(storage: Storage) -> None:
    """Of two transactions in each other's way one ends, and its caller may try again."""
    await fetch(storage, "CREATE TABLE locked AS SELECT generate_series(1, 2) AS id")
    both_hold_one = asyncio.Barrier(2)

    async def update(*order: int) -> None:
        async with storage.pools.query() as connection, connection.transaction():
            await connection.execute("UPDATE locked SET id = id WHERE id = %s", [order[0]])
            await both_hold_one.wait()
            await connection.execute("UPDATE locked SET id = id WHERE id = %s", [order[1]])

    outcomes = await asyncio.gather(update(1, 2), update(2, 1), return_exceptions=True)
    assert sorted(str(type(outcome)) for outcome in outcomes) == sorted(
        [str(WriteConflictError), str(type(None))]
    )


@pytest.mark.modes("plain", "apache", reason="two transactions at once")
async def test_query_given_a_serialization_failure_raises_write_conflict(
    storage: Storage, other: Connection
) -> None:
    """A row that changed behind the snapshot."""
    await fetch(storage, "CREATE TABLE counted AS SELECT 1 AS id")

    async def update_late() -> None:
        async with storage.pools.query() as connection, connection.transaction():
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            await connection.execute("SELECT * FROM counted")
            await other.execute("UPDATE counted SET id = 2")
            await connection.execute("UPDATE counted SET id = 3")

    with pytest.raises(WriteConflictError):
        await update_late()


@pytest.mark.modes("plain", "apache", reason="sessions can be ended")
async def test_query_given_a_session_ended_in_the_middle_raises_database_unavailable(
    storage: Storage, other: Connection
) -> None:
    """A server that shuts down ends its sessions so; the next call has another one."""
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def sleep() -> None:
        async with storage.pools.query() as connection:
            ended.set_result(connection.info.backend_pid)
            await connection.execute("SELECT pg_sleep(20)")

    sleeping = asyncio.create_task(sleep())
    await other.execute("SELECT pg_terminate_backend(%s)", [await ended])
    with pytest.raises(DatabaseUnavailableError, match="what was not acknowledged was not stored"):
        await sleeping
    assert await fetch(storage, "SELECT 1") == [(1,)]


@pytest.mark.modes("plain", "apache", reason="idle transactions are ended")
async def test_query_given_a_transaction_left_idle_raises_database_unavailable(
    storage: Storage, other: Connection
) -> None:
    """A writer that stops between two statements loses its locks, and hears of it."""

    async def dawdle() -> None:
        async with storage.pools.query() as connection, connection.transaction():
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '20ms'")
            pid = connection.info.backend_pid

            async def is_gone() -> bool:
                cursor = await other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid])
                return not await cursor.fetchall()

            await until(is_gone)
            await connection.execute("SELECT 1")

    with pytest.raises(DatabaseUnavailableError):
        await dawdle()


async def test_query_given_no_server_raises_database_unavailable(database: ServerAddress) -> None:
    """Nothing listens: the call ends with the pool's timeout, or soon where that is known."""
    nowhere = replace(database, port=1)
    async with Pools(lambda: nowhere, PoolLimits(1, 0, 1, timeout_seconds=0.2)) as pools:
        for borrow in (pools.query, pools.lookup, pools.stream):
            with pytest.raises(DatabaseUnavailableError):
                async with borrow():
                    pytest.fail("there is no server")
    async with Pools(lambda: nowhere, PoolLimits(1, 0, 1)) as pools:
        pools.report_database(is_down=True)
        async with asyncio.timeout(10):
            with pytest.raises(DatabaseUnavailableError):
                async with pools.query():
                    pytest.fail("there is no server")


async def test_query_given_no_free_connection_raises_database_unavailable(
    database: ServerAddress,
) -> None:
    """A call does not wait for ever; a closed pool says so at once."""
    pools = Pools(lambda: database, PoolLimits(1, 0, 1, timeout_seconds=0.2))

    async def is_open() -> bool:
        return pools.stats()["queries"]["pool_available"] == 1

    async with pools:
        await until(is_open)
        async with pools.query():
            with pytest.raises(DatabaseUnavailableError):
                async with pools.query():
                    pytest.fail("the only connection is taken")
        async with pools.query() as connection:
            await connection.execute("SELECT 1")
    with pytest.raises(DatabaseUnavailableError):
        async with pools.query():
            pytest.fail("the pool is closed")


@pytest.mark.modes("plain", "apache", reason="sessions can be ended")
@pytest.mark.parametrize("pool", ["query", "stream"])
async def test_pool_given_dead_idle_connections_never_hands_one_out(
    storage: Storage, pool: str
) -> None:
    """After a restart of the server all idle connections are dead: the next call works at once."""
    borrow = storage.pools.query if pool == "query" else storage.pools.stream
    async with AsyncExitStack() as borrowed:
        connections = [await borrowed.enter_async_context(borrow()) for _ in range(6)]
        pids = [connection.info.backend_pid for connection in connections]
    async with await psycopg.AsyncConnection.connect(
        autocommit=True,
        **storage.address().connection_parameters(),  # type: ignore[arg-type]
    ) as operator:
        for pid in pids:
            await operator.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    # Looking for the living among six dead took seconds each when the dead went back to the pool.
    async with asyncio.timeout(3):
        for _ in range(6):
            async with borrow() as connection:
                assert connection.info.backend_pid not in pids
                await connection.execute("SELECT 1")


async def test_pool_given_a_cancellation_together_with_a_connection_heeds_it(
    database: ServerAddress,
) -> None:
    """Whichever comes first by a moment: the caller ends, and the connection is free for others."""
    async with Pools(lambda: database, PoolLimits(1, 0, 1, timeout_seconds=5.0)) as pools:

        async def borrow_for_ever() -> None:
            async with pools.query():
                await asyncio.Event().wait()

        async def is_waiting() -> bool:
            return pools.stats()["queries"]["requests_waiting"] == 1

        for moment in range(12):
            async with pools.query():
                waiting = asyncio.create_task(borrow_for_ever())
                await until(is_waiting)
            for _ in range(moment):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting], timeout=2)
            assert waiting.cancelled(), f"{moment} steps of the loop later"
        async with pools.query() as connection:
            await connection.execute("SELECT 1")


@pytest.mark.modes("plain", "apache", reason="databases know their names")
async def test_pool_given_a_server_that_moved_follows_it(
    database: ServerAddress, databases: Databases
) -> None:
    """An embedded server can come back on another port: each new connection asks where it is."""
    moved = await databases.migrated()
    places, seen = [database], []
    async with Pools(lambda: places[-1], PoolLimits(1, 0, 1)) as pools:
        for _ in range(2):
            async with pools.query() as connection:
                cursor = await connection.execute("SELECT current_database()")
                seen.append(await cursor.fetchone())
                places.append(moved)
                await connection.close()
    assert seen == [(database.database,), (moved.database,)]
    databases.drop(moved)


async def test_session_given_each_pool_has_its_settings(storage: Storage) -> None:
    """Durable, in UTC, planned for the very bounds; streams read only, from one snapshot.

    Look-ups are planned once, and by indexes.
    """
    names = [
        "synchronous_commit",
        "TimeZone",
        "plan_cache_mode",
        "jit",
        "lock_timeout",
        "statement_timeout",
        "idle_in_transaction_session_timeout",
        "client_connection_check_interval",
        "application_name",
    ]
    common = ["on", "UTC", "force_custom_plan", "off", "10s"]
    async with storage.pools.query() as connection:
        assert await shown(connection, names) == [*common, "30s", "30s", "1s", "marketdata-queries"]
    async with storage.pools.lookup() as connection:
        generic = ["on", "UTC", "force_generic_plan", "off", "10s", "30s", "30s", "1s"]
        assert await shown(connection, names) == [*generic, "marketdata-lookups"]
        assert (
            await shown(connection, ["enable_seqscan", "enable_hashjoin", "enable_mergejoin"])
            == ["off"] * 3
        )
    async with storage.pools.stream() as connection:
        assert await shown(connection, names) == [*common, "15min", "30s", "1s", "marketdata-streams"]
        async with connection.transaction():
            isolation = ["transaction_isolation", "transaction_read_only"]
            assert await shown(connection, isolation) == ["repeatable read", "on"]
            with pytest.raises(pg.ReadOnlySqlTransaction):
                await connection.execute("DELETE FROM bar_latest")


async def shown(connection: Connection, names: list[str]) -> list[str]:
    """Read settings of a session."""
    cursor = await connection.execute("SELECT current_setting(unnest(%s::text[]))", [names])
    return [value for (value,) in await cursor.fetchall()]
