"""Which series of the schedule are not current: due long enough ago, and nothing succeeded since."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from marketdata.domain.ingestion_run import RunState
from marketdata.domain.ingestion_target import IngestionTarget
from marketdata.domain.schedule import ScheduledJob, ScheduleTimes, Slot, SlotSeries

_HOUR_US: Final = 3_600_000_000
# How long a slot may take before somebody should look. A night's load of thousands of symbols takes
# hours where calls are scarce; what is filled or asked for beside the bars can wait for a day.
_GRACE_US: Final[Mapping[ScheduledJob, int]] = MappingProxyType(
    {
        ScheduledJob.MINUTES: _HOUR_US,
        ScheduledJob.DAILY: 6 * _HOUR_US,
        ScheduledJob.REPAIR: 24 * _HOUR_US,
        ScheduledJob.ACTIONS: 24 * _HOUR_US,
        ScheduledJob.COMPANY: 24 * _HOUR_US,
    }
)
# Minutes that are fetched less often than hourly get so many slots.
_LEAST_SLOTS: Final = 3


@dataclass(frozen=True, slots=True)
class SlotRunEnd:
    """A run of a slot that has not succeeded, or not yet.

    Attributes
    ----------
    run_id : int
        Which one.
    nominal_us : int
        When its slot was due, Unix microseconds.
    state : RunState
        Any but SUCCEEDED.
    error : str
        Why it failed; empty where it did not.
    """

    run_id: int
    nominal_us: int
    state: RunState
    error: str


@dataclass(frozen=True, slots=True)
class SeriesOutcome:
    """What became of the newest slots of a series.

    Attributes
    ----------
    succeeded_us : int or None
        When the newest slot with a run that succeeded was due, Unix microseconds; None: none is known.
    other : SlotRunEnd or None
        The newest run that has not succeeded; None: none is known.
    """

    succeeded_us: int | None = None
    other: SlotRunEnd | None = None


#: Of a series that no run is known of.
NO_OUTCOME: Final = SeriesOutcome()


@dataclass(frozen=True, slots=True)
class StaleSeries:
    """A series of a target that is not current.

    Attributes
    ----------
    target : IngestionTarget
        Whose.
    series : SlotSeries
        Which one.
    since_us : int
        When the first slot behind the last success was due, Unix microseconds; as far as one looks
        back, and not before the target was created.
    slots : int
        How many are due since then.
    last : SlotRunEnd or None
        The run that should have brought it up to now; None where there is none.
    """

    target: IngestionTarget
    series: SlotSeries
    since_us: int
    slots: int
    last: SlotRunEnd | None


def grace_us(job: ScheduledJob, times: ScheduleTimes) -> int:
    """Tell for how long after it was due a slot may have no run that succeeded, microseconds."""
    if job is ScheduledJob.MINUTES:
        return max(_GRACE_US[job], _LEAST_SLOTS * times.minutes_every_us)
    return _GRACE_US[job]


def find_stale(
    target: IngestionTarget,
    due: Sequence[Slot],
    outcome: SeriesOutcome,
    times: ScheduleTimes,
    now_us: int,
) -> StaleSeries | None:
    """Tell whether a series is stale.

    It is where the newest slot that was due longer ago than its grace has no run that succeeded, and
    neither has a later one: each slot fetches what those before it left out.

    Parameters
    ----------
    target : IngestionTarget
        Whose series it is. One that is younger than the grace is never stale.
    due : sequence of Slot
        Its slots up to now, ascending, as far back as one looks.
    outcome : SeriesOutcome
        What became of them.
    times : ScheduleTimes
        When jobs are due.
    now_us : int
        Unix microseconds.

    Returns
    -------
    StaleSeries or None
        None: it is current, or nothing was due.
    """
    if not due:
        return None
    series = due[-1].series
    limit_us = now_us - grace_us(series.job, times)
    succeeded_us = outcome.succeeded_us
    open_slots = [slot for slot in due if succeeded_us is None or slot.nominal_us > succeeded_us]
    if target.created_us > limit_us or not any(slot.nominal_us <= limit_us for slot in open_slots):
        return None
    other = outcome.other
    last = other if other is not None and other.nominal_us >= open_slots[0].nominal_us else None
    since_us = max(open_slots[0].nominal_us, target.created_us)
    slots = sum(slot.nominal_us >= since_us for slot in open_slots) or 1
    return StaleSeries(target, series, since_us, slots, last)
