"""Runs that ask for facts of companies."""

from dataclasses import replace
from datetime import date
from typing import Final

import pytest

from marketdata.domain.company import CompanyFacts
from marketdata.domain.company_changes import FactChanges
from marketdata.domain.ingestion_run import IngestionMode, RunRequest, RunState
from marketdata.errors import (
    CompanyNotFoundError,
    InvalidRequestError,
    ProviderLimitError,
    ProviderSymbolError,
)
from marketdata.storage.ingestion.claims import LeaseLostError
from marketdata.storage.pools import Connection
from tests.support.ingesting import Ingesting, ingesting
from tests.support.rows import changes, fetch
from tests.support.scripted_provider import ScriptedProvider
from tests.support.storage import Storage
from tests.support.symbols import create_symbols

FACTS: Final = CompanyFacts(
    name="Apple Inc.",
    sector="Technology",
    employees=164_000,
    market_cap=3e12,
    currency="USD",
    as_of=date(2024, 6, 28),
)

pytestmark = pytest.mark.modes("plain", "apache", reason="needs connections of its own")


@pytest.fixture
async def one(storage: Storage) -> Ingesting:
    """Give ingestion over a provider that knows the company of A."""
    await create_symbols(storage, "A", "B")
    return ingesting(storage, ScriptedProvider({}, companies={"A": FACTS}))


def asking(*symbols: str, request_id: str = "company") -> RunRequest:
    """Ask for facts of companies."""
    return RunRequest(request_id, IngestionMode.COMPANY, "alpaca", symbols, ())


async def test_run_given_facts_stores_them_with_source_and_day_once(
    storage: Storage, one: Ingesting
) -> None:
    """Who told them, for which day; the same again writes nothing, and an empty answer neither."""
    run = await one.run(asking("A", "B"))
    assert (run.state, run.tasks_done, run.counts.fetched, run.counts.accepted) == (
        RunState.SUCCEEDED, 2, 4, 4,
    )  # fmt: skip
    company = await storage.companies.get("A")
    assert (company.facts, company.source) == (FACTS, "alpaca")
    assert {(origin.source, origin.day) for origin in company.origins.values()} == {
        ("alpaca", FACTS.as_of)
    }
    with pytest.raises(CompanyNotFoundError):
        await storage.companies.get("B")
    (change,) = await changes(storage, after_seq=2)
    assert (change.kind, change.symbols) == ("symbol", ("A",))
    again = await one.run(asking("A", "B", request_id="again"))
    assert (again.counts.unchanged, again.counts.accepted) == (4, 0)
    one.provider.companies = {"A": CompanyFacts(), "B": CompanyFacts()}
    silent = await one.run(asking("A", request_id="silent"))
    assert (silent.state, silent.counts.fetched) == (RunState.SUCCEEDED, 0)
    assert await storage.companies.get("A") == company
    assert len(await changes(storage, after_seq=2)) == 1


async def test_run_given_what_a_person_said_leaves_it(storage: Storage, one: Ingesting) -> None:
    """A sector of one's own, and a figure of a later day, stay; the rest is the provider's."""
    day = date(2024, 6, 29)
    await storage.companies.update("A", {"sector": "Mine"})
    one.provider.companies = {"A": replace(FACTS, employees=1)}
    run = await one.run(asking("A"))
    assert run.counts.outranked == 1
    company = await storage.companies.get("A")
    assert company.facts == replace(FACTS, sector="Mine", employees=1)
    assert (company.origins["sector"].source, company.origins["name"].source) == ("manual", "alpaca")
    await storage.companies.update("A", {"employees": 2, "as_of": day})
    one.provider.companies = {"A": replace(FACTS, employees=3)}
    older = await one.run(asking("A", request_id="older"))
    assert "older than those of 2024-06-29" in older.troubles[0].message
    one.provider.companies = {"A": replace(FACTS, employees=3, as_of=day)}
    await one.run(asking("A", request_id="same day"))
    assert (await storage.companies.get("A")).facts.employees == 2
    one.provider.companies = {"A": replace(FACTS, employees=3, as_of=date(2024, 6, 30))}
    await one.run(asking("A", request_id="later"))
    found = await storage.companies.get("A")
    assert (found.facts.employees, found.facts.sector) == (3, "Mine")


async def test_run_given_an_unknown_company_says_which_and_changes_nothing(
    storage: Storage, one: Ingesting
) -> None:
    """A provider that does not know it is a trouble of that symbol, and no evidence (rule 16)."""
    one.provider.fails_actions["B"] = ProviderSymbolError("no company B")
    run = await one.run(asking("B", "A"))
    assert (run.state, run.tasks_failed, run.counts.accepted) == (RunState.FAILED, 1, 4)
    assert [trouble.message for trouble in run.troubles] == ["no company B"]
    assert (await storage.symbols.get("B")).status.value == "active"


async def test_run_given_a_limit_goes_on_next_time_with_those_left_out(
    storage: Storage, one: Ingesting
) -> None:
    """Few calls a day are enough in the end: whoever waits for longest is asked about first."""
    one.provider.companies = {"A": FACTS, "B": FACTS}
    one.provider.calls_at_once = 1
    one.provider.fails_actions["B"] = ProviderLimitError("25 calls are used up")
    limited = await one.run(asking("A", "B", request_id="limited"))
    assert (limited.state, limited.tasks_done) == (RunState.FAILED, 1)
    del one.provider.fails_actions["B"]
    one.provider.fails_actions["A"] = ProviderLimitError("25 calls are used up")
    again = await one.run(asking("A", "B", request_id="again"))
    assert (again.state, again.tasks_done) == (RunState.FAILED, 1)
    assert (await storage.companies.get("B")).facts == FACTS


async def test_start_given_a_provider_without_companies_is_refused(one: Ingesting) -> None:
    """Before anything is queued."""
    one.provider.companies = {}
    with pytest.raises(InvalidRequestError) as caught:
        await one.ingestion.starter.start(asking("A"))
    assert [(v.field, v.reason) for v in caught.value.violations] == [("mode", "NOT_OF_PROVIDER")]


async def test_store_given_a_lost_lease_stores_nothing(storage: Storage, one: Ingesting) -> None:
    """What is noted alongside and the facts are one transaction."""
    del one
    symbol_id = (await storage.symbols.get("A")).symbol_id

    async def lost(_: Connection, __: FactChanges) -> None:
        raise LeaseLostError

    with pytest.raises(LeaseLostError):
        await storage.companies.store_facts(symbol_id, FACTS, "alpaca", date(2024, 6, 29), lost)
    assert await fetch(storage, "SELECT * FROM market_stock") == []
    assert len(await changes(storage)) == 2
