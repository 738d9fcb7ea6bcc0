"""Schedulers over a test's storage, each with a clock and a memory of its own, as processes have."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final

from marketdata.domain.ingestion_run import IngestionRun
from marketdata.domain.ingestion_target import IngestionTarget
from marketdata.domain.time_range import to_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.ingestion.scheduler import Scheduler
from marketdata.storage.ingestion.slots import SlotReader
from tests.support.ingesting import Ingesting, days, ingesting
from tests.support.rows import fetch
from tests.support.scripted_provider import ScriptedProvider
from tests.support.storage import Storage
from tests.support.waiting import until

MINUTE: Final = Timeframe.MINUTE_1
DAY: Final = Timeframe.DAY_1
#: After the close of New York; its clocks are set forward on Sunday.
FRIDAY: Final = "2024-03-08 20:02"


@dataclass
class Targets:
    """What is to be kept current, as a test changes it."""

    now: list[IngestionTarget] = field(default_factory=list)

    async def list_all(self) -> Sequence[IngestionTarget]:
        """List them."""
        return list(self.now)


@dataclass(frozen=True, slots=True)
class Replica:
    """One of several processes that keep the same targets current."""

    one: Ingesting
    scheduler: Scheduler

    def set_clock(self, time_us: int) -> None:
        """Move its clock, forward or back."""
        self.one.clock.advance((time_us - self.one.clock.now_us()) / 1e6)


def replica(
    storage: Storage,
    targets: Targets,
    now: str,
    slots: SlotReader | None = None,
    one: Ingesting | None = None,
) -> Replica:
    """Start a process at a moment in UTC; its provider has a year and a half of days of A and B."""
    bars = {
        (symbol, DAY): days(symbol, "2023-01-01", "2024-06-29", seed)
        for seed, symbol in enumerate("AB", start=1)
    }
    one = one or ingesting(storage, ScriptedProvider(bars), at(now))
    reader = slots or SlotReader(storage.pools)
    runs, starter = one.ingestion.runs, one.ingestion.starter
    return Replica(one, Scheduler(targets.list_all, reader, runs, starter, one.clock))


def target(
    *symbols: str,
    timeframes: tuple[Timeframe, ...] = (MINUTE,),
    providers: tuple[str, ...] = ("alpaca",),
    history_start: date | None = None,
    target_id: int = 1,
) -> IngestionTarget:
    """Want symbols kept current from `FRIDAY` on; none: all active ones."""
    name = f"target-{target_id}"
    return IngestionTarget(name, symbols, timeframes, providers, history_start, target_id, at(FRIDAY))


def at(text: str) -> int:
    """Turn ``2024-03-08 20:00`` in UTC into Unix microseconds."""
    return to_unix_us(datetime.fromisoformat(text).replace(tzinfo=UTC))


async def slots_with_runs(storage: Storage, job: str = "") -> list[str]:
    """List the slot of every run, in the order of their starts; of one job, if it is said."""
    rows = await fetch(storage, "SELECT request_id FROM ingestion_run ORDER BY run_id")
    return [name for (name,) in rows if job in name]


def of_minutes(runs: Sequence[IngestionRun]) -> list[str]:
    """List the slots of runs that fetch minutes during a session."""
    return [run.request.request_id for run in runs if "/minutes/" in run.request.request_id]


async def all_over(storage: Storage) -> None:
    """Wait until no run is queued or running."""
    open_runs = "SELECT 1 FROM ingestion_run WHERE state IN ('queued', 'running')"

    async def is_over() -> bool:
        return not await fetch(storage, open_runs)

    await until(is_over)
