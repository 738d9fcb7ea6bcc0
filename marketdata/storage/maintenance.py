"""What the service does for its tables now and then, in every storage mode, one process at a time."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from marketdata.clock import Clock
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.storage.bar_storage import BarStorage
from marketdata.storage.partitions import Partitions
from marketdata.storage.pools import Pools
from marketdata.storage.retention import Retention
from marketdata.storage.rollups import RollUpKeeper

log = logging.getLogger(__name__)

# Days from now on whose partitions are there before their bars: nobody waits for one at the open, and
# a service whose maintenance fails for a weekend still writes on Monday.
DAYS_AHEAD: Final = {Timeframe.MINUTE_1: 3, Timeframe.HOUR_1: 14, Timeframe.DAY_1: 60}

# Any constant of this service's own.
_LOCK_KEY: Final = 0x4D44_4D54
_TRY_LOCK: Final = "SELECT pg_try_advisory_lock(%s)"
_UNLOCK: Final = "SELECT pg_advisory_unlock(%s)"


@dataclass(frozen=True, slots=True)
class MaintenanceStep:
    """One thing to be done.

    Attributes
    ----------
    name : str
        In the log.
    run : callable
        Does it, once; safe to be cancelled at any time and to be done twice at once.
    """

    name: str
    run: Callable[[], Awaitable[object]]


class Maintenance:
    """Runs steps one after the other, in one process of all that share the database.

    Parameters
    ----------
    pools : Pools
        Where the lock is held.
    steps : sequence of MaintenanceStep
        In their order.
    """

    def __init__(self, pools: Pools, steps: Sequence[MaintenanceStep]) -> None:
        self._pools = pools
        self._steps = steps

    async def run_once(self) -> list[str]:
        """Run every step; a failure is logged and does not keep the others from running.

        Returns
        -------
        list of str
            Names of the steps that succeeded; empty where another process is at it.

        Raises
        ------
        DatabaseUnavailableError
            The database cannot be asked for the lock.
        """
        async with self._alone() as is_alone:
            return [step.name for step in self._steps if await _succeeds(step)] if is_alone else []

    async def run_every(self, seconds: float) -> None:
        """Run now, and `seconds` after the end of each run, until cancelled.

        A service that cannot reach its database goes on trying.
        """
        while True:
            # A run must not end the loop, whatever it meets: partitions would run out days later.
            await _succeeds(MaintenanceStep("maintenance", self.run_once))
            await asyncio.sleep(seconds)

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[bool]:
        """Hold the lock of the session, if nobody does; a process that dies leaves none behind."""
        async with self._pools.query() as connection:
            cursor = await connection.execute(_TRY_LOCK, [_LOCK_KEY])
            row = await cursor.fetchone()
            is_alone = row is not None and bool(row[0])
            try:
                yield is_alone
            finally:
                if is_alone and not connection.closed:
                    await connection.execute(_UNLOCK, [_LOCK_KEY])


async def _succeeds(step: MaintenanceStep) -> bool:
    try:
        await step.run()
    except Exception:
        log.exception("maintenance_failed", extra={"step": step.name})
        return False
    return True


@contextlib.asynccontextmanager
async def maintained(maintenance: Maintenance, seconds: float) -> AsyncIterator[None]:
    """Run maintenance beside the body, and end it with the body.

    Parameters
    ----------
    seconds : float
        Between two runs; 0: never.
    """
    if not seconds:
        yield
        return
    task = asyncio.create_task(maintenance.run_every(seconds), name="maintenance")
    try:
        yield
    finally:
        task.cancel()
        # What is under way is rolled back, and the next service begins there.
        await asyncio.wait([task])


class Trimmer(Protocol):
    """Deletes what is older than it is kept."""

    def run_once(self) -> Awaitable[object]:
        """Delete what is too old now, in small transactions."""


class Upkeep:
    """The steps over one set of stores.

    Parameters
    ----------
    pools : Pools
        Where transactions run.
    clock : Clock
        Tells today.
    trimmers : mapping of str to Trimmer
        What is kept for a time only, by name: the change log, superseded versions. Default: they stay.
    """

    def __init__(
        self, pools: Pools, clock: Clock, trimmers: Mapping[str, Trimmer] | None = None
    ) -> None:
        self.settings = BarStorage(pools)
        self.retention = Retention(pools, self._roll_up_before)
        self._partitions = Partitions(pools)
        self._rollups = RollUpKeeper(pools)
        self._clock = clock
        self._trimmers = dict(trimmers or {})

    def steps(self) -> list[MaintenanceStep]:
        """List the steps in their order."""
        return [
            MaintenanceStep("partitions ahead", self.make_partitions_ahead),
            MaintenanceStep("roll-ups", self._roll_up),
            MaintenanceStep("retention", self.apply_retention),
            *(MaintenanceStep(name, trimmer.run_once) for name, trimmer in self._trimmers.items()),
        ]

    async def make_partitions_ahead(self) -> None:
        """Make the partitions of the days to come, where the service makes them."""
        # Another process, or an operator, can have dropped what this one made.
        self._partitions.forget()
        for timeframe, count in DAYS_AHEAD.items():
            days = np.arange(count + 1, dtype=np.int64) * MICROSECONDS_PER_DAY
            await self._partitions.ensure(timeframe, self._clock.now_us() + days)

    async def apply_retention(self) -> None:
        """Drop what is older than what is kept, of the tables for which that is confirmed."""
        for kept in await self.settings.of_all():
            if kept.is_confirmed:
                await self.retention.apply(kept.timeframe, f"older than {kept.keep}, as confirmed")

    async def _roll_up(self) -> None:
        await self._rollups.run_once(self._clock.now_us())

    async def _roll_up_before(self, timeframe: Timeframe, _until_us: int) -> None:
        if timeframe is Timeframe.MINUTE_1:
            await self._roll_up()
