"""What a run fetches: only what is missing, only what has ended, only what the provider has."""

from datetime import timedelta
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.ingestion_run import FetchedRanges, IngestionMode, PlannedTask, RunRequest
from marketdata.domain.range_sets import length_us, union
from marketdata.domain.slot_runs import LeftOver
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.ingestion.planner import History, last_end_us, plan_left, plan_tasks
from tests.support.sessions import dates_between, local_us

DAY: Final = Timeframe.DAY_1
HOUR: Final = Timeframe.HOUR_1
MINUTE: Final = Timeframe.MINUTE_1
STORED: Final = (MINUTE, HOUR, DAY)
A: Final = Symbol("A", symbol_id=1)
B: Final = Symbol("B", symbol_id=2)
# A Saturday, 02:00:30 UTC: in New York the evening of the session before.
NOW_US: Final = local_us("2024-06-29 02:00", "UTC") + 30_000_000
EVERYTHING: Final[History] = dict.fromkeys(STORED)


def asked(
    mode: IngestionMode = IngestionMode.BACKFILL,
    wanted: TimeRange | None = None,
    timeframes: tuple[Timeframe, ...] = (DAY,),
    *,
    refetches: bool = False,
) -> RunRequest:
    """Ask for a range of A and B."""
    start_us, end_us = (wanted.start_us, wanted.end_us) if wanted else (None, None)
    return RunRequest("id", mode, "p", ("A", "B"), timeframes, start_us, end_us, refetches)


def planned(
    request: RunRequest,
    fetched: FetchedRanges | None = None,
    history: History = EVERYTHING,
    now_us: int = NOW_US,
) -> list[PlannedTask]:
    """Plan for A alone."""
    return plan_tasks(request, [A], fetched or {}, history, now_us)


def ranges(tasks: list[PlannedTask]) -> list[TimeRange]:
    """List the ranges of tasks in their order."""
    return [task.range for task in tasks]


@pytest.mark.parametrize(
    ("timeframe", "now", "first_that_has_not"),
    [
        (MINUTE, "15:00:00", "15:00"),
        (MINUTE, "15:00:59", "15:00"),
        (MINUTE, "14:59:59", "14:59"),
        (HOUR, "15:00:00", "14:01"),
        (HOUR, "15:29:59", "14:30"),
        (HOUR, "15:30:00", "14:31"),
        (DAY, "00:00:00", "00:00"),
        (DAY, "23:59:59", "00:00"),
    ],
)
def test_last_end_given_a_time_is_the_first_open_that_has_not_ended(
    timeframe: Timeframe, now: str, first_that_has_not: str
) -> None:
    """Hours begin at any minute, so each minute counts; days are left to the next one."""
    now_us = local_us(f"2024-06-28 {now}", "UTC")
    expected = local_us(f"2024-06-28 {first_that_has_not}", "UTC")
    assert last_end_us(timeframe, now_us) == expected


@given(
    st.sampled_from([MINUTE, HOUR]),
    st.integers(min_value=NOW_US, max_value=NOW_US + MICROSECONDS_PER_DAY),
)
def test_last_end_given_any_time_is_the_edge_between_ended_and_running(
    timeframe: Timeframe, now_us: int
) -> None:
    """The bar before the edge has ended by now, the one at the edge has not."""
    edge = last_end_us(timeframe, now_us)
    before = edge - timeframe.alignment_us
    assert before + timeframe.duration_us <= now_us < edge + timeframe.duration_us


def test_backfill_given_nothing_fetched_plans_the_range_of_each_symbol_and_timeframe() -> None:
    """One task each, in the order of the request."""
    wanted = dates_between("2024-01-01", "2024-02-01")
    request = asked(wanted=wanted, timeframes=(DAY, MINUTE))
    tasks = plan_tasks(request, [B, A], {}, EVERYTHING, NOW_US)
    assert tasks == [
        PlannedTask(symbol.symbol, symbol.symbol_id, timeframe, wanted)
        for symbol in (B, A)
        for timeframe in (DAY, MINUTE)
    ]


def test_backfill_given_fetched_parts_plans_what_is_between_and_around() -> None:
    """Gaps within are filled; what another timeframe or symbol has does not count."""
    parts = (dates_between("2024-01-10", "2024-01-15"), dates_between("2024-01-20", "2024-01-25"))
    elsewhere = (dates_between("2023-01-01", "2024-06-01"),)
    fetched = {(1, DAY): parts, (1, MINUTE): elsewhere, (2, DAY): elsewhere}
    tasks = planned(asked(wanted=dates_between("2024-01-01", "2024-02-01")), fetched)
    assert ranges(tasks) == [
        dates_between("2024-01-01", "2024-01-10"),
        dates_between("2024-01-15", "2024-01-20"),
        dates_between("2024-01-25", "2024-02-01"),
    ]


def test_backfill_given_all_fetched_plans_nothing() -> None:
    """Also where more than the range was."""
    fetched = {(1, DAY): (dates_between("2023-12-01", "2024-03-01"),)}
    assert planned(asked(wanted=dates_between("2024-01-01", "2024-02-01")), fetched) == []


@pytest.mark.parametrize("mode", IngestionMode)
def test_refetch_given_all_fetched_plans_the_whole_range(mode: IngestionMode) -> None:
    """In either mode, as if nothing had been fetched."""
    wanted = dates_between("2024-01-01", "2024-02-01")
    fetched = {(1, DAY): (dates_between("2023-12-01", "2024-03-01"),)}
    assert ranges(planned(asked(mode, wanted, refetches=True), fetched)) == [wanted]


def test_backfill_given_no_end_plans_up_to_what_has_ended() -> None:
    """An end in the future is now as well."""
    start_us = dates_between("2024-06-01", "2024-06-01").start_us
    open_ended = RunRequest("id", IngestionMode.BACKFILL, "p", ("A",), STORED, start_us)
    later = RunRequest(
        "id", IngestionMode.BACKFILL, "p", ("A",), STORED, start_us, NOW_US + MICROSECONDS_PER_DAY
    )
    for request in (open_ended, later):
        ends = {task.timeframe: task.range.end_us for task in planned(request)}
        assert ends == {timeframe: last_end_us(timeframe, NOW_US) for timeframe in STORED}


@pytest.mark.parametrize(("timeframe", "trailing_days"), [(MINUTE, 2), (HOUR, 2), (DAY, 7)], ids=str)
def test_batch_given_a_last_fetch_goes_on_there_less_the_trailing_window(
    timeframe: Timeframe, trailing_days: int
) -> None:
    """Rule 18: the newest bars are fetched again for late corrections; gaps before are a backfill's."""
    parts = (dates_between("2024-01-01", "2024-02-01"), dates_between("2024-03-01", "2024-06-20"))
    tasks = planned(asked(IngestionMode.BATCH, timeframes=(timeframe,)), {(1, timeframe): parts})
    start_us = parts[-1].end_us - trailing_days * MICROSECONDS_PER_DAY
    assert ranges(tasks) == [TimeRange(start_us, last_end_us(timeframe, NOW_US))]


@pytest.mark.parametrize(("timeframe", "days_back"), [(MINUTE, 7), (HOUR, 60), (DAY, 365)], ids=str)
def test_batch_given_nothing_fetched_begins_some_way_back(timeframe: Timeframe, days_back: int) -> None:
    """Without a start it is a bounded first helping; with one, that is where it begins."""
    end_us = last_end_us(timeframe, NOW_US)
    (task,) = planned(asked(IngestionMode.BATCH, timeframes=(timeframe,)))
    assert task.range == TimeRange(end_us - days_back * MICROSECONDS_PER_DAY, end_us)
    wanted = TimeRange(dates_between("2024-05-01", "2024-05-01").start_us, NOW_US)
    (task,) = planned(asked(IngestionMode.BATCH, wanted, (timeframe,)))
    assert task.range == TimeRange(wanted.start_us, end_us)


def test_batch_given_a_start_and_a_last_fetch_goes_on_where_it_ended() -> None:
    """The start is for symbols of which nothing was fetched yet."""
    fetched = {(1, DAY): (dates_between("2024-01-01", "2024-06-20"),)}
    request = asked(IngestionMode.BATCH, dates_between("2020-01-01", "2024-07-01"))
    assert ranges(planned(request, fetched)) == [dates_between("2024-06-13", "2024-06-29")]


def test_batch_given_an_end_before_the_last_fetch_plans_nothing() -> None:
    """What is asked for was fetched, and newer bars are not asked for."""
    fetched = {(1, DAY): (dates_between("2024-01-01", "2024-06-20"),)}
    request = asked(IngestionMode.BATCH, dates_between("2024-01-01", "2024-03-01"))
    assert planned(request, fetched) == []


@pytest.mark.parametrize("timeframe", STORED)
def test_plan_given_a_short_history_begins_within_it(timeframe: Timeframe) -> None:
    """Older bars are refused by the provider: the first open that it may be asked for is the start."""
    depth = timedelta(days=29)
    request = asked(wanted=TimeRange(timeframe.earliest_us, NOW_US), timeframes=(timeframe,))
    (task,) = planned(request, history={**EVERYTHING, timeframe: depth})
    oldest_us = NOW_US - 29 * MICROSECONDS_PER_DAY
    assert 0 <= task.range.start_us - oldest_us < timeframe.alignment_us
    assert task.range.start_us % timeframe.alignment_us == 0


def test_plan_given_a_range_beyond_the_history_is_empty() -> None:
    """There is nothing that could be asked for."""
    request = asked(wanted=dates_between("2020-01-01", "2020-02-01"), timeframes=(MINUTE,))
    assert planned(request, history={MINUTE: timedelta(days=29)}) == []


def test_plan_given_bounds_between_bars_takes_the_bars_that_open_within() -> None:
    """Half-open: a bar that opened before the start is out, one that opens before the end is in."""
    noon = local_us("2024-06-03 12:00", "UTC")
    wanted = TimeRange(noon + 1, noon + 2 * 60_000_000 + 1)
    (task,) = planned(asked(wanted=wanted, timeframes=(MINUTE,)))
    assert task.range == TimeRange(noon + 60_000_000, noon + 3 * 60_000_000)
    (task,) = planned(asked(wanted=TimeRange(noon, noon + 3 * MICROSECONDS_PER_DAY)))
    assert task.range == dates_between("2024-06-04", "2024-06-07")


def test_plan_given_times_before_any_bar_begins_with_the_first() -> None:
    """No partition of a mistyped year is ever asked for."""
    (task,) = planned(asked(wanted=TimeRange(0, NOW_US), timeframes=(MINUTE,)))
    assert task.range.start_us == MINUTE.earliest_us


@given(st.data())
def test_backfill_given_any_fetched_time_plans_exactly_the_rest(data: st.DataObject) -> None:
    """Disjoint, ascending, aligned, within the range; with what was fetched they cover it."""
    timeframe = data.draw(st.sampled_from(STORED))
    step_us = timeframe.alignment_us
    first_us = last_end_us(timeframe, NOW_US) - 400 * step_us
    steps = st.integers(min_value=0, max_value=400)
    bounds = sorted(data.draw(st.lists(steps, unique=True, max_size=12)))
    known = tuple(
        TimeRange(first_us + start * step_us, first_us + end * step_us)
        for start, end in zip(bounds[::2], bounds[1::2], strict=False)
    )
    start, end = sorted(data.draw(st.tuples(steps, steps)))
    wanted = TimeRange(first_us + start * step_us, first_us + end * step_us)
    tasks = planned(asked(wanted=wanted, timeframes=(timeframe,)), {(1, timeframe): known})
    parts = tuple(ranges(tasks))
    assert not any(part.is_empty for part in parts)
    assert all(one.end_us < other.start_us for one, other in pairwise(parts))
    assert all(part.intersect(wanted) == part for part in parts)
    assert all(part.start_us % step_us == part.end_us % step_us == 0 for part in parts)
    fetched = tuple(one for part in known if not (one := part.intersect(wanted)).is_empty)
    assert union(parts + fetched) == union([wanted])
    assert length_us(parts) + length_us(fetched) == length_us(union([wanted]))


def test_plan_given_retention_asks_for_nothing_that_it_would_drop() -> None:
    """What is older than is kept is left out, by timeframe; where nothing is dropped, nothing is."""
    wanted = dates_between("2020-01-01", "2024-01-01")
    kept = dates_between("2022-06-01", "2024-01-01")
    request = asked(wanted=wanted, timeframes=(DAY, HOUR))
    tasks = plan_tasks(request, [A], {}, EVERYTHING, NOW_US, {DAY: kept.start_us})
    assert ranges(tasks) == [kept, wanted]


def test_left_given_another_provider_is_what_it_was_not_asked_for_and_its_newest() -> None:
    """Within its reach and what is kept, of symbols of which something is left, piece by piece."""
    wanted = (dates_between("2023-01-02", "2023-02-01"), dates_between("2024-05-01", "2024-06-28"))
    asked_before = (
        dates_between("2023-01-10", "2023-01-20"),
        dates_between("2024-05-20", "2024-06-15"),
    )
    left = [LeftOver("A", 1, wanted), LeftOver("B", 2, wanted[:1])]
    tasks = plan_left(left, DAY, {(1, DAY): asked_before}, EVERYTHING, NOW_US)
    assert [(task.symbol, task.symbol_id, task.range) for task in tasks] == [
        ("A", 1, dates_between("2023-01-02", "2023-01-10")),
        ("A", 1, dates_between("2023-01-20", "2023-02-01")),
        ("A", 1, dates_between("2024-05-01", "2024-05-20")),
        ("A", 1, dates_between("2024-06-08", "2024-06-28")),  # the last week that it answered, again
        ("B", 2, wanted[0]),
    ]
    in_reach = plan_left(left, DAY, {}, {DAY: timedelta(days=30)}, NOW_US)
    assert ranges(in_reach) == [dates_between("2024-05-31", "2024-06-28")]
    kept = plan_left(left, DAY, {}, EVERYTHING, NOW_US, {DAY: local_us("2024-06-01 00:00", "UTC")})
    assert ranges(kept) == [dates_between("2024-06-01", "2024-06-28")]
    everything = {(1, DAY): wanted, (2, DAY): wanted}
    assert plan_left(left[1:], DAY, everything, EVERYTHING, NOW_US, trailing_us=0) == []


@pytest.mark.parametrize("trailing_us", [0, 30 * 60_000_000])
def test_batch_given_a_window_of_its_own_goes_on_with_it(trailing_us: int) -> None:
    """Instead of the usual one: minutes of a session are fetched every few minutes."""
    fetched = {(1, MINUTE): (TimeRange(NOW_US - 10**10, NOW_US - 600_000_000),)}
    request = asked(IngestionMode.BATCH, timeframes=(MINUTE,))
    (task,) = plan_tasks(request, [A], fetched, EVERYTHING, NOW_US, trailing_us=trailing_us)
    begun_us = NOW_US - 600_000_000 - trailing_us
    assert 0 <= task.range.start_us - begun_us < 60_000_000
