"""Runs over a real database: what is asked for arrives, once."""

import asyncio
from dataclasses import replace
from datetime import date
from typing import Final

import numpy as np
import pytest

from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.ingestion_run import RunState
from marketdata.domain.time_range import session_label_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import (
    RequestIdReusedError,
    RunNotFoundError,
)
from tests.support.ingesting import (
    SYMBOLS,
    Gate,
    Ingesting,
    backfill,
    batch,
    executing,
    head,
    holds_the_truth,
    ingesting_days,
    stored,
)
from tests.support.rows import fetch
from tests.support.storage import Storage
from tests.support.waiting import until

DAY: Final = Timeframe.DAY_1
SPLIT: Final = CorporateActionKind.SPLIT

# Its statements on bars are those of every writer; runs need several connections at once.
pytestmark = pytest.mark.modes("plain", "apache", reason="needs connections of its own")


@pytest.fixture
async def one(storage: Storage) -> Ingesting:
    """Give ingestion from a provider that has a year and a half of days of three symbols."""
    return await ingesting_days(storage)


async def test_backfill_given_a_range_stores_what_the_provider_has(
    storage: Storage, one: Ingesting
) -> None:
    """Every bar is stored and counted once, and the run says that all is done."""
    run = await one.run(backfill(*SYMBOLS))
    assert run.state is RunState.SUCCEEDED
    assert await holds_the_truth(storage, one)
    bars = sum(len(frame) for frame in one.provider.bars.values())
    assert run.counts.fetched == run.counts.accepted == bars
    assert (run.tasks, run.tasks_done, run.symbols_done, run.share_done) == (3, 3, 3, 1.0)
    assert run.troubles == ()


async def test_backfill_given_it_was_fetched_asks_for_nothing(storage: Storage, one: Ingesting) -> None:
    """A second run has no task; over a longer range it has only what is missing, on both sides."""
    await one.run(backfill(*SYMBOLS, start="2023-06-01", end="2024-01-01"))
    before = await head(storage)
    again = await one.run(backfill(*SYMBOLS, start="2023-06-01", end="2024-01-01", request_id="again"))
    assert (again.state, again.tasks) == (RunState.SUCCEEDED, 0)
    assert await head(storage) == before
    one.provider.requests.clear()
    await one.run(backfill("A", request_id="longer"))
    ranges = sorted(
        (str(np.datetime64(r.range.start_us, "us"))[:10], str(np.datetime64(r.range.end_us, "us"))[:10])
        for r in one.provider.requests
    )
    # 2024-06-30 02:00 UTC is now: the label of the day before is the last that has ended.
    assert ranges == [("2023-01-01", "2023-06-01"), ("2024-01-01", "2024-06-30")]
    assert await holds_the_truth(storage, one, "A")


async def test_batch_given_corrections_of_the_last_days_revises_them(
    storage: Storage, one: Ingesting
) -> None:
    """The trailing window is fetched again: a corrected bar is revised, the rest stays unchanged."""
    await one.run(backfill(*SYMBOLS))
    frame = one.provider.bars["A", DAY]
    corrected = frame.volume.copy()
    corrected[-2] += 100
    one.provider.bars = {**one.provider.bars, ("A", DAY): replace(frame, volume=corrected)}
    one.provider.requests.clear()
    run = await one.run(batch(*SYMBOLS))
    assert run.state is RunState.SUCCEEDED
    assert (run.counts.accepted, run.counts.revised) == (0, 1)
    assert run.counts.fetched == run.counts.unchanged + 1 < 3 * 7
    assert await holds_the_truth(storage, one)
    before = await head(storage)
    await one.run(batch(*SYMBOLS, request_id="third"))
    assert await head(storage) == before


async def test_run_given_cancellation_keeps_what_was_committed_and_goes_on_there(
    storage: Storage, one: Ingesting
) -> None:
    """What is stored stays, its checkpoint too: the next run asks for the rest only."""
    gate = Gate()

    async def hold(_: object, number: int) -> None:
        if number == 2:
            await gate()

    one.provider.before_page = hold
    one.provider.calls_at_once = 1
    async with executing(one):
        run = await one.ingestion.starter.start(backfill("A"))

        async def is_stored() -> bool:
            return len(await stored(storage, "A")) == 200

        await gate.reached.wait()
        await until(is_stored)
        await one.ingestion.runs.cancel(run.run_id)
        one.ingestion.executor.wake()
        over = await one.over(run)
    assert over.state is RunState.CANCELLED
    assert over.counts.fetched == 200
    gate.open.set()
    one.provider.requests.clear()
    again = await one.run(backfill("A", request_id="again"))
    assert again.state is RunState.SUCCEEDED
    times = one.provider.bars["A", DAY].time_us
    assert [request.range.start_us for request in one.provider.requests] == [int(times[200])]
    assert again.counts.accepted == len(times) - 200
    assert await holds_the_truth(storage, one, "A")


async def test_run_given_cancellation_before_it_was_begun_is_over_at_once(
    storage: Storage, one: Ingesting
) -> None:
    """Nobody executes it any more; cancelling twice changes nothing."""
    run = await one.ingestion.starter.start(backfill("A"))
    cancelled = await one.ingestion.runs.cancel(run.run_id)
    assert cancelled.state is RunState.CANCELLED
    assert await one.ingestion.runs.cancel(run.run_id) == replace(cancelled, now_us=ANY)
    async with executing(one):
        other = await one.ingestion.starter.start(backfill("B", request_id="other"))
        await one.over(other)
    assert len(await stored(storage, "A")) == 0


class _Any:
    """Equals everything."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


ANY: Final = _Any()


async def test_start_given_the_same_request_id_answers_the_same_run(
    storage: Storage, one: Ingesting
) -> None:
    """A caller that lost the answer sends it again; another request under the id is refused."""
    runs = await asyncio.gather(*(one.ingestion.starter.start(backfill("A")) for _ in range(8)))
    assert len({run.run_id for run in runs}) == 1
    with pytest.raises(RequestIdReusedError, match="other parameters"):
        await one.ingestion.starter.start(backfill("B"))
    (row,) = await fetch(storage, "SELECT count(*) FROM ingestion_run")
    assert row[0] == 1


async def test_run_given_actions_along_with_bars_stores_them(storage: Storage, one: Ingesting) -> None:
    """What a provider tells along with the bars is a fact by itself; told again it changes nothing."""
    split = CorporateAction(SPLIT, date(2023, 5, 1), split_ratio=2.0, source="alpaca")
    one.provider.along = {"A": (split,)}
    await one.run(backfill("A"))
    assert [a.split_ratio for a in await storage.actions.list_all("A")] == [2.0]
    before = await head(storage)
    await one.run(batch("A"))
    assert await head(storage) == before


async def test_run_given_jump_that_looks_like_a_split_asks_for_actions(
    storage: Storage, one: Ingesting
) -> None:
    """The provider is asked once, the split is stored, and the jump is no longer strange."""
    frame = one.provider.bars["A", DAY]
    factor = np.where(np.arange(len(frame)) < 150, 1.0, 0.25)
    prices = {name: getattr(frame, name) * factor for name in ("open", "high", "low", "close", "vwap")}
    one.provider.bars = {**one.provider.bars, ("A", DAY): replace(frame, **prices)}
    ex_date = np.datetime64(int(frame.time_us[150]), "us").astype("datetime64[D]").item()
    split = CorporateAction(SPLIT, ex_date, split_ratio=4.0, source="alpaca")
    one.provider.actions = {"A": (split,)}
    run = await one.run(backfill("A"))
    assert run.state is RunState.SUCCEEDED
    assert one.provider.asked_actions == ["A"]
    assert [a.ex_date for a in await storage.actions.list_all("A")] == [ex_date]
    assert run.counts.flagged == 0
    assert await holds_the_truth(storage, one, "A")


async def test_get_given_run_that_is_not_there_says_where_to_look(one: Ingesting) -> None:
    """The error names the number and what lists them."""
    with pytest.raises(RunNotFoundError, match="no ingestion run 17; ListIngestionRuns"):
        await one.ingestion.runs.get(17)


async def test_backfill_given_retention_asks_for_what_is_kept(storage: Storage, one: Ingesting) -> None:
    """What was dropped once is not fetched, only to be dropped again."""
    await fetch(
        storage,
        "UPDATE bar_storage SET keep = '50 years', keep_confirmed_at = now(),"
        " dropped_before = '2023-06-01' WHERE which = 'day'",
    )
    await one.run(backfill("A"))
    (request,) = one.provider.requests
    assert request.range.start_us == session_label_us(date(2023, 6, 1))
