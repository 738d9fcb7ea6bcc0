"""The newest bar of a symbol, whatever it was called and whoever had its name."""

import asyncio
from datetime import date
from typing import Any, Final

import psycopg
import pytest

from marketdata.domain.bar_row import BarRow
from marketdata.domain.bars import BarColumn
from marketdata.domain.time_range import session_label_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import BarNotFoundError, DatabaseUnavailableError, SymbolNotFoundError
from marketdata.storage import latest as latest_bars
from tests.support.bars import Bar, bar_of, days, frame_of, series
from tests.support.storage import Storage
from tests.support.symbols import create_renamed, create_symbols
from tests.support.waiting import until

DAY: Final = Timeframe.DAY_1
HOUR: Final = Timeframe.HOUR_1
MINUTE: Final = Timeframe.MINUTE_1
FEEDS: Final = ("", "manual/upload", "sample/eod")  # by id
RENAMED: Final = date(2022, 6, 9)
REUSED: Final = date(2023, 7, 3)
RENAMED_US: Final = session_label_us(RENAMED)
REUSED_US: Final = session_label_us(REUSED)


async def store(storage: Storage, timeframe: Timeframe, *bars: Bar) -> None:
    """Store bars."""
    await storage.writer.commit_bars(frame_of(bars), timeframe)


def as_bar(row: BarRow) -> Bar:
    """Turn a row into a bar, with the id of its feed."""
    columns = (getattr(row, column.value) for column in BarColumn if column is not BarColumn.FEED)
    *values, flags, revision = columns
    return bar_of(row.symbol, *values, FEEDS.index(row.feed), flags, revision)


async def latest(storage: Storage, symbol: str, timeframe: Timeframe | None) -> tuple[Bar, Timeframe]:
    """Read the newest bar of one symbol."""
    row = await storage.latest.read_one(symbol, timeframe)
    return as_bar(row), row.timeframe


async def test_read_one_given_bars_returns_the_newest(storage: Storage) -> None:
    """Whole, with its revision and the name of its feed, in the symbol's currency."""
    await create_renamed(storage, [("SAP", None, None)], currency="EUR")
    newest = Bar("SAP", days(20_002), volume=None, vwap=10.5, trade_count=7, feed=2, flags=3)
    await store(storage, DAY, *series("SAP", DAY, days(20_000), 2), newest._replace(close=10.0))
    await store(storage, DAY, newest)
    answer = await storage.latest.read_one("SAP", DAY)
    assert as_bar(answer) == newest._replace(revision=1)
    assert (answer.timeframe, answer.currency, answer.feed) == (DAY, "EUR", "sample/eod")


async def test_read_one_given_no_timeframe_takes_the_finest(storage: Storage) -> None:
    """The finest that the symbol has, even where a coarser one is newer."""
    await create_symbols(storage, "A")
    day, hour = Bar("A", days(20_000)), Bar("A", days(19_000))
    await store(storage, DAY, day)
    assert await latest(storage, "A", None) == (day, DAY)
    await store(storage, HOUR, hour)
    assert await latest(storage, "A", None) == (hour, HOUR)
    assert await latest(storage, "A", DAY) == (day, DAY)


async def test_read_one_given_no_bars_raises_bar_not_found(storage: Storage) -> None:
    """Known but empty is another answer than unknown; so is empty in that timeframe."""
    await create_symbols(storage, "A")
    with pytest.raises(BarNotFoundError, match="no bar of A is stored"):
        await storage.latest.read_one("A", None)
    await store(storage, DAY, Bar("A", days(20_000)))
    with pytest.raises(BarNotFoundError, match="no 1m bar of A is stored"):
        await storage.latest.read_one("A", MINUTE)
    with pytest.raises(SymbolNotFoundError, match="NOPE is not known"):
        await storage.latest.read_one("NOPE", None)


@pytest.mark.parametrize("asked", ["FB", "META"])
async def test_read_one_given_a_rename_finds_the_newest_under_any_ticker(
    storage: Storage, asked: str
) -> None:
    """The newest of both tickers, under the one asked for."""
    await create_renamed(storage, [("FB", None, RENAMED), ("META", RENAMED, None)])
    await store(storage, DAY, Bar("FB", RENAMED_US - days(1)))
    assert await latest(storage, asked, DAY) == (Bar(asked, RENAMED_US - days(1)), DAY)
    await store(storage, DAY, Bar("META", RENAMED_US))
    assert await latest(storage, asked, DAY) == (Bar(asked, RENAMED_US), DAY)


async def test_read_one_given_a_reused_ticker_reads_each_its_own(storage: Storage) -> None:
    """The newest bar of FB is another company's now: META's is still found, behind it."""
    await create_renamed(storage, [("FB", None, RENAMED), ("META", RENAMED, None)])
    await create_renamed(storage, [("FB", REUSED, None)])
    old = Bar("FB", RENAMED_US - days(1), feed=2)
    await store(storage, DAY, old, Bar("FB", REUSED_US + days(3)))
    assert await latest(storage, "META", DAY) == (old._replace(symbol="META"), DAY)
    assert await latest(storage, "FB", DAY) == (Bar("FB", REUSED_US + days(3)), DAY)
    assert await latest(storage, "META", None) == (old._replace(symbol="META"), DAY)


async def test_read_one_given_a_reused_ticker_without_bars_raises_bar_not_found(
    storage: Storage,
) -> None:
    """The former holder's bars are not the new one's."""
    await create_renamed(storage, [("FB", None, RENAMED), ("META", RENAMED, None)])
    await create_renamed(storage, [("FB", REUSED, None)])
    await store(storage, DAY, Bar("FB", RENAMED_US - days(1)))
    for timeframe in (DAY, None):
        with pytest.raises(BarNotFoundError):
            await storage.latest.read_one("FB", timeframe)


async def test_read_one_given_an_evening_bar_keeps_to_the_venues_midnight(storage: Storage) -> None:
    """A minute of New York's evening is of the day before, though UTC's date is the next."""
    await create_renamed(storage, [("FB", None, RENAMED), ("META", RENAMED, None)])
    await create_renamed(storage, [("FB", RENAMED, None)])
    evening = Bar("FB", RENAMED_US + 2 * 3_600_000_000)
    await store(storage, MINUTE, evening)
    with pytest.raises(BarNotFoundError):
        await storage.latest.read_one("FB", MINUTE)
    assert await latest(storage, "META", MINUTE) == (evening._replace(symbol="META"), MINUTE)


async def test_read_many_given_symbols_tells_apart_unknown_and_empty(storage: Storage) -> None:
    """Each bar under its symbol; known symbols without bars are named, unknown ones are not."""
    await create_symbols(storage, "A", "B", "EMPTY")
    bars = [Bar("A", days(20_000), feed=2), Bar("B", days(20_005), volume=None)]
    await store(storage, DAY, *bars)
    answer = await storage.latest.read_many(["B", "NOPE", "EMPTY", "A"], DAY)
    assert sorted(map(as_bar, answer.bars)) == bars
    assert answer.without_bars == {"EMPTY"}
    assert [bar.timeframe for bar in answer.bars] == [DAY, DAY]


async def test_read_many_given_feeds_from_both_places_tells_them_apart(storage: Storage) -> None:
    """A bar found behind a reused ticker comes from another read: its feed keeps its name."""
    await create_renamed(storage, [("FB", None, RENAMED), ("META", RENAMED, None)])
    await create_renamed(storage, [("FB", REUSED, None)])
    old, new = Bar("FB", RENAMED_US - days(1), feed=2), Bar("FB", REUSED_US, feed=1)
    await store(storage, DAY, old, new)
    answer = await storage.latest.read_many(["META", "FB"], DAY)
    assert sorted(map(as_bar, answer.bars)) == [new, old._replace(symbol="META")]


async def test_read_many_given_only_empty_symbols_has_no_rows(storage: Storage) -> None:
    """An empty answer is an answer."""
    await create_symbols(storage, "A")
    answer = await storage.latest.read_many(["A", "NOPE"], None)
    assert answer.bars == ()
    assert answer.without_bars == {"A"}


async def test_read_one_given_many_at_once_answers_each(storage: Storage) -> None:
    """They share statements, whatever each asks for: an unknown symbol fails its own call only."""
    await create_symbols(storage, "A", "B", "EMPTY")
    day, minute = Bar("A", days(20_000)), Bar("B", days(20_001), feed=2)
    await store(storage, DAY, day, day._replace(symbol="B"))
    await store(storage, MINUTE, minute)
    calls = [("A", None), ("NOPE", DAY), ("B", MINUTE), ("EMPTY", DAY), ("A", MINUTE), ("B", None)]
    answers = await asyncio.gather(
        *(storage.latest.read_one(*call) for call in calls), return_exceptions=True
    )
    assert storage.pools.stats()["lookups"]["requests_num"] == 1
    rows = [as_bar(row) for row in answers if isinstance(row, BarRow)]
    assert rows == [day, minute, minute]
    assert [type(error) for error in answers if isinstance(error, Exception)] == [
        SymbolNotFoundError,
        BarNotFoundError,
        BarNotFoundError,
    ]


async def test_read_one_given_a_write_acknowledged_before_sees_it(storage: Storage) -> None:
    """However many others ask at the same time: an answer is never older than its question."""
    await create_symbols(storage, "A")
    await store(storage, DAY, Bar("A", days(20_000)))
    is_over = asyncio.Event()

    async def ask_on() -> None:
        while not is_over.is_set():
            await storage.latest.read_one("A", DAY)

    others = [asyncio.create_task(ask_on()) for _ in range(4)]
    try:
        for number in range(20_001, 20_031):
            await store(storage, DAY, Bar("A", days(number)))
            assert (await storage.latest.read_one("A", DAY)).time_us == days(number)
    finally:
        is_over.set()
        await asyncio.gather(*others)


@pytest.mark.modes("plain", "apache", reason="sessions can be ended")
async def test_read_one_given_a_session_that_ends_under_it_raises_database_unavailable(
    storage: Storage,
) -> None:
    """All that share the statement are told so; the next call has another connection."""
    await create_symbols(storage, "A", "B")
    await store(storage, DAY, Bar("A", days(20_000)), Bar("B", days(20_000)))
    address = storage.address().connection_parameters()
    async with await psycopg.AsyncConnection.connect(**address) as blocker:  # type: ignore[arg-type]
        await blocker.execute("LOCK TABLE bar_latest IN ACCESS EXCLUSIVE MODE")
        calls = [asyncio.create_task(storage.latest.read_one(symbol, DAY)) for symbol in "AB"]
        await until(lambda: _has_ended_waiting(blocker))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [DatabaseUnavailableError] * 2
    assert await latest(storage, "A", DAY) == (Bar("A", days(20_000)), DAY)


async def _has_ended_waiting(blocker: psycopg.AsyncConnection[Any]) -> bool:
    cursor = await blocker.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return bool(await cursor.fetchall())


async def test_read_one_given_tables_that_fill_up_goes_by_their_indexes(storage: Storage) -> None:
    """Its plan is made once, for all values: even while the tables are empty no scan is in it."""
    async with storage.pools.lookup() as connection:
        names = (
            b"PREPARE latest (text[], text[]) AS ",
            b"EXPLAIN EXECUTE latest (ARRAY['A'], ARRAY['1d'])",
        )
        statement = latest_bars._LATEST.replace("%(symbols)s", "$1").replace("%(timeframes)s", "$2")
        await connection.execute(names[0] + statement.encode(), prepare=False)
        cursor = await connection.execute(names[1], prepare=False)
        plan = "\n".join(str(row[0]) for row in await cursor.fetchall())
        await connection.execute("DEALLOCATE latest")
    assert "Function Scan on unnest asked" in plan
    assert not [word for word in ("Seq Scan", "Hash", "Merge", "Bitmap") if word in plan], plan
    assert "bar_latest_pkey" in plan
    assert "symbol_validity_symbol" in plan
