"""Stale targets: what was due long enough ago, and has no run that succeeded."""

from typing import Final

import pytest

from marketdata.domain.ingestion_run import RunState
from marketdata.domain.ingestion_target import IngestionTarget
from marketdata.domain.schedule import ScheduledJob, ScheduleTimes, Slot, SlotSeries
from marketdata.domain.staleness import (
    NO_OUTCOME,
    SeriesOutcome,
    SlotRunEnd,
    StaleSeries,
    find_stale,
    grace_us,
)
from marketdata.domain.timeframe import Timeframe

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
TIMES: Final = ScheduleTimes()
SERIES: Final = SlotSeries(1, ScheduledJob.DAILY, Timeframe.DAY_1)
#: A slot a day, the last one seven hours ago.
DUE: Final = [Slot(SERIES, day * DAY_US) for day in range(100, 105)]
NOW_US: Final = 104 * DAY_US + 7 * HOUR_US


def stale(
    outcome: SeriesOutcome = NO_OUTCOME, now_us: int = NOW_US, created_us: int = 0
) -> StaleSeries | None:
    """Look at the series of a target."""
    target = IngestionTarget("days", ("A",), (Timeframe.DAY_1,), ("alpaca",), None, 1, created_us)
    return find_stale(
        target, [slot for slot in DUE if slot.nominal_us <= now_us], outcome, TIMES, now_us
    )


def ended(day: int, state: RunState = RunState.FAILED) -> SlotRunEnd:
    """Give a run of the slot of a day."""
    return SlotRunEnd(7, day * DAY_US, state, "garbled")


def test_find_stale_given_newest_slot_that_succeeded_is_current() -> None:
    """Whatever failed before: each slot fetches what those before it left out."""
    assert stale(SeriesOutcome(104 * DAY_US, ended(103))) is None


def test_find_stale_given_slot_within_its_grace_is_current() -> None:
    """A night's load takes hours; the slot before counts meanwhile."""
    outcome = SeriesOutcome(103 * DAY_US, ended(104, RunState.RUNNING))
    assert stale(outcome, 104 * DAY_US + 6 * HOUR_US - 1) is None
    assert stale(outcome, 104 * DAY_US + 6 * HOUR_US) is not None
    assert stale(SeriesOutcome(102 * DAY_US), 104 * DAY_US + 1) is not None


def test_find_stale_given_slots_that_failed_says_since_when_and_by_which_run() -> None:
    """From the first slot behind the last success on; the run is the newest."""
    found = stale(SeriesOutcome(101 * DAY_US, ended(104)))
    assert found is not None
    assert (found.since_us, found.slots, found.last) == (102 * DAY_US, 3, ended(104))


def test_find_stale_given_nothing_that_ran_has_no_run_to_blame() -> None:
    """A run of before the last success is not why."""
    found = stale(SeriesOutcome(102 * DAY_US, ended(101)))
    assert found is not None
    assert (found.since_us, found.slots, found.last) == (103 * DAY_US, 2, None)
    whole = stale()
    assert whole is not None
    assert (whole.since_us, whole.slots) == (100 * DAY_US, 5)


def test_find_stale_given_young_target_waits_for_its_grace() -> None:
    """Slots of before it were nobody's; the newest of them is executed at once."""
    assert stale(created_us=NOW_US - 6 * HOUR_US + 1) is None
    found = stale(created_us=NOW_US - 6 * HOUR_US)
    assert found is not None
    assert (found.since_us, found.slots) == (NOW_US - 6 * HOUR_US, 1)


def test_find_stale_given_nothing_due_is_current() -> None:
    """A calendar without sessions makes nobody stale."""
    target = IngestionTarget("days", ("A",), (Timeframe.DAY_1,), ("alpaca",), None, 1, 0)
    assert find_stale(target, [], NO_OUTCOME, TIMES, NOW_US) is None


@pytest.mark.parametrize("job", list(ScheduledJob))
def test_grace_us_given_any_job_is_bounded(job: ScheduledJob) -> None:
    """Every job has one: somebody looks within a day, or three slots of minutes."""
    assert HOUR_US <= grace_us(job, TIMES) <= DAY_US
    seldom = ScheduleTimes(minutes_every_us=2 * HOUR_US)
    assert grace_us(ScheduledJob.MINUTES, seldom) == 6 * HOUR_US
