"""The calendar of what is stored: every session in its place, by marks and not by colours alone."""

from datetime import date

import numpy as np
import pytest

from marketdata.cli.heat_map import heat_map, legend
from marketdata.domain.bars import Int64Array
from marketdata.domain.coverage import SessionCounts
from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.gaps import GapReason
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY
from tests.support.sessions import dates_between

NARROW = 60


def labels(*dates: str) -> Int64Array:
    """Give the labels of session dates."""
    days = [(date.fromisoformat(text) - date(1970, 1, 1)).days for text in dates]
    return np.array(days, np.int64) * MICROSECONDS_PER_DAY


def counted(
    label_us: Int64Array,
    present: int = 1,
    expected: int = 1,
    *,
    quarantined: int = 0,
    derived: int = 0,
    reason: int = 0,
) -> SessionCounts:
    """Give sessions that all have the same counts."""
    n = len(label_us)
    return SessionCounts(
        label_us,
        present=np.full(n, present),
        expected=np.full(n, expected),
        quarantined=np.full(n, quarantined),
        derived=np.full(n, derived),
        reason=np.full(n, reason, np.int8),
    )


def legend_text() -> str:
    """Give the legend without styles."""
    return "\n".join(line.plain for line in legend())


def lines_of(sessions: SessionCounts, columns: int = NARROW) -> list[str]:
    """Draw sessions without styles."""
    return [line.plain for line in heat_map(sessions, columns)]


def test_heat_map_given_a_date_puts_it_into_its_week_and_weekday() -> None:
    """The first of January 2024 is a Monday: the weeks of that year begin with it."""
    lines = lines_of(counted(labels("2024-01-01", "2024-01-09", "2024-12-31")))
    assert lines[0] == "2024  3 of 3 bars"
    assert lines[2:4] == [f"Mon ■{' ' * 52}".rstrip(), f"Tue {' '}■{' ' * 50}■"]
    assert lines[4:] == ["Wed", "Thu", "Fri", ""]


def test_heat_map_given_year_that_begins_on_a_sunday_has_its_week_alone() -> None:
    """2 January 2023 is a Monday and stands in the second week; so does the Friday behind it."""
    lines = lines_of(counted(labels("2023-01-02", "2023-01-06")))
    assert (lines[2], lines[6]) == ("Mon  ■", "Fri  ■")


def test_heat_map_given_a_month_writes_its_name_over_its_first_week() -> None:
    """1 January 2023 is a Sunday: 1 February lies in the sixth week, counted from 0 the fifth."""
    months = lines_of(counted(labels("2023-02-01")))[1]
    assert months.index("Feb") == 4 + (31 + 6) // 7


@pytest.mark.parametrize(
    ("present", "mark"),
    [(390, "■"), (389, "◆"), (351, "◆"), (350, "◇"), (195, "◇"), (194, "·"), (1, "·"), (0, "x")],
)
def test_heat_map_given_share_marks_it(present: int, mark: str) -> None:
    """Only all is all; the bounds belong to the better level, and the legend knows every mark."""
    lines = lines_of(counted(labels("2024-01-02"), present, 390))
    assert lines[3] == f"Tue {mark}"
    assert f"{mark} " in legend_text()


@pytest.mark.parametrize(
    ("reason", "mark"),
    [
        (0, "x"), (GapReason.MISSING, "x"), (GapReason.FAILED, "F"), (GapReason.NO_TRADES, "N"),
        (GapReason.PROVIDER_HAS_NONE, "P"), (GapReason.BEYOND_HISTORY, "H"),
        (GapReason.QUARANTINED, "Q"),
    ],
)  # fmt: skip
def test_heat_map_given_no_bar_marks_why(reason: int, mark: str) -> None:
    """Each reason has a letter of its own, which the legend explains."""
    label_us = labels("2024-01-02")
    assert lines_of(counted(label_us, 0, 390, reason=reason))[3] == f"Tue {mark}"
    assert f"{mark} " in legend_text()
    # What is there in part says so; the table of gaps has the reasons of the rest.
    assert lines_of(counted(label_us, 200, 390, reason=reason))[3] == "Tue ◇"


def test_heat_map_given_quarantined_or_derived_bars_marks_them() -> None:
    """One bar in quarantine is enough; made from minutes is what has no bar of its own."""
    label_us = labels("2024-01-02")
    assert lines_of(counted(label_us, 389, 390, quarantined=1))[3] == "Tue Q"
    assert lines_of(counted(label_us, 0, 1, derived=1, reason=GapReason.FAILED))[3] == "Tue D"
    assert lines_of(counted(label_us, 5, 7, derived=2, reason=GapReason.MISSING))[3] == "Tue ◇"
    assert all(f"{mark} " in legend_text() for mark in "QD")


def test_legend_given_all_marks_has_each_once() -> None:
    """A mark with two meanings would have none."""
    marks = [part[0] for line in legend_text().splitlines() for part in line.split("   ")]
    assert len(marks) == len(set(marks)) == 12


def test_heat_map_given_years_of_new_york_leaves_holidays_blank() -> None:
    """As many marks as sessions; the fourth of July has none."""
    calendar = get_calendar("XNYS")
    sessions = calendar.label_us[calendar.session_rows_in(dates_between("2012-01-01", "2014-01-01"))]
    lines = lines_of(counted(sessions))
    assert "".join(lines).count("■") == len(sessions)
    assert max(len(line) for line in lines) <= NARROW
    whole = lines_of(
        counted(
            np.append(sessions, labels("2012-07-04"))[
                np.argsort(np.append(sessions, labels("2012-07-04")))
            ]
        )
    )
    different = [(a, b) for a, b in zip(lines, whole, strict=True) if a != b]
    assert [pair[1][:3] for pair in different] == ["201", "Wed"]


def test_heat_map_given_room_puts_years_side_by_side() -> None:
    """What takes two blocks of lines in 60 columns takes one in 120."""
    sessions = counted(labels("2023-01-03", "2024-01-02"))
    narrow, wide = lines_of(sessions), lines_of(sessions, 120)
    assert len(narrow) == 2 * len(wide)
    assert wide[0].split("  ")[0] == "2023"
    assert wide[3].split() == ["Tue", "■", "Tue", "■"]
    assert max(len(line) for line in wide) <= 120


def test_heat_map_given_sessions_on_weekends_has_seven_lines() -> None:
    """What never closes has Saturdays and Sundays, in a year between two as well."""
    lines = lines_of(counted(labels("2022-01-01", "2024-01-07")))
    assert [line[:3] for line in lines if line.startswith("Sun")] == ["Sun"] * 3
    assert "2023  0 of 0 bars" in lines
