"""Five workers whose clocks differ, and that stand still past their leases: one effect a slot."""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from marketdata.domain.bars import BarFrame
from marketdata.domain.ingestion_target import NewIngestionTarget
from marketdata.domain.symbol import NewSymbol
from marketdata.domain.time_range import to_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.ingestion.targets import TargetStore
from tests.acceptance.given import settings_of
from tests.acceptance.ingestion_truth import differences
from tests.acceptance.slots_truth import Due, Market
from tests.acceptance.workers import Worker, working
from tests.support.providers.faults import never
from tests.support.providers.iex.alpaca_side import KEY_ID, SECRET, AlpacaDialect
from tests.support.providers.played import LoopbackServer, loopback
from tests.support.providers.truth import Truth
from tests.support.rows import fetch
from tests.support.sessions import walk
from tests.support.skewed_clock import SkewedClock
from tests.support.storage import Storage
from tests.support.waiting import until

YEAR: Final = 2026
MARKETS: Final = {
    "N": Market("XNYS", "America/New_York", timedelta(hours=4), timedelta(hours=4)),
    "L": Market("XLON", "Europe/London", timedelta(), None),
}
#: Targets of each, with a symbol each.
TARGETS: Final = {"N": 5, "L": 8}
#: The Fridays before New York's clocks go forward, London's, London's back, and New York's.
FRIDAYS: Final = ("2026-03-06", "2026-03-27", "2026-10-23", "2026-10-30")
#: From Friday afternoon in London to Monday afternoon; none of the clocks is at a slot at either end.
BEGIN: Final = timedelta(hours=19, minutes=30)
LENGTH: Final = timedelta(days=2, hours=15)
#: More than what clocks differ by, and less than what slots of one series are apart.
APART: Final = timedelta(minutes=10)
SKEWS_SECONDS: Final = (-120, -30, 0, 30, 180)
#: Added to a moment, all have come to it; taken away, only the one who is ahead has.
SHIFT: Final = timedelta(seconds=150)
LEASE_SECONDS: Final = 3
STOPS: Final = 8
QUICK_SECONDS: Final = 0.001
#: Within it a test sees that a run is under way, and stops who executes it.
SLOW_SECONDS: Final = 0.5
#: Each look is a query, beside those of the workers.
LOOK_SECONDS: Final = 0.05
#: Longer than a lease, and than the 30 s after which a transaction of a process that stands still ends.
PATIENCE_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """Time through which the workers are led, slot by slot.

    Attributes
    ----------
    start : datetime
        Where it begins; of what came due before only the newest slots are executed.
    slots : mapping of str to sequence of Due
        Those of each market that come due in it, and the newest of each series before.
    """

    start: datetime
    slots: Mapping[str, list[Due]]

    @property
    def moments(self) -> list[datetime]:
        """When slots come due in it, ascending."""
        times = {slot.at for slots in self.slots.values() for slot in slots}
        return sorted(at for at in times if at > self.start)


def stretches_of(fridays: Sequence[str]) -> list[Stretch]:
    """Take what comes due over the weekends behind some Fridays."""
    due = {name: market.due(YEAR) for name, market in MARKETS.items()}
    found: list[Stretch] = []
    for friday in fridays:
        start = datetime.fromisoformat(friday).replace(tzinfo=UTC) + BEGIN
        slots: dict[str, list[Due]] = {}
        for market, known in due.items():
            # Of a job that is done once a week the newest can be one of the weekend before.
            done = {slot.name for each in found for slot in each.slots[market]}
            newest = {slot.series: slot for slot in known if slot.at <= start}
            # Their bars are left out of the truth.
            before = [Due(slot.name, slot.at, None) for slot in newest.values()]
            within = [slot for slot in known if start < slot.at <= start + LENGTH]
            slots[market] = [slot for slot in before if slot.name not in done] + within
        found.append(Stretch(start, slots))
    return found


@dataclass
class Expected:
    """What is to be there in the end.

    Attributes
    ----------
    accepted : dict of str to int
        Bars that the run of each slot brings, by its name.
    bars : mapping
        By symbol and timeframe.
    """

    accepted: dict[str, int] = field(default_factory=dict)
    bars: dict[tuple[str, Timeframe], BarFrame] = field(default_factory=dict)


def symbols_of(market: str) -> list[str]:
    """Name the symbols of a market, one a target."""
    return [f"{market}{chr(ord('A') + number)}" for number in range(TARGETS[market])]


def expected_of(stretches: list[Stretch], target_ids: Mapping[str, int]) -> Expected:
    """Work out which slots there are, and what each brings."""
    expected = Expected()
    for symbol, target_id in target_ids.items():
        slots = [slot for each in stretches for slot in each.slots[symbol[0]]]
        for slot in slots:
            expected.accepted[f"slot/{target_id}/{slot.name}"] = int(slot.bar is not None)
        for timeframe in (Timeframe.MINUTE_1, Timeframe.DAY_1):
            times = [
                to_unix_us(slot.bar)
                for slot in slots
                if slot.bar and slot.series.endswith(f"/{timeframe.value}")
            ]
            seed = target_id + 100 * (timeframe is Timeframe.DAY_1)
            expected.bars[symbol, timeframe] = walk(np.array(times, np.int64), seed, symbol)
    return expected


async def create_targets(storage: Storage) -> dict[str, int]:
    """Want minutes and days of each symbol, in a target of its own; give the targets' ids by symbol."""
    store, found = TargetStore(storage.pools), {}
    for name, market in MARKETS.items():
        for symbol in symbols_of(name):
            new = NewSymbol(symbol, calendar=market.calendar, time_zone=market.zone)
            await storage.symbols.create(new)
            timeframes = (Timeframe.MINUTE_1, Timeframe.DAY_1)
            wanted = NewIngestionTarget(symbol.lower(), (symbol,), timeframes, ("alpaca",))
            found[symbol] = (await store.create(wanted)).target_id
    return found


@dataclass(frozen=True, slots=True)
class Step:
    """A moment to which the workers are led.

    Attributes
    ----------
    moment : datetime
        When slots come due.
    slots : int
        How many have come due by then, in all.
    is_apart : bool
        Whether nothing comes due shortly behind, which who is ahead would see with it.
    """

    moment: datetime
    slots: int
    is_apart: bool


class Leader:
    """Leads workers through time, and stops some of them on the way."""

    def __init__(self, storage: Storage, server: LoopbackServer, workers: list[Worker]) -> None:
        self._storage = storage
        self._server = server
        self._workers = workers
        self.taken_over = 0

    def set_clocks(self, now: datetime) -> None:
        """Make it `now` everywhere, as far as clocks agree."""
        for worker in self._workers:
            worker.clock.set(to_unix_us(now))

    async def lead(self, step: Step, shift: timedelta) -> None:
        """Make it later, and wait until all that came due was executed."""
        self.set_clocks(step.moment + shift)
        await until(self._have_ended(step.slots), PATIENCE_SECONDS, LOOK_SECONDS)

    async def interrupt(self, step: Step) -> None:
        """Do the same with a worker that stands still in the middle of its runs, past its lease.

        Others take them over; the one that goes on afterwards hears that they are not its own.
        """
        self._server.answer_seconds = SLOW_SECONDS
        # Everybody sees what came due: one alone who does could be the one that stands still.
        self.set_clocks(step.moment + SHIFT)
        await until(self._is_one_running, PATIENCE_SECONDS)
        ((owner,),) = await fetch(
            self._storage,
            "SELECT owner FROM ingestion_run WHERE state = 'running' ORDER BY started_at DESC LIMIT 1",
        )
        (victim,) = [w for w in self._workers if owner.endswith(f"/{w.process.pid}")]
        victim.stand_still()
        try:
            held = await fetch(
                self._storage,
                "SELECT run_id, epoch FROM ingestion_run WHERE state = 'running' AND owner = %s",
                [owner],
            )
            self._server.answer_seconds = QUICK_SECONDS
            await until(self._have_ended(step.slots), PATIENCE_SECONDS, LOOK_SECONDS)
        finally:
            victim.go_on()
        epochs = dict(await fetch(self._storage, "SELECT run_id, epoch FROM ingestion_run"))
        # The statement that it was at can still have committed the last of a run.
        lost = {(run_id, epoch) for run_id, epoch in held if epochs[run_id] > epoch}

        async def is_told() -> bool:
            told = {(line["run"], line["epoch"]) for line in victim.said("ingestion_run_lost")}
            # Or the question for the database's health took as long, and it did not even try to write.
            paused = {line["run"] for line in victim.said("ingestion_run_paused")}
            return all(run in paused or (run, epoch) in told for run, epoch in lost)

        await until(is_told)
        self.taken_over += len(lost)

    def _have_ended(self, slots: int) -> Callable[[], Awaitable[bool]]:
        async def looked() -> bool:
            ended = "SELECT count(*) FROM ingestion_run WHERE state NOT IN ('queued', 'running')"
            ((count,),) = await fetch(self._storage, ended)
            return bool(count >= slots)

        return looked

    async def _is_one_running(self) -> bool:
        return bool(await fetch(self._storage, "SELECT 1 FROM ingestion_run WHERE state = 'running'"))


def steps_of(stretches: list[Stretch]) -> list[Step]:
    """List when slots come due, through all stretches."""
    steps: list[Step] = []
    before = 0
    for each in stretches:
        moments = [each.start, *each.moments]
        for moment, following in zip(
            moments, [*moments[1:], datetime.max.replace(tzinfo=UTC)], strict=True
        ):
            slots = sum(
                TARGETS[market] * sum(slot.at <= moment for slot in known)
                for market, known in each.slots.items()
            )
            steps.append(Step(moment, before + slots, following - moment > APART))
        before = steps[-1].slots
    return steps


@pytest.mark.modes("plain", reason="what is tried is the same everywhere, and takes two minutes")
@pytest.mark.timeout(900)
async def test_workers_given_skewed_clocks_and_stops_execute_each_slot_once(
    storage: Storage, database: ServerAddress, tmp_path: Path
) -> None:
    """1,000 slots over weekends on which clocks are set: none is left out, none has two effects."""
    stretches = stretches_of(FRIDAYS)
    expected = expected_of(stretches, await create_targets(storage))
    assert len(expected.accepted) > 1_000
    truth = Truth(expected.bars, {symbol: () for symbol, _ in expected.bars}, {})
    chance = random.Random(11)  # noqa: S311 -- no secret
    clocks = [SkewedClock(tmp_path / f"clock-{n}", skew) for n, skew in enumerate(SKEWS_SECONDS)]
    for clock in clocks:
        clock.set(to_unix_us(stretches[0].start - APART))
    async with loopback(AlpacaDialect(truth, 1_000), never) as server:
        with working(tmp_path, clocks, settings(database, server)) as workers:

            async def are_ready() -> bool:
                return all(worker.is_ready() for worker in workers)

            await until(are_ready, PATIENCE_SECONDS, LOOK_SECONDS)
            leader = Leader(storage, server, workers)
            await lead_through(leader, steps_of(stretches), chance)
            assert [worker.end() for worker in workers] == [0] * len(workers)
    assert [worker.defects() for worker in workers] == [[]] * len(workers)
    assert await brought(storage) == expected.accepted
    assert not differences(database, expected.bars)
    assert await written_otherwise(storage) == []
    assert leader.taken_over >= STOPS


async def lead_through(leader: Leader, steps: list[Step], chance: random.Random) -> None:
    """Make every slot come due, one moment after the other, with a stop at some of them."""
    stops = chance.sample([step for step in steps if step.is_apart], STOPS)
    for step in steps:
        if step in stops:
            await leader.interrupt(step)
        else:
            # Who is ahead sees it; or all but those that are behind; or everybody.
            shifts = (-SHIFT, timedelta(), SHIFT) if step.is_apart else (timedelta(),)
            await leader.lead(step, chance.choice(shifts))


def settings(database: ServerAddress, server: LoopbackServer) -> dict[str, str | int]:
    """Give the settings of the workers."""
    return {
        **settings_of(database.for_service()),
        "DB_POOL_SIZE": 2,
        "MARKETDATA_ALPACA_URL": server.address,
        "MARKETDATA_ALPACA_KEY_ID": KEY_ID,
        "MARKETDATA_ALPACA_SECRET_KEY": SECRET,
        "MARKETDATA_ALPACA_CALLS_A_MINUTE": 100_000,
        "MARKETDATA_INGESTION_LEASE_SECONDS": LEASE_SECONDS,
        "MARKETDATA_SCHEDULE_MINUTES_EVERY_SECONDS": 3_600,
        "MARKETDATA_SCHEDULE_WAKE_SECONDS": "0.5",
        "MARKETDATA_LOG_FORMAT": "json",
    }


async def brought(storage: Storage) -> dict[str, int]:
    """Tell how many bars the run of each slot brought; fails where one has two, or did not succeed."""
    rows = await fetch(storage, "SELECT request_id, state, accepted, revised FROM ingestion_run")
    assert {(state, revised) for _, state, _, revised in rows} == {("succeeded", 0)}
    assert len({name for name, *_ in rows}) == len(rows)
    return {name: accepted for name, _, accepted, _ in rows}


async def written_otherwise(storage: Storage) -> list[Any]:
    """List the bars that are not what one commit of their own made, in its first version."""
    return await fetch(
        storage,
        """
        WITH bar AS (
            SELECT symbol, '1m' AS timeframe, time, revision, write_id
              FROM market_stock_hist_bars_min_ts
            UNION ALL
            SELECT symbol, '1d', time, revision, write_id FROM market_stock_hist_bars_day_ts
        ), change AS (
            SELECT * FROM bar_change JOIN bar_write USING (write_id) WHERE kind = 'bars'
        )
        SELECT * FROM bar FULL JOIN change USING (write_id)
         WHERE bar.symbol IS NULL OR change.seq IS NULL OR bar.revision <> 0 OR accepted <> 1
            OR revised <> 0 OR change.symbols <> ARRAY[bar.symbol] OR change.timeframe <> bar.timeframe
        """,
    )
