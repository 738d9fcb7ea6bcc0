"""ListSymbols by filters and orders, and ValidateSymbols."""

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from bifrost.marketdata.v1 import symbol_pb2
from bifrost.marketdata.v1 import symbol_service_pb2 as messages
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contract.refusals import refusal_of
from tests.contract.service import CALL_SECONDS, Service, serving
from tests.contract.symbol_calls import (
    RENAMED,
    REUSED,
    create,
    list_pages,
    rename,
    update_company,
)
from tests.support.databases import Databases

ACTIVE, DELISTED = symbol_pb2.SYMBOL_STATUS_ACTIVE, symbol_pb2.SYMBOL_STATUS_DELISTED
EQUITY, ETF = symbol_pb2.ASSET_CLASS_EQUITY, symbol_pb2.ASSET_CLASS_ETF
# ticker, name, venue, status, asset class, sector. Two share a name, two have none.
ROWS: Final = [
    ("AAPL", "Apple", "XNAS", ACTIVE, EQUITY, "Technology"),
    ("ABC", "Zeta", "XNYS", DELISTED, EQUITY, ""),
    ("B", "Same", "XNYS", ACTIVE, ETF, ""),
    ("C", "Same", "XNAS", ACTIVE, EQUITY, "technology"),
    ("D", "", "XNAS", DELISTED, ETF, "Technology"),
    ("E", "", "XNYS", ACTIVE, EQUITY, "Technology"),
    ("F", "Ärger", "XETR", ACTIVE, EQUITY, "Öl & Gas"),
]
FILTERS: Final = [
    {},
    {"status": ACTIVE},
    {"status": DELISTED},
    {"venue": "XNAS"},
    {"asset_class": ETF},
    {"status": ACTIVE, "venue": "XNYS", "asset_class": EQUITY},
    {"venue": "XOFF"},
    {"sector": "Technology"},
    {"sector": "Technology", "venue": "XNAS", "status": DELISTED},
    {"sector": "Öl & Gas"},
    {"sector": "Techno%"},
]
ORDERS: Final = {"": (0, False), "symbol": (0, False), "name": (1, False)} | {
    "symbol desc": (0, True),
    "name desc": (1, True),
    "  name   desc ": (1, True),
}


@pytest.fixture(scope="module")
async def listed(databases: Databases) -> AsyncIterator[Service]:
    """Give a service that has the rows; the tests of this module share it."""
    database = await databases.migrated()
    async with serving(lambda: database) as running:
        for symbol, name, venue, status, kind, sector in ROWS:
            await create(running, symbol, name=name, venue=venue, status=status, asset_class=kind)
            if sector:
                await update_company(running, symbol, ["sector"], sector=sector)
        yield running
    databases.drop(database)


def expected(filters: dict[str, Any], order_by: str) -> list[str]:
    """List what the rows have, by plain Python."""
    wanted = {"venue": 2, "status": 3, "asset_class": 4, "sector": 5}
    rows = [row for row in ROWS if all(row[wanted[key]] == value for key, value in filters.items())]
    column, descending = ORDERS[order_by]
    # Rows stand in the order of their identities, and a sort keeps equal ones in it.
    rows.sort(key=lambda row: str(row[column]), reverse=False)
    return [row[0] for row in (reversed(rows) if descending else rows)]


@pytest.mark.parametrize("filters", FILTERS, ids=str)
@pytest.mark.parametrize("order_by", list(ORDERS))
async def test_list_given_filters_and_order_pages_like_python(
    listed: Service, filters: dict[str, Any], order_by: str
) -> None:
    """Whatever the page size, every symbol that matches comes once and in order."""
    for page_size in (1, 2, 3, 100):
        pages = await list_pages(listed, page_size, order_by=order_by, **filters)
        assert [symbol for page in pages for symbol in page] == expected(filters, order_by)
        assert {len(page) for page in pages[:-1]} <= {page_size}


async def test_list_given_token_of_another_list_refuses_it(listed: Service) -> None:
    """A token goes with the filters and the order that it was given for."""
    first = await listed.symbols.ListSymbols(messages.ListSymbolsRequest(page_size=1))
    for changes in (
        {"order_by": "name"},
        {"order_by": "symbol"},
        {"status": ACTIVE},
        {"venue": "XNAS"},
        {"sector": "Technology"},
    ):
        request = messages.ListSymbolsRequest(page_token=first.next_page_token, **changes)
        refusal = await refusal_of(listed.symbols.ListSymbols(request))
        assert refusal.violations == {("page_token", "INVALID_PAGE_TOKEN")}


async def test_list_given_reused_ticker_lists_both_under_it(service: Service) -> None:
    """Two identities can have had one ticker last; a page may end between them."""
    await create(service, "FB", name="first")
    await rename(service, "FB", "META", RENAMED)
    await create(service, "FB", name="second", valid_from=RENAMED)
    await rename(service, "FB", "FBX", REUSED)
    await rename(service, "META", "FB", REUSED)
    assert await list_pages(service, 1) == [["FB"], ["FBX"]]


async def validate(service: Service, *texts: str) -> list[messages.SymbolVerdict]:
    """Validate texts."""
    request = messages.ValidateSymbolsRequest(symbols=texts)
    return list((await service.symbols.ValidateSymbols(request, timeout=CALL_SECONDS)).verdicts)


async def test_validate_given_texts_says_what_each_names(service: Service) -> None:
    """In order, with repeats; a renamed one says its new ticker, a malformed one what is wrong."""
    await create(service, "AAPL")
    await create(service, "LEH", status=DELISTED)
    await create(service, "FB")
    await rename(service, "FB", "META", RENAMED)
    texts = ["AAPL", "LEH", "FB", "META", "NOPE", "aapl", "", "AAPL", "A\0", "💥" * 30]
    verdicts = await validate(service, *texts)
    assert [verdict.symbol for verdict in verdicts] == texts
    names = [messages.SymbolValidity.Name(verdict.validity) for verdict in verdicts]
    assert [name.removeprefix("SYMBOL_VALIDITY_") for name in names] == [
        "KNOWN_ACTIVE", "KNOWN_DELISTED", "RENAMED", "KNOWN_ACTIVE", "UNKNOWN",
        "MALFORMED", "MALFORMED", "KNOWN_ACTIVE", "MALFORMED", "MALFORMED",
    ]  # fmt: skip
    assert [verdict.renamed_to for verdict in verdicts] == ["", "", "META"] + [""] * 7
    malformed = messages.SYMBOL_VALIDITY_MALFORMED
    assert all(bool(v.problem) == (v.validity == malformed) for v in verdicts)
    assert "upper case" in verdicts[5].problem


async def test_validate_given_reused_ticker_means_its_holder(service: Service) -> None:
    """FB names the company that has it now, so it is not renamed."""
    await create(service, "FB")
    await rename(service, "FB", "META", RENAMED)
    await create(service, "FB", valid_from=REUSED, status=DELISTED)
    (verdict,) = await validate(service, "FB")
    assert verdict.validity == messages.SYMBOL_VALIDITY_KNOWN_DELISTED


async def test_validate_given_as_many_as_the_contract_takes_answers_all(service: Service) -> None:
    """5,000 texts in one call."""
    await create(service, "S4999")
    verdicts = await validate(service, *(f"S{number}" for number in range(5_000)))
    assert len(verdicts) == 5_000
    assert verdicts[-1].validity == messages.SYMBOL_VALIDITY_KNOWN_ACTIVE
    assert {verdict.validity for verdict in verdicts[:-1]} == {messages.SYMBOL_VALIDITY_UNKNOWN}


@settings(max_examples=50)
@given(texts=st.lists(st.text(max_size=30), min_size=1, max_size=20))
async def test_validate_given_any_texts_never_fails(listed: Service, texts: list[str]) -> None:
    """One verdict a text, whatever it is."""
    verdicts = await validate(listed, *texts)
    assert [verdict.symbol for verdict in verdicts] == texts
    assert all(verdict.validity for verdict in verdicts)
