"""Facts of symbols from every provider that tells some, as it is played over the network."""

from dataclasses import fields, replace
from itertools import permutations
from typing import Final

import pytest

from marketdata.domain.company import CompanyFacts
from marketdata.domain.corporate_action import CorporateAction
from marketdata.domain.ingestion_run import IngestionMode, IngestionRun, RunRequest, RunState
from marketdata.domain.symbol import SymbolStatus
from marketdata.domain.time_range import session_date
from tests.support.ingesting import ingesting_from
from tests.support.providers.adapters import AdapterUnderTest, Circumstances
from tests.support.providers.alpha_vantage.side import PREMIUM
from tests.support.providers.asking import tried
from tests.support.providers.faults import PASSING, Fault, at_random
from tests.support.providers.iex.alpaca_side import ALPACA
from tests.support.providers.truth import NOW_US, truth
from tests.support.providers.yahoo.side import YAHOO
from tests.support.rows import changes
from tests.support.storage import Storage
from tests.support.symbols import create_symbols
from tests.support.waiting import until

TELL_ACTIONS: Final = (ALPACA, YAHOO, PREMIUM)
#: A byte now and then takes as long as the adapter's patience.
FAULTS: Final = PASSING - {Fault.DRIP}

pytestmark = pytest.mark.modes("plain", "apache", reason="runs need several connections at once")


async def run(
    adapter: AdapterUnderTest, storage: Storage, mode: IngestionMode, name: str, *symbols: str
) -> IngestionRun:
    """Ask a provider, which misbehaves by the name of the request."""
    given = Circumstances(faults=at_random(len(name), FAULTS & adapter.faults, 0.1))
    async with (
        tried(adapter, given) as played,
        ingesting_from(played.provider, storage, NOW_US) as ingestion,
    ):
        provider = played.provider.capabilities.name
        request = RunRequest(f"{name} {provider}", mode, provider, symbols, (), refetches=True)
        started = await ingestion.starter.start(request)

        async def is_over() -> bool:
            return (await ingestion.runs.get(started.run_id)).state.is_over

        await until(is_over, seconds=60)
        return await ingestion.runs.get(started.run_id)


async def stored(storage: Storage) -> list[CorporateAction]:
    """List what is stored of AAPL, whoever told it."""
    return [replace(action, source="") for action in await storage.actions.list_all("AAPL")]


@pytest.mark.parametrize("adapter", TELL_ACTIONS, ids=str)
async def test_actions_given_a_provider_are_its_truth_once(
    storage: Storage, adapter: AdapterUnderTest
) -> None:
    """What a provider tells is stored as declared; asked again, nothing is written."""
    await create_symbols(storage, "AAPL", "BRK.B")
    known = [a for a in truth().actions["AAPL"] if a.ex_date <= session_date(NOW_US)]
    first = await run(adapter, storage, IngestionMode.ACTIONS, "first", "AAPL", "BRK.B")
    assert (first.state, first.error) == (RunState.SUCCEEDED, "")
    assert await stored(storage) == known
    entries = len(await changes(storage))
    again = await run(adapter, storage, IngestionMode.ACTIONS, "once more", "AAPL", "BRK.B")
    assert (again.counts.unchanged, again.counts.revised) == (len(known), 0)
    assert len(await changes(storage)) == entries


async def test_actions_given_providers_in_any_order_are_the_same(storage: Storage) -> None:
    """Whoever is asked first, and however often: the same actions, told by the highest-ranked."""
    await create_symbols(storage, "AAPL")
    for number, order in enumerate(permutations(TELL_ACTIONS)):
        for adapter in order:
            over = await run(adapter, storage, IngestionMode.ACTIONS, f"{number:06}", "AAPL")
            assert over.counts.revised == over.counts.outranked == 0
    known = [a for a in truth().actions["AAPL"] if a.ex_date <= session_date(NOW_US)]
    assert await stored(storage) == known
    assert len(await changes(storage)) == 2


async def test_company_given_alpha_vantage_is_its_truth_and_the_gone_one_is_delisted(
    storage: Storage,
) -> None:
    """Facts with their day, and one status by a removal that is listed; no other is touched."""
    await create_symbols(storage, "AAPL", "META", "TWTR", "NOSUCH")
    over = await run(PREMIUM, storage, IngestionMode.COMPANY, "facts", "AAPL", "META", "TWTR", "NOSUCH")
    assert over.tasks_failed == 3  # it has no overview of the others
    company = await storage.companies.get("AAPL")
    told = truth().companies["AAPL"]
    for field in fields(CompanyFacts):
        expected = told if field.name in PREMIUM.company_fields else CompanyFacts()
        if field.name == "as_of":
            assert company.facts.as_of == session_date(NOW_US)
        else:
            assert getattr(company.facts, field.name) == getattr(expected, field.name)
    found = {symbol.symbol: symbol for symbol in await storage.symbols.list_page(None, 10)}
    gone = found.pop("TWTR")
    assert gone.status is SymbolStatus.DELISTED
    assert gone.status_evidence is not None
    assert (gone.status_evidence.source, str(gone.status_evidence.day)) == (
        "alpha_vantage", "2022-10-28",
    )  # fmt: skip
    assert {symbol.status for symbol in found.values()} == {SymbolStatus.ACTIVE}
