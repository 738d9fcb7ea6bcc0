"""Runs that are interrupted, taken over or in trouble: nothing is lost or doubled."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Final

import numpy as np
import pytest

from marketdata.domain.ingestion_run import RunState
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import (
    ProviderAnswerError,
    ProviderKeyError,
    ProviderLimitError,
    ProviderUnavailableError,
    StorageFullError,
)
from marketdata.storage.ingestion.claims import LeaseLostError, RunClaims
from tests.support.ingesting import (
    LEASE_SECONDS,
    SYMBOLS,
    Gate,
    Ingesting,
    backfill,
    executing,
    holds_the_truth,
    ingesting,
    ingesting_days,
    stored,
)
from tests.support.rows import fetch
from tests.support.storage import Storage
from tests.support.symbols import create_symbols
from tests.support.waiting import until

DAY: Final = Timeframe.DAY_1

# Its statements on bars are those of every writer; runs need several connections at once.
pytestmark = pytest.mark.modes("plain", "apache", reason="needs connections of its own")


@pytest.fixture
async def one(storage: Storage) -> Ingesting:
    """Give ingestion from a provider that has a year and a half of days of three symbols."""
    return await ingesting_days(storage)


async def test_run_given_process_that_goes_is_gone_on_with_by_the_next(
    storage: Storage, one: Ingesting
) -> None:
    """A stopped service leaves its runs: the next one goes on behind the checkpoint, once."""
    gate = Gate()

    async def hold(_: object, number: int) -> None:
        if number == 2:
            await gate()

    one.provider.before_page = hold
    async with executing(one):
        run = await one.ingestion.starter.start(backfill(*SYMBOLS))
        await gate.reached.wait()
    assert (await one.ingestion.runs.get(run.run_id)).state is RunState.RUNNING
    gate.open.set()
    next_one = ingesting(storage, one.provider)
    async with executing(next_one):
        over = await next_one.over(run)
    assert over.state is RunState.SUCCEEDED
    bars = sum(len(frame) for frame in one.provider.bars.values())
    assert over.counts.fetched == over.counts.accepted == bars
    assert await holds_the_truth(storage, one)


async def test_checkpoint_given_run_that_another_took_over_stores_nothing(
    storage: Storage, one: Ingesting
) -> None:
    """A process that slept past its lease cannot write any more: bars and checkpoint fail together."""
    gate = Gate()
    one.provider.before_page = lambda _, __: gate()
    async with executing(one):
        run = await one.ingestion.starter.start(backfill("A"))
        await gate.reached.wait()
        # As if it had been stopped for longer than its lease, and another one had begun.
        await fetch(
            storage,
            "UPDATE ingestion_run SET epoch = epoch + 1, lease_until = clock_timestamp() + '1 h'"
            " WHERE run_id = %s",
            [run.run_id],
        )
        gate.open.set()

        async def is_left() -> bool:
            return not one.ingestion.executor._executing

        await until(is_left)
        assert len(await stored(storage, "A")) == 0
        assert (await one.ingestion.runs.get(run.run_id)).counts.fetched == 0


async def test_claim_given_lease_that_ran_out_is_taken_over_once(
    storage: Storage, one: Ingesting
) -> None:
    """Two that look at once: one gets it, with the next epoch; the former owner is told."""
    run = await one.ingestion.starter.start(backfill("A"))
    first = RunClaims(storage.pools, "first", timedelta(seconds=0))
    others = [RunClaims(storage.pools, name, timedelta(hours=1)) for name in ("second", "third")]
    claim = await first.claim()
    assert claim is not None
    assert claim.run_id == run.run_id
    taken = await asyncio.gather(*(other.claim() for other in others))
    (other,) = [each for each in taken if each is not None]
    assert (other.run_id, other.epoch) == (run.run_id, claim.epoch + 1)
    with pytest.raises(LeaseLostError):
        await first.renew(claim, [])
    await first.finish(claim, RunState.FAILED, "too late")
    assert (await one.ingestion.runs.get(run.run_id)).state is RunState.RUNNING


async def test_executors_given_many_runs_execute_each_once(storage: Storage, one: Ingesting) -> None:
    """Two processes share the work: every run succeeds and no bar is fetched twice."""
    second = ingesting(storage, one.provider)
    async with executing(one), executing(second):
        runs = [
            await one.ingestion.starter.start(
                backfill(
                    symbol, start=f"{year}-01-01", end=f"{year}-06-01", request_id=f"{symbol}{year}"
                )
            )
            for symbol in SYMBOLS
            for year in (2023, 2024)
        ]
        over = [await one.over(run) for run in runs]
    assert {run.state for run in over} == {RunState.SUCCEEDED}
    assert len(one.provider.requests) == len(runs)


async def test_run_given_symbol_that_fails_does_the_others(storage: Storage, one: Ingesting) -> None:
    """What came before the failure stays; the run says what failed, and a second one gets the rest."""
    one.provider.fails["B"] = ProviderAnswerError("its answer is no JSON", retry_after_seconds=60)
    run = await one.run(backfill(*SYMBOLS))
    assert run.state is RunState.FAILED
    assert "1 task failed" in run.error
    (trouble,) = run.troubles
    assert (trouble.symbol, trouble.is_failed) == ("B", True)
    assert trouble.message == "its answer is no JSON"
    assert trouble.retry_at_us is not None
    assert trouble.done_until_us == int(one.provider.bars["B", DAY].time_us[100])
    assert len(await stored(storage, "B")) == 100
    assert await holds_the_truth(storage, one, "A", "C")
    one.provider.fails.clear()
    again = await one.run(backfill(*SYMBOLS, request_id="again"))
    assert (again.state, again.tasks) == (RunState.SUCCEEDED, 1)
    assert await holds_the_truth(storage, one)


@pytest.mark.parametrize("error", [ProviderLimitError, ProviderKeyError])
async def test_run_given_limit_that_is_used_up_stops(
    storage: Storage, one: Ingesting, error: type[ProviderLimitError | ProviderKeyError]
) -> None:
    """Rules 24 and 25: the next symbols would hear the same; nobody is asked, and the run says why."""
    one.provider.calls_at_once = 1
    one.provider.fails["A"] = error("25 calls a day are used up; there are more at midnight.")
    run = await one.run(backfill(*SYMBOLS))
    assert run.state is RunState.FAILED
    assert "25 calls a day are used up" in run.error
    assert [request.symbol.symbol for request in one.provider.requests] == ["A"]
    one.provider.fails.clear()
    assert (await one.run(backfill(*SYMBOLS, request_id="again"))).state is RunState.SUCCEEDED
    assert await holds_the_truth(storage, one)


async def test_run_given_provider_that_is_down_gives_up_after_some(
    storage: Storage, one: Ingesting
) -> None:
    """A provider that answers nobody is not asked for five thousand symbols."""
    symbols = [f"D{number}" for number in range(30)]
    await create_symbols(storage, *symbols)
    one.provider.fails = dict.fromkeys(symbols, ProviderUnavailableError("it does not answer"))
    run = await one.run(backfill(*symbols))
    assert run.state is RunState.FAILED
    assert "it does not answer" in run.error
    assert len(one.provider.requests) < 15


async def test_run_given_bad_rows_keeps_them_aside_with_the_rest_stored(
    storage: Storage, one: Ingesting
) -> None:
    """Broken rows stand in the quarantine once, under their run, in the transaction of their page."""
    frame = one.provider.bars["A", DAY]
    broken = np.isin(np.arange(len(frame)), (3, 120, 300))
    close = np.where(broken, np.nan, frame.close)
    one.provider.bars = {**one.provider.bars, ("A", DAY): replace(frame, close=close)}
    run = await one.run(backfill("A"))
    assert run.state is RunState.SUCCEEDED
    assert (run.counts.quarantined, run.counts.accepted) == (3, len(frame) - 3)
    assert run.counts.fetched == len(frame)
    kept = "SELECT run_id, symbol, state, rules FROM bar_quarantine WHERE severity <> 'flag'"
    rows = await fetch(storage, kept)
    assert [(row[0], row[1], row[2]) for row in rows] == [(run.run_id, "A", "open")] * 3
    assert {rule for row in rows for rule in row[3]} == {"NOT_FINITE"}
    again = await one.run(backfill("A", request_id="again", refetches=True))
    assert (again.counts.quarantined, again.counts.unchanged) == (3, len(frame) - 3)
    assert len(await fetch(storage, kept)) == 3


async def test_run_given_stalled_commit_fetches_no_more_than_there_is_room_for(
    storage: Storage, one: Ingesting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nothing is committed, pages wait in bounded memory, and the provider is left alone."""
    monkeypatch.setattr("marketdata.ingestion.pipeline._MOST_BARS_UNDER_WAY", 250)
    served = 0

    async def count(*_: object) -> None:
        nonlocal served
        served += 1

    one.provider.before_page = count
    gate, store = Gate(), storage.intake.store

    async def stalled(*args: object) -> object:
        await gate()
        return await store(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(storage.intake, "store", stalled)
    async with executing(one):
        run = await one.ingestion.starter.start(backfill(*SYMBOLS))
        await gate.reached.wait()

        async def is_full() -> bool:
            # Two pages are waiting, and each of the two fetchers has one that finds no room.
            return served == 4

        await until(is_full)
        await asyncio.sleep(0.2)
        assert served == 4
        gate.open.set()
        assert (await one.over(run)).state is RunState.SUCCEEDED
    assert await holds_the_truth(storage, one)


async def test_lease_given_run_that_takes_longer_is_kept(storage: Storage, one: Ingesting) -> None:
    """A run longer than its lease stays with the process that executes it."""
    gate = Gate()
    one.provider.before_page = lambda _, __: gate()
    second = ingesting(storage, one.provider)
    async with executing(one):
        run = await one.ingestion.starter.start(backfill("A"))
        await gate.reached.wait()
        async with executing(second):
            await asyncio.sleep(2.5 * LEASE_SECONDS)
            gate.open.set()
            await one.over(run)
    (row,) = await fetch(storage, "SELECT epoch FROM ingestion_run")
    assert row[0] == 1


async def test_run_given_database_that_is_full_waits_and_goes_on(
    storage: Storage, one: Ingesting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in a run's way for a while does not end it: it goes on where it was, by itself."""
    failures = 2
    store = storage.intake.store

    async def full(*args: object) -> object:
        nonlocal failures
        if failures:
            failures -= 1
            raise StorageFullError("there is no space left; free some")
        return await store(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(storage.intake, "store", full)
    run = await one.run(backfill(*SYMBOLS))
    assert (run.state, failures) == (RunState.SUCCEEDED, 0)
    assert await holds_the_truth(storage, one)
    assert run.counts.fetched == sum(len(frame) for frame in one.provider.bars.values())


async def test_run_given_a_defect_fails_with_an_id_and_ends(
    storage: Storage, one: Ingesting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown failure is told with an id whose details are in the log only; others go on."""

    async def broken(*_: object) -> object:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(storage.intake, "store", broken)
    run = await one.run(backfill("A"))
    assert run.state is RunState.FAILED
    assert "a defect of the service ended it" in run.error
    assert "secret" not in run.error
