"""Keeps targets current: finds the slots that are due, and starts a run for each.

A run's `request_id` is the slot's name, and unique in the database: however many processes find the
same slot due, there is one run, and one for each further provider that is asked. Runs have leases and
epochs of their own, so nothing here needs any.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Final

from marketdata.clock import Clock
from marketdata.domain.calendar import SessionCalendar
from marketdata.domain.ingestion_run import IngestionRun, RunState
from marketdata.domain.ingestion_target import IngestionTarget
from marketdata.domain.provider import ProviderDescription
from marketdata.domain.schedule import (
    ScheduledJob,
    ScheduleTimes,
    Slot,
    SlotSeries,
    due_slots,
    missed_slots,
    reference_jobs,
    series_of,
)
from marketdata.domain.time_range import TimeRange, from_unix_us, session_label_us
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY
from marketdata.errors import ServiceError
from marketdata.ingestion.gap_search import GapSearch
from marketdata.ingestion.run_starter import RunStarter
from marketdata.ingestion.slot_fallback import FallbackStep, SlotFallback
from marketdata.ingestion.slot_starter import SlotStarter, log_started
from marketdata.ingestion.target_troubles import TargetTroubles
from marketdata.ingestion.wake_up import wake_up_timer
from marketdata.storage.calendars import load_calendars
from marketdata.storage.ingestion.runs import RunStore
from marketdata.storage.ingestion.slots import SlotReader

log = logging.getLogger(__name__)

# How far back the newest slot is looked for, by a process that has just started or whose clock was set:
# no exchange of our time was closed for as long, not even Shanghai's in its golden weeks.
_LOOK_BACK_US: Final = 14 * MICROSECONDS_PER_DAY
# A slot begins at most this late. Looking costs a few short queries a target.
WAKE_SECONDS: Final = 15.0
# After so many wake-ups that did not come, by the monotonic clock, it looks without one.
_MOST_WAKES: Final = 2
# Unknown symbols in a log line; the rest is counted.
_MOST_NAMED: Final = 20

ListTargets = Callable[[], Awaitable[Sequence[IngestionTarget]]]


class Scheduler:
    """Starts the runs of the schedule.

    Parameters
    ----------
    list_targets : callable
        Lists all targets, as they are now.
    slots : SlotReader
        Tells which slots have a run.
    runs : RunStore
        Where symbols are looked up.
    starter : RunStarter
        Starts runs.
    clock : Clock
        What is now.
    times : ScheduleTimes
        When jobs are due.
    gaps : GapSearch, optional
        Has other providers asked for what the first one does not have.
    """

    def __init__(
        self,
        list_targets: ListTargets,
        slots: SlotReader,
        runs: RunStore,
        starter: RunStarter,
        clock: Clock,
        times: ScheduleTimes | None = None,
        gaps: GapSearch | None = None,
    ) -> None:
        self._list_targets = list_targets
        self._slots = slots
        self._runs = runs
        self._starter = starter
        self._clock = clock
        self._times = times or ScheduleTimes()
        # Up to which time each series is settled, so that each look computes only what came since.
        self._settled_us: dict[SlotSeries, int] = {}
        self._gaps = gaps
        self._fallback = SlotFallback(slots, runs, starter)
        self._troubles = TargetTroubles()
        self._slot_starter = SlotStarter(starter, self._troubles)

    @contextlib.asynccontextmanager
    async def running(self, wake_seconds: float = WAKE_SECONDS) -> AsyncIterator[None]:
        """Keep targets current as a context; runs that it has started go on after its end."""
        woken = asyncio.Event()
        timer = wake_up_timer(woken, wake_seconds)
        looking = asyncio.create_task(self._look_when(woken, wake_seconds), name="schedule")
        timer.start()
        try:
            yield
        finally:
            # Its shutdown would cancel jobs under way, so the work is a task of our own.
            timer.shutdown(wait=False)
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _look_when(self, woken: asyncio.Event, wake_seconds: float) -> None:
        while True:
            woken.clear()
            try:
                await self.look()
            except ServiceError as error:
                # The next look tries again: nothing is forgotten meanwhile.
                log.warning("schedule_look_failed", extra={"error": error.message})
            except Exception:
                log.exception("schedule_defect")
            # The timer goes by the time of day: where the machine's clock was set back, it would sleep
            # for as long.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_MOST_WAKES * wake_seconds):
                    await woken.wait()

    async def look(self) -> list[IngestionRun]:
        """Start what is due now.

        Of the slots of a series that are due only the newest is executed: it fetches what the missed
        ones would have fetched. A slot waits while a run of an earlier one is not over, or can still
        go on with another provider.

        Returns
        -------
        list of IngestionRun
            Those that were started, by this process or in the same moment by another.

        Raises
        ------
        ServiceError
            The database did not answer. Troubles of a target, and defects that show with one, are
            logged, and hold up no other's slots.
        """
        targets = await self._list_targets()
        self._forget_others(targets)
        now_us = self._clock.now_us()
        open_runs = await self._slots.open_runs()
        started: list[IngestionRun] = []
        for target in targets:
            try:
                started += await self._look_at(target, open_runs, now_us)
                self._troubles.mended(target, "defect")
            except ServiceError:
                raise
            except Exception as error:
                # A target that nobody thought of must not keep those behind it from being current.
                if self._troubles.is_news(target, "defect", f"{type(error).__name__}: {error}"):
                    log.exception("schedule_target_defect", extra={"target": target.name})
        return started

    async def _look_at(
        self, target: IngestionTarget, open_runs: frozenset[str], now_us: int
    ) -> list[IngestionRun]:
        started = []
        calendars = await self._calendars(target)
        self._report_ended(target, calendars, now_us)
        jobs = reference_jobs(self._starter.described(target.providers))
        for series in series_of(target, jobs):
            since_us = max(self._settled_us.get(series, 0), now_us - _LOOK_BACK_US)
            # Behind what is settled, and now itself included.
            within = TimeRange(since_us + 1, max(since_us, now_us) + 1)
            due = due_slots(series, calendars, within, self._times)
            # What is open is fetched before anything else is asked for of this series.
            is_running = any(name.startswith(series.prefix) for name in open_runs)
            if due and not is_running:
                started += await self._settle(target, due)
        return started

    async def _settle(self, target: IngestionTarget, due: Sequence[Slot]) -> list[IngestionRun]:
        """Have the newest slot of a series executed to its end; return what was started now."""
        newest = due[-1]
        serving = self._serving(target, newest.series)
        executed = await self._slots.executed([slot.request_id for slot in due])
        begun = next((slot for slot in reversed(due) if slot.request_id in executed), None)
        try:
            if begun is not None:
                # Also one before the newest has its turn with every provider: where the first one
                # takes longer to fail than until the next slot, no other would ever be asked.
                step = FallbackStep(is_over=executed[begun.request_id].is_over)
                if executed[begun.request_id] is RunState.FAILED:
                    step = await self._go_on(target, begun, serving, is_newest=begun == newest)
                elif step.is_over:
                    self._troubles.mended(target, begun.series.prefix)
                if begun == newest and step.is_over:
                    return await self._end(target, newest, serving)
                if begun == newest or not step.is_over:
                    return [step.run] if step.run else []
            run = await self._execute(target, newest, serving)
        except ServiceError as error:
            self._troubles.report(target, newest.series.prefix, error.message)
            return []
        if run is None:
            return []
        _log_missed(target, missed_slots(due, executed, target.created_us))
        return [run]

    async def _end(
        self, target: IngestionTarget, slot: Slot, serving: Sequence[ProviderDescription]
    ) -> list[IngestionRun]:
        """Settle a slot; one that repairs, once other providers were asked for what it did not find."""
        step = None
        if self._gaps and target.history_start and slot.series.job is ScheduledJob.REPAIR:
            start_us = session_label_us(target.history_start)
            symbols = await self._symbols(target)
            step = await self._gaps.go_on(slot, serving, symbols, start_us)
            for run in step.runs:
                log_started(target, slot, run)
        if step is None or step.is_over:
            self._settled_us[slot.series] = slot.nominal_us
        return list(step.runs) if step else []

    async def _go_on(
        self,
        target: IngestionTarget,
        slot: Slot,
        serving: Sequence[ProviderDescription],
        *,
        is_newest: bool,
    ) -> FallbackStep:
        names = [provider.name for provider in serving]
        step = await self._fallback.go_on(slot, names, may_retry=is_newest)
        if step.trouble:
            self._troubles.report(target, slot.series.prefix, step.trouble)
        elif step.is_over:
            self._troubles.mended(target, slot.series.prefix)
        if step.run is not None:
            log_started(target, slot, step.run)
        return step

    async def _execute(
        self, target: IngestionTarget, slot: Slot, serving: Sequence[ProviderDescription]
    ) -> IngestionRun | None:
        """Start the run of a slot; None where there is no symbol, or another process was first."""
        about = slot.series.prefix
        if not serving:
            what = f"{slot.series.timeframe.value} bars" if slot.series.timeframe else about
            text = f"none of its providers has {what}; marketdata targets update gives it another"
            self._troubles.report(target, about, text)
            return None
        symbols = await self._symbols(target)
        if not symbols:
            text = "it has no symbol that the service knows; marketdata symbols lists those"
            self._troubles.report(target, about, text)
            return None
        return await self._slot_starter.start(target, slot, serving, symbols)

    def _serving(self, target: IngestionTarget, series: SlotSeries) -> list[ProviderDescription]:
        if series.timeframe is not None:
            return self._starter.serving(target.providers, series.timeframe)
        described = self._starter.described(target.providers)
        return [provider for provider in described if series.job in reference_jobs([provider])]

    async def _calendars(self, target: IngestionTarget) -> list[SessionCalendar]:
        if target.symbols:
            identities = await self._runs.identities(target.symbols)
            names: Iterable[str] = {symbol.calendar for symbol in identities.values()}
        else:
            names = await self._slots.active_calendars()
        return list((await load_calendars(names)).values())

    async def _symbols(self, target: IngestionTarget) -> tuple[str, ...]:
        if not target.symbols:
            return await self._slots.active_symbols()
        known = await self._runs.identities(target.symbols)
        unknown = [symbol for symbol in target.symbols if symbol not in known]
        if unknown:
            named = ", ".join(unknown[:_MOST_NAMED])
            text = f"{len(unknown)} unknown, left out until CreateSymbol adds them: {named}"
            self._troubles.report(target, "symbols", text)
        else:
            self._troubles.mended(target, "symbols")
        return tuple(dict.fromkeys(symbol for symbol in target.symbols if symbol in known))

    def _report_ended(
        self, target: IngestionTarget, calendars: Sequence[SessionCalendar], now_us: int
    ) -> None:
        for calendar in calendars:
            if calendar.extended_end_us[-1] <= now_us:
                text = (
                    f"calendar {calendar.name} knows no session after now, so nothing is scheduled by "
                    "it; a newer exchange_calendars may know more"
                )
                self._troubles.report(target, calendar.name, text)

    def _forget_others(self, targets: Sequence[IngestionTarget]) -> None:
        ids = {target.target_id for target in targets}
        self._settled_us = {s: us for s, us in self._settled_us.items() if s.target_id in ids}
        self._troubles.forget_others(ids)


def _log_missed(target: IngestionTarget, missed: Sequence[Slot]) -> None:
    if missed:
        facts = {
            "target": target.name,
            "slots": len(missed),
            "series": missed[0].series.prefix,
            "first": from_unix_us(missed[0].nominal_us).isoformat(),
            "last": from_unix_us(missed[-1].nominal_us).isoformat(),
        }
        log.warning("schedule_slots_missed", extra=facts)
