"""What the service does now and then: partitions ahead, roll-ups, retention; one process at a time."""

import asyncio
import logging
from itertools import pairwise
from typing import Final

import pytest

from marketdata.clock import ManualClock, SystemClock
from marketdata.domain.calendar_span import CalendarSpan
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_storage import BarStorage
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.maintenance import DAYS_AHEAD, Maintenance, MaintenanceStep, Upkeep
from tests.support.bars import days
from tests.support.kept import BARS_A_DAY, midnight_us, store_minutes
from tests.support.rows import fetch, partitions, stored_bars
from tests.support.storage import Storage
from tests.support.waiting import until

MINUTE: Final = Timeframe.MINUTE_1
TWO_AT_ONCE: Final = pytest.mark.modes("plain", "apache", reason="session-level locks of two sessions")


@pytest.mark.modes("plain", reason="TimescaleDB makes chunks with their first bar")
async def test_run_once_given_an_empty_database_makes_the_partitions_ahead(storage: Storage) -> None:
    """The bars of the days to come have their partitions; the next day moves them on."""
    clock = ManualClock(days(21_000) + 5)
    steps = Upkeep(storage.pools, clock).steps()
    assert await Maintenance(storage.pools, steps).run_once() == [step.name for step in steps]
    for timeframe, count in DAYS_AHEAD.items():
        made = await partitions(storage, timeframe)
        assert made[0].start_us <= days(21_000)
        assert made[-1].end_us > days(21_000 + count)
        assert all(a.end_us == b.start_us for a, b in pairwise(made))
    before = await partitions(storage, MINUTE)
    clock.advance(86_400)
    await Maintenance(storage.pools, steps).run_once()
    assert len(await partitions(storage, MINUTE)) == len(before) + 1


async def test_run_once_given_nothing_confirmed_drops_nothing(storage: Storage) -> None:
    """Retention is off until an operator confirms it: the sample would be gone at once."""
    await store_minutes(storage, "A", 20, 2)
    settings = BarStorage(storage.pools)
    week = CalendarSpan(days=7)
    await settings.change(MINUTE, keep=week)
    maintenance = Maintenance(storage.pools, Upkeep(storage.pools, SystemClock()).steps())
    await maintenance.run_once()
    assert len(await stored_bars(storage, MINUTE)) == 2 * BARS_A_DAY
    await settings.confirm_retention(MINUTE, week)
    await maintenance.run_once()
    assert len(await stored_bars(storage, MINUTE)) == BARS_A_DAY


async def test_run_once_given_minutes_that_are_dropped_has_their_roll_ups(storage: Storage) -> None:
    """Before minutes go their days are made of them."""
    await store_minutes(storage, "A", 20, 2)
    settings = BarStorage(storage.pools)
    await settings.change(MINUTE, keep=CalendarSpan(days=7))
    await settings.confirm_retention(MINUTE, CalendarSpan(days=7))
    upkeep = Upkeep(storage.pools, SystemClock())
    (retention,) = [step for step in upkeep.steps() if step.name == "retention"]
    await Maintenance(storage.pools, [retention]).run_once()
    old = "SELECT count(*) FROM rollup_dirty WHERE day < now() - interval '7 days'"
    assert await fetch(storage, old) == [(0,)]
    assert (await settings.get(MINUTE)).dropped_before_us == midnight_us(19)


async def test_run_once_given_a_step_fails_runs_the_others(
    storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure is in the log with the step's name, and ends nothing else."""

    async def fail() -> None:
        raise RuntimeError("no")

    async def succeed() -> None:
        pass

    steps = [MaintenanceStep("first", fail), MaintenanceStep("second", succeed)]
    with caplog.at_level(logging.ERROR):
        assert await Maintenance(storage.pools, steps).run_once() == ["second"]
    (record,) = [one for one in caplog.records if one.message == "maintenance_failed"]
    assert record.__dict__["step"] == "first"


@TWO_AT_ONCE
async def test_run_once_given_another_process_at_it_leaves_it_alone(storage: Storage) -> None:
    """One process at a time; a run that is cancelled lets the next one in."""
    entered, leave = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        entered.set()
        await leave.wait()

    maintenance = Maintenance(storage.pools, [MaintenanceStep("wait", wait)])
    first = asyncio.create_task(maintenance.run_once())
    await entered.wait()
    assert await maintenance.run_once() == []
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    leave.set()
    assert await maintenance.run_once() == ["wait"]


async def test_run_every_given_a_run_that_fails_goes_on(storage: Storage) -> None:
    """A database that is away for a while is tended again when it is back."""
    runs = 0

    class Failing(Maintenance):
        """Fails the first time."""

        async def run_once(self) -> list[str]:
            nonlocal runs
            runs += 1
            if runs == 1:
                raise RuntimeError("away")
            return await super().run_once()

    loop = asyncio.create_task(Failing(storage.pools, []).run_every(0.001))

    async def has_gone_on() -> bool:
        return runs > 2

    await until(has_gone_on)
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop


async def test_upkeep_given_the_service_role_is_enough(
    database: ServerAddress, storage: Storage
) -> None:
    """All of it runs as the role that owns nothing."""
    await store_minutes(storage, "A", 20)
    assert storage.address() == database.for_service()
    upkeep = Upkeep(storage.pools, SystemClock())
    ran = await Maintenance(storage.pools, upkeep.steps()).run_once()
    assert ran == [step.name for step in upkeep.steps()]
