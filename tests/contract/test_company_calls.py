"""GetCompany and UpdateCompany: what is changed, what is left alone, what is not there."""

import asyncio
from dataclasses import replace
from datetime import date
from typing import Any, Final

import grpc
import pytest
from bifrost.marketdata.v1.company_pb2 import Company

from marketdata.client import Company as StoredCompany
from marketdata.client import CompanyFacts, MarketDataClient, SyncMarketDataClient
from marketdata.errors import CompanyNotFoundError, InvalidRequestError, SymbolNotFoundError
from marketdata.storage.embedded import ServerAddress
from marketdata.wire.companies import FACT_FIELDS
from tests.contract.refusals import refusal_of
from tests.contract.service import Service, state
from tests.contract.symbol_calls import (
    RENAMED,
    company,
    create,
    get_company,
    list_pages,
    rename,
    update_company,
)

OLD: Final[dict[str, Any]] = {
    "name": "Apple [/Inc.] & Söhne",
    "sector": "Technology",
    "industry": "Consumer Electronics",
    "employees": 164_000,
    "market_cap": 3_012_345_678_900.25,
    "shares_outstanding": 15_204_137_000.0,
    "currency": "USD",
    "ipo_date": "1980-12-12",
    "as_of": "2026-09-30",
}
NEW: Final[dict[str, Any]] = {
    "name": "Apple AG",
    "sector": "Energy",
    "industry": "Oil",
    "employees": 0,
    "market_cap": 1.5,
    "shares_outstanding": 2.5,
    "currency": "EUR",
    "ipo_date": "1999-01-04",
    "as_of": "2000-01-03",
}
FACTS: Final = CompanyFacts(
    **OLD | {"ipo_date": date(1980, 12, 12), "as_of": date(2026, 9, 30)}  # type: ignore[arg-type]
)


def facts_of(message: Company) -> dict[str, Any]:
    """List the facts that a message has, without those that are not set."""
    return {field.name: value for field, value in message.ListFields() if field.name in FACT_FIELDS}


async def test_update_company_given_facts_answers_what_get_company_does(service: Service) -> None:
    """As stored, with what the service sets; what a request says of that is ignored."""
    created = await create(service, "AAPL")
    request = company("AAPL", FACT_FIELDS, **OLD, symbol_id=99, source="me")
    request.company.symbol = "IBM"
    stored = (await service.symbols.UpdateCompany(request)).company
    assert facts_of(stored) == OLD
    assert (stored.symbol, stored.symbol_id, stored.source) == ("AAPL", created.symbol_id, "manual")
    assert stored.update_time.seconds > 0
    assert await get_company(service, "AAPL") == stored


@pytest.mark.parametrize("field", FACT_FIELDS)
async def test_update_company_given_one_field_changes_or_clears_only_that(
    service: Service, field: str
) -> None:
    """What the mask does not name stays, whatever the request has in it."""
    await create(service, "AAPL")
    await update_company(service, "AAPL", FACT_FIELDS, **OLD)
    changed = await update_company(service, "AAPL", [field], **NEW)
    assert facts_of(changed) == OLD | {field: NEW[field]}
    cleared = await update_company(service, "AAPL", [field])
    assert facts_of(cleared) == {name: value for name, value in OLD.items() if name != field}
    assert await get_company(service, "AAPL") == cleared


async def test_update_company_given_the_same_facts_changes_nothing(
    service: Service, database: ServerAddress
) -> None:
    """The same input twice leaves no trace, the time of the change included."""
    await create(service, "AAPL")
    first = await update_company(service, "AAPL", FACT_FIELDS, **OLD)
    before = state(database)
    assert await update_company(service, "AAPL", FACT_FIELDS, **OLD) == first
    assert state(database) == before


async def test_get_company_given_former_ticker_finds_it(service: Service) -> None:
    """A company stays behind its identity, under the latest ticker."""
    await create(service, "FB")
    stored = await update_company(service, "FB", ["name"], name="Meta")
    await rename(service, "FB", "META", RENAMED)
    found = await get_company(service, "FB")
    assert (found.symbol, found.symbol_id, found.name) == ("META", stored.symbol_id, "Meta")
    assert (await update_company(service, "FB", ["name"], name="M")).symbol == "META"


async def test_company_calls_given_unknown_ticker_are_not_found(service: Service) -> None:
    """The refusal names the ticker."""
    for call in (
        get_company(service, "NOPE"),
        service.symbols.UpdateCompany(company("NOPE", ["name"], name="x")),
    ):
        refusal = await refusal_of(call)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "SYMBOL_NOT_FOUND")
        assert refusal.metadata == {"symbol": "NOPE"}


async def test_get_company_given_nothing_known_says_how_to_tell(service: Service) -> None:
    """Before the first fact and behind the last one, under a reason of its own."""
    await create(service, "AAPL")
    refusal = await refusal_of(get_company(service, "AAPL"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "COMPANY_NOT_FOUND")
    assert refusal.metadata == {"symbol": "AAPL"}
    assert "UpdateCompany" in refusal.message
    await update_company(service, "AAPL", FACT_FIELDS, **OLD)
    cleared = await update_company(service, "AAPL", FACT_FIELDS)
    assert (facts_of(cleared), cleared.source, cleared.HasField("update_time")) == ({}, "", False)
    assert (await refusal_of(get_company(service, "AAPL"))).reason == "COMPANY_NOT_FOUND"


async def test_list_symbols_given_sector_follows_updates(service: Service) -> None:
    """A list is answered by what is stored now."""
    for symbol in ("AAPL", "IBM"):
        await create(service, symbol)
        await update_company(service, symbol, ["sector"], sector="Technology")
    assert await list_pages(service, 1, sector="Technology") == [["AAPL"], ["IBM"]]
    await update_company(service, "AAPL", ["sector"], sector="Consumer")
    assert await list_pages(service, 1, sector="Technology") == [["IBM"]]


async def test_client_given_company_calls_answers_with_facts(service: Service) -> None:
    """Domain values go in and come out; both failures are classes of the error tree."""
    async with MarketDataClient(service.address) as client:
        await create(service, "AAPL")
        with pytest.raises(CompanyNotFoundError):
            await client.get_company("AAPL")
        with pytest.raises(SymbolNotFoundError):
            await client.get_company("NOPE")
        stored = await client.update_company("AAPL", FACTS, FACT_FIELDS)  # type: ignore[arg-type]
        assert isinstance(stored, StoredCompany)
        assert (stored.symbol, stored.facts, stored.source) == ("AAPL", FACTS, "manual")
        assert await client.get_company("AAPL") == stored
        changed = await client.update_company("AAPL", CompanyFacts(sector="Energy"), ["sector"])
        assert changed.facts == replace(FACTS, sector="Energy")
        assert [s.symbol async for s in client.list_symbols(sector="Energy")] == ["AAPL"]
        assert [s.symbol async for s in client.list_symbols(sector="Technology")] == []
        with pytest.raises(InvalidRequestError, match="update_mask"):
            await client.update_company("AAPL", FACTS, [])

    def calls() -> None:
        with SyncMarketDataClient(service.address) as sync:
            assert sync.get_company("AAPL") == changed
            assert sync.update_company("AAPL", FACTS, ["sector"]).facts == FACTS
            assert [s.symbol for s in sync.list_symbols(sector="Technology")] == ["AAPL"]

    await asyncio.to_thread(calls)
