"""A process that stands still past its lease: another goes on with its run, and its write is late."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from marketdata.domain.ingestion_run import RunState
from marketdata.domain.timeframe import Timeframe
from marketdata.ingestion.page_checker import QualityCheckers
from marketdata.ingestion.pipeline import Pipeline, PipelineEnd
from marketdata.storage.ingestion.claims import Claim, LeaseLostError, RunClaims
from tests.support.ingesting import (
    Gate,
    Ingesting,
    backfill,
    days,
    executing,
    head,
    holds_the_truth,
    ingesting,
    ingesting_days,
)
from tests.support.rows import fetch
from tests.support.scripted_provider import ScriptedProvider
from tests.support.storage import Storage

# Its statements on bars are those of every writer; runs need several connections at once.
pytestmark = pytest.mark.modes("plain", "apache", reason="needs connections of its own")

_ALL_OF_IT = (
    "SELECT to_jsonb(run) FROM ingestion_run AS run",
    "SELECT to_jsonb(task) FROM ingestion_task AS task ORDER BY run_id, task",
    "SELECT to_jsonb(known) FROM ingestion_fetched AS known ORDER BY 1",
    "SELECT to_jsonb(bar) FROM market_stock_hist_bars_day_ts AS bar ORDER BY symbol, time",
)


async def claimed(storage: Storage) -> tuple[RunClaims, Claim]:
    """Claim the run as a process that keeps no claim: its lease is over as soon as it has it."""
    claims = RunClaims(storage.pools, "standing still", timedelta(0))
    claim = await claims.claim()
    assert claim is not None
    return claims, claim


def executed(
    storage: Storage, claims: RunClaims, claim: Claim, one: Ingesting
) -> "asyncio.Task[PipelineEnd]":
    """Begin what a process does with a claim, but for keeping it: as if its timers stood still."""

    async def work() -> PipelineEnd:
        checkers = QualityCheckers(storage.pools, storage.actions, claims, one.clock)
        pipeline = Pipeline(claims, storage.intake, checkers.make)
        tasks = await claims.open_tasks(claim)
        runs = one.ingestion.runs
        return await pipeline.run(claim, one.provider, tasks, runs.identity, runs.tickers)

    return asyncio.create_task(work())


async def everything(storage: Storage) -> list[list[Any]]:
    """Read the run, its tasks, what counts as fetched, and the bars, with every column."""
    return [await fetch(storage, query) for query in _ALL_OF_IT]


async def test_commit_given_a_run_that_another_finished_is_refused_and_changes_nothing(
    storage: Storage,
) -> None:
    """Paused between fetch and commit: the other one's bars stay, and so does what the run says.

    What the paused one fetched are other prices, of before a correction: written late, they would
    revise the bars back.
    """
    next_one = await ingesting_days(storage)
    stale = {("A", Timeframe.DAY_1): days("A", "2023-01-01", "2024-06-29", seed=99)}
    paused = ingesting(storage, ScriptedProvider(stale))
    gate = Gate()
    paused.provider.before_page = lambda _, __: gate()
    run = await paused.ingestion.starter.start(backfill("A"))
    claims, claim = await claimed(storage)
    work = executed(storage, claims, claim, paused)
    await gate.reached.wait()
    async with executing(next_one):
        over = await next_one.over(run)
    assert (over.state, over.counts.revised) == (RunState.SUCCEEDED, 0)
    assert await holds_the_truth(storage, next_one, "A")
    before, seq = await everything(storage), await head(storage)
    assert before[0][0][0]["epoch"] == claim.epoch + 1

    gate.open.set()
    with pytest.raises(LeaseLostError):
        await work
    assert not await claims.finish(claim, RunState.FAILED, "too late")
    await claims.release(claim)
    await claims.fail_task(claim, 1, "too late", None)
    assert await everything(storage) == before
    assert await head(storage) == seq


async def test_commit_given_a_run_that_another_executes_is_refused_and_changes_nothing(
    storage: Storage,
) -> None:
    """The run is still running, only not by this process any more: the epoch alone says so."""
    next_one = await ingesting_days(storage)
    stale = {("A", Timeframe.DAY_1): days("A", "2023-01-01", "2024-06-29", seed=99)}
    paused = ingesting(storage, ScriptedProvider(stale))
    gates = Gate(), Gate()
    paused.provider.before_page = lambda _, __: gates[0]()
    next_one.provider.before_page = lambda _, __: gates[1]()
    run = await paused.ingestion.starter.start(backfill("A"))
    claims, claim = await claimed(storage)
    work = executed(storage, claims, claim, paused)
    await gates[0].reached.wait()
    async with executing(next_one):
        await gates[1].reached.wait()
        gates[0].open.set()
        with pytest.raises(LeaseLostError):
            await work
        assert not await claims.finish(claim, RunState.FAILED, "too late")
        await claims.fail_task(claim, 1, "too late", None)
        assert await fetch(storage, _ALL_OF_IT[3]) == []
        assert (await next_one.ingestion.runs.get(run.run_id)).state is RunState.RUNNING
        gates[1].open.set()
        over = await next_one.over(run)
    assert (over.state, over.counts.revised, over.troubles) == (RunState.SUCCEEDED, 0, ())
    assert await holds_the_truth(storage, next_one, "A")


async def test_executor_given_an_end_while_it_claims_gives_the_claim_up(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it claims in its last moment is nobody's: the next process need not wait for the lease."""
    one = await ingesting_days(storage)
    run = await one.ingestion.starter.start(backfill("A"))
    reached, claim = asyncio.Event(), RunClaims.claim

    async def claim_late(claims: RunClaims) -> Claim | None:
        found = await claim(claims)
        reached.set()
        for _ in range(5):
            await asyncio.sleep(0)  # committed, and not told yet: the end of its process has the turn
        return found

    monkeypatch.setattr(RunClaims, "claim", claim_late)
    async with executing(one):
        await reached.wait()
    rows = await fetch(
        storage, "SELECT run_id, state, lease_until > clock_timestamp() FROM ingestion_run"
    )
    assert rows == [(run.run_id, "running", False)]
