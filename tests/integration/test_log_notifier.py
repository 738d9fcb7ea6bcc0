"""Wake-ups: sent after COMMIT by whoever wrote, many as one, and never at a writer's expense."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from typing import Any, Final

import psycopg
import pytest

from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.symbol import NewSymbol
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.log_notifier import LogNotifier
from tests.support.bars import Bar, days, frame_of
from tests.support.databases import connected
from tests.support.storage import Storage, opened_storage
from tests.support.waiting import until

DAY: Final = Timeframe.DAY_1
START_US: Final = days(20_000)
ALL_TIME: Final = TimeRange(DAY.earliest_us, DAY.latest_us)


async def store(storage: Storage) -> None:
    """Write a few bars."""
    await storage.writer.commit_bars(frame_of([Bar("AAPL", START_US)]), DAY)


async def store_many(storage: Storage) -> None:
    """Write bars along the other way."""
    bars = [Bar("AAPL", START_US + days(number)) for number in range(600)]
    await storage.writer.commit_bars(frame_of(bars), DAY)


async def delete(storage: Storage) -> None:
    """Delete bars."""
    await storage.deleter.delete("IBM", DAY, ALL_TIME, "wrong")


async def act(storage: Storage) -> None:
    """Add a corporate action."""
    split = CorporateAction(
        CorporateActionKind.SPLIT, date(2024, 6, 10), split_ratio=2.0, source="test"
    )
    await storage.actions.add("IBM", [split])


async def create(storage: Storage) -> None:
    """Create a symbol."""
    await storage.symbols.create(NewSymbol("MSFT"))


async def drop_symbol(storage: Storage) -> None:
    """Delete a symbol with its bars."""
    await storage.symbol_deleter.delete("IBM", force=True)


@asynccontextmanager
async def telling(database: ServerAddress, on_append: Callable[[], None]) -> AsyncIterator[Storage]:
    """Open the storage layer with somebody who is told of every append."""
    async with opened_storage(
        database.for_service, owner=lambda: database, on_append=on_append
    ) as storage:
        await storage.symbols.create(NewSymbol("IBM"))
        await storage.writer.commit_bars(frame_of([Bar("IBM", START_US)]), DAY)
        yield storage


@pytest.mark.parametrize("write", [store, store_many, delete, act, create, drop_symbol])
async def test_on_append_given_any_write_is_called_behind_its_commit(
    database: ServerAddress, write: Callable[[Storage], Awaitable[None]]
) -> None:
    """Nobody who writes has to think of it, and whoever is woken finds the entry."""
    heads: list[int] = []

    def note_head() -> None:
        with connected(database) as connection:
            row = connection.execute("SELECT seq::int FROM bar_log_head").fetchone()
            assert row is not None
            heads.append(int(str(row[0])))

    async with telling(database, note_head) as storage:
        assert heads == [1, 2]
        await write(storage)
    assert heads == [1, 2, 3]


async def test_on_append_given_a_write_that_changes_nothing_is_not_called(
    database: ServerAddress,
) -> None:
    """The same bars again, and reads, wake nobody."""
    calls: list[None] = []
    async with telling(database, lambda: calls.append(None)) as storage:
        assert len(calls) == 2
        await storage.writer.commit_bars(frame_of([Bar("IBM", START_US)]), DAY)
        await storage.symbols.get("IBM")
    assert len(calls) == 2


@asynccontextmanager
async def listening(database: ServerAddress) -> AsyncIterator[list[str]]:
    """List what is told on any channel of the log, as it comes."""
    heard: list[str] = []
    parameters: dict[str, Any] = database.connection_parameters()
    connection = await psycopg.AsyncConnection.connect(autocommit=True, **parameters)
    async with connection:
        await connection.execute("LISTEN bar_log")

        async def listen() -> None:
            async for notification in connection.notifies():
                heard.append(notification.payload)  # noqa: PERF401 -- read while it grows

        task = asyncio.create_task(listen())
        try:
            yield heard
        finally:
            task.cancel()
            await asyncio.wait([task])


async def test_wake_given_many_times_at_once_tells_once(database: ServerAddress) -> None:
    """What is written in short order shares a wake-up, without a payload; what is later has its own."""
    notifier = LogNotifier(database.for_service)
    async with listening(database) as heard:
        for _ in range(100):
            notifier.wake()
        async with notifier.running():
            await until(lambda: _is_at_least(heard, 1))
            # Time enough to tell once more, if there were a reason.
            with connected(database) as other:
                for _ in range(50):
                    other.execute("SELECT pg_notify('bar_log', 'other')")
            notifier.wake()
            await until(lambda: _is_at_least(heard, 52))
    assert heard == ["", *["other"] * 50, ""]


@pytest.mark.modes("plain", "apache", reason="pg_terminate_backend")
async def test_wake_given_a_connection_that_was_ended_makes_another(
    database: ServerAddress, caplog: pytest.LogCaptureFixture
) -> None:
    """One wake-up may be lost with it; the next is told again."""
    notifier = LogNotifier(database.for_service)
    async with listening(database) as heard, notifier.running():
        notifier.wake()
        await until(lambda: _is_at_least(heard, 1))
        with connected(database) as connection, caplog.at_level(logging.WARNING):
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'marketdata-notify'"
            )

            async def is_told() -> bool:
                notifier.wake()
                return len(heard) > 1

            await until(is_told)
    assert any(record.message == "log_notify_failed" for record in caplog.records)


async def test_wake_given_no_database_fails_no_write(
    database: ServerAddress, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing can be told to anybody: writers are answered all the same."""
    notifier = LogNotifier(lambda: replace(database.for_service(), port=1))
    with caplog.at_level(logging.WARNING):
        async with telling(database, notifier.wake) as storage, notifier.running():
            for number in range(1, 4):
                bars = frame_of([Bar("IBM", START_US + days(number))])
                assert (await storage.writer.commit_bars(bars, DAY)).seq == 2 + number

            async def has_failed() -> bool:
                return any(record.message == "log_notify_failed" for record in caplog.records)

            await until(has_failed)


async def _is_at_least(heard: list[str], count: int) -> bool:
    return len(heard) >= count
