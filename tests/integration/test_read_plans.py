"""How PostgreSQL executes the read statements: only the range's partitions, along the primary key."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import date
from typing import Any, Final

import pytest

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.read_sql import bar_statements
from tests.support.bars import days, frame_of, series
from tests.support.databases import Databases
from tests.support.rows import fetch, partitions
from tests.support.storage import Storage, opened_storage
from tests.support.symbols import create_renamed, create_symbols

pytestmark = pytest.mark.modes("plain", reason="plans over native partitions")

MINUTE: Final = Timeframe.MINUTE_1
FIRST_DAY: Final = 20_000
DAYS: Final = 10
RENAMED: Final = date(2024, 10, 8)
SYMBOLS: Final = tuple(f"S{number}" for number in range(8))

Plan = dict[str, Any]


@pytest.fixture(scope="module")
async def filled(databases: Databases) -> AsyncIterator[Storage]:
    """Store ten partitions of minutes, large enough that reading one whole would be a mistake."""
    database = await databases.migrated()
    async with opened_storage(lambda: database) as storage:
        await create_symbols(storage, *SYMBOLS)
        await create_renamed(storage, [("OLD", None, RENAMED), ("NEW", RENAMED, None)])
        for symbol in (*SYMBOLS, "OLD", "NEW"):
            bars = [
                bar
                for day in range(FIRST_DAY, FIRST_DAY + DAYS)
                for bar in series(symbol, MINUTE, days(day), 390)
            ]
            await storage.writer.commit_bars(frame_of(bars), MINUTE)
        await fetch(storage, "ANALYZE market_stock_hist_bars_min_ts")
        yield storage
    databases.drop(database)


async def plans(storage: Storage, query: BarQuery, count: int | None = None) -> list[Plan]:
    """Explain the statements of a query in a session of the pool that runs them."""
    resolved = await storage.symbols.resolve(query.symbols, query.timeframe)
    found = []
    async with storage.pools.stream() as connection:
        for statement in bar_statements(query, list(resolved.values()), count):
            copy = statement.text.as_string(connection)
            select = copy.removeprefix("COPY (").removesuffix(") TO STDOUT (FORMAT binary)")
            assert len(select) < len(copy) - 20
            cursor = await connection.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + select.encode())
            (row,) = await cursor.fetchall()
            answer = row[0] if isinstance(row[0], list) else json.loads(row[0])
            found.append(answer[0]["Plan"])
    return found


def nodes(plan: Plan) -> Iterator[Plan]:
    """Walk a plan."""
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def scans(plan: Plan) -> list[Plan]:
    """List what reads a table."""
    return [node for node in nodes(plan) if "Relation Name" in node]


async def names(storage: Storage, days_from: int, days_to: int) -> list[str]:
    """Name the partitions of some days."""
    return [part.name for part in (await partitions(storage, MINUTE))[days_from:days_to]]


def within(day_from: float, day_to: float) -> TimeRange:
    """Make a range of days from the first stored one."""
    return TimeRange(days(FIRST_DAY + day_from), days(FIRST_DAY + day_to))


def uses_primary_key(found: Sequence[Plan]) -> bool:
    """Whether each scan walks the primary key of its partition by symbol and time."""
    return all(
        scan["Node Type"] == "Index Scan"
        and scan["Index Name"] == f"{scan['Relation Name']}_pkey"
        and "symbol" in scan["Index Cond"]
        and scan["Index Cond"].count('"time"') >= 2
        for scan in found
    )


@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
@pytest.mark.parametrize(("day_from", "day_to"), [(2, 5), (2.5, 3.25), (0, DAYS), (9, 9.001)])
async def test_plan_given_one_symbol_walks_the_key_of_the_ranges_partitions(
    filled: Storage, day_from: float, day_to: float, *, descending: bool
) -> None:
    """No other partition is planned, nothing is sorted: the first row can leave at once."""
    query = BarQuery(("S3",), MINUTE, within(day_from, day_to), descending=descending)
    windows = await plans(filled, query)
    found = [scan for plan in windows for scan in scans(plan)]
    expected = await names(filled, int(day_from), -int(-day_to // 1))
    assert sorted(scan["Relation Name"] for scan in found) == expected
    assert uses_primary_key(found)
    assert not any(node["Node Type"].endswith("Sort") for plan in windows for node in nodes(plan))


@pytest.mark.parametrize("bounded", ["limit", "count"])
async def test_plan_given_the_last_bars_reads_only_the_newest_partition(
    filled: Storage, bounded: str
) -> None:
    """The last N bars of a long range are found from its end: older partitions are never opened."""
    limit, count = (5, None) if bounded == "limit" else (None, 5)
    query = BarQuery(("S3",), MINUTE, within(0, DAYS), limit, descending=True)
    (plan,) = await plans(filled, query, count)
    opened = [scan for scan in scans(plan) if scan["Actual Loops"]]
    assert [scan["Relation Name"] for scan in opened] == await names(filled, DAYS - 1, DAYS)
    assert uses_primary_key(opened)
    assert opened[0]["Actual Rows"] == 5


@pytest.mark.parametrize("by_time", [False, True], ids=["by symbol", "by time"])
@pytest.mark.parametrize("limit", [None, 3])
async def test_plan_given_many_symbols_walks_the_key_of_the_ranges_partitions(
    filled: Storage, limit: int | None, *, by_time: bool
) -> None:
    """One statement for all: per symbol the key of the partitions of the range, and of no other."""
    query = BarQuery(SYMBOLS, MINUTE, within(4, 6), limit, by_time=by_time)
    found = [scan for plan in await plans(filled, query) for scan in scans(plan)]
    found = [scan for scan in found if scan["Actual Loops"]]
    newest = 4 if limit is None else 5  # the last few bars stand in the newest partition
    assert {scan["Relation Name"] for scan in found} == set(await names(filled, newest, 6))
    assert uses_primary_key(found)
    assert sum(scan["Actual Rows"] * scan["Actual Loops"] for scan in found) == 8 * (limit or 780)


@pytest.mark.parametrize("limit", [None, 600])
async def test_plan_given_a_rename_reads_each_ticker_in_its_range(
    filled: Storage, limit: int | None
) -> None:
    """Both parts of a renamed series walk the key within their own partitions."""
    query = BarQuery(("NEW",), MINUTE, within(2, 7), limit)
    (plan,) = await plans(filled, query)
    found = scans(plan)
    assert uses_primary_key(found)
    assert "Merge Append" in {node["Node Type"] for node in nodes(plan)}
    by_ticker = {
        ticker: {scan["Relation Name"] for scan in found if f"'{ticker}'" in scan["Index Cond"]}
        for ticker in ("OLD", "NEW")
    }
    # Midnight in New York on 2024-10-08 lies within the partition of that day.
    assert by_ticker == {"OLD": set(await names(filled, 2, 5)), "NEW": set(await names(filled, 4, 7))}
