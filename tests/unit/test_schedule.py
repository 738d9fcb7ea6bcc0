"""When what of a target is due: by the calendars of its symbols, in UTC, each slot once."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.calendar import SessionCalendar
from marketdata.domain.exchange_hours import get_calendar
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
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.ingestion.planner import last_end_us
from tests.support.sessions import MINUTE_US, dates_between, labels_of, local_text, local_us

UTC: Final = "UTC"
TIMES: Final = ScheduleTimes()
DAILY: Final = SlotSeries(7, ScheduledJob.DAILY, Timeframe.DAY_1)
MINUTES: Final = SlotSeries(7, ScheduledJob.MINUTES, Timeframe.MINUTE_1)
REPAIR: Final = SlotSeries(7, ScheduledJob.REPAIR, Timeframe.DAY_1)
CALENDARS: Final = ("XNYS", "XLON", "24/7", "XTKS", "CMES")


def due(
    series: SlotSeries, start: str, end: str, *calendars: str, times: ScheduleTimes = TIMES
) -> list[str]:
    """List the nominal times of the slots from one moment to another, as text in UTC."""
    within = TimeRange(local_us(start, UTC), local_us(end, UTC))
    found = due_slots(series, map(get_calendar, calendars or ("XNYS",)), within, times)
    return [local_text(slot.nominal_us, UTC) for slot in found]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        # In winter New York closes at 21:00 UTC, in summer at 20:00; six hours later it is due.
        ("2024-01-09 12:00", "2024-01-10 12:00", ["2024-01-10 03:00"]),
        ("2024-07-09 12:00", "2024-07-10 12:00", ["2024-07-10 02:00"]),
        # Friday's before and Monday's after the clocks were set forward, then back.
        ("2024-03-08 12:00", "2024-03-12 12:00", ["2024-03-09 03:00", "2024-03-12 02:00"]),
        ("2024-11-01 12:00", "2024-11-05 12:00", ["2024-11-02 02:00", "2024-11-05 03:00"]),
        # Thanksgiving, then a half day that closes at 18:00 UTC: the day must have ended.
        ("2024-11-28 12:00", "2024-11-30 12:00", ["2024-11-30 00:05"]),
    ],
)
def test_daily_slots_given_new_york_follow_its_closes(
    start: str, end: str, expected: list[str]
) -> None:
    """Each session's close, summer and winter, half day or not; none for a holiday or a weekend."""
    assert due(DAILY, start, end) == expected


def test_daily_slots_given_london_wait_for_the_end_of_the_day() -> None:
    """A close at 16:30 plus six hours lies in the same UTC day, whose bar is not final yet."""
    assert due(DAILY, "2024-01-09 12:00", "2024-01-10 12:00", "XLON") == ["2024-01-10 00:05"]


def test_daily_slots_given_a_market_that_never_closes_are_one_a_day() -> None:
    """Its sessions are the UTC days, weekends too."""
    found = due(DAILY, "2024-03-09 00:00", "2024-03-12 00:00", "24/7")
    assert found == ["2024-03-09 06:00", "2024-03-10 06:00", "2024-03-11 06:00"]


def test_daily_slots_given_two_calendars_are_those_of_both() -> None:
    """Exchanges that close at other times have slots of their own; others share one."""
    found = due(DAILY, "2024-01-09 12:00", "2024-01-10 12:00", "XNYS", "XLON", "XPAR")
    assert found == ["2024-01-10 00:05", "2024-01-10 03:00"]


@pytest.mark.parametrize(
    ("session", "first", "last_but_one", "last", "slots"),
    [
        # 04:00 to 20:00 in New York, every five minutes, and one more behind the end.
        ("2024-03-08", "2024-03-08 09:05", "2024-03-09 01:00", "2024-03-09 01:05", 193),
        ("2024-03-11", "2024-03-11 08:05", "2024-03-12 00:00", "2024-03-12 00:05", 193),
        ("2024-11-01", "2024-11-01 08:05", "2024-11-02 00:00", "2024-11-02 00:05", 193),
        ("2024-11-04", "2024-11-04 09:05", "2024-11-05 01:00", "2024-11-05 01:05", 193),
        # To 17:00 on a half day.
        ("2024-11-29", "2024-11-29 09:05", "2024-11-29 22:00", "2024-11-29 22:05", 157),
    ],
)
def test_minute_slots_given_a_session_cover_its_extended_hours(
    session: str, first: str, last_but_one: str, last: str, slots: int
) -> None:
    """From the start of pre-market to the end of after hours, and once more: what was late comes."""
    next_day = date.fromisoformat(session) + timedelta(days=1)
    found = due(MINUTES, f"{session} 06:00", f"{next_day} 06:00")
    assert (found[0], found[-2], found[-1], len(found)) == (first, last_but_one, last, slots)


def test_minute_slots_given_closed_days_are_none() -> None:
    """Nothing is asked over a weekend, nor on Thanksgiving."""
    assert due(MINUTES, "2024-03-09 01:06", "2024-03-11 08:05") == []
    assert due(MINUTES, "2024-11-28 01:06", "2024-11-29 09:05") == []


def test_minute_slots_given_a_market_that_never_closes_have_one_distance() -> None:
    """Where one day ends and the next begins there is one slot, not two."""
    found = due(MINUTES, "2024-03-09 23:50", "2024-03-10 00:11", "24/7")
    assert [text[-5:] for text in found] == ["23:50", "23:55", "00:00", "00:05", "00:10"]


def test_minute_slots_given_a_distance_that_fits_badly_end_behind_the_session() -> None:
    """The last minutes of a session are fetched, however long the distance is."""
    times = ScheduleTimes(minutes_every_us=7 * MINUTE_US)
    found = due(MINUTES, "2024-01-10 00:30", "2024-01-10 02:00", times=times)
    assert [text[-5:] for text in found] == ["00:31", "00:38", "00:45", "00:52", "00:59", "01:07"]


def test_repair_slots_given_any_calendar_are_one_a_night() -> None:
    """Every UTC day, at one time that no switch of clocks moves."""
    expected = ["2024-03-09 05:00", "2024-03-10 05:00", "2024-03-11 05:00"]
    assert due(REPAIR, "2024-03-09 00:00", "2024-03-12 00:00") == expected


def test_due_slots_given_no_calendar_are_none_by_sessions() -> None:
    """A target without known symbols has nothing to wait for."""
    within = TimeRange(local_us("2024-03-04 00:00", UTC), local_us("2024-03-09 00:00", UTC))
    assert due_slots(DAILY, [], within, TIMES) == due_slots(MINUTES, [], within, TIMES) == []


def test_request_id_given_a_slot_names_target_job_timeframe_and_time() -> None:
    """It is what is unique in the database, so no release may change it."""
    slot = Slot(SlotSeries(12, ScheduledJob.DAILY, Timeframe.HOUR_1), local_us("2024-03-12 02:00", UTC))
    assert slot.request_id == "slot/12/daily/1h/2024-03-12T02:00:00Z"
    assert slot.request_id.startswith(slot.series.prefix)
    assert not slot.request_id.startswith(SlotSeries(1, slot.series.job, Timeframe.HOUR_1).prefix)


def test_series_given_targets_repair_where_history_is_wanted() -> None:
    """All go with the close, minutes with the session too; without a history nothing is repaired."""
    timeframes = (Timeframe.MINUTE_1, Timeframe.HOUR_1, Timeframe.DAY_1)
    target = IngestionTarget("a", (), timeframes, ("p",), None, 3, 0)
    jobs = [
        (series.job.value, series.timeframe and series.timeframe.value) for series in series_of(target)
    ]
    assert jobs == [("minutes", "1m"), ("daily", "1m"), ("daily", "1h"), ("daily", "1d")]
    target = IngestionTarget("a", (), (Timeframe.DAY_1,), ("p",), date(2020, 1, 1), 3, 0)
    assert [series.job.value for series in series_of(target)] == ["daily", "repair"]


def test_series_given_a_provider_that_tells_actions_have_them_without_bars() -> None:
    """One a target, whatever its timeframes, where one of its providers tells them."""
    target = IngestionTarget("a", (), (Timeframe.DAY_1, Timeframe.HOUR_1), ("p", "q"), None, 3, 0)
    silent, tells = ProviderDescription("p", ""), ProviderDescription("q", "", has_actions=True)
    jobs = reference_jobs([silent, tells])
    assert [series.prefix for series in series_of(target, jobs)][2:] == ["slot/3/actions/"]
    assert reference_jobs([silent]) == reference_jobs([]) == ()
    knows = replace(silent, has_company=True)
    assert reference_jobs([knows, tells]) == (ScheduledJob.ACTIONS, ScheduledJob.COMPANY)


def test_action_slots_given_weeks_are_one_each_on_saturday() -> None:
    """At 08:00 UTC in summer and in winter, whatever the calendars; both bounds are half-open."""
    series = SlotSeries(7, ScheduledJob.ACTIONS, None)
    saturdays = ["2024-03-02 08:00", "2024-03-09 08:00", "2024-03-16 08:00"]
    assert due(series, "2024-03-02 08:00", "2024-03-23 08:00", "XNYS", "24/7") == saturdays
    assert due(series, "2024-03-02 08:01", "2024-03-09 08:00") == []
    later = due(replace(series, job=ScheduledJob.COMPANY), "2024-03-02 08:00", "2024-03-09 10:00")
    assert later == ["2024-03-02 10:00"]
    assert Slot(series, local_us("2024-03-09 08:00", UTC)).request_id == (
        "slot/7/actions/2024-03-09T08:00:00Z"
    )


def test_missed_given_slots_behind_the_last_run_are_those_but_the_newest() -> None:
    """What the newest slot stands for is known by name; what was before the target was nobody's."""
    slots = [Slot(DAILY, number * MICROSECONDS_PER_DAY) for number in range(1, 7)]
    assert missed_slots(slots, frozenset(), 0) == slots[:-1]
    assert missed_slots(slots, frozenset({slots[2].request_id}), 0) == slots[3:-1]
    assert missed_slots(slots, frozenset(), slots[3].nominal_us) == slots[3:-1]
    assert missed_slots(slots[:1], frozenset(), 0) == []


moments = st.integers(*(int(us) for us in labels_of("2023-06-01", "2025-01-01")))


@given(
    series=st.sampled_from([DAILY, MINUTES, REPAIR]),
    names=st.sets(st.sampled_from(CALENDARS), min_size=1),
    start=moments,
    cuts=st.lists(st.integers(0, 6 * MICROSECONDS_PER_DAY), max_size=5),
    every=st.integers(1, 90),
)
def test_due_slots_given_any_split_of_a_range_are_the_same(
    series: SlotSeries, names: set[str], start: int, cuts: list[int], every: int
) -> None:
    """However often one looks: the parts have the slots of the whole, ascending, each once."""
    calendars = [get_calendar(name) for name in sorted(names)]
    times = ScheduleTimes(minutes_every_us=every * MINUTE_US)
    whole = TimeRange(start, start + 6 * MICROSECONDS_PER_DAY)
    slots = due_slots(series, calendars, whole, times)
    edges = sorted([whole.start_us, *(start + cut for cut in cuts), whole.end_us])
    ranges = [TimeRange(*edge) for edge in pairwise(edges)]
    assert [slot for part in ranges for slot in due_slots(series, calendars, part, times)] == slots
    nominal = [slot.nominal_us for slot in slots]
    assert nominal == sorted(set(nominal))
    assert all(whole.start_us <= time_us < whole.end_us for time_us in nominal)
    assert len({slot.request_id for slot in slots}) == len(slots)


@pytest.mark.parametrize("name", CALENDARS)
def test_daily_slots_given_a_year_are_one_a_session_once_its_bar_is_final(name: str) -> None:
    """No session is left out, and at the nominal time the planner takes its daily bar for ended."""
    calendar: SessionCalendar = get_calendar(name)
    year = dates_between("2024-01-01", "2025-01-01")
    labels = calendar.label_us[calendar.session_rows_in(year)].tolist()
    within = TimeRange(year.start_us, year.end_us + 3 * MICROSECONDS_PER_DAY)
    slots = due_slots(DAILY, [calendar], within, TIMES)
    for label_us in labels:
        ready = [slot.nominal_us for slot in slots if slot.nominal_us > label_us][:4]
        assert any(
            last_end_us(Timeframe.DAY_1, us) == label_us + MICROSECONDS_PER_DAY for us in ready
        ), local_text(label_us, UTC)
