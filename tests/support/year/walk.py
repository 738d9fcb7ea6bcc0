"""A walk through the year, from slot to slot: the service's own scheduler and executor do the work."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from marketdata.clock import ManualClock
from marketdata.domain.gaps import GapReason
from marketdata.domain.ingestion_target import NewIngestionTarget
from marketdata.domain.schedule import ScheduleTimes
from marketdata.domain.symbol import NewSymbol, SymbolUpdate
from marketdata.domain.timeframe import Timeframe
from marketdata.ingestion.assembly import Ingestion, build_ingestion
from marketdata.ingestion.scheduler import Scheduler
from marketdata.ingestion.waits import ProviderWaits
from marketdata.providers.http.assembly import Surroundings
from marketdata.providers.http.caller import Patience
from marketdata.providers.iex.alpaca import AlpacaProvider
from marketdata.storage.coverage import CoverageReader
from marketdata.storage.ingestion.slots import SlotReader
from marketdata.storage.ingestion.targets import TargetStore
from marketdata.storage.provider_quota import ProviderQuotas
from tests.support.ingesting import head
from tests.support.providers.faults import never
from tests.support.providers.iex.alpaca_side import KEY_ID, SECRET
from tests.support.providers.played import LoopbackServer, loopback
from tests.support.rows import fetch
from tests.support.storage import Storage
from tests.support.waiting import until
from tests.support.year.catalog import Catalog
from tests.support.year.sessions import (
    DAY_US,
    HOUR_US,
    ExpectedSlots,
    actions_slots,
    daily_slots,
    minute_slots,
    repair_slots,
    utc,
)
from tests.support.year.side import AlpacaOfTheYear
from tests.support.year.truth import (
    BEGIN,
    END,
    HISTORY_START,
    LONDON,
    MINUTE_WINDOWS,
    NEW_NAME,
    NEW_YORK,
    OLD_NAME,
    OUTAGES,
    RENAMED,
    WITH_MINUTES,
    year,
)

#: The service is down in between; and it is started anew on the first of each month.
DOWN: Final = ("2024-04-20 12:00", "2024-04-24 12:00")
_RESTARTS: Final = tuple(f"2024-{month:02}-01 12:00" for month in range(2, 13))
# Five minutes would be twelve times the runs, of the same kind.
_MINUTES_EVERY_US: Final = HOUR_US
_LEASE_SECONDS: Final = 15.0
# A provider that is down stays down for simulated hours: waiting for it is nothing but waiting.
_PATIENCE: Final = Patience(attempts=2, first_wait_seconds=0.001)

Happening = Callable[["Walk"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Process:
    """A service as it runs: what it remembers ends with it."""

    ingestion: Ingestion
    scheduler: Scheduler


@asynccontextmanager
async def process(storage: Storage, address: str, clock: ManualClock) -> AsyncIterator[Process]:
    """Run a service's ingestion over a storage; its provider answers at an address."""
    waits = ProviderWaits()
    around = Surroundings(
        ProviderQuotas(storage.pools, {}), waits, clock, patience=_PATIENCE, rest_seconds=0.0
    )
    provider = AlpacaProvider(KEY_ID, SECRET, 100_000, around, address)
    ingestion = build_ingestion(
        storage.pools,
        storage.intake,
        storage.actions,
        Catalog(provider),
        waits.of,
        clock,
        _LEASE_SECONDS,
    )
    scheduler = Scheduler(
        ingestion.targets.list_all,
        SlotReader(storage.pools),
        ingestion.runs,
        ingestion.starter,
        clock,
        ScheduleTimes(minutes_every_us=_MINUTES_EVERY_US),
    )
    try:
        async with ingestion.executor.running():
            yield Process(ingestion, scheduler)
    finally:
        await provider.aclose()


@dataclass
class Walk:
    """The year under way, and what was seen of it.

    Attributes
    ----------
    started : list of (str, int)
        Slots in the order of their runs, and when each run was started, Unix microseconds.
    seqs : list of (int, int)
        The time of each look, and the last change once its runs were over.
    seq_before_rename : int
        The last change before ELDER became ELM.
    gaps_in_outage : dict
        While the provider was down for a day: why the session before is missing, and who says so.
    """

    storage: Storage
    clock: ManualClock
    server: LoopbackServer
    slots: ExpectedSlots = field(default_factory=ExpectedSlots)
    started: list[tuple[str, int]] = field(default_factory=list)
    seqs: list[tuple[int, int]] = field(default_factory=list)
    seq_before_rename: int = 0
    gaps_in_outage: dict[str, list[tuple[GapReason, str]]] = field(default_factory=dict)

    def seq_before(self, time_us: int) -> int:
        """Tell the last change of the looks before a moment."""
        return max(seq for looked_us, seq in self.seqs if looked_us < time_us)

    async def through(self, happenings: Sequence[tuple[int, Happening]]) -> None:
        """Walk to the end of the year; each happening comes at its time."""
        ends = [*(time_us for time_us, _ in happenings[1:]), utc(END)]
        for (begin_us, happening), end_us in zip(happenings, ends, strict=True):
            self.set_clock(begin_us)
            await happening(self)
            if happening is not go_down:
                await self._serve_until(end_us)

    async def _serve_until(self, end_us: int) -> None:
        async with process(self.storage, self.server.address, self.clock) as running:
            while self.clock.now_us() < end_us:
                await self._look(running)
                self.set_clock(min(end_us, self.slots.next_us(self.clock.now_us())))

    async def _look(self, running: Process) -> None:
        now_us = self.clock.now_us()
        runs = await running.scheduler.look()
        names = sorted(run.request.request_id for run in runs)
        assert names == sorted(self.slots.take(now_us)), f"at {now_us}"
        self.started += [(name, now_us) for name in names]
        await until(self._are_over, seconds=60)
        self.seqs.append((now_us, await head(self.storage)))

    async def _are_over(self) -> bool:
        query = "SELECT 1 FROM ingestion_run WHERE state IN ('queued', 'running')"
        return not await fetch(self.storage, query)

    def set_clock(self, time_us: int) -> None:
        """Move the clock."""
        self.clock.advance((time_us - self.clock.now_us()) / 1e6)


async def simulate(storage: Storage) -> Walk:
    """Live through the year."""
    clock = ManualClock(utc(BEGIN))
    async with loopback(AlpacaOfTheYear(year(), clock), never) as server:
        walk = Walk(storage, clock, server)
        await walk.through(happenings())
    return walk


def happenings() -> list[tuple[int, Happening]]:
    """List what people do in the year, by time."""
    found: list[tuple[int, Happening]] = [
        (utc(BEGIN), begin),
        (utc(DOWN[0]), go_down),
        (utc(DOWN[1]), start_anew),
        (utc(RENAMED) - 2 * HOUR_US, rename),
        (utc(OUTAGES[2][0]) + 12 * HOUR_US, look_at_gaps),
        *((utc(time), start_anew) for time in _RESTARTS),
    ]
    for start, end in MINUTE_WINDOWS:
        found += [(utc(start), want_minutes), (utc(end) + 6 * HOUR_US, want_no_minutes)]
    return sorted(found, key=lambda item: item[0])


async def begin(walk: Walk) -> None:
    """Create symbols and what is to be kept current of their days."""
    for symbol in NEW_YORK:
        await walk.storage.symbols.create(NewSymbol(symbol))
    for symbol in LONDON:
        await walk.storage.symbols.create(
            NewSymbol(symbol, venue="XLON", calendar="XLON", time_zone="Europe/London", currency="GBP")
        )
    start = date.fromisoformat(HISTORY_START)
    for name, symbols, calendar in (("new-york", NEW_YORK, "XNYS"), ("london", LONDON, "XLON")):
        target = NewIngestionTarget(name, symbols, (Timeframe.DAY_1,), ("alpaca",), start)
        number = await _create(walk, target)
        walk.slots.want(f"slot/{number}/daily/1d/", daily_slots(calendar), walk.clock.now_us())
        walk.slots.want(f"slot/{number}/repair/1d/", repair_slots(), walk.clock.now_us())
        walk.slots.want(f"slot/{number}/actions/", actions_slots(), walk.clock.now_us())


async def want_minutes(walk: Walk) -> None:
    """Begin to keep minutes current."""
    target = NewIngestionTarget("minutes", WITH_MINUTES, (Timeframe.MINUTE_1,), ("alpaca",))
    number = await _create(walk, target)
    due_us = minute_slots(_MINUTES_EVERY_US)
    walk.slots.want(f"slot/{number}/minutes/1m/", due_us, walk.clock.now_us())
    walk.slots.want(f"slot/{number}/daily/1m/", daily_slots("XNYS"), walk.clock.now_us())
    walk.slots.want(f"slot/{number}/actions/", actions_slots(), walk.clock.now_us())


async def want_no_minutes(walk: Walk) -> None:
    """End it."""
    (row,) = await fetch(walk.storage, "SELECT target_id FROM ingestion_target WHERE name = 'minutes'")
    await TargetStore(walk.storage.pools).delete("minutes")
    for series in ("minutes/1m", "daily/1m", "actions"):
        walk.slots.forget(f"slot/{row[0]}/{series}/")


async def rename(walk: Walk) -> None:
    """Tell the service of the new ticker."""
    walk.seq_before_rename = await head(walk.storage)
    update = SymbolUpdate({"symbol": NEW_NAME}, date.fromisoformat(RENAMED))
    await walk.storage.symbols.update(OLD_NAME, update)


async def look_at_gaps(walk: Walk) -> None:
    """Ask why the newest session is missing, of every symbol that was there at the time."""
    now_us = walk.clock.now_us()
    newest_us = now_us - now_us % DAY_US - DAY_US
    for symbol in (*NEW_YORK, *LONDON):
        ticker = NEW_NAME if symbol == OLD_NAME else symbol
        found, _ = await CoverageReader(walk.storage.reader).read(
            ticker, Timeframe.DAY_1, newest_us, newest_us + DAY_US, now_us
        )
        causes = [found.gaps.causes[row] for row in found.gaps.cause.tolist()]
        walk.gaps_in_outage[ticker] = [(cause.reason, cause.provider) for cause in causes]


async def start_anew(walk: Walk) -> None:
    """Do nothing but what every happening does: a new process begins with it."""
    del walk


async def go_down(walk: Walk) -> None:
    """Leave the targets alone for a while."""
    del walk


async def _create(walk: Walk, target: NewIngestionTarget) -> int:
    return (await TargetStore(walk.storage.pools).create(target)).target_id
