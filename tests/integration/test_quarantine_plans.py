"""A full quarantine: its lists go by indexes, and writers who bring the same rows do not collide."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import pytest
from psycopg import sql

from marketdata.domain.quarantine import QuarantineFilter, QuarantineState
from marketdata.domain.timeframe import Timeframe
from marketdata.storage import quarantine
from marketdata.storage.quarantine import QuarantineReader, append_quarantined, filter_parameters
from tests.support.bars import days
from tests.support.databases import Databases, connected
from tests.support.quarantined import NOT_FINITE, bar, ids, judged
from tests.support.storage import Storage, opened_storage

# A row in a hundred is open; a run found a thousand.
_FILL: Final = """
    INSERT INTO bar_quarantine (run_id, provider, feed, symbol, timeframe, time, open, high, low, close,
                                volume, vwap, trade_count, flags, rules, severity, detail, state,
                                decided_at)
    SELECT number / 1000, 'p', 'p/f', 'S' || number % 2000, '1m', '2020-01-01', number, 1, 1, 1,
           'NaN', 'NaN', -1, 1, '{NOT_FINITE}', 'invalid', '',
           CASE WHEN is_open THEN 'open' ELSE 'dropped' END, CASE WHEN NOT is_open THEN now() END
      FROM generate_series(1, 40000) AS number, LATERAL (SELECT number % 100 = 0) AS state (is_open)
"""


@pytest.fixture(scope="module")
async def full(databases: Databases) -> AsyncIterator[Storage]:
    """Give a storage layer with many quarantined rows; the tests of this module share it."""
    database = await databases.migrated()
    with connected(database) as connection:
        connection.execute(_FILL.encode())
        connection.execute("ANALYZE bar_quarantine")
    async with opened_storage(lambda: database) as opened:
        yield opened
    databases.drop(database)


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (QuarantineFilter(), "bar_quarantine_pkey"),
        (QuarantineFilter(state=QuarantineState.OPEN), "bar_quarantine_open"),
        (QuarantineFilter(run_id=5), "bar_quarantine_run"),
        (QuarantineFilter(symbol="S77"), "bar_quarantine_symbol_"),
        (QuarantineFilter(symbol="S77", state=QuarantineState.OPEN), "bar_quarantine_symbol_"),
    ],
)
async def test_list_given_many_rows_goes_by_an_index(
    full: Storage, wanted: QuarantineFilter, index: str
) -> None:
    """A page costs what it holds, however full the quarantine is."""
    parameters = {**filter_parameters(wanted), "before": None, "limit": 101}
    async with full.pools.query() as connection:
        query = sql.SQL("EXPLAIN {}").format(quarantine._PAGE)
        plan = [str(row[0]) for row in await (await connection.execute(query, parameters)).fetchall()]
    assert any(index in line for line in plan), plan
    assert not any("Seq Scan" in line for line in plan), plan


@pytest.mark.modes("plain", "apache", reason="two transactions at once")
async def test_append_given_the_same_rows_by_two_writers_keeps_them_once(storage: Storage) -> None:
    """The second one waits for the first one's COMMIT, and finds them."""
    found = judged(*(bar(day=number) for number in range(1, 50)), rules=NOT_FINITE)
    both_begun = asyncio.Barrier(2)

    async def write() -> None:
        async with storage.pools.query() as connection, connection.transaction():
            await connection.execute("SELECT 1")
            await both_begun.wait()
            await append_quarantined(connection, found, Timeframe.DAY_1, provider="sample")

    await asyncio.gather(write(), write())
    assert len(await ids(storage)) == 49
    page = await QuarantineReader(storage.pools).list_page(QuarantineFilter(), None, 1)
    assert page[0].time_us == days(49)
