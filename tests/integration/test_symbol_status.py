"""Statuses of symbols and the evidence for them: stated by providers or people, never concluded."""

from dataclasses import replace
from datetime import date
from typing import Final

import pytest

from marketdata.domain.company import CompanyFacts
from marketdata.domain.ingestion_run import IngestionMode, RunRequest, RunState
from marketdata.domain.listing import Listing
from marketdata.domain.symbol import NewSymbol, StatusEvidence, Symbol, SymbolStatus, SymbolUpdate
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ProviderAnswerError, ProviderSymbolError
from marketdata.storage.ingestion.claims import LeaseLostError
from marketdata.storage.pools import Connection
from marketdata.storage.symbol_status import StatusKeeper
from tests.support.ingesting import Ingesting, backfill, days, ingesting
from tests.support.rows import changes, fetch
from tests.support.scripted_provider import ScriptedProvider
from tests.support.storage import Storage
from tests.support.symbols import create_symbols

GONE: Final = date(2024, 3, 1)
TODAY: Final = date(2024, 6, 30)
REMOVED: Final = Listing("A", "Aye Inc", "NYSE", is_listed=False, delisted_on=GONE)
DELISTED: Final = SymbolUpdate({"status": SymbolStatus.DELISTED})

pytestmark = pytest.mark.modes("plain", "apache", reason="needs connections of its own")


@pytest.fixture
async def one(storage: Storage) -> Ingesting:
    """Give ingestion over a provider that states the removal of A, and knows the company of B."""
    await create_symbols(storage, "A", "B")
    companies = {"B": CompanyFacts(name="Bee")}
    return ingesting(storage, ScriptedProvider({}, companies=companies, listings=[REMOVED]))


def asking(*symbols: str, request_id: str = "company") -> RunRequest:
    """Ask for facts of companies, and with them for listings."""
    return RunRequest(request_id, IngestionMode.COMPANY, "alpaca", symbols, ())


async def unfenced(_: Connection) -> None:
    """Let it be."""


async def test_run_given_a_stated_removal_delists_with_evidence_once(
    storage: Storage, one: Ingesting
) -> None:
    """Who stated it and for which day stand with the symbol and in the log; others are as before."""
    run = await one.run(asking("A", "B"))
    assert run.state is RunState.SUCCEEDED
    (trouble,) = run.troubles
    assert trouble.message == (
        "alpaca states that A was delisted on 2024-03-01; its status is delisted now"
    )
    found = await storage.symbols.get("A")
    assert found.status is SymbolStatus.DELISTED
    assert found.status_evidence is not None
    assert replace(found.status_evidence, noted=None) == StatusEvidence(
        "alpaca", GONE, "delisted on 2024-03-01: Aye Inc, NYSE"
    )
    assert (await storage.symbols.get("B")).status is SymbolStatus.ACTIVE
    logged = "SELECT reason FROM bar_change WHERE symbols = ARRAY['A'] ORDER BY write_id DESC LIMIT 1"
    assert await fetch(storage, logged) == [
        ("delisted by alpaca: delisted on 2024-03-01: Aye Inc, NYSE",)
    ]
    entries = len(await changes(storage))
    again = await one.run(asking("A", "B", request_id="again"))
    assert again.troubles == ()
    assert await storage.symbols.get("A") == found
    assert len(await changes(storage)) == entries


async def test_run_given_silence_or_failures_delists_nobody(storage: Storage, one: Ingesting) -> None:
    """A list that fails, a company that is unknown and a ticker nobody names say nothing (rule 16)."""
    one.provider.listings = []
    one.provider.fails_listings = ProviderAnswerError("half a list")
    one.provider.calls_at_once = 1  # so that B comes first
    one.provider.fails_actions["A"] = ProviderSymbolError("no company A")
    run = await one.run(asking("B", "A"))
    assert [(t.symbol, t.message, t.is_failed) for t in run.troubles] == [
        ("A", "no company A", True),
        ("B", "what is listed could not be asked for: half a list", False),
    ]
    one.provider.fails_listings = None
    one.provider.listings = [Listing("C", is_listed=False, delisted_on=GONE)]
    await one.run(asking("A", "B", request_id="others"))
    for symbol in ("A", "B"):
        found = await storage.symbols.get(symbol)
        assert (found.status, found.status_evidence) == (SymbolStatus.ACTIVE, None)


async def test_judge_given_bars_of_later_leaves_it_and_says_so(
    storage: Storage, one: Ingesting
) -> None:
    """The newest bar of whatever timeframe is compared, on the exchange's day."""
    one.provider.bars = {("A", Timeframe.DAY_1): days("A", "2024-01-01", "2024-04-01")}
    await one.run(backfill("A", start="2024-01-01"))
    asked = await storage.symbols.get("A")
    keeper = StatusKeeper(storage.pools)
    remark = await keeper.judge(asked, [REMOVED], "alpaca", TODAY, unfenced)
    assert "there are bars up to 2024-03-28" in remark
    assert await storage.symbols.get("A") == asked


async def test_judge_given_a_rename_or_a_lost_run_changes_nothing(
    storage: Storage, one: Ingesting
) -> None:
    """What was asked under another ticker is not about it; what is not the run's own is not stored."""
    del one
    keeper = StatusKeeper(storage.pools)
    asked = await storage.symbols.get("A")

    async def lost(_: Connection) -> None:
        raise LeaseLostError

    with pytest.raises(LeaseLostError):
        await keeper.judge(asked, [REMOVED], "alpaca", TODAY, lost)
    await storage.symbols.update("A", SymbolUpdate({"symbol": "AA"}, date(2024, 2, 1)))
    await storage.symbols.create(NewSymbol("A", valid_from=date(2024, 5, 1)))
    assert await keeper.judge(asked, [REMOVED], "alpaca", TODAY, unfenced) == ""
    successor = await storage.symbols.get("A")
    assert await keeper.judge(successor, [REMOVED], "alpaca", TODAY, unfenced) == ""
    assert {await _status(storage, symbol) for symbol in ("A", "AA")} == {SymbolStatus.ACTIVE}


async def test_update_given_a_persons_word_is_evidence_that_stands(
    storage: Storage, one: Ingesting
) -> None:
    """With a reason or without; back again too, and no statement of before undoes it."""
    entries = len(await changes(storage))
    evidence = StatusEvidence("manual", date(2024, 6, 3), "bankrupt")
    told = SymbolUpdate({"status": SymbolStatus.DELISTED}, evidence=evidence)
    first = await storage.symbols.update("B", told)
    assert first.status_evidence is not None
    assert replace(first.status_evidence, noted=None) == evidence
    assert await storage.symbols.update("B", told) == first
    assert await storage.symbols.update("B", DELISTED) == first
    assert len(await changes(storage)) == entries + 1
    await storage.symbols.update("A", DELISTED)
    back = await storage.symbols.update("A", SymbolUpdate({"status": SymbolStatus.ACTIVE}))
    assert back.status_evidence is not None
    assert (back.status_evidence.source, back.status_evidence.text) == ("manual", "")
    run = await one.run(asking("A"))
    assert "a person has said otherwise since" in run.troubles[0].message
    assert await storage.symbols.get("A") == back
    kept = "SELECT status, status_evidence ->> 'source' FROM market_symbol_revision ORDER BY write_id"
    assert await fetch(storage, kept) == [("active", None), ("active", None), ("delisted", "manual")]


async def _status(storage: Storage, symbol: str) -> SymbolStatus:
    found: Symbol = await storage.symbols.get(symbol)
    return found.status
