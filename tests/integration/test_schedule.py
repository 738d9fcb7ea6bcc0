"""The schedule over a real database: a slot that is due gets one run, whoever looks, however often."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import date
from typing import Final

import pytest

from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.ingestion_run import IngestionMode, RunState
from marketdata.domain.ingestion_target import IngestionTarget
from marketdata.domain.provider import ProviderDescription
from marketdata.domain.schedule import ScheduleTimes, due_slots, series_of
from marketdata.domain.time_range import TimeRange
from marketdata.errors import ProviderNotReadyError, ServiceUnavailableError
from marketdata.ingestion.run_starter import RunStarter
from marketdata.ingestion.scheduler import Scheduler
from marketdata.providers.protocol import Provider
from marketdata.storage.ingestion.slots import SlotReader
from tests.support.ingesting import executing, holds_the_truth
from tests.support.rows import fetch
from tests.support.scheduling import (
    DAY,
    FRIDAY,
    MINUTE,
    Targets,
    all_over,
    at,
    of_minutes,
    replica,
    slots_with_runs,
    target,
)
from tests.support.scripted_provider import OneProvider, ScriptedProvider
from tests.support.storage import Storage
from tests.support.symbols import create_symbols
from tests.support.waiting import until

TROUBLE: Final = "schedule_target_in_trouble"

pytestmark = pytest.mark.modes("plain", "apache", reason="needs connections of its own")


@pytest.fixture
async def stocks(storage: Storage) -> Storage:
    """Give a storage with the symbols A and B."""
    await create_symbols(storage, "A", "B")
    return storage


def said(caplog: pytest.LogCaptureFixture, event: str) -> list[str]:
    """List what was said of an event: its error, or its number of slots."""
    found = [vars(record) for record in caplog.records if record.message == event]
    return [str(fields.get("error", fields.get("slots"))) for fields in found]


async def test_five_schedulers_given_two_hundred_slots_start_each_once(stocks: Storage) -> None:
    """Five processes whose clocks differ look at once, over a weekend with a switch of clocks."""
    wanted = target("A", timeframes=(MINUTE, DAY))
    replicas = [replica(stocks, Targets([wanted]), FRIDAY) for _ in range(5)]
    within = TimeRange(at(FRIDAY), at("2024-03-11 20:00") + 1)
    due = sorted(
        (slot.nominal_us, slot.request_id)
        for series in series_of(wanted)
        for slot in due_slots(series, [get_calendar("XNYS")], within, ScheduleTimes())
    )
    moments = sorted({time_us for time_us, _ in due})
    assert len(due) > 200
    async with executing(replicas[0].one):
        for now_us in [within.start_us, *moments]:
            for one, skew_us in zip(replicas, (-3, 0, 2, 5, 60), strict=True):
                one.set_clock(now_us + skew_us * 1_000_000)
            await asyncio.gather(*(one.scheduler.look() for one in replicas))
            replicas[0].one.ingestion.executor.wake()
            await all_over(stocks)
    first = [
        "slot/1/daily/1d/2024-03-08T03:00:00Z",
        "slot/1/daily/1m/2024-03-08T03:00:00Z",
        "slot/1/minutes/1m/2024-03-08T20:00:00Z",
    ]
    runs = await slots_with_runs(stocks)
    assert sorted(runs) == sorted(first + [name for _, name in due])


async def test_scheduler_given_another_died_goes_on_with_the_newest_slot(
    stocks: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    """A new process knows from the database what was executed; what was missed is said, not run."""
    targets = Targets([target("A")])
    dead = replica(stocks, targets, FRIDAY)
    async with executing(dead.one):
        async with dead.scheduler.running(wake_seconds=60):
            await until(lambda: _has_runs(stocks, 2))
        await all_over(stocks)
    later = replica(stocks, targets, "2024-03-08 20:21")
    assert of_minutes(await later.scheduler.look()) == ["slot/1/minutes/1m/2024-03-08T20:20:00Z"]
    assert said(caplog, "schedule_slots_missed") == ["3"]
    again = replica(stocks, targets, "2024-03-08 20:22")
    assert await again.scheduler.look() == []
    assert len(await slots_with_runs(stocks, "minutes")) == 2


async def test_scheduler_given_an_end_in_the_middle_of_a_start_leaves_the_slot_to_others(
    stocks: Storage,
) -> None:
    """Half a start is none: the slot has no run until another process gives it one."""
    targets = Targets([target("A")])
    dying, next_one = (replica(stocks, targets, FRIDAY) for _ in range(2))
    waiting = "SELECT 1 FROM pg_locks WHERE relation = 'ingestion_run'::regclass AND NOT granted"

    async def is_stuck() -> bool:
        return bool(await fetch(stocks, waiting))

    async with stocks.owner.connection() as blocker, blocker.transaction():
        # Reads go on, so that it finds the slot due; its INSERT waits.
        await blocker.execute("LOCK TABLE ingestion_run IN SHARE MODE")
        look = asyncio.create_task(dying.scheduler.look())
        await until(is_stuck)
        look.cancel()
        await asyncio.gather(look, return_exceptions=True)
    assert look.cancelled()
    assert await slots_with_runs(stocks) == []
    assert len(await next_one.scheduler.look()) == 2
    assert await slots_with_runs(stocks, "minutes") == ["slot/1/minutes/1m/2024-03-08T20:00:00Z"]


async def test_scheduler_given_first_start_executes_the_newest_slot_only(
    stocks: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    """What was due before the target was created was nobody's to execute, and is no misfire."""
    wanted = target("A", timeframes=(MINUTE, DAY), history_start=date(2023, 1, 1))
    one = replica(stocks, Targets([wanted]), FRIDAY)
    assert [run.request.request_id for run in await one.scheduler.look()] == [
        "slot/1/minutes/1m/2024-03-08T20:00:00Z",
        "slot/1/daily/1m/2024-03-08T03:00:00Z",
        "slot/1/repair/1m/2024-03-08T05:00:00Z",
        "slot/1/daily/1d/2024-03-08T03:00:00Z",
        "slot/1/repair/1d/2024-03-08T05:00:00Z",
    ]
    assert said(caplog, "schedule_slots_missed") == []


async def test_repair_given_a_history_start_fills_the_history(stocks: Storage) -> None:
    """The nightly backfill fetches everything from there on."""
    wanted = target("A", "B", timeframes=(DAY,), history_start=date(2023, 1, 1))
    one = replica(stocks, Targets([wanted]), "2024-07-01 06:00")
    async with executing(one.one):
        runs = [await one.one.over(run) for run in await one.scheduler.look()]
    assert {run.state for run in runs} == {RunState.SUCCEEDED}
    assert [run.request.mode for run in runs] == [IngestionMode.BATCH, IngestionMode.BACKFILL]
    assert await holds_the_truth(stocks, one.one, "A", "B")


async def test_scheduler_given_a_run_that_goes_on_lets_the_next_slot_wait(
    stocks: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    """Another run of the same would fetch the same; once it is over the newest slot has its turn."""
    one = replica(stocks, Targets([target("A")]), FRIDAY)
    assert len(await one.scheduler.look()) == 2
    for _ in range(2):
        one.one.clock.advance(300)
        assert await one.scheduler.look() == []
    async with executing(one.one):
        await all_over(stocks)
    started = await one.scheduler.look()
    assert [run.request.request_id[-9:] for run in started] == ["20:10:00Z"]
    assert said(caplog, "schedule_slots_missed") == ["1"]


async def test_scheduler_given_a_provider_that_is_not_ready_says_it_once_and_waits(
    stocks: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    """Its slot stays due, other targets are kept current meanwhile, and a key that comes ends it."""
    one = replica(stocks, Targets(), FRIDAY)
    missing = ["files"]
    others = OneProvider(ScriptedProvider({}, name="files"))

    def provider_of(name: str) -> Provider:
        if name in missing:
            raise ProviderNotReadyError(f"{name} needs MARKETDATA_FILES_DIR")
        return one.one.provider

    def describe(name: str) -> ProviderDescription | None:
        return others.find(name) or OneProvider(one.one.provider).find(name)

    targets = Targets([target("A", providers=("files",)), target("B", target_id=2)])
    runs = one.one.ingestion.runs
    starter = RunStarter(runs, provider_of, describe, one.one.clock, lambda: None)
    reader = SlotReader(stocks.pools)
    scheduler = Scheduler(targets.list_all, reader, runs, starter, one.one.clock)
    for _ in range(3):
        await scheduler.look()
    assert await slots_with_runs(stocks, "minutes") == ["slot/2/minutes/1m/2024-03-08T20:00:00Z"]
    assert said(caplog, TROUBLE) == ["files needs MARKETDATA_FILES_DIR"] * 2  # of each of its jobs
    missing.clear()
    assert of_minutes(await scheduler.look()) == ["slot/1/minutes/1m/2024-03-08T20:00:00Z"]


async def test_scheduler_given_a_defect_with_one_target_goes_on_with_the_others(
    stocks: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with the target's name, once and not at every wake-up, until it is another."""
    one = replica(stocks, Targets(), FRIDAY)
    defects = ["first", "first", "second"]

    class Defective(SlotReader):
        async def active_symbols(self) -> tuple[str, ...]:
            if defects:
                raise RuntimeError(defects.pop(0))
            return await super().active_symbols()

    targets = Targets([target(timeframes=(DAY,)), target("B", timeframes=(DAY,), target_id=2)])
    runs, starter = one.one.ingestion.runs, one.one.ingestion.starter
    scheduler = Scheduler(targets.list_all, Defective(stocks.pools), runs, starter, one.one.clock)
    for expected in (1, 1, 2):
        await scheduler.look()
        assert await slots_with_runs(stocks) == ["slot/2/daily/1d/2024-03-08T03:00:00Z"]
        found = [vars(each) for each in caplog.records if each.message == "schedule_target_defect"]
        assert [fields["target"] for fields in found] == ["target-1"] * expected
    assert len(await scheduler.look()) == 1


async def test_minutes_given_a_session_are_fetched_again_for_half_an_hour_and_at_night_for_days(
    stocks: Storage,
) -> None:
    """What is late comes with the next slot; what is corrected later comes with the close."""
    one = replica(stocks, Targets([target("A")]), FRIDAY)
    spans: dict[str, list[tuple[str, int]]] = {"minutes": [], "daily": []}
    for now in (FRIDAY, "2024-03-08 20:07", "2024-03-12 02:03"):
        one.set_clock(at(now))
        # All runs of a look are planned before the first one is executed.
        started = await one.scheduler.look()
        async with executing(one.one):
            for run in started:
                await one.one.over(run)
    rows = await fetch(
        stocks,
        "SELECT request_id, extract(epoch FROM task.range_end - task.range_start)::int / 60"
        " FROM ingestion_task AS task JOIN ingestion_run USING (run_id) ORDER BY 1",
    )
    for name, minutes in rows:
        job, _, time = name.split("/")[2:]
        spans[job].append((time, minutes))
    week, night = 7 * 24 * 60, 5 * 24 * 60
    monday = 78 * 60 - 4  # from the last fetch, on Friday at 20:07, to 02:03 of Tuesday
    assert spans == {
        "minutes": [
            ("2024-03-08T20:00:00Z", week),
            ("2024-03-08T20:05:00Z", 30 + 5),
            ("2024-03-12T00:05:00Z", 30 + monday),
        ],
        "daily": [
            ("2024-03-08T03:00:00Z", week),
            ("2024-03-12T02:00:00Z", night + monday),
        ],
    }


async def test_scheduler_given_symbols_created_later_includes_them_from_the_next_slot_on(
    storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    """A target of all symbols takes new ones in; one that names it waits, and says so once."""
    targets = Targets([target(), target("A", "B", target_id=2)])
    one = replica(storage, targets, FRIDAY)
    assert await one.scheduler.look() == []
    found: list[list[Sequence[str]]] = []
    async with executing(one.one):
        for symbol in ("A", "B"):
            await create_symbols(storage, symbol)
            one.one.clock.advance(300)
            started = await one.scheduler.look()
            found.append(
                [run.request.symbols for run in started if "minutes" in run.request.request_id]
            )
            await all_over(storage)
    assert found == [[("A",), ("A",)], [("A", "B"), ("A", "B")]]
    assert said(caplog, TROUBLE) == ["1 unknown, left out until CreateSymbol adds them: B"]


async def test_scheduler_given_another_that_knows_other_symbols_leaves_the_slot_to_it(
    storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    """Between the look at the slot and its start another process starts it with a symbol less."""
    await create_symbols(storage, "A")
    targets = Targets([target()])
    other = replica(storage, targets, FRIDAY)

    class Overtaken(SlotReader):
        async def active_symbols(self) -> tuple[str, ...]:
            await other.scheduler.look()
            await create_symbols(storage, "B")
            return await super().active_symbols()

    late = replica(storage, targets, FRIDAY, Overtaken(storage.pools))
    assert await late.scheduler.look() == []
    runs = await other.one.ingestion.runs.list_page(None, 10)
    assert [run.request.symbols for run in runs] == [("A",), ("A",)]
    assert await late.scheduler.look() == []
    assert said(caplog, TROUBLE) == []


async def test_running_given_failures_and_an_end_goes_on_and_leaves_no_task(stocks: Storage) -> None:
    """A database that is away for a look costs one wake-up; at the end nothing of it is left."""
    targets = Targets([target("A")])
    failures: list[Exception] = [ServiceUnavailableError("away"), RuntimeError("a defect")]

    async def list_targets() -> Sequence[IngestionTarget]:
        if failures:
            raise failures.pop(0)
        return targets.now

    one = replica(stocks, targets, FRIDAY)
    runs, starter = one.one.ingestion.runs, one.one.ingestion.starter
    scheduler = Scheduler(list_targets, SlotReader(stocks.pools), runs, starter, one.one.clock)
    before = asyncio.all_tasks()
    async with scheduler.running(wake_seconds=0.05):
        await until(lambda: _has_runs(stocks, 2))
    assert asyncio.all_tasks() == before


async def _has_runs(storage: Storage, count: int) -> bool:
    return len(await slots_with_runs(storage)) == count


@pytest.fixture(autouse=True)
def _listening(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "marketdata.ingestion.scheduler")
