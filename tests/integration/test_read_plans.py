"""How PostgreSQL executes the read statements: only the range's partitions, along the primary key.

The same in every storage mode: partitions are chunks where there are hypertables. In compressed chunks
the index of the columnstore, by symbol and bounds of time, stands in for the primary key.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

import pytest
from psycopg import sql

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.time_range import TimeRange, from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.storage import bar_counts, statistics
from marketdata.storage.bar_tables import bar_table
from marketdata.storage.columnstore import settle_columnstore
from marketdata.storage.modes import StorageMode
from marketdata.storage.pools import Connection
from marketdata.storage.read_sql import bar_statements
from tests.support.bars import days, frame_of, series
from tests.support.databases import Databases
from tests.support.rows import TABLES, fetch, partitions
from tests.support.storage import Storage, opened_storage
from tests.support.symbols import create_renamed, create_symbols

MINUTE: Final = Timeframe.MINUTE_1
FIRST_DAY: Final = 20_000
DAYS: Final = 10
RENAMED: Final = date(2024, 10, 8)
SYMBOLS: Final = tuple(f"S{number}" for number in range(8))

COMPRESSED: Final = pytest.param(
    "columns", marks=pytest.mark.modes("timescale", reason="the community edition's columnstore")
)
COMPRESS: Final = """
    SELECT count(compress_chunk(chunk)) FROM show_chunks('market_stock_hist_bars_min_ts') AS chunk
"""
# Of bars; what stands behind a compressed chunk is told with the chunk.
PARTITIONS: Final = (TABLES[MINUTE], "_hyper_")
# Row by row in the order of the key: the first row leaves at once. A bitmap gathers all of them first.
WALKS: Final = ("Index Scan", "Index Only Scan")
GATHERS: Final = (*WALKS, "Bitmap Index Scan")
PRIMARY_KEYS: Final = """
    SELECT indrelid::regclass::text, indexrelid::regclass::text FROM pg_index WHERE indisprimary
"""

Plan = dict[str, Any]


class Scan(NamedTuple):
    """A partition that a plan reads: along which index, and how much of it."""

    partition: str
    node: Plan
    access: Plan

    @property
    def rows(self) -> float:
        """How many rows it gave, in all rounds."""
        return float(self.node["Actual Rows"] * self.node["Actual Loops"])


@pytest.fixture(scope="module", params=["rows", COMPRESSED])
async def filled(
    databases: Databases, storage_mode: StorageMode, request: pytest.FixtureRequest
) -> AsyncIterator[Storage]:
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
        if request.param == "columns":
            await settle_columnstore(database, storage_mode)
            await fetch(storage, COMPRESS)
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
            found.append(await explain(connection, select, {}))
    return found


async def explain(connection: Connection, query: str, parameters: Mapping[str, Any]) -> Plan:
    """Run a query and tell how it was executed."""
    text = f"EXPLAIN (ANALYZE, FORMAT JSON) {query}".encode()
    cursor = await connection.execute(text, parameters or None)
    (row,) = await cursor.fetchall()
    answer = row[0] if isinstance(row[0], list) else json.loads(row[0])
    plan: Plan = answer[0]["Plan"]
    return plan


def nodes(plan: Plan) -> Iterator[Plan]:
    """Walk a plan."""
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def scans(plan: Plan) -> list[Scan]:
    """List the partitions that a plan may read."""
    found = []
    for node in nodes(plan):
        is_chunk_append = node.get("Custom Plan Provider") == "ChunkAppend"
        if is_chunk_append or not node.get("Relation Name", "").startswith(PARTITIONS):
            continue
        has_index_below = "Custom Plan Provider" in node or node["Node Type"] == "Bitmap Heap Scan"
        access = node["Plans"][0] if has_index_below else node
        found.append(Scan(node["Relation Name"], node, access))
    return found


async def names(storage: Storage, days_from: int, days_to: int) -> list[str]:
    """Name the partitions of some days."""
    return [part.name for part in (await partitions(storage, MINUTE))[days_from:days_to]]


def within(day_from: float, day_to: float) -> TimeRange:
    """Make a range of days from the first stored one."""
    return TimeRange(days(FIRST_DAY + day_from), days(FIRST_DAY + day_to))


async def use_primary_key(storage: Storage, found: Sequence[Scan], how: Sequence[str] = WALKS) -> bool:
    """Whether each scan goes by the key of its partition, by symbol and time."""
    keys = {bare(table): bare(index) for table, index in await fetch(storage, PRIMARY_KEYS)}
    return bool(found) and all(goes_by_key(scan, keys[scan.partition], how) for scan in found)


def bare(name: str) -> str:
    """Leave the schema and the quotes of a name away."""
    return name.rpartition(".")[2].strip('"')


def goes_by_key(scan: Scan, primary_key: str, how: Sequence[str]) -> bool:
    """Whether a scan goes by the primary key, or by what stands in for it in a compressed chunk."""
    if scan.access["Node Type"] not in how:
        return False
    condition = scan.access["Index Cond"]
    if "symbol" not in condition:
        return False
    if "Custom Plan Provider" in scan.node:
        return "_ts_meta_min_1 <" in condition and "_ts_meta_max_1 >" in condition
    return bool(scan.access["Index Name"] == primary_key and condition.count('"time"') >= 2)


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
    assert sorted(scan.partition for scan in found) == sorted(expected)
    assert await use_primary_key(filled, found)
    assert not any(node["Node Type"].endswith("Sort") for plan in windows for node in nodes(plan))


@pytest.mark.parametrize("bounded", ["limit", "count"])
async def test_plan_given_the_last_bars_reads_only_the_newest_partition(
    filled: Storage, bounded: str
) -> None:
    """The last N bars of a long range are found from its end: older partitions are never opened."""
    limit, count = (5, None) if bounded == "limit" else (None, 5)
    query = BarQuery(("S3",), MINUTE, within(0, DAYS), limit, descending=True)
    (plan,) = await plans(filled, query, count)
    opened = [scan for scan in scans(plan) if scan.node["Actual Loops"]]
    assert [scan.partition for scan in opened] == await names(filled, DAYS - 1, DAYS)
    assert await use_primary_key(filled, opened)
    assert opened[0].rows == 5


@pytest.mark.parametrize("by_time", [False, True], ids=["by symbol", "by time"])
@pytest.mark.parametrize("limit", [None, 3])
async def test_plan_given_many_symbols_walks_the_key_of_the_ranges_partitions(
    filled: Storage, limit: int | None, *, by_time: bool
) -> None:
    """One statement for all: per symbol the key of the partitions of the range, and of no other."""
    query = BarQuery(SYMBOLS, MINUTE, within(4, 6), limit, by_time=by_time)
    found = [scan for plan in await plans(filled, query) for scan in scans(plan)]
    found = [scan for scan in found if scan.node["Actual Loops"]]
    newest = 4 if limit is None else 5  # the last few bars stand in the newest partition
    assert {scan.partition for scan in found} == set(await names(filled, newest, 6))
    assert await use_primary_key(filled, found)
    assert sum(scan.rows for scan in found) == 8 * (limit or 780)


@pytest.mark.parametrize("limit", [None, 600])
async def test_plan_given_a_rename_reads_each_ticker_in_its_range(
    filled: Storage, limit: int | None
) -> None:
    """Both parts of a renamed series walk the key within their own partitions."""
    query = BarQuery(("NEW",), MINUTE, within(2, 7), limit)
    (plan,) = await plans(filled, query)
    found = scans(plan)
    assert await use_primary_key(filled, found)
    assert "Merge Append" in {node["Node Type"] for node in nodes(plan)}
    by_ticker = {
        ticker: {scan.partition for scan in found if f"'{ticker}'" in scan.access["Index Cond"]}
        for ticker in ("OLD", "NEW")
    }
    # Midnight in New York on 2024-10-08 lies within the partition of that day.
    assert by_ticker == {"OLD": set(await names(filled, 2, 5)), "NEW": set(await names(filled, 4, 7))}


async def test_plan_given_statistics_of_a_symbol_goes_by_the_key(filled: Storage) -> None:
    """Its bars are counted in the partitions of the range, and no other bar is read."""
    parameters = {**bounds(3, 7), "symbol": "S3"}
    found = await scans_of(filled, statistics._SEGMENT, parameters)
    assert {scan.partition for scan in found} == set(await names(filled, 3, 7))
    assert await use_primary_key(filled, found, GATHERS)
    assert sum(scan.rows for scan in found) == 4 * 390


async def test_plan_given_bars_to_count_visits_the_ranges_partitions(filled: Storage) -> None:
    """However they are counted there, no other partition is opened."""
    found = await scans_of(filled, bar_counts._COUNT, bounds(3, 7))
    assert {scan.partition for scan in found} == set(await names(filled, 3, 7))


async def test_plan_given_the_first_bar_looks_a_symbol_up_in_one_partition(filled: Storage) -> None:
    """By the key, a row a symbol: a partition of all symbols' bars is not read for one time."""
    parameters = {**bounds(0, 1), "timeframe": MINUTE.value}
    found = await scans_of(filled, bar_counts._FIRST, parameters)
    assert [scan.partition for scan in found] == await names(filled, 0, 1)
    assert await use_primary_key(filled, found)
    assert found[0].rows == len(SYMBOLS) + 2


async def scans_of(storage: Storage, query: sql.SQL, parameters: Mapping[str, Any]) -> list[Scan]:
    """Explain a query over the minutes in a session of the pool that runs it."""
    async with storage.pools.query() as connection:
        text = query.format(table=bar_table(MINUTE)).as_string(connection)
        return scans(await explain(connection, text, parameters))


def bounds(day_from: int, day_to: int) -> dict[str, Any]:
    """Give the bounds of days as parameters."""
    span = within(day_from, day_to)
    return {"start": from_unix_us(span.start_us), "end": from_unix_us(span.end_us)}
