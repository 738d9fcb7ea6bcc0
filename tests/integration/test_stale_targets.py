"""Stale targets, by the runs that stand in the database."""

from datetime import date
from typing import Final

import pytest

from marketdata.domain.ingestion_run import RunState
from marketdata.domain.schedule import ScheduledJob, ScheduleTimes
from marketdata.domain.staleness import StaleSeries
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ProviderAnswerError
from marketdata.ingestion.stale_targets import StaleTargets
from marketdata.storage.ingestion.slot_outcomes import SlotOutcomes
from marketdata.storage.ingestion.slots import SlotReader
from tests.support.ingesting import Ingesting, executing
from tests.support.rows import fetch
from tests.support.scheduling import DAY, FRIDAY, Replica, Targets, at, replica, target
from tests.support.storage import Storage
from tests.support.symbols import create_symbols

DAILY, REPAIR, ACTIONS = ScheduledJob.DAILY, ScheduledJob.REPAIR, ScheduledJob.ACTIONS
pytestmark = pytest.mark.modes("plain", "apache", reason="runs need connections of their own")
TIMES: Final = ScheduleTimes()


async def stale(storage: Storage, targets: Targets, one: Ingesting) -> list[StaleSeries]:
    """Look for stale series as the doctor does."""
    looking = StaleTargets(
        one.ingestion.runs.identities, SlotReader(storage.pools).active_calendars, one.clock, TIMES
    )
    return await looking.find(targets.now, await SlotOutcomes(storage.pools).read())


async def look(one: Replica) -> list[RunState]:
    """Let the scheduler start what is due, and see it to its end."""
    async with executing(one.one):
        return [(await one.one.over(run)).state for run in await one.scheduler.look()]


async def test_stale_given_slots_that_succeed_and_fail_names_what_is_behind(storage: Storage) -> None:
    """A target is current, fails, is named with its run and its error, and is current again."""
    await create_symbols(storage, "A")
    targets = Targets([target("A", timeframes=(DAY,), history_start=date(2023, 1, 1))])
    one = replica(storage, targets, FRIDAY)
    assert await stale(storage, targets, one.one) == []  # it has just been created
    assert set(await look(one)) == {RunState.SUCCEEDED}
    one.set_clock(at("2024-03-09 03:30"))
    one.one.provider.fails["A"] = ProviderAnswerError("garbled")
    assert RunState.FAILED in await look(one)
    assert await stale(storage, targets, one.one) == []  # within its grace
    one.set_clock(at("2024-03-09 09:01"))
    (found,) = await stale(storage, targets, one.one)
    assert (found.series.job, found.series.timeframe) == (DAILY, DAY)
    assert found.since_us == at("2024-03-09 03:00")
    assert found.last is not None
    assert (found.last.state, found.slots) == (RunState.FAILED, 1)
    assert found.last.error
    one.one.provider.fails.clear()
    one.set_clock(at("2024-03-12 02:30"))
    await look(one)
    assert await stale(storage, targets, one.one) == []


async def test_stale_given_no_service_names_every_series(storage: Storage) -> None:
    """Nobody executes anything: what was due is named, without a run."""
    await create_symbols(storage, "A")
    targets = Targets([target("A", timeframes=(DAY, Timeframe.MINUTE_1)), target(target_id=2)])
    one = replica(storage, targets, "2024-03-11 22:00")
    found = await stale(storage, targets, one.one)
    assert [(s.target.name, s.series.job.value, s.series.timeframe, s.last) for s in found] == [
        ("target-1", "daily", DAY, None),
        ("target-1", "minutes", Timeframe.MINUTE_1, None),
        ("target-1", "daily", Timeframe.MINUTE_1, None),
        ("target-2", "minutes", Timeframe.MINUTE_1, None),
        ("target-2", "daily", Timeframe.MINUTE_1, None),
    ]
    assert {s.since_us for s in found} == {at(FRIDAY)}  # when they were created


async def test_outcomes_given_several_runs_of_a_slot_count_them_as_one(storage: Storage) -> None:
    """Another attempt of a slot makes it good; a run that fills some gaps of it does not."""
    name = "slot/1/daily/1d/2024-03-09T02:00:00Z"
    later = "slot/1/daily/1d/2024-03-12T01:00:00Z"
    rows = [
        (name, "failed"), (f"{name}/2", "succeeded"), (later, "failed"), (f"{later}/2", "running"),
        (f"{later}/gaps/yahoo/3", "succeeded"), ("slot/1/actions/2024-03-09T08:00:00Z", "succeeded"),
        ("someone's own", "succeeded"), ("slot/of/my own", "succeeded"),
    ]  # fmt: skip
    for request_id, state in rows:
        await fetch(
            storage,
            "INSERT INTO ingestion_run (request_id, mode, provider, symbols, timeframes, refetches,"
            " state) VALUES (%s, 'batch', 'alpaca', '{A}', '{1d}', false, %s)",
            [request_id, state],
        )
    found = await SlotOutcomes(storage.pools).read()
    assert set(found) == {"slot/1/daily/1d/", "slot/1/actions/"}
    daily = found["slot/1/daily/1d/"]
    assert daily.succeeded_us == at("2024-03-09 02:00")
    assert daily.other is not None
    assert (daily.other.state, daily.other.nominal_us) == (RunState.RUNNING, at("2024-03-12 01:00"))
    actions = found["slot/1/actions/"]
    assert (actions.succeeded_us, actions.other) == (at("2024-03-09 08:00"), None)
