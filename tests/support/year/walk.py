"""A walk through time, from slot to slot: the service's own scheduler and executor do the work."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from marketdata.clock import ManualClock
from marketdata.domain.gaps import GapReason
from marketdata.domain.ingestion_target import NewIngestionTarget
from marketdata.storage.ingestion.targets import TargetStore
from tests.support.ingesting import head
from tests.support.rows import fetch
from tests.support.storage import Storage
from tests.support.waiting import until
from tests.support.year.process import MakeProviders, Process, process
from tests.support.year.sessions import ExpectedSlots, utc

Happening = Callable[["Walk"], Awaitable[None]]


@dataclass
class Walk:
    """Time as it goes by, and what was seen of it.

    Attributes
    ----------
    started : list of (str, int)
        Slots in the order of their runs, and when each run was started, Unix microseconds.
    followed : list of (str, int)
        The same of runs that go on with a slot whose own run is over.
    seqs : list of (int, int)
        The time of each look, and the last change once its runs were over.
    seq_before_rename : int
        The last change before ELDER became ELM.
    gaps_in_outage : dict
        While the provider was down for a day: why the session before is missing, and who says so.
    """

    storage: Storage
    clock: ManualClock
    make_providers: MakeProviders
    slots: ExpectedSlots = field(default_factory=ExpectedSlots)
    started: list[tuple[str, int]] = field(default_factory=list)
    followed: list[tuple[str, int]] = field(default_factory=list)
    seqs: list[tuple[int, int]] = field(default_factory=list)
    seq_before_rename: int = 0
    gaps_in_outage: dict[str, list[tuple[GapReason, str]]] = field(default_factory=dict)

    def seq_before(self, time_us: int) -> int:
        """Tell the last change of the looks before a moment."""
        return max(seq for looked_us, seq in self.seqs if looked_us < time_us)

    async def through(self, happenings: Sequence[tuple[int, Happening]], end: str) -> None:
        """Walk to the end; each happening comes at its time, and a new process begins behind it."""
        ends = [*(time_us for time_us, _ in happenings[1:]), utc(end)]
        for (begin_us, happening), end_us in zip(happenings, ends, strict=True):
            self.set_clock(begin_us)
            await happening(self)
            if happening is not go_down:
                await self._serve_until(end_us)

    async def _serve_until(self, end_us: int) -> None:
        async with process(self.storage, self.clock, self.make_providers) as running:
            while self.clock.now_us() < end_us:
                await self._look(running)
                self.set_clock(min(end_us, self.slots.next_us(self.clock.now_us())))

    async def _look(self, running: Process) -> None:
        now_us = self.clock.now_us()
        runs = await running.scheduler.look()
        names = sorted(run.request.request_id for run in runs if not run.state.is_over)
        assert names == sorted(self.slots.take(now_us)), f"at {now_us}: {names}"
        self.started += [(name, now_us) for name in names]
        while runs:
            await until(self._are_over, seconds=60)
            runs = await running.scheduler.look()
            self.followed += [(run.request.request_id, now_us) for run in runs]
        self.seqs.append((now_us, await head(self.storage)))

    async def _are_over(self) -> bool:
        query = "SELECT 1 FROM ingestion_run WHERE state IN ('queued', 'running')"
        return not await fetch(self.storage, query)

    def set_clock(self, time_us: int) -> None:
        """Move the clock."""
        self.clock.advance((time_us - self.clock.now_us()) / 1e6)


async def start_anew(walk: Walk) -> None:
    """Do nothing but what every happening does: a new process begins with it."""
    del walk


async def go_down(walk: Walk) -> None:
    """Leave the targets alone until something else happens."""
    del walk


async def create_target(walk: Walk, target: NewIngestionTarget) -> int:
    """Want something kept current from now on."""
    return (await TargetStore(walk.storage.pools).create(target)).target_id
