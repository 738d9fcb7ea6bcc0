"""A change log of many writes: every read and every trim of it goes by an index, wherever it begins."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import pytest

from marketdata.storage import log_reader, log_trim
from marketdata.storage.log_facts import _FACTS
from marketdata.storage.pools import Connection
from tests.support.databases import Databases, connected
from tests.support.storage import Storage, opened_storage

WRITES: Final = 40_000
# Past the triggers: the seq of each is its write_id.
_FILL: Final = """
    BEGIN;
    ALTER TABLE bar_write DISABLE TRIGGER USER;
    INSERT INTO bar_write (write_id, seq, committed_at)
    SELECT number, number, now() FROM generate_series(1, {0}) AS number;
    INSERT INTO bar_change (write_id, part, kind, symbols, bars)
    SELECT number, 0, 'bars', '{{AAPL}}', repeat('x', 85)::bytea FROM generate_series(1, {0}) AS number;
    UPDATE bar_log_head SET seq = {0};
    ALTER TABLE bar_write ENABLE TRIGGER USER;
    COMMIT;
"""


@pytest.fixture(scope="module", params=["analyzed", "never analyzed"])
async def log(databases: Databases, request: pytest.FixtureRequest) -> AsyncIterator[Storage]:
    """Give a storage layer with a long log, whether or not the planner knows of it."""
    database = await databases.migrated()
    with connected(database) as connection:
        connection.execute("ALTER TABLE bar_write SET (autovacuum_enabled = off)")
        connection.execute("ALTER TABLE bar_change SET (autovacuum_enabled = off)")
        connection.execute(_FILL.format(WRITES).encode())
        if request.param == "analyzed":
            connection.execute("ANALYZE bar_write, bar_change")
    async with opened_storage(lambda: database) as opened:
        yield opened
    databases.drop(database)


async def scans(connection: Connection, query: str, parameters: Any) -> list[str]:
    """List the steps of a query's plan that read a whole table, or compare each row with each."""
    cursor = await connection.execute(f"EXPLAIN {query}".encode(), parameters)
    plan = [str(row[0]) for row in await cursor.fetchall()]
    assert any("Index" in line for line in plan)
    costly = [line for line in plan if "Seq Scan" in line or "Join Filter" in line]
    return [line for line in costly if "bar_log" not in line]


@pytest.mark.parametrize("after", [0, WRITES // 2, WRITES - 3])
async def test_page_given_a_long_log_reads_it_by_index(log: Storage, after: int) -> None:
    """A page costs what a page has, wherever it begins."""
    parameters = {"after": after, "entries": 1_000, "size_bytes": 4_000_000}
    async with log.pools.query() as connection:
        assert await scans(connection, log_reader._PAGE, parameters) == []
        assert await scans(connection, log_reader._NEXT, [after]) == []
        assert await scans(connection, _FACTS, [after + 1]) == []


@pytest.mark.parametrize("oldest", [1, WRITES // 2])
async def test_trim_given_a_long_log_finds_the_old_by_index(log: Storage, oldest: int) -> None:
    """A batch costs what a batch has, however many entries stay."""
    parameters = {"oldest": oldest, "batch": 200, "floor": None, "keep": timedelta(days=7)}
    async with log.pools.query() as connection:
        assert await scans(connection, log_trim._OLD, parameters) == []
        bounds = {"oldest": oldest, "last": oldest + 199}
        assert await scans(connection, log_trim._DELETE, bounds) == []
