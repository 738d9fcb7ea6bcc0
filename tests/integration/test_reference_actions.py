"""Runs that ask for corporate actions: what becomes of new, corrected, missing and foreign ones."""

import asyncio
from dataclasses import replace
from datetime import date
from typing import Final

import pytest

from marketdata.domain.adjustment import Adjustment
from marketdata.domain.as_of import AsOf
from marketdata.domain.bar_query import BarQuery
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.ingestion_run import IngestionMode, IngestionRun, RunRequest, RunState
from marketdata.domain.provider import ProviderDescription
from marketdata.domain.symbol import NewSymbol, Symbol, SymbolUpdate
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import (
    InvalidRequestError,
    ProviderAnswerError,
    ProviderLimitError,
    ProviderUnavailableError,
)
from marketdata.ingestion.run_starter import RunStarter
from marketdata.ingestion.scheduler import Scheduler
from marketdata.storage.ingestion.slots import SlotReader
from tests.support.ingesting import Gate, Ingesting, backfill, days, executing, ingesting
from tests.support.reads import read_in_bulk
from tests.support.rows import changes, fetch
from tests.support.scheduling import Targets, at, slots_with_runs, target
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sessions import dates_between
from tests.support.storage import Storage
from tests.support.symbols import create_symbols
from tests.support.waiting import until

SPLIT: Final = CorporateAction(CorporateActionKind.SPLIT, date(2024, 3, 4), split_ratio=2.0, source="s")
DIVIDEND: Final = CorporateAction(
    CorporateActionKind.CASH_DIVIDEND, date(2024, 5, 10), cash_amount=0.5, source="d"
)
OLD: Final = replace(DIVIDEND, ex_date=date(1995, 5, 10))

pytestmark = pytest.mark.modes("plain", "apache", reason="needs connections of its own")


def asking(*symbols: str, request_id: str = "actions", refetches: bool = False) -> RunRequest:
    """Ask for corporate actions."""
    return RunRequest(request_id, IngestionMode.ACTIONS, "alpaca", symbols, (), refetches=refetches)


@pytest.fixture
async def one(storage: Storage) -> Ingesting:
    """Give ingestion over a provider that knows two actions of A, and none of B."""
    await create_symbols(storage, "A", "B")
    provider = ScriptedProvider({}, actions={"A": [OLD, SPLIT, DIVIDEND]})
    return ingesting(storage, provider)


async def told(storage: Storage, symbol: str) -> list[CorporateAction]:
    """List what is stored."""
    return await storage.actions.list_all(symbol)


async def rerun(one: Ingesting, *symbols: str, name: str) -> IngestionRun:
    """Ask once more."""
    return await one.run(asking(*symbols, request_id=name))


async def test_run_given_new_actions_stores_them_once(storage: Storage, one: Ingesting) -> None:
    """The first run stores everything, known from then on; the next ones write nothing."""
    run = await one.run(asking("A", "B"))
    assert (run.state, run.error, run.tasks_done, run.share_done) == (RunState.SUCCEEDED, "", 2, 1.0)
    assert (run.counts.fetched, run.counts.accepted, run.counts.unchanged) == (3, 3, 0)
    assert await told(storage, "A") == [OLD, SPLIT, DIVIDEND]
    (change,) = await changes(storage, after_seq=2)
    assert (change.kind, change.symbols, change.accepted) == ("action", ("A",), 3)
    again = await rerun(one, "A", "B", name="again")
    assert (again.counts.fetched, again.counts.unchanged, again.counts.accepted) == (2, 2, 0)
    assert len(await changes(storage, after_seq=2)) == 1
    assert again.troubles == ()


async def test_run_given_a_second_time_asks_for_a_trailing_window(one: Ingesting) -> None:
    """Everything at first, then a year back; what told nothing is asked for everything again."""
    one.provider.calls_at_once = 1  # so that they are asked about in order
    await one.run(asking("A", "B"))
    await rerun(one, "A", "B", name="again")
    await one.run(asking("A", request_id="all", refetches=True))
    first, ahead, year = date(1900, 1, 1), date(2025, 6, 30), date(2023, 7, 1)
    asked = dict.fromkeys(zip(one.provider.asked_actions, one.provider.asked_ranges, strict=True))
    assert list(asked) == [("A", (first, ahead)), ("B", (first, ahead)), ("A", (year, ahead))]
    assert one.provider.asked_ranges[-1] == (first, ahead)


async def test_run_given_a_correction_supersedes_and_adjusts_at_once(
    storage: Storage, one: Ingesting
) -> None:
    """Adjusted reads change with it, those as of before do not, and the log says whose changed."""
    one.provider.bars = {("A", Timeframe.DAY_1): days("A", "2024-01-01", "2024-06-01")}
    await one.run(backfill("A", start="2024-01-01"))
    await rerun(one, "A", name="first")
    raw, twice = await _closes(storage, Adjustment.RAW), await _closes(storage, Adjustment.SPLIT)
    (seq,) = (await fetch(storage, "SELECT seq FROM bar_log_head"))[0]
    one.provider.actions = {"A": [OLD, replace(SPLIT, split_ratio=4.0), DIVIDEND]}
    run = await rerun(one, "A", name="second")
    assert (run.counts.revised, run.counts.unchanged) == (1, 1)
    assert [trouble.message for trouble in run.troubles] == ["split of 2024-03-04 was 2 and is 4 now"]
    assert not run.troubles[0].is_failed
    assert run.troubles[0].timeframe is None
    fourth = await _closes(storage, Adjustment.SPLIT)
    assert (raw[0] / twice[0], raw[0] / fourth[0]) == (2.0, 4.0)
    # What was known before the correction is answered as it was known.
    assert await _closes(storage, Adjustment.SPLIT, AsOf(seq=seq)) == twice
    (change,) = await changes(storage, after_seq=seq)
    assert (change.kind, change.symbols, change.accepted, change.revised) == ("action", ("A",), 0, 1)
    superseded = "SELECT kind, split_ratio FROM market_corporate_action_revision"
    assert await fetch(storage, superseded) == [("split", 2.0)]


async def test_run_given_an_action_that_is_gone_keeps_and_remarks_it(
    storage: Storage, one: Ingesting
) -> None:
    """A provider that forgets, or answers nothing, deletes nothing; the run says so."""
    await one.run(asking("A"))
    one.provider.actions = {"A": [DIVIDEND]}
    run = await rerun(one, "A", name="forgets")
    assert [t.message for t in run.troubles] == [
        "split of 2024-03-04 is not told by alpaca any more; it stays"
    ]
    one.provider.actions = {}
    run = await rerun(one, "A", name="is silent")
    assert [t.message for t in run.troubles] == ["alpaca told nothing; what it has told before stays"]
    assert run.state is RunState.SUCCEEDED
    assert await told(storage, "A") == [OLD, SPLIT, DIVIDEND]
    assert len(await changes(storage, after_seq=2)) == 1


async def test_run_given_what_a_person_said_leaves_it(storage: Storage, one: Ingesting) -> None:
    """CreateCorporateActions outranks every provider."""
    own = replace(SPLIT, split_ratio=3.0)
    await storage.actions.create("A", [own])
    run = await one.run(asking("A"))
    assert (run.counts.accepted, run.counts.outranked) == (2, 1)
    assert await told(storage, "A") == [OLD, own, DIVIDEND]


async def test_run_given_a_reused_ticker_leaves_out_the_former_companys(
    storage: Storage, one: Ingesting
) -> None:
    """What is told of A before it was given away is not the new company's (rule 15)."""
    await storage.symbols.update("A", SymbolUpdate({"symbol": "AA"}, date(2024, 4, 1)))
    await storage.symbols.create(NewSymbol("A", valid_from=date(2024, 4, 1)))
    one.provider.actions = {"A": [OLD, SPLIT, DIVIDEND], "AA": [SPLIT]}
    run = await one.run(asking("A", "AA"))
    assert await told(storage, "A") == [DIVIDEND]
    assert await told(storage, "AA") == [SPLIT]
    (trouble,) = run.troubles
    assert trouble.message.startswith("cash_dividend of 1995-05-10 was left out: A did not name this")


async def test_run_given_a_provider_by_old_tickers_asks_under_each_of_its_time(
    storage: Storage, one: Ingesting
) -> None:
    """What came before a rename stands under the former ticker there; behind it, it is another's."""
    await storage.symbols.update("A", SymbolUpdate({"symbol": "AA"}, date(2024, 4, 1)))
    one.provider.actions = {"A": [SPLIT, replace(DIVIDEND, cash_amount=9.0)], "AA": [DIVIDEND]}
    await one.run(asking("AA"))
    assert await told(storage, "AA") == [DIVIDEND]
    one.provider.has_old_tickers = True
    run = await rerun(one, "AA", name="by old tickers")
    assert (run.counts.fetched, run.counts.accepted, run.counts.unchanged) == (2, 1, 1)
    assert await told(storage, "AA") == [SPLIT, DIVIDEND]
    assert one.provider.asked_ranges[-1] == (date(2023, 7, 1), date(2024, 4, 1))


async def test_bars_given_a_reused_ticker_bring_no_action_of_the_former_company(
    storage: Storage, one: Ingesting
) -> None:
    """Actions that come along with bars are held to the same rule."""
    await storage.symbols.update("A", SymbolUpdate({"symbol": "AA"}, date(2024, 4, 1)))
    await storage.symbols.create(NewSymbol("A", valid_from=date(2024, 4, 1)))
    one.provider.bars = {("A", Timeframe.DAY_1): days("A", "2024-01-01", "2024-06-01")}
    one.provider.along = {"A": (SPLIT, DIVIDEND)}
    await one.run(backfill("A", start="2024-01-01"))
    assert await told(storage, "A") == [DIVIDEND]
    assert await told(storage, "AA") == []


async def test_run_given_a_lost_lease_stores_nothing(
    storage: Storage, one: Ingesting, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that another one has taken over from cannot write any more: facts or progress."""
    gate = Gate()

    async def take_over(_: Symbol) -> None:
        if not gate.reached.is_set():
            gate.reached.set()
            await fetch(storage, "UPDATE ingestion_run SET epoch = epoch + 1")
        else:
            await gate.open.wait()

    async def is_lost() -> bool:
        return any(record.message == "ingestion_run_lost" for record in caplog.records)

    one.provider.before_actions = take_over
    async with executing(one):
        run = await one.ingestion.starter.start(asking("A"))
        await until(is_lost)
        found = await one.ingestion.runs.get(run.run_id)
        assert (found.state, found.counts.fetched, found.tasks_done) == (RunState.RUNNING, 0, 0)
        assert await told(storage, "A") == []
        assert await fetch(storage, "SELECT * FROM reference_fetched") == []
        # Its lease runs out by itself, and whoever claims it then does all of it.
        gate.open.set()
        assert (await one.over(run)).counts.accepted == 3


async def test_run_given_cancellation_and_a_restart_goes_on_where_it_was(
    storage: Storage, one: Ingesting
) -> None:
    """A process ends between two symbols: the next one asks for the second only."""
    gate = Gate()

    async def hold_b(symbol: Symbol) -> None:
        if symbol.symbol == "B":
            await gate()

    one.provider.before_actions = hold_b
    one.provider.actions = {**one.provider.actions, "B": [SPLIT]}
    one.provider.calls_at_once = 1
    async with executing(one):
        run = await one.ingestion.starter.start(asking("A", "B"))
        await gate.reached.wait()
    gate.open.set()
    async with executing(one):
        over = await one.over(run)
    assert (over.state, over.counts.accepted) == (RunState.SUCCEEDED, 4)
    assert one.provider.asked_actions == ["A", "B", "B"]
    gate.reached.clear()
    gate.open.clear()
    async with executing(one):
        cancelled = await one.ingestion.starter.start(asking("B", request_id="to be cancelled"))
        await gate.reached.wait()
        await one.ingestion.runs.cancel(cancelled.run_id)
        assert (await one.over(cancelled)).state is RunState.CANCELLED
    assert len(await told(storage, "B")) == 1


async def test_run_given_failures_says_which_and_goes_on(storage: Storage, one: Ingesting) -> None:
    """One symbol's trouble keeps no other from being asked; a used-up limit ends the run."""
    one.provider.fails_actions["B"] = ProviderAnswerError("its answer is no JSON")
    run = await one.run(asking("B", "A"))
    assert (run.state, run.tasks_failed, run.counts.accepted) == (RunState.FAILED, 1, 3)
    assert "the same again fetches the rest" in run.error
    assert [(t.symbol, t.message, t.is_failed) for t in run.troubles] == [
        ("B", "its answer is no JSON", True)
    ]
    one.provider.fails_actions["A"] = ProviderLimitError("25 calls are used up")
    limited = await rerun(one, "A", name="limited")
    assert (limited.state, limited.tasks_failed) == (RunState.FAILED, 0)
    assert limited.error.startswith("stopped: 25 calls are used up")
    one.provider.fails_actions["A"] = ProviderUnavailableError("down")
    assert (await rerun(one, "A", name="down")).troubles[0].message == "down"
    assert await told(storage, "A") == [OLD, SPLIT, DIVIDEND]


async def test_start_given_a_provider_without_actions_is_refused(
    storage: Storage, one: Ingesting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is queued, and with the remedy."""
    without = replace(one.provider.capabilities, has_actions=False)
    monkeypatch.setattr(ScriptedProvider, "capabilities", without)
    with pytest.raises(InvalidRequestError) as caught:
        await one.ingestion.starter.start(asking("A"))
    (violation,) = caught.value.violations
    assert (violation.field, violation.reason) == ("mode", "NOT_OF_PROVIDER")
    assert "ListProviders" in violation.description
    assert await fetch(storage, "SELECT * FROM ingestion_run") == []


async def test_schedule_given_saturday_starts_one_run_among_replicas(
    storage: Storage, one: Ingesting
) -> None:
    """A slot a week, of targets whose provider tells actions, once however many look."""
    wanted = Targets([target("A", "B", timeframes=(Timeframe.DAY_1,))])
    runs, clock = one.ingestion.runs, one.clock

    def scheduler(*, has_actions: bool) -> Scheduler:
        def describe(name: str) -> ProviderDescription | None:
            found = one.ingestion.providers.find(name)
            return found and replace(found, has_actions=has_actions)

        starter = RunStarter(runs, one.ingestion.providers.get, describe, clock, lambda: None)
        return Scheduler(wanted.list_all, SlotReader(storage.pools), runs, starter, clock)

    clock.advance((at("2024-03-09 08:00") - clock.now_us()) / 1e6)
    await scheduler(has_actions=False).look()
    assert await slots_with_runs(storage) == ["slot/1/daily/1d/2024-03-09T03:00:00Z"]
    await asyncio.gather(*(scheduler(has_actions=True).look() for _ in range(4)))
    assert (await slots_with_runs(storage))[1:] == ["slot/1/actions/2024-03-09T08:00:00Z"]
    async with executing(one):
        run = await runs.get(2)
        assert run.request.mode is IngestionMode.ACTIONS
        assert (await one.over(run)).counts.accepted == 3


async def _closes(storage: Storage, adjustment: Adjustment, as_of: AsOf | None = None) -> list[float]:
    year = dates_between("2024-01-01", "2024-06-01")
    query = BarQuery(("A",), Timeframe.DAY_1, year, adjustment=adjustment, as_of=as_of)
    answer = await read_in_bulk(storage, query)
    return [close for frame in answer.frames for close in frame.close.tolist()]
