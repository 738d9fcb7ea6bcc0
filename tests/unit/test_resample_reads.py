"""What resampling needs to be given: columns of the minutes, and the range of them."""

import numpy as np
import pytest

from marketdata.domain.bars import ALL_COLUMNS, COLUMN_DTYPES, BarColumn, BarFlag, BarFrame
from marketdata.domain.calendar import SessionCalendar
from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.resample import minute_range, resample, source_columns
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from tests.support.sessions import LONG_AFTER_US, dates_between, local_us, minutes_between, walk

FIVE, FIFTEEN, HOUR, DAY = (
    Timeframe.MINUTES_5,
    Timeframe.MINUTES_15,
    Timeframe.HOUR_1,
    Timeframe.DAY_1,
)
FIVE_MINUTES = minutes_between("2013-07-05 09:30", "2013-07-05 09:35")


@pytest.fixture(scope="module")
def xnys() -> SessionCalendar:
    """Get the calendar of New York."""
    return get_calendar("XNYS")


def test_resample_given_only_some_columns_makes_only_these_and_flags(xnys: SessionCalendar) -> None:
    """A column that was not read is not made up; flags are known anyway."""
    full = walk(FIVE_MINUTES)
    bars = resample(
        BarFrame(("AAPL",), full.time_us, close=full.close), FIVE, xnys, now_us=LONG_AFTER_US
    )
    present = {column for column in BarColumn if len(bars.column(column))}
    assert present == {BarColumn.TIME, BarColumn.CLOSE, BarColumn.FLAGS}
    assert bars.flags.tolist() == [BarFlag.DERIVED | BarFlag.FINAL]
    for column, dtype in COLUMN_DTYPES.items():
        assert bars.column(column).dtype == dtype


def test_source_columns_given_vwap_asks_for_volume_feed_and_flags() -> None:
    """What an answer needs beside what it shows; without volume there is no vwap."""
    wanted = source_columns(frozenset({BarColumn.VWAP}))
    assert wanted == {BarColumn.VWAP, BarColumn.VOLUME, BarColumn.FEED, BarColumn.FLAGS, BarColumn.TIME}
    assert source_columns(frozenset({BarColumn.CLOSE})) == {
        BarColumn.CLOSE,
        BarColumn.FLAGS,
        BarColumn.TIME,
    }
    assert source_columns(ALL_COLUMNS) == ALL_COLUMNS
    full = walk(FIVE_MINUTES)
    only = BarFrame(("AAPL",), full.time_us, vwap=full.vwap)
    with pytest.raises(ValueError, match="needs the minutes' volume"):
        resample(only, FIVE, get_calendar("XNYS"), now_us=LONG_AFTER_US)


@pytest.mark.parametrize("timeframe", [FIVE, FIFTEEN, HOUR, DAY])
def test_minute_range_given_labels_reads_all_minutes_of_their_bars(
    timeframe: Timeframe, xnys: SessionCalendar
) -> None:
    """Reading only these minutes makes the same bars of the range as reading all."""
    minutes = walk(minutes_between("2013-07-01 00:00", "2013-07-10 00:00"))
    if timeframe is DAY:
        labels = dates_between("2013-07-02", "2013-07-06")
    else:
        labels = TimeRange(local_us("2013-07-02 10:47"), local_us("2013-07-05 11:13"))
    every = resample(minutes, timeframe, xnys, now_us=LONG_AFTER_US)
    wanted = minute_range(labels, timeframe, xnys)
    inside = (minutes.time_us >= wanted.start_us) & (minutes.time_us < wanted.end_us)
    few = resample(minutes.take(inside), timeframe, xnys, now_us=LONG_AFTER_US)
    for bars in (every, few):
        assert len(bars) > 0
    picked = [
        bars.take((bars.time_us >= labels.start_us) & (bars.time_us < labels.end_us))
        for bars in (every, few)
    ]
    for column in BarColumn:
        np.testing.assert_array_equal(picked[0].column(column), picked[1].column(column))


def test_minute_range_given_no_session_is_empty(xnys: SessionCalendar) -> None:
    """A weekend has no day bar, so no minute is read for one."""
    assert minute_range(dates_between("2013-07-06", "2013-07-08"), DAY, xnys).is_empty
