"""Sessions of exchanges: which day a moment belongs to, and what part of it."""

from datetime import UTC, date, datetime

import exchange_calendars
import numpy as np
import pytest

from marketdata.domain.calendar import CalendarRangeError, SessionCalendar, SessionHours, SessionPart
from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.time_range import TimeRange, session_date, to_unix_us
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from tests.support.sessions import (
    LONG_AFTER_US,
    MINUTE_US,
    dates_between,
    labels_of,
    local_text,
    local_us,
    minutes_between,
)

TOKYO, HONG_KONG, CHICAGO = "Asia/Tokyo", "Asia/Hong_Kong", "America/Chicago"
OUTSIDE, PRE, REGULAR, AFTER = SessionPart


@pytest.fixture(scope="module")
def xnys() -> SessionCalendar:
    """Get the calendar of New York."""
    return get_calendar("XNYS")


def place(calendar: SessionCalendar, text: str) -> tuple[str, SessionPart]:
    """Tell the session and the part of a moment by the exchange's wall clock."""
    time_us = np.array([local_us(text, calendar.time_zone)])
    label_us = int(calendar.session_labels(time_us)[0])
    return str(session_date(label_us)), SessionPart(calendar.session_parts(time_us)[0])


def hours_of(calendar: SessionCalendar, session: str) -> list[str]:
    """Tell pre-market start, open, break, close and the end of after hours of a session."""
    row = int(np.searchsorted(calendar.label_us, labels_of(session)[0]))
    columns = (
        calendar.extended_start_us,
        calendar.open_us,
        calendar.break_start_us,
        calendar.break_end_us,
        calendar.close_us,
        calendar.extended_end_us,
    )
    return [local_text(int(column[row]), calendar.time_zone)[-5:] for column in columns]


def minutes_of(calendar: SessionCalendar, session: str) -> int:
    """Tell how many regular minutes a session has."""
    return int(calendar.expected_minutes[np.searchsorted(calendar.label_us, labels_of(session)[0])])


@pytest.mark.parametrize(
    ("moment", "session", "part"),
    [
        ("2013-07-05 03:59", "2013-07-05", OUTSIDE),
        ("2013-07-05 04:00", "2013-07-05", PRE),
        ("2013-07-05 09:29", "2013-07-05", PRE),
        ("2013-07-05 09:30", "2013-07-05", REGULAR),
        ("2013-07-05 15:59", "2013-07-05", REGULAR),
        ("2013-07-05 16:00", "2013-07-05", AFTER),
        ("2013-07-05 19:59", "2013-07-05", AFTER),
        ("2013-07-05 20:00", "2013-07-08", OUTSIDE),
        ("2013-07-06 12:00", "2013-07-08", OUTSIDE),
        ("2013-07-04 12:00", "2013-07-05", OUTSIDE),
    ],
)
def test_session_parts_given_new_york_moment_knows_pre_market_and_after_hours(
    moment: str, session: str, part: SessionPart, xnys: SessionCalendar
) -> None:
    """04:00, 09:30, 16:00 and 20:00 part a day; nights, weekends, holidays go to the next session."""
    assert place(xnys, moment) == (session, part)


@pytest.mark.parametrize("session", ["2012-11-23", "2013-07-03", "2012-12-24"])
def test_rule_4_half_day_given_early_close_has_210_minutes_and_after_hours_till_17(
    session: str, xnys: SessionCalendar
) -> None:
    """New York closes at 13:00 and its late sessions at 17:00."""
    assert hours_of(xnys, session) == ["04:00", "09:30", "13:00", "13:00", "13:00", "17:00"]
    assert minutes_of(xnys, session) == 210
    assert place(xnys, f"{session} 13:00") == (session, AFTER)
    assert place(xnys, f"{session} 17:00")[1] == OUTSIDE


def test_rule_4_unscheduled_closures_given_new_york_are_no_sessions(xnys: SessionCalendar) -> None:
    """11 September, hurricane Sandy and the days of mourning: nothing is expected."""
    for start, end, count in (
        ("2001-09-10", "2001-09-18", 2),
        ("2012-10-27", "2012-11-01", 1),
        ("2004-06-11", "2004-06-12", 0),
        ("2025-01-09", "2025-01-10", 0),
    ):
        rows = xnys.session_rows_in(dates_between(start, end))
        assert rows.stop - rows.start == count, start


@pytest.mark.parametrize(
    ("name", "session", "hours", "minutes"),
    [
        ("XTKS", "2013-07-03", ["00:00", "09:00", "11:30", "12:30", "15:00", "00:00"], 300),
        ("XTKS", "2024-11-05", ["00:00", "09:00", "11:30", "12:30", "15:30", "00:00"], 330),
        ("XHKG", "2013-07-03", ["00:00", "09:30", "12:00", "13:00", "16:00", "00:00"], 330),
        ("XHKG", "2012-12-24", ["00:00", "09:30", "12:00", "12:00", "12:00", "00:00"], 150),
        ("CMES", "2013-09-02", ["17:00", "17:00", "12:00", "12:00", "12:00", "17:00"], 1_140),
        ("CMES", "2013-09-03", ["17:00", "17:00", "17:00", "17:00", "17:00", "17:00"], 1_440),
        ("24/7", "2013-07-03", ["00:00", "00:00", "00:00", "00:00", "00:00", "00:00"], 1_440),
    ],
)
def test_rule_4_hours_given_calendar_are_its_own(
    name: str, session: str, hours: list[str], minutes: int
) -> None:
    """Lunch breaks, half days without one, futures from the evening before, and what never closes."""
    calendar = get_calendar(name)
    assert hours_of(calendar, session) == hours
    assert minutes_of(calendar, session) == minutes


@pytest.mark.parametrize(
    ("name", "moment", "session", "part"),
    [
        ("XTKS", "2013-07-03 08:59", "2013-07-03", PRE),
        ("XTKS", "2013-07-03 11:29", "2013-07-03", REGULAR),
        ("XTKS", "2013-07-03 11:30", "2013-07-03", OUTSIDE),
        ("XTKS", "2013-07-03 12:30", "2013-07-03", REGULAR),
        ("XTKS", "2013-07-03 15:00", "2013-07-03", AFTER),
        ("XHKG", "2013-07-03 16:08", "2013-07-03", AFTER),
        ("XLON", "2013-07-03 16:35", "2013-07-03", AFTER),
        ("CMES", "2013-09-01 17:00", "2013-09-02", REGULAR),
        ("CMES", "2013-09-02 14:00", "2013-09-02", AFTER),
        ("CMES", "2013-09-02 17:00", "2013-09-03", REGULAR),
        ("24/7", "2013-07-06 23:59", "2013-07-06", REGULAR),
        ("24/5", "2013-07-06 12:00", "2013-07-08", OUTSIDE),
    ],
)
def test_session_parts_given_other_calendar_takes_the_rest_of_the_date_as_extended(
    name: str, moment: str, session: str, part: SessionPart
) -> None:
    """A closing auction after the close belongs to its session; Sunday evening's futures to Monday."""
    assert place(get_calendar(name), moment) == (session, part)


@pytest.mark.parametrize(
    ("before", "after", "opens_utc"),
    [
        ("2013-03-08", "2013-03-11", ["14:30", "13:30"]),
        ("2013-11-01", "2013-11-04", ["13:30", "14:30"]),
    ],
)
def test_rule_5_dst_switch_given_new_york_moves_hours_in_utc_and_keeps_them_on_the_wall(
    before: str, after: str, opens_utc: list[str], xnys: SessionCalendar
) -> None:
    """Both switches: the open moves in UTC, 04:00 and 20:00 stay where they are by the clock."""
    for session, open_utc in zip((before, after), opens_utc, strict=True):
        row = int(np.searchsorted(xnys.label_us, labels_of(session)[0]))
        assert local_text(int(xnys.open_us[row]), "UTC") == f"{session} {open_utc}"
        assert hours_of(xnys, session) == ["04:00", "09:30", "16:00", "16:00", "16:00", "20:00"]
        assert place(xnys, f"{session} 04:00") == (session, PRE)
        assert place(xnys, f"{session} 19:59") == (session, AFTER)


def test_rule_2_session_label_given_evening_in_utc_of_the_next_day_is_the_trading_date(
    xnys: SessionCalendar,
) -> None:
    """19:30 in New York in winter is the next day in UTC, and still today's session."""
    time_us = np.array([to_unix_us(datetime(2013, 1, 9, 0, 30, tzinfo=UTC))])
    assert xnys.session_labels(time_us).tolist() == labels_of("2013-01-08").tolist()


@pytest.mark.parametrize("name", ["XNYS", "XTKS", "XHKG", "XLON", "CMES", "24/7", "24/5", "BVMF"])
def test_spans_given_calendar_cover_time_without_gap_or_overlap(name: str) -> None:
    """Every moment has exactly one span, and the regular ones add up to the expected minutes."""
    calendar = get_calendar(name)
    spans = calendar.spans
    assert np.array_equal(spans.end_us[:-1], spans.start_us[1:])
    assert np.all(spans.start_us < spans.end_us)
    regular = spans.take(spans.part == SessionPart.REGULAR)
    minutes = np.bincount(regular.session, weights=(regular.end_us - regular.start_us) // MINUTE_US)
    first = int(regular.session[0])
    assert np.array_equal(minutes[first:], calendar.expected_minutes[first:])
    assert np.array_equal(np.unique(spans.session), np.arange(first, len(calendar.label_us)))


@pytest.mark.parametrize("name", ["XNYS", "XTKS", "CMES"])
def test_in_hours_given_random_minutes_agrees_with_exchange_calendars(name: str) -> None:
    """Oracle: `is_open_on_minute` of the library that the calendar was made from."""
    calendar, oracle = get_calendar(name), exchange_calendars.get_calendar(name)
    random = np.random.default_rng(3)
    first, last = labels_of("2010-01-01", "2020-01-01") // MINUTE_US
    times_us = random.integers(first, last, 400) * MINUTE_US
    times_us[:100] = random.choice(calendar.open_us[-8_000:-7_000], 100)
    times_us[100:200] = random.choice(calendar.close_us[-8_000:-7_000], 100)
    regular = calendar.in_hours(times_us, SessionHours.REGULAR).tolist()
    instants = times_us.astype("datetime64[us]")
    assert regular == [oracle.is_open_on_minute(str(instant)) for instant in instants]


@pytest.mark.parametrize("name", ["XNYS", "XTKS", "24/7"])
def test_locate_given_any_order_finds_the_same_spans(name: str) -> None:
    """Ascending, descending, shuffled and one by one: each way of searching agrees."""
    calendar = get_calendar(name)
    times_us = minutes_between("2013-03-01 00:00", "2013-03-20 00:00", "UTC")
    located = calendar.locate(times_us)
    plain = np.searchsorted(calendar.spans.start_us, times_us, side="right") - 1
    assert np.array_equal(located, plain)
    assert np.array_equal(calendar.locate(times_us[::-1]), located[::-1])
    rows = np.random.default_rng(1).permutation(len(times_us))
    assert np.array_equal(calendar.locate(times_us[rows]), located[rows])
    assert [int(calendar.locate(times_us[i : i + 1])[0]) for i in rows[:20]] == located[
        rows[:20]
    ].tolist()
    far_apart = times_us[[0, -1]] + np.array([0, 3_650 * MICROSECONDS_PER_DAY])
    assert calendar.locate(far_apart)[0] == located[0]
    assert len(calendar.locate(times_us[:0])) == 0


def test_session_labels_given_moment_beyond_the_calendar_raises_calendar_range_error(
    xnys: SessionCalendar,
) -> None:
    """Before and after what is known there is no guess, and the message says what is known."""
    known = xnys.intraday_range
    for time_us in (known.start_us - 1, known.end_us):
        with pytest.raises(
            CalendarRangeError, match=r"XNYS knows sessions from 19.* to 2049-12-31 only"
        ):
            xnys.session_labels(np.array([time_us]))
    assert len(xnys.session_labels(np.array([known.start_us, known.end_us - 1]))) == 2


@pytest.mark.parametrize("hours", list(SessionHours))
def test_in_hours_given_day_of_new_york_counts_its_minutes(
    hours: SessionHours, xnys: SessionCalendar
) -> None:
    """390 regular and 570 extended minutes; all is also what lies outside."""
    times_us = minutes_between("2013-07-05 00:00", "2013-07-06 00:00")
    expected = {SessionHours.REGULAR: 390, SessionHours.EXTENDED: 570, SessionHours.ALL: 1_440}
    assert int(xnys.in_hours(times_us, hours).sum()) == expected[hours]


def test_has_ended_given_moment_is_true_from_the_close_on(xnys: SessionCalendar) -> None:
    """A session ends at its own close; a date that is none, with its UTC day."""
    labels = labels_of("2013-07-02", "2013-07-03", "2013-07-04", "2013-07-05")
    for moment, ended in (
        ("2013-07-03 12:59", [True, False, False, False]),
        ("2013-07-03 13:00", [True, True, False, False]),
        ("2013-07-04 20:00", [True, True, True, False]),
        ("2013-07-05 16:00", [True, True, True, True]),
    ):
        assert xnys.has_ended(labels, local_us(moment)).tolist() == ended, moment


def test_previous_labels_given_dates_skips_weekends_and_holidays(xnys: SessionCalendar) -> None:
    """The session before a date, be it a session or not."""
    dates = labels_of("2013-07-05", "2013-07-04", "2013-07-08", "2001-09-17", "2013-07-07")
    expected = labels_of("2013-07-03", "2013-07-03", "2013-07-05", "2001-09-10", "2013-07-05")
    assert xnys.previous_labels(dates).tolist() == expected.tolist()


@pytest.mark.parametrize("day", ["1900-01-01", "2050-06-01"])
def test_previous_labels_given_date_beyond_the_calendar_raises_calendar_range_error(
    day: str, xnys: SessionCalendar
) -> None:
    """Where no session before is known, none is made up."""
    with pytest.raises(CalendarRangeError):
        xnys.previous_labels(labels_of(day))


@pytest.mark.parametrize(
    ("timeframe", "end", "now", "expected"),
    [
        (Timeframe.DAY_1, "2013-07-06", "2020-01-01 00:00", date(2013, 7, 5)),
        (Timeframe.DAY_1, "2013-07-05", "2020-01-01 00:00", date(2013, 7, 3)),
        (Timeframe.DAY_1, "2030-01-01", "2013-07-03 21:00", date(2013, 7, 3)),
        (Timeframe.DAY_1, "2030-01-01", "2013-07-05 03:59", date(2013, 7, 3)),
        (Timeframe.DAY_1, "2030-01-01", "2013-07-05 04:00", date(2013, 7, 5)),
        (Timeframe.MINUTE_1, "2030-01-01", "2013-07-05 03:59", date(2013, 7, 3)),
        (Timeframe.DAY_1, "1899-01-01", "2013-07-05 03:59", None),
    ],
)
def test_rule_9_last_session_given_range_and_now_is_the_last_that_has_begun(
    timeframe: Timeframe, end: str, now: str, expected: date | None, xnys: SessionCalendar
) -> None:
    """Tomorrow's ex-date does not count tonight, although in UTC tomorrow has come."""
    end_us = int(labels_of(end)[0])
    assert xnys.last_session(timeframe, end_us, local_us(now)) == expected


def test_last_session_given_intraday_end_counts_a_session_that_starts_before_it(
    xnys: SessionCalendar,
) -> None:
    """A range that ends at 04:00 does not touch the session that starts then."""
    for end, expected in (("04:00", date(2013, 7, 3)), ("04:01", date(2013, 7, 5))):
        end_us = local_us(f"2013-07-05 {end}")
        assert xnys.last_session(Timeframe.MINUTE_1, end_us, LONG_AFTER_US) == expected


@pytest.mark.parametrize("timeframe", [Timeframe.MINUTE_1, Timeframe.DAY_1])
def test_last_session_given_time_beyond_the_calendar_takes_every_date_for_one(
    timeframe: Timeframe,
) -> None:
    """An outdated calendar must not hide an action: it counts, or is reported as unadjustable."""
    later = local_us("2060-02-03 12:00", "UTC")
    for end_us, now_us in ((later, LONG_AFTER_US * 2), (LONG_AFTER_US * 2, later)):
        assert get_calendar("XNYS").last_session(timeframe, end_us, now_us) == date(2060, 2, 3)


def test_session_rows_in_given_empty_range_is_an_empty_slice(xnys: SessionCalendar) -> None:
    """Half-open: a range that ends on a session's label does not have it."""
    assert len(xnys.label_us[xnys.session_rows_in(dates_between("2013-07-03", "2013-07-04"))]) == 1
    label_us = int(labels_of("2013-07-03")[0])
    assert len(xnys.label_us[xnys.session_rows_in(TimeRange(label_us, label_us))]) == 0
