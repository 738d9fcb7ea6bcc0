"""Which targets are not current, and since when."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

from marketdata.clock import Clock
from marketdata.domain.calendar import SessionCalendar
from marketdata.domain.ingestion_target import IngestionTarget
from marketdata.domain.schedule import ScheduledJob, ScheduleTimes, due_slots, series_of
from marketdata.domain.staleness import NO_OUTCOME, SeriesOutcome, StaleSeries, find_stale
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY
from marketdata.storage.calendars import load_calendars

# As far as the schedule itself looks back for slots that nobody executed.
_LOOK_BACK_US: Final = 14 * MICROSECONDS_PER_DAY
# Of jobs that fetch no bars.
_REFERENCE_JOBS: Final = (ScheduledJob.ACTIONS, ScheduledJob.COMPANY)


class StaleTargets:
    """Finds what the schedule has not brought up to now, whoever should have.

    Parameters
    ----------
    identities : callable
        Finds the symbols that tickers name; unknown ones are left out.
    active_calendars : callable
        Names the calendars of all active symbols.
    clock : Clock
        What is now.
    times : ScheduleTimes
        When jobs are due.
    """

    def __init__(
        self,
        identities: Callable[[Sequence[str]], Awaitable[Mapping[str, Symbol]]],
        active_calendars: Callable[[], Awaitable[Iterable[str]]],
        clock: Clock,
        times: ScheduleTimes,
    ) -> None:
        self._identities = identities
        self._active_calendars = active_calendars
        self._clock = clock
        self._times = times

    async def find(
        self, targets: Sequence[IngestionTarget], outcomes: Mapping[str, SeriesOutcome]
    ) -> list[StaleSeries]:
        """List the series that are stale, in the order of the targets.

        Jobs that fetch no bars are looked at once they had a run: until then only a service knows
        whether a provider has something for them.

        Parameters
        ----------
        outcomes : mapping of str to SeriesOutcome
            By the prefix of a series; see `SlotOutcomes`.
        """
        now_us = self._clock.now_us()
        within = TimeRange(now_us - _LOOK_BACK_US, now_us + 1)
        stale = []
        for target in targets:
            calendars = await self._calendars(target)
            for series in series_of(target, _REFERENCE_JOBS):
                outcome = outcomes.get(series.prefix, NO_OUTCOME)
                if series.timeframe is None and outcome == NO_OUTCOME:
                    continue
                due = due_slots(series, calendars, within, self._times)
                stale.append(find_stale(target, due, outcome, self._times, now_us))
        return [one for one in stale if one is not None]

    async def _calendars(self, target: IngestionTarget) -> list[SessionCalendar]:
        if target.symbols:
            known = await self._identities(target.symbols)
            names: Iterable[str] = {symbol.calendar for symbol in known.values()}
        else:
            names = await self._active_calendars()
        return list((await load_calendars(names)).values())
