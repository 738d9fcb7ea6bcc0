"""Symbols by the tens of thousands: every read of them goes by an index."""

import random
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from psycopg import sql

from marketdata.domain.symbol_query import SymbolOrder, SymbolQuery
from marketdata.storage import symbol_search, symbols
from marketdata.storage.pools import Connection
from marketdata.storage.symbol_rows import fetch_rows
from tests.support.databases import Databases
from tests.support.storage import Storage, opened_storage

COUNT: Final = 30_000
# Some words that many names have, and one made up a name.
WORDS: Final = ("General", "United", "Pacific", "Energy", "Medical", "Systems", "Capital", "Gold")
FORMS: Final = ("Inc.", "Corporation", "plc", "Holdings Ltd", "S.A.")
SYLLABLES: Final = [a + b for a in "bcdfgklmnprstvz" for b in "aeiou"]


def rows() -> list[tuple[str, str]]:
    """Make tickers and names, the same ones each time."""
    chance = random.Random(7)  # noqa: S311 -- no secrets
    tickers: dict[str, None] = {}
    while len(tickers) < COUNT:
        tickers["".join(chance.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=chance.choice((3, 4, 5))))] = (
            None
        )
    return [
        (
            ticker,
            "".join(chance.choices(SYLLABLES, k=3)).title()
            + f" {chance.choice(WORDS)} {chance.choice(FORMS)}",
        )
        for ticker in tickers
    ]


@pytest.fixture(scope="module")
async def market(databases: Databases) -> AsyncIterator[Storage]:
    """Give a storage layer with many symbols; the tests of this module share it."""
    database = await databases.migrated()
    async with opened_storage(lambda: database) as opened:
        async with opened.pools.query() as connection:
            await fill(connection)
        yield opened
    databases.drop(database)


async def fill(connection: Connection) -> None:
    """Bring in the symbols, and let the planner know of them."""
    columns = "symbol, name, venue, asset_class, currency, calendar, time_zone, status"
    rest = ("XNYS", "equity", "USD", "XNYS", "America/New_York", "active")
    async with connection.cursor().copy(f"COPY market_symbol ({columns}) FROM STDIN".encode()) as copy:
        for row in rows():
            await copy.write_row((*row, *rest))
    await connection.execute(
        "INSERT INTO symbol_validity (symbol_id, symbol) SELECT symbol_id, symbol FROM market_symbol"
    )
    await connection.execute(
        "INSERT INTO market_stock (symbol_id, name, sector, industry, currency, source, updated_at)"
        " SELECT symbol_id, name, CASE WHEN symbol_id % 1000 = 0 THEN 'Rare' ELSE 'Many' END,"
        "        '', '', 'manual', now() FROM market_symbol WHERE symbol_id % 2 = 0"
    )
    await connection.execute("VACUUM (ANALYZE) market_symbol, symbol_validity, market_stock")


async def plan_of(connection: Connection, query: sql.Composed | str, parameters: dict[str, Any]) -> str:
    """Explain a query as it is run."""
    text = query if isinstance(query, str) else query.as_string(connection)
    cursor = await connection.execute(f"EXPLAIN {text}".encode(), parameters)
    return "\n".join(str(row[0]) for row in await cursor.fetchall())


TEXTS: Final = [
    "AALP",
    "bakode",
    "bakdoe",
    "general",  # an eighth of all names
    "general systems",
    "united bakode",
    "S.A.",
    "x",
    "____",
    "%",
]


@pytest.mark.parametrize("text", TEXTS)
async def test_search_given_many_symbols_reads_them_by_index(market: Storage, text: str) -> None:
    """No text makes it compare all of them, whether it is a ticker, a name or a slip."""
    async with market.pools.query() as connection, connection.transaction():
        (asked,) = await fetch_rows(connection, symbol_search._UNDERSTAND, {"text": text})
        by_ticker = await plan_of(connection, symbol_search._BY_TICKER, {**asked, "limit": 10})
        fuzzy = await plan_of(connection, symbol_search._FUZZY, {**asked, "found": [1], "limit": 10})
    assert "Seq Scan on market_symbol" not in by_ticker + fuzzy
    assert "market_symbol_symbol" in by_ticker
    assert "symbol_validity_symbol" in by_ticker
    assert "market_symbol_search_keys" in fuzzy


@pytest.mark.parametrize(
    "query",
    [
        SymbolQuery(order=order, descending=descending, venue="XNYS")
        for order in SymbolOrder
        for descending in (False, True)
    ],
    ids=lambda query: f"{query.order.value} {query.descending}",
)
async def test_list_given_many_symbols_walks_an_index(market: Storage, query: SymbolQuery) -> None:
    """A page costs what a page has, wherever in the list it begins."""
    text = symbols._list_statement(query)
    parameters = {"after": "K", "after_id": 5, "status": None, "venue": "XNYS", "asset_class": None}
    parameters["sector"] = None
    async with market.pools.query() as connection:
        plan = await plan_of(connection, text, {**parameters, "limit": 101})
    assert f"using market_symbol_{query.order.value} on market_symbol" in plan
    assert "Sort Key: identity" not in plan


@pytest.mark.parametrize(
    ("sector", "index"), [("Rare", "market_stock_sector"), ("Many", "market_symbol_symbol")]
)
async def test_list_given_sector_reads_by_the_index_that_leaves_less(
    market: Storage, sector: str, index: str
) -> None:
    """The few companies of a rare sector are looked up; of a common one the page is soon full."""
    asked = {"after": "K", "after_id": 5, "status": None, "venue": None, "asset_class": None}
    async with market.pools.query() as connection:
        text = symbols._list_statement(SymbolQuery())
        plan = await plan_of(connection, text, {**asked, "sector": sector, "limit": 101})
    assert index in plan
    assert "Seq Scan on market_symbol" not in plan
