"""Keeps targets current: finds the slots that are due, and starts a run for each.

A run's `request_id` is the slot's name, and unique in the database: however many processes find the
same slot due, there is one run. Runs have leases and epochs of their own, so nothing here needs any.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Final

from marketdata.clock import Clock
from marketdata.domain.calendar import SessionCalendar
from marketdata.domain.ingestion_run import IngestionMode, IngestionRun, RunRequest
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
from marketdata.errors import RequestIdReusedError, ServiceError
from marketdata.ingestion.run_starter import RunStarter
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

# Of jobs that fetch no bars.
_REFERENCE_MODES: Final = {
    ScheduledJob.ACTIONS: IngestionMode.ACTIONS,
    ScheduledJob.COMPANY: IngestionMode.COMPANY,
}

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
    """

    def __init__(
        self,
        list_targets: ListTargets,
        slots: SlotReader,
        runs: RunStore,
        starter: RunStarter,
        clock: Clock,
        times: ScheduleTimes | None = None,
    ) -> None:
        self._list_targets = list_targets
        self._slots = slots
        self._runs = runs
        self._starter = starter
        self._clock = clock
        self._times = times or ScheduleTimes()
        # Up to which time each series is settled, so that each look computes only what came since.
        self._settled_us: dict[SlotSeries, int] = {}
        # What was said of each target already, by what it is about.
        self._said: dict[int, dict[str, str]] = {}

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
        ones would have fetched. A slot waits while the run of an earlier one is not over.

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
                self._mended(target, "defect")
            except ServiceError:
                raise
            except Exception as error:
                # A target that nobody thought of must not keep those behind it from being current.
                if self._is_news(target, "defect", f"{type(error).__name__}: {error}"):
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
            is_running = any(name.startswith(series.prefix) for name in open_runs)
            run = await self._settle(target, due, is_running=is_running) if due else None
            started += [run] if run else []
        return started

    async def _settle(
        self, target: IngestionTarget, due: Sequence[Slot], *, is_running: bool
    ) -> IngestionRun | None:
        """Have the newest slot of a series executed, if nobody did; return the run that does it."""
        newest, run = due[-1], None
        executed = await self._slots.executed([slot.request_id for slot in due])
        if newest.request_id not in executed:
            if is_running:
                return None
            try:
                run = await self._execute(target, newest)
            except ServiceError as error:
                self._report(target, newest.series.prefix, error.message)
            if run is None:
                return None
            _log_missed(target, missed_slots(due, executed, target.created_us))
        self._settled_us[newest.series] = newest.nominal_us
        return run

    async def _execute(self, target: IngestionTarget, slot: Slot) -> IngestionRun | None:
        """Start the run of a slot; None where there is no symbol, or another process was first."""
        about = slot.series.prefix
        serving = self._serving(target, slot.series)
        if not serving:
            what = f"{slot.series.timeframe.value} bars" if slot.series.timeframe else about
            text = f"none of its providers has {what}"
            self._report(target, about, f"{text}; marketdata targets update gives it another")
            return None
        provider = serving[0].name
        symbols = await self._symbols(target)
        if not symbols:
            text = "it has no symbol that the service knows; marketdata symbols lists those"
            self._report(target, about, text)
            return None
        try:
            request = _request(target, slot, provider, symbols)
            run = await self._starter.start(request, slot.series.trailing_us)
        except RequestIdReusedError:
            # Another process started it between our two looks, and knew a symbol more or less.
            return None
        self._mended(target, about)
        facts = {"target": target.name, "slot": slot.request_id, "run": run.run_id}
        log.info("schedule_slot_started", extra=facts)
        return run

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
            self._report(target, "symbols", text)
        else:
            self._mended(target, "symbols")
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
                self._report(target, calendar.name, text)

    def _report(self, target: IngestionTarget, about: str, text: str) -> None:
        """Say what keeps a target from being current: once, not at every wake-up."""
        if self._is_news(target, about, text):
            facts = {"target": target.name, "about": about, "error": text}
            log.warning("schedule_target_in_trouble", extra=facts)

    def _is_news(self, target: IngestionTarget, about: str, text: str) -> bool:
        said = self._said.setdefault(target.target_id, {})
        is_news = said.get(about) != text
        said[about] = text
        return is_news

    def _mended(self, target: IngestionTarget, about: str) -> None:
        self._said.get(target.target_id, {}).pop(about, None)

    def _forget_others(self, targets: Sequence[IngestionTarget]) -> None:
        ids = {target.target_id for target in targets}
        self._settled_us = {s: us for s, us in self._settled_us.items() if s.target_id in ids}
        self._said = {number: said for number, said in self._said.items() if number in ids}


def _request(
    target: IngestionTarget, slot: Slot, provider: str, symbols: tuple[str, ...]
) -> RunRequest:
    timeframe = slot.series.timeframe
    if timeframe is None:
        mode = _REFERENCE_MODES[slot.series.job]
        return RunRequest(slot.request_id, mode, provider, symbols, ())
    is_repair = slot.series.job is ScheduledJob.REPAIR
    start_us = None
    if is_repair and target.history_start is not None:
        start_us = max(session_label_us(target.history_start), timeframe.earliest_us)
    return RunRequest(
        slot.request_id,
        IngestionMode.BACKFILL if is_repair else IngestionMode.BATCH,
        provider,
        symbols,
        (timeframe,),
        start_us,
    )


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
