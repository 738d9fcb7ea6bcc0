"""The schedule: when what of a target is fetched, by the calendars of its symbols.

Nothing here remembers anything: which slots lie in a range of time follows from the range, the target
and the calendars alone. So any process, at any time, finds the same slots under the same names.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np

from marketdata.domain.bars import Int64Array
from marketdata.domain.calendar import SessionCalendar
from marketdata.domain.ingestion_target import IngestionTarget
from marketdata.domain.provider import ProviderDescription
from marketdata.domain.time_range import TimeRange, from_unix_us
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe

_MINUTE_US: Final = 60_000_000
_HOUR_US: Final = 60 * _MINUTE_US
# What a provider has late in a session, each fetch of minutes finds; what it corrects afterwards, that
# of the night: as far back as the session before, also over a long weekend.
_MINUTES_TRAILING_US: Final = 30 * _MINUTE_US
_NIGHT_TRAILING_US: Final = 5 * MICROSECONDS_PER_DAY
# Sessions whose label lies this far outside of a range have no slot within: none begins or ends more
# than two days from its label, and delays are shorter than a day.
_AROUND_US: Final = 4 * MICROSECONDS_PER_DAY
# 1970-01-05: weeks are counted from it.
_A_MONDAY_US: Final = 4 * MICROSECONDS_PER_DAY


class ScheduledJob(Enum):
    """What is done in a slot; the value is part of the slot's name."""

    DAILY = "daily"
    MINUTES = "minutes"
    REPAIR = "repair"
    ACTIONS = "actions"
    COMPANY = "company"


@dataclass(frozen=True, slots=True)
class ScheduleTimes:
    """When jobs are due.

    Attributes
    ----------
    daily_delay_us : int
        How long after a session's close its days and hours are fetched, and its minutes once more, less
        than a day. Providers settle the official close within hours.
    daily_margin_us : int
        How long after the end of the session's UTC day at the earliest, less than a day: a daily bar is
        not taken for final before, and clocks differ.
    minutes_every_us : int
        Between two fetches of minutes in a session, less than a day. What a provider does not have yet
        comes with the next.
    repair_at_us : int
        Time of the UTC day when gaps of the history are filled: between the sessions of New York and
        London, also in winter.
    actions_at_us : int
        Time of the week, from Monday 00:00 UTC on, when corporate actions are asked for: the sessions
        of a week are over, and it is in time for the next ones.
    company_at_us : int
        The same, when facts of companies are asked for: behind the corporate actions, since both take
        a call a symbol.
    """

    daily_delay_us: int = 6 * _HOUR_US
    daily_margin_us: int = 5 * _MINUTE_US
    minutes_every_us: int = 5 * _MINUTE_US
    repair_at_us: int = 5 * _HOUR_US
    actions_at_us: int = 5 * MICROSECONDS_PER_DAY + 8 * _HOUR_US
    company_at_us: int = 5 * MICROSECONDS_PER_DAY + 10 * _HOUR_US


@dataclass(frozen=True, slots=True)
class SlotSeries:
    """The slots of one job of a target, for one timeframe where it fetches bars.

    Attributes
    ----------
    target_id : int
        Of the target.
    job : ScheduledJob
        What is done.
    timeframe : Timeframe or None
        Of which bars; None where the job fetches none.
    """

    target_id: int
    job: ScheduledJob
    timeframe: Timeframe | None

    @property
    def prefix(self) -> str:
        """How the names of all its slots begin, and of no other's."""
        bars = f"{self.timeframe.value}/" if self.timeframe is not None else ""
        return f"slot/{self.target_id}/{self.job.value}/{bars}"

    @property
    def trailing_us(self) -> int | None:
        """How much is fetched again, microseconds before the last fetch; None: as in any BATCH."""
        if self.timeframe is not Timeframe.MINUTE_1:
            return None
        return _MINUTES_TRAILING_US if self.job is ScheduledJob.MINUTES else _NIGHT_TRAILING_US


@dataclass(frozen=True, slots=True)
class Slot:
    """A time at which something is to be fetched.

    Attributes
    ----------
    series : SlotSeries
        What is to be fetched.
    nominal_us : int
        When it is due, Unix microseconds; whole seconds. It is executed then or later.
    """

    series: SlotSeries
    nominal_us: int

    @property
    def request_id(self) -> str:
        """Its name, which is also the `request_id` of the run that executes it: one run a slot."""
        return f"{self.series.prefix}{from_unix_us(self.nominal_us):%Y-%m-%dT%H:%M:%SZ}"


def reference_jobs(providers: Iterable[ProviderDescription]) -> tuple[ScheduledJob, ...]:
    """List the jobs that fetch no bars, of which one of the providers tells something."""
    known = list(providers)
    tell = {
        ScheduledJob.ACTIONS: any(provider.has_actions for provider in known),
        ScheduledJob.COMPANY: any(provider.has_company for provider in known),
    }
    return tuple(job for job, is_told in tell.items() if is_told)


def series_of(target: IngestionTarget, reference: Iterable[ScheduledJob] = ()) -> list[SlotSeries]:
    """List what is scheduled of a target.

    All have the job DAILY, minutes MINUTES before it; all have REPAIR where the target wants history.

    Parameters
    ----------
    reference : iterable of ScheduledJob
        Those of its providers that fetch no bars; see `reference_jobs`.
    """
    found = []
    for timeframe in dict.fromkeys(target.timeframes):
        if timeframe is Timeframe.MINUTE_1:
            found.append(SlotSeries(target.target_id, ScheduledJob.MINUTES, timeframe))
        found.append(SlotSeries(target.target_id, ScheduledJob.DAILY, timeframe))
        if target.history_start is not None:
            found.append(SlotSeries(target.target_id, ScheduledJob.REPAIR, timeframe))
    return found + [SlotSeries(target.target_id, job, None) for job in reference]


def due_slots(
    series: SlotSeries,
    calendars: Iterable[SessionCalendar],
    within: TimeRange,
    times: ScheduleTimes,
) -> list[Slot]:
    """List the slots whose nominal time lies in a range.

    Parameters
    ----------
    series : SlotSeries
        Whose slots.
    calendars : iterable of SessionCalendar
        Those of the target's symbols. Where sessions of several end together there is one slot.
    within : TimeRange
        Unix microseconds, half-open. Ranges that meet have the slots of their union, each once.
    times : ScheduleTimes
        When jobs are due.

    Returns
    -------
    list of Slot
        Ascending, none twice. Empty where there is no calendar, or none that reaches so far.
    """
    of_calendars = [_nominals(series.job, calendar, within, times) for calendar in calendars]
    nominal_us: Int64Array = np.unique(np.concatenate([np.empty(0, np.int64), *of_calendars]))
    chosen = nominal_us[(nominal_us >= within.start_us) & (nominal_us < within.end_us)]
    return [Slot(series, time_us) for time_us in chosen.tolist()]


def missed_slots(due: Sequence[Slot], executed: Container[str], since_us: int) -> list[Slot]:
    """Tell which slots the newest one stands for, since nobody executed them.

    Parameters
    ----------
    due : sequence of Slot
        Of one series, ascending.
    executed : container of str
        Names of those that were executed.
    since_us : int
        Slots before, Unix microseconds, were nobody's to execute: when the target was created.

    Returns
    -------
    list of Slot
        Those behind the last executed one and before the newest, ascending.
    """
    missed: list[Slot] = []
    for slot in due[:-1]:
        if slot.request_id in executed:
            missed.clear()
        elif slot.nominal_us >= since_us:
            missed.append(slot)
    return missed


def _nominals(
    job: ScheduledJob, calendar: SessionCalendar, within: TimeRange, times: ScheduleTimes
) -> Int64Array:
    """Give a superset of the nominal times in a range, int64[n] in any order."""
    if job is ScheduledJob.REPAIR:
        return _every_day(within, times.repair_at_us)
    if job is ScheduledJob.ACTIONS:
        return _every_week(within, times.actions_at_us)
    if job is ScheduledJob.COMPANY:
        return _every_week(within, times.company_at_us)
    around = TimeRange(within.start_us - _AROUND_US, within.end_us + _AROUND_US)
    rows = calendar.session_rows_in(around)
    if job is ScheduledJob.DAILY:
        after_close_us = calendar.close_us[rows] + times.daily_delay_us
        after_day_us = calendar.label_us[rows] + MICROSECONDS_PER_DAY + times.daily_margin_us
        return np.maximum(after_close_us, after_day_us)
    return _in_sessions(
        calendar.extended_start_us[rows], calendar.extended_end_us[rows], times.minutes_every_us
    )


def _every_day(within: TimeRange, at_us: int) -> Int64Array:
    first_us = within.start_us - within.start_us % MICROSECONDS_PER_DAY
    return np.arange(first_us, within.end_us, MICROSECONDS_PER_DAY, dtype=np.int64) + at_us


def _every_week(within: TimeRange, at_us: int) -> Int64Array:
    week_us = 7 * MICROSECONDS_PER_DAY
    first_us = within.start_us - (within.start_us - _A_MONDAY_US) % week_us
    return np.arange(first_us, within.end_us, week_us, dtype=np.int64) + at_us


def _in_sessions(start_us: Int64Array, end_us: Int64Array, every_us: int) -> Int64Array:
    # Counted from each session's start, not from midnight: then both switches of the clocks and half
    # days are the calendar's business. The one after the end finds what was late.
    parts = [
        np.append(np.arange(start + every_us, end + 1, every_us, dtype=np.int64), end + every_us)
        for start, end in zip(start_us.tolist(), end_us.tolist(), strict=True)
    ]
    return np.concatenate([np.empty(0, np.int64), *parts])
