"""The sample's sessions against the published closing rules of the New York Stock Exchange."""

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pytest

from marketdata.providers.sample.source import fetch_sample_stocks

# Easter Sunday minus two days.
GOOD_FRIDAYS = (
    "2000-04-21 2001-04-13 2002-03-29 2003-04-18 2004-04-09 2005-03-25 2006-04-14"
    " 2007-04-06 2008-03-21 2009-04-10 2010-04-02 2011-04-22 2012-04-06 2013-03-29"
)
# Attacks of 11 September; days of mourning for Presidents Reagan and Ford; hurricane Sandy.
UNSCHEDULED = "2001-09-11 2001-09-12 2001-09-13 2001-09-14 2004-06-11 2007-01-02 2012-10-29 2012-10-30"
# (month, which one, weekday): Martin Luther King, Presidents, Labor, Thanksgiving.
NTH_WEEKDAYS = ((1, 3, "Mon"), (2, 3, "Mon"), (9, 1, "Mon"), (11, 4, "Thu"))


def nth_weekday(year: int, month: int, nth: int, weekday: str) -> np.datetime64:
    """Return the nth weekday of a month; the last of the month before for nth = 0."""
    return np.busday_offset(f"{year}-{month:02}", nth - 1, roll="forward", weekmask=weekday)


def observed(day: date) -> np.datetime64:
    """Move a holiday from Sunday to Monday and from Saturday to Friday."""
    return np.datetime64(day + timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0)))


def holidays(year: int) -> list[np.datetime64]:
    """List the scheduled closures of a year; a New Year's Day on Saturday is not made up for."""
    fixed = [date(year, 7, 4), date(year, 12, 25)]
    if date(year, 1, 1).weekday() != 5:
        fixed.append(date(year, 1, 1))
    memorial_day = nth_weekday(year, 6, 0, "Mon")
    nth = [nth_weekday(year, *rule) for rule in NTH_WEEKDAYS]
    return [memorial_day, *nth, *map(observed, fixed)]


@pytest.fixture(scope="module")
def nyse_sessions() -> npt.NDArray[np.datetime64]:
    """All sessions from 2000-03-01 to 2013-03-01."""
    closed = [day for year in range(2000, 2014) for day in holidays(year)]
    closed += [np.datetime64(day) for day in f"{GOOD_FRIDAYS} {UNSCHEDULED}".split()]
    days = np.arange(np.datetime64("2000-03-01"), np.datetime64("2013-03-02"))
    return days[np.is_busday(days, holidays=closed)]


def test_sample_given_each_stock_has_a_bar_for_exactly_the_nyse_sessions(
    nyse_sessions: npt.NDArray[np.datetime64],
) -> None:
    """From its first bar on no stock misses a session, and none has a bar on a closed day."""
    for stock in fetch_sample_stocks():
        sessions = stock.bars.time_us.astype("datetime64[us]").astype("datetime64[D]")
        expected = nyse_sessions[nyse_sessions >= sessions[0]]
        assert np.array_equal(sessions, expected), stock.symbol.symbol
