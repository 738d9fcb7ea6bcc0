"""The timer that wakes the schedule: APScheduler, with nothing to remember or to lose.

What is due is the business of calendars and of the database; a wake-up that is lost is made up for by
the next.
"""

import asyncio
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger


class EverySoOften(BaseTrigger):  # type: ignore[misc]
    """Fires a while after it last did, and never for times that have passed.

    APScheduler's own interval lists every wake-up that it missed before it coalesces them: a clock that
    is set forward by months makes millions of them, and one that began in 1970 a hundred million.

    Parameters
    ----------
    seconds : float
        From one firing to the next.
    """

    def __init__(self, seconds: float) -> None:
        self._interval = timedelta(seconds=seconds)

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        """Tell when it fires next."""
        del previous
        return now + self._interval


def wake_up_timer(woken: asyncio.Event, seconds: float) -> AsyncIOScheduler:
    """Make a timer that sets an event every so often; the caller starts it and shuts it down.

    Parameters
    ----------
    woken : Event
        Set at each wake-up.
    seconds : float
        From one to the next.
    """

    async def wake() -> None:
        woken.set()

    timer = AsyncIOScheduler(timezone=UTC)
    timer.add_job(wake, EverySoOften(seconds), misfire_grace_time=None, coalesce=True)
    return timer
