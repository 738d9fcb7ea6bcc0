"""Coverage against an oracle that walks over every expected minute."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata.domain.bars import Int64Array
from marketdata.domain.calendar import SessionHours
from marketdata.domain.coverage import CoverageLook, find_coverage
from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.timeframe import Timeframe
from tests.support.sessions import LONG_AFTER_US, MINUTE_US, dates_between


def slow_gaps(
    stored: set[int], expected: Int64Array, sessions: Int64Array, quiet: int
) -> list[tuple[int, int]]:
    """List gaps as (first missing, how many) by walking over every expected minute."""
    runs: list[list[int]] = []
    for session in dict.fromkeys(sessions.tolist()):
        of_session = np.flatnonzero(sessions == session).tolist()
        run: list[int] = []
        found = []
        for position in [*of_session, -1]:
            if position >= 0 and int(expected[position]) not in stored:
                run.append(position)
            elif run:
                found.append(run)
                run = []
        runs += [r for r in found if len(r) > quiet or len(r) == len(of_session)]
    joined: list[list[int]] = []
    for run in runs:
        if joined and joined[-1][-1] + 1 == run[0]:
            joined[-1] += run
        else:
            joined.append(list(run))
    return [(int(expected[run[0]]), len(run)) for run in joined]


@settings(max_examples=60)
@given(
    name=st.sampled_from(["XNYS", "XHKG"]),
    holes=st.lists(st.tuples(st.integers(0, 1_400), st.integers(1, 700)), max_size=6),
    quiet=st.sampled_from([0, 3, 15]),
)
def test_property_gaps_equal_those_of_walking_over_every_minute(
    name: str, holes: list[tuple[int, int]], quiet: int
) -> None:
    """Oracle: plain Python over every expected minute of four sessions around a half day."""
    calendar = get_calendar(name)
    week = dates_between("2012-12-20", "2012-12-28")
    every = np.arange(week.start_us, week.end_us, MINUTE_US)
    expected = every[calendar.in_hours(every, SessionHours.REGULAR)]
    kept = np.ones(len(expected), np.bool_)
    for start, length in holes:
        kept[start : start + length] = False
    stored = expected[kept]
    coverage = find_coverage(
        stored,
        Timeframe.MINUTE_1,
        week,
        calendar,
        now_us=LONG_AFTER_US,
        look=CoverageLook(quiet_us=quiet * MINUTE_US),
    )
    sessions = calendar.session_labels(expected)
    slow = slow_gaps(set(stored.tolist()), expected, sessions, quiet)
    gaps = coverage.gaps
    assert list(zip(gaps.start_us.tolist(), gaps.missing.tolist(), strict=True)) == slow
    assert coverage.expected == len(expected)
    assert coverage.present == len(stored)
