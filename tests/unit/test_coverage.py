"""Coverage: what a calendar lets expect, against what is stored."""

import numpy as np
import pytest

from marketdata.domain.bars import Int64Array
from marketdata.domain.calendar import SessionCalendar, SessionHours
from marketdata.domain.coverage import (
    QUIET_US,
    BarCoverage,
    CoverageLook,
    SessionCounts,
    find_coverage,
)
from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.gaps import GapReason
from marketdata.domain.resample import resample
from marketdata.domain.time_range import TimeRange, session_date
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from tests.support.sessions import (
    LONG_AFTER_US,
    MINUTE_US,
    dates_between,
    labels_of,
    local_text,
    local_us,
    minutes_between,
    walk,
)

MINUTE, HOUR, DAY = Timeframe.MINUTE_1, Timeframe.HOUR_1, Timeframe.DAY_1
NOTHING_QUIET = CoverageLook(quiet_us=0)
JULY = dates_between("2013-07-01", "2013-08-01")
WEEK = TimeRange(local_us("2013-07-01 00:00"), local_us("2013-07-06 00:00"))


@pytest.fixture(scope="module")
def xnys() -> SessionCalendar:
    """Get the calendar of New York."""
    return get_calendar("XNYS")


def counted(
    stored: Int64Array, timeframe: Timeframe, asked: TimeRange, calendar: SessionCalendar
) -> SessionCounts:
    """Count session by session."""
    look = CoverageLook(with_sessions=True)
    found = find_coverage(stored, timeframe, asked, calendar, now_us=LONG_AFTER_US, look=look)
    assert found.sessions is not None
    return found.sessions


def regular_minutes(calendar: SessionCalendar, days: TimeRange) -> Int64Array:
    """List every expected minute of a range, from the calendar's spans."""
    times_us = np.arange(days.start_us, days.end_us, MINUTE_US)
    return times_us[calendar.in_hours(times_us, SessionHours.REGULAR)]


def without(times_us: Int64Array, *stretches: tuple[str, str]) -> Int64Array:
    """Leave some stretches of New York time out."""
    for start, end in stretches:
        times_us = times_us[(times_us < local_us(start)) | (times_us >= local_us(end))]
    return times_us


def gaps_of(coverage: BarCoverage) -> list[tuple[str, str, int]]:
    """List gaps as (start, end, missing) by New York's clock."""
    gaps = coverage.gaps
    assert np.all(gaps.reason == GapReason.MISSING)
    rows = zip(gaps.start_us.tolist(), gaps.end_us.tolist(), gaps.missing.tolist(), strict=True)
    return [(local_text(start), local_text(end), missing) for start, end, missing in rows]


def daily_gaps(coverage: BarCoverage) -> list[tuple[str, str, int]]:
    """List gaps of daily bars as (first date, date after the last, missing)."""
    gaps = coverage.gaps
    rows = zip(gaps.start_us.tolist(), gaps.end_us.tolist(), gaps.missing.tolist(), strict=True)
    return [(str(session_date(start)), str(session_date(end)), missing) for start, end, missing in rows]


def test_find_coverage_given_every_session_has_no_gap(xnys: SessionCalendar) -> None:
    """Weekends and Independence Day are no gaps: the calendar does not expect them."""
    stored = xnys.label_us[xnys.session_rows_in(JULY)]
    coverage = find_coverage(stored, DAY, JULY, xnys, now_us=LONG_AFTER_US)
    assert len(coverage.gaps) == 0
    assert (coverage.count, coverage.expected, coverage.present) == (22, 22, 22)
    assert (coverage.first_us, coverage.last_us) == tuple(
        labels_of("2013-07-01", "2013-07-31").tolist()
    )
    assert coverage.searched == JULY


def test_find_coverage_given_missing_sessions_joins_those_in_a_row(xnys: SessionCalendar) -> None:
    """3 and 5 July have only a holiday between them: one gap of two sessions."""
    stored = xnys.label_us[xnys.session_rows_in(JULY)]
    missing = labels_of("2013-07-01", "2013-07-03", "2013-07-05", "2013-07-31")
    stored = stored[~np.isin(stored, missing)]
    coverage = find_coverage(stored, DAY, JULY, xnys, now_us=LONG_AFTER_US)
    assert daily_gaps(coverage) == [
        ("2013-07-01", "2013-07-02", 1),
        ("2013-07-03", "2013-07-06", 2),
        ("2013-07-31", "2013-08-01", 1),
    ]
    assert (coverage.count, coverage.expected, coverage.present) == (18, 22, 18)


@pytest.mark.parametrize("timeframe", [MINUTE, HOUR, DAY])
def test_find_coverage_given_no_bars_is_one_gap(timeframe: Timeframe, xnys: SessionCalendar) -> None:
    """Nothing stored: everything that is expected is one gap."""
    coverage = find_coverage(np.empty(0, np.int64), timeframe, JULY, xnys, now_us=LONG_AFTER_US)
    assert (coverage.count, coverage.first_us, coverage.last_us, coverage.present) == (0, None, None, 0)
    expected = {MINUTE: 21 * 390 + 210, HOUR: 21 * 7 + 4, DAY: 22}[timeframe]
    assert coverage.gaps.missing.tolist() == [expected] == [coverage.expected]


@pytest.mark.parametrize(
    "asked",
    [
        dates_between("2013-07-06", "2013-07-08"),
        dates_between("2013-07-04", "2013-07-05"),
        TimeRange(JULY.start_us, JULY.start_us),
        dates_between("1850-01-01", "1860-01-01"),
        dates_between("2060-01-01", "2061-01-01"),
    ],
)
@pytest.mark.parametrize("timeframe", [MINUTE, DAY])
def test_find_coverage_given_range_without_sessions_expects_nothing(
    asked: TimeRange, timeframe: Timeframe, xnys: SessionCalendar
) -> None:
    """A weekend, a holiday, an empty range, and one before the calendar: no gap."""
    coverage = find_coverage(np.empty(0, np.int64), timeframe, asked, xnys, now_us=LONG_AFTER_US)
    assert (coverage.expected, len(coverage.gaps)) == (0, 0)
    assert len(counted(labels_of(), timeframe, asked, xnys)) == 0


def test_rule_7_quiet_minutes_given_run_within_the_threshold_are_no_gap(xnys: SessionCalendar) -> None:
    """15 minutes without a bar may be 15 without a trade; 16 are reported."""
    stored = without(
        regular_minutes(xnys, WEEK),
        ("2013-07-02 10:00", "2013-07-02 10:15"),
        ("2013-07-02 11:00", "2013-07-02 11:16"),
    )
    coverage = find_coverage(stored, MINUTE, WEEK, xnys, now_us=LONG_AFTER_US)
    assert gaps_of(coverage) == [("2013-07-02 11:00", "2013-07-02 11:16", 16)]
    assert coverage.expected - coverage.present == 31
    tight = find_coverage(stored, MINUTE, WEEK, xnys, now_us=LONG_AFTER_US, look=NOTHING_QUIET)
    assert tight.gaps.missing.tolist() == [15, 16]


def test_find_coverage_given_quiet_ends_of_two_sessions_does_not_add_them_up(
    xnys: SessionCalendar,
) -> None:
    """Ten minutes before the close and ten after the next open are two quiet ends."""
    quiet = ("2013-07-01 15:50", "2013-07-02 09:40")
    stored = without(regular_minutes(xnys, WEEK), quiet)
    assert gaps_of(find_coverage(stored, MINUTE, WEEK, xnys, now_us=LONG_AFTER_US)) == []


def test_find_coverage_given_missing_session_leaves_quiet_ends_beside_it_out(
    xnys: SessionCalendar,
) -> None:
    """A lost session is exactly that session, also where its neighbours end and start quietly."""
    stored = without(regular_minutes(xnys, WEEK), ("2013-07-01 15:45", "2013-07-03 09:45"))
    coverage = find_coverage(stored, MINUTE, WEEK, xnys, now_us=LONG_AFTER_US)
    assert gaps_of(coverage) == [("2013-07-02 09:30", "2013-07-02 16:00", 390)]


def test_find_coverage_given_long_ends_beside_missing_sessions_is_one_gap(
    xnys: SessionCalendar,
) -> None:
    """From 15:30 over a half day and a holiday to 10:00: one gap that a backfill can ask for."""
    stored = without(regular_minutes(xnys, WEEK), ("2013-07-02 15:30", "2013-07-05 10:00"))
    coverage = find_coverage(stored, MINUTE, WEEK, xnys, now_us=LONG_AFTER_US)
    assert gaps_of(coverage) == [("2013-07-02 15:30", "2013-07-05 10:00", 30 + 210 + 30)]


def test_find_coverage_given_run_over_the_lunch_break_counts_no_minute_of_it() -> None:
    """11:20 to 12:40 in Tokyo is 20 minutes of trading."""
    xtks = get_calendar("XTKS")
    day = dates_between("2013-07-03", "2013-07-04")
    stored = regular_minutes(xtks, day)
    lost = (local_us("2013-07-03 11:20", "Asia/Tokyo"), local_us("2013-07-03 12:40", "Asia/Tokyo"))
    stored = stored[(stored < lost[0]) | (stored >= lost[1])]
    coverage = find_coverage(stored, MINUTE, day, xtks, now_us=LONG_AFTER_US)
    gaps = coverage.gaps
    assert (gaps.start_us[0], gaps.end_us[0], gaps.missing[0]) == (*lost, 20)
    assert coverage.expected == 300


def test_find_coverage_given_extended_bars_counts_and_never_expects_them(xnys: SessionCalendar) -> None:
    """Pre-market bars are stored bars, but their absence is no gap."""
    stored = minutes_between("2013-07-02 08:00", "2013-07-02 16:30")
    day = TimeRange(local_us("2013-07-02 00:00"), local_us("2013-07-03 00:00"))
    coverage = find_coverage(stored, MINUTE, day, xnys, now_us=LONG_AFTER_US)
    assert (coverage.count, coverage.expected, coverage.present) == (510, 390, 390)
    assert len(coverage.gaps) == 0


def test_find_coverage_given_hours_anchored_at_the_open_finds_single_missing_ones(
    xnys: SessionCalendar,
) -> None:
    """An hour is never quiet: each missing one is a gap, the short last one of a half day too."""
    stored = resample(walk(regular_minutes(xnys, WEEK)), HOUR, xnys, now_us=LONG_AFTER_US).time_us
    assert len(find_coverage(stored, HOUR, WEEK, xnys, now_us=LONG_AFTER_US).gaps) == 0
    lost = without(
        stored, ("2013-07-02 10:30", "2013-07-02 11:30"), ("2013-07-03 12:30", "2013-07-03 13:00")
    )
    coverage = find_coverage(lost, HOUR, WEEK, xnys, now_us=LONG_AFTER_US)
    assert gaps_of(coverage) == [
        ("2013-07-02 10:30", "2013-07-02 11:30", 1),
        ("2013-07-03 12:30", "2013-07-03 13:00", 1),
    ]


@pytest.mark.parametrize(
    ("timeframe", "now", "expected"),
    [
        (MINUTE, "2013-07-02 09:30", 390),
        (MINUTE, "2013-07-02 09:31", 391),
        (MINUTE, "2013-07-02 16:00", 780),
        (HOUR, "2013-07-02 10:29", 7),
        (HOUR, "2013-07-02 10:30", 8),
        (HOUR, "2013-07-02 15:59", 13),
        (HOUR, "2013-07-02 16:00", 14),
        (DAY, "2013-07-02 16:00", 1),
        (DAY, "2013-07-02 19:59", 1),
        (DAY, "2013-07-02 20:00", 2),
    ],
)
def test_rule_6_forming_bars_given_now_are_not_expected(
    timeframe: Timeframe, now: str, expected: int, xnys: SessionCalendar
) -> None:
    """A bar is expected once it has ended, a daily bar once its UTC day has too."""
    nothing = np.empty(0, np.int64)
    coverage = find_coverage(nothing, timeframe, JULY, xnys, now_us=local_us(now), look=NOTHING_QUIET)
    assert coverage.expected == expected
    assert coverage.gaps.missing.sum() == expected


def test_find_coverage_given_range_within_a_session_looks_no_further(xnys: SessionCalendar) -> None:
    """Half-open: the minute at the start is expected, the one at the end is not."""
    asked = TimeRange(local_us("2013-07-02 10:00"), local_us("2013-07-02 11:00"))
    stored = regular_minutes(xnys, WEEK)
    assert find_coverage(stored, MINUTE, asked, xnys, now_us=LONG_AFTER_US).count == 60
    coverage = find_coverage(stored[:0], MINUTE, asked, xnys, now_us=LONG_AFTER_US)
    assert gaps_of(coverage) == [("2013-07-02 10:00", "2013-07-02 11:00", 60)]


def test_find_coverage_given_range_between_minutes_expects_those_that_start_within(
    xnys: SessionCalendar,
) -> None:
    """From 10:00:30 to 10:02:30 the minutes of 10:01 and 10:02 start."""
    half = MINUTE_US // 2
    asked = TimeRange(local_us("2013-07-02 10:00") + half, local_us("2013-07-02 10:02") + half)
    nothing = np.empty(0, np.int64)
    coverage = find_coverage(nothing, MINUTE, asked, xnys, now_us=LONG_AFTER_US, look=NOTHING_QUIET)
    assert gaps_of(coverage) == [("2013-07-02 10:01", "2013-07-02 10:03", 2)]


def test_find_coverage_given_two_bars_in_one_slot_counts_both_and_one_present(
    xnys: SessionCalendar,
) -> None:
    """A vendor's hour of 10:00 lies in the session's hour of 09:30, which is there once."""
    stored = np.array([local_us("2013-07-02 09:30"), local_us("2013-07-02 10:00")])
    asked = TimeRange(local_us("2013-07-02 09:30"), local_us("2013-07-02 11:30"))
    coverage = find_coverage(stored, HOUR, asked, xnys, now_us=LONG_AFTER_US)
    assert (coverage.count, coverage.present, coverage.expected) == (2, 1, 2)
    assert gaps_of(coverage) == [("2013-07-02 10:30", "2013-07-02 11:30", 1)]


def test_find_coverage_given_range_before_the_calendar_says_what_was_searched() -> None:
    """Tokyo's sessions are known from 1997 on: of the years before nothing is said."""
    asked = dates_between("1990-01-01", "1997-02-01")
    stored = labels_of("1991-05-07")
    coverage = find_coverage(stored, DAY, asked, get_calendar("XTKS"), now_us=LONG_AFTER_US)
    assert (coverage.count, coverage.expected) == (1, 19)
    assert session_date(coverage.searched.start_us).isoformat() == "1997-01-06"


def test_find_coverage_given_crypto_expects_every_minute_of_every_day() -> None:
    """A market that never closes has the UTC days as sessions, weekends and all."""
    always = get_calendar("24/7")
    days = dates_between("2013-07-05", "2013-07-09")
    times_us = np.arange(days.start_us, days.end_us, MINUTE_US)
    stored = times_us[(times_us < times_us[2_000]) | (times_us >= times_us[2_060])]
    coverage = find_coverage(stored, MINUTE, days, always, now_us=LONG_AFTER_US)
    assert (coverage.expected, coverage.gaps.missing.tolist()) == (4 * 1_440, [60])
    stored = days.start_us + np.arange(4) * MICROSECONDS_PER_DAY
    assert len(find_coverage(stored, DAY, days, always, now_us=LONG_AFTER_US).gaps) == 0


def test_find_coverage_given_half_day_asked_by_session_counts_each(
    xnys: SessionCalendar,
) -> None:
    """What a heat map shows: stored and expected bars of each session."""
    stored = without(regular_minutes(xnys, WEEK), ("2013-07-02 12:00", "2013-07-03 11:00"))
    counts = counted(stored, MINUTE, WEEK, xnys)
    days = labels_of("2013-07-01", "2013-07-02", "2013-07-03", "2013-07-05")
    assert counts.label_us.tolist() == days.tolist()
    assert counts.expected.tolist() == [390, 390, 210, 390]
    assert counts.present.tolist() == [390, 150, 120, 390]
    week = dates_between("2013-07-01", "2013-07-06")
    daily = counted(labels_of("2013-07-03"), DAY, week, xnys)
    assert daily.present.tolist() == [0, 0, 1, 0]
    assert daily.expected.tolist() == [1, 1, 1, 1]


def test_quiet_us_is_longer_than_an_extended_volatility_halt() -> None:
    """A halt of 5 minutes, extended once by 5, is no gap."""
    assert QUIET_US > 10 * MINUTE_US
