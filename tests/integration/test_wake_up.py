"""The timer that wakes the schedule, and what becomes of it where clocks are set."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from marketdata.ingestion.wake_up import EverySoOften, wake_up_timer

_NOW: Final = datetime(2026, 3, 6, tzinfo=UTC)


async def test_timer_given_some_time_wakes_again_and_again() -> None:
    """Each wake-up is told; after its end there is none."""
    woken = asyncio.Event()
    timer = wake_up_timer(woken, 0.02)
    timer.start()
    for _ in range(3):
        await asyncio.wait_for(woken.wait(), 10)
        woken.clear()
    timer.shutdown(wait=False)
    await asyncio.sleep(0.1)
    assert not woken.is_set()


def test_trigger_given_a_clock_that_was_set_forward_fires_once() -> None:
    """However much it missed: APScheduler asks again only for times that have passed."""
    trigger = EverySoOften(15.0)
    missed = _NOW - timedelta(days=20_000)
    assert trigger.get_next_fire_time(missed, _NOW) == _NOW + timedelta(seconds=15)
