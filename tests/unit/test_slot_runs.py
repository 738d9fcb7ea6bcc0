"""Runs of a slot: whose turn is next, when the first one's is again, and what names say."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.ingestion_run import RunState
from marketdata.domain.schedule import ScheduledJob, Slot, SlotSeries
from marketdata.domain.slot_runs import (
    MOST_ATTEMPTS,
    LeftOver,
    SlotName,
    SlotRun,
    attempt_name,
    gaps_name,
    last_round,
    parse_slot_name,
    providers_behind,
    retry_seconds,
    subtract_answered,
)
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe

SERVING: Final = ("a", "b", "c")
NAME: Final = "slot/3/daily/1d/2024-03-12T02:00:00Z"


def runs(providers: str, seconds_over: float = 0.0) -> list[SlotRun]:
    """Make runs that failed, one a letter."""
    return [
        SlotRun(number, number + 70, provider, RunState.FAILED, "down", seconds_over)
        for number, provider in enumerate(providers, start=1)
    ]


def left(seconds: float = 0.0, *, is_passing: bool = True) -> LeftOver:
    """Make what is left of a symbol."""
    return LeftOver("A", 1, (TimeRange(10, 20),), is_passing, seconds)


@pytest.mark.parametrize(
    ("so_far", "behind", "in_round"),
    [
        ("a", "bc", "a"),
        ("ab", "c", "ab"),
        ("abc", "", "abc"),
        ("abca", "bc", "a"),
        ("abcab", "c", "ab"),
        ("ac", "", "ac"),  # b was not ready
        ("acb", "c", "b"),
        ("aa", "bc", "a"),
        ("b", "c", "b"),
        ("xa", "bc", "xa"),
        ("ax", "abc", "x"),  # of none of its providers any more
    ],
)
def test_providers_behind_given_runs_are_those_of_the_round(
    so_far: str, behind: str, in_round: str
) -> None:
    """Each has its turn in order; with the first one, or one before the last, a round begins anew."""
    found = runs(so_far)
    assert "".join(providers_behind(found, SERVING)) == behind
    assert "".join(run.provider for run in last_round(found, SERVING)) == in_round


@pytest.mark.parametrize(
    ("so_far", "minutes"),
    [
        ("a", 15),
        ("abc", 15),
        ("abcabc", 30),
        ("aaa", 60),
        ("aaaa", 120),
        ("aaaaa", 240),
        ("a" * 40, 240),
    ],
)
def test_retry_given_rounds_waits_longer_each_time(so_far: str, minutes: int) -> None:
    """From a quarter of an hour to four hours, since the last one ended."""
    assert retry_seconds(runs(so_far), [left()]) == minutes * 60
    assert retry_seconds(runs(so_far, minutes * 60), [left()]) == 0


def test_retry_given_what_providers_say_waits_for_the_earliest() -> None:
    """A limit that is open again in an hour is not asked for before; what is lost for good, never."""
    over = runs("a", 10_000)
    assert retry_seconds(over, [left(3600), left(7200), left(is_passing=False)]) == 3600
    assert retry_seconds(over, [left(is_passing=False)]) is None
    assert retry_seconds(over, []) is None
    assert retry_seconds(runs("a" * MOST_ATTEMPTS, 10_000), [left()]) is None


def test_names_given_attempts_are_read_as_they_were_made() -> None:
    """Of bars and of facts; what is not the schedule's is none."""
    prefix, nominal = "slot/3/daily/1d/", "2024-03-12T02:00:00Z"
    assert attempt_name(NAME, 1) == NAME
    assert parse_slot_name(NAME) == SlotName(prefix, nominal, 1)
    assert parse_slot_name(attempt_name(NAME, 12)) == SlotName(prefix, nominal, 12)
    assert parse_slot_name(gaps_name(NAME, "alpha_vantage", 7)) == SlotName(prefix, nominal, 0)
    for other in ("", "slot/3", "backfill", f"{NAME}/x", f" {NAME}"):
        assert parse_slot_name(other) is None


@given(st.sampled_from(ScheduledJob), st.sampled_from([None, *Timeframe]), st.integers(1, 10**15))
def test_name_given_any_slot_has_the_prefix_of_its_series(
    job: ScheduledJob, timeframe: Timeframe | None, time_us: int
) -> None:
    """Whoever joins runs with slots goes by it."""
    slot = Slot(SlotSeries(12, job, timeframe), time_us - time_us % 1_000_000)
    found = parse_slot_name(attempt_name(slot.request_id, 2))
    assert found is not None
    assert (found.prefix, found.attempt) == (slot.series.prefix, 2)
    assert found.prefix + found.nominal == slot.request_id


def test_subtract_given_answers_leaves_what_nobody_was_asked_for() -> None:
    """Of each symbol its own; one of which nothing is left is gone."""
    many = [
        LeftOver("A", 1, (TimeRange(0, 10), TimeRange(20, 30))),
        LeftOver("B", 2, (TimeRange(0, 10),)),
    ]
    answered = [
        {1: (TimeRange(5, 25),)},
        {2: (TimeRange(0, 4), TimeRange(4, 12)), 3: (TimeRange(0, 99),)},
    ]
    (one,) = subtract_answered(many, answered)
    assert (one.symbol, one.ranges) == ("A", (TimeRange(0, 5), TimeRange(25, 30)))
    assert subtract_answered(many, []) == many
