"""Coarser bars from minutes, rule by rule."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from marketdata.domain.bars import BarColumn, BarFlag, BarFrame
from marketdata.domain.calendar import CalendarRangeError, SessionCalendar, SessionHours
from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.resample import resample
from marketdata.domain.time_range import to_unix_us
from marketdata.domain.timeframe import Timeframe
from tests.support.sessions import (
    LONG_AFTER_US,
    MINUTE_US,
    clock_times,
    labels_of,
    local_us,
    minutes_between,
    side_by_side,
    walk,
)

FIVE, FIFTEEN, HOUR, DAY = (
    Timeframe.MINUTES_5,
    Timeframe.MINUTES_15,
    Timeframe.HOUR_1,
    Timeframe.DAY_1,
)
ROUND_THE_CLOCK = minutes_between("2013-07-05 00:00", "2013-07-06 00:00")
FIVE_MINUTES = minutes_between("2013-07-05 09:30", "2013-07-05 09:35")


@pytest.fixture(scope="module")
def xnys() -> SessionCalendar:
    """Get the calendar of New York."""
    return get_calendar("XNYS")


def one_bar(xnys: SessionCalendar, **columns: Any) -> BarFrame:
    """Make one 5-minute bar of five minutes with these columns."""
    bar = resample(walk(FIVE_MINUTES, **columns), FIVE, xnys, now_us=LONG_AFTER_US)
    assert len(bar) == 1
    return bar


def test_resample_given_five_minutes_summarises_them(xnys: SessionCalendar) -> None:
    """First, highest, lowest and last price; sizes summed; the average weighted by volume."""
    bar = one_bar(
        xnys,
        open=[10.0, 11.0, 12.0, 11.0, 10.0],
        high=[12.0, 13.0, 15.0, 12.0, 11.0],
        low=[9.0, 10.0, 11.0, 8.0, 9.5],
        close=[11.0, 12.0, 11.0, 10.0, 10.5],
        volume=[100.0, 0.0, 300.0, 0.0, 100.0],
        vwap=[10.5, np.nan, 12.0, np.nan, 10.0],
        trade_count=np.array([1, 0, 3, 0, 1]),
        revision=np.array([0, 2, 0, 1, 0], np.int32),
    )
    row = [bar.column(column)[0] for column in BarColumn]
    flags = BarFlag.DERIVED | BarFlag.FINAL
    expected = [local_us("2013-07-05 09:30"), 10.0, 15.0, 8.0, 10.5, 500.0, 11.3, 5, 0, flags, 3]
    assert row == expected
    assert bar.feeds == walk(FIVE_MINUTES).feeds


def test_rule_1_label_given_hours_of_new_york_is_the_open_of_each(xnys: SessionCalendar) -> None:
    """Labelled left: the hour of 09:30 runs to 10:30."""
    bars = resample(walk(ROUND_THE_CLOCK), HOUR, xnys, now_us=LONG_AFTER_US)
    assert clock_times(bars.time_us) == ["09:30", "10:30", "11:30", "12:30", "13:30", "14:30", "15:30"]


def test_rule_3_last_bar_given_half_hour_before_the_close_is_short(xnys: SessionCalendar) -> None:
    """The hour of 15:30 ends at 16:00: it is final then, and holds 30 minutes."""
    minutes = walk(ROUND_THE_CLOCK, trade_count=np.ones(1_440, np.int64))
    bars = resample(minutes, HOUR, xnys, now_us=local_us("2013-07-05 16:00"))
    assert bars.trade_count.tolist() == [60] * 6 + [30]
    assert np.all(bars.flags & BarFlag.FINAL)


def test_rule_3_regular_hours_given_minutes_round_the_clock_leave_extended_ones_out(
    xnys: SessionCalendar,
) -> None:
    """By default only regular hours make bars, of hours and of days."""
    minutes = walk(ROUND_THE_CLOCK)
    regular = minutes.take(np.arange(570, 960))
    for timeframe in (FIVE, FIFTEEN, HOUR, DAY):
        bars = resample(minutes, timeframe, xnys, now_us=LONG_AFTER_US)
        assert bars.volume.sum() == regular.volume.sum()
        assert bars.open[0] == regular.open[0]
        assert bars.close[-1] == regular.close[-1]
        assert not np.any(bars.flags & BarFlag.EXTENDED_SESSION)


def test_rule_3_extended_hours_given_asked_for_are_bars_apart(xnys: SessionCalendar) -> None:
    """Pre-market from 04:00, after hours from the close, flagged; ALL is both kinds, never mixed."""
    minutes = walk(ROUND_THE_CLOCK)
    extended = resample(minutes, HOUR, xnys, now_us=LONG_AFTER_US, hours=SessionHours.EXTENDED)
    before = ["04:00", "05:00", "06:00", "07:00", "08:00", "09:00"]
    assert clock_times(extended.time_us) == [*before, "16:00", "17:00", "18:00", "19:00"]
    assert np.all(extended.flags & BarFlag.EXTENDED_SESSION)
    assert extended.close[5] == minutes.close[9 * 60 + 29]
    everything = resample(minutes, HOUR, xnys, now_us=LONG_AFTER_US, hours=SessionHours.ALL)
    regular = resample(minutes, HOUR, xnys, now_us=LONG_AFTER_US)
    assert sorted([*extended.time_us, *regular.time_us]) == everything.time_us.tolist()
    assert everything.volume.sum() == extended.volume.sum() + regular.volume.sum()


def test_resample_given_day_bars_of_extended_hours_raises_value_error(xnys: SessionCalendar) -> None:
    """Before and after the session is no stretch of time; ALL gives the regular day."""
    minutes = walk(ROUND_THE_CLOCK)
    with pytest.raises(ValueError, match="no day bars of extended hours"):
        resample(minutes, DAY, xnys, now_us=LONG_AFTER_US, hours=SessionHours.EXTENDED)
    both = [
        resample(minutes, DAY, xnys, now_us=LONG_AFTER_US, hours=hours)
        for hours in (SessionHours.ALL, SessionHours.REGULAR)
    ]
    assert both[0].volume.tolist() == both[1].volume.tolist()


def test_rule_4_half_day_given_hours_ends_with_a_short_bar_at_13(xnys: SessionCalendar) -> None:
    """On the day before Independence Day 2013 the last hour starts at 12:30."""
    minutes = walk(minutes_between("2013-07-03 09:30", "2013-07-03 16:00"))
    bars = resample(minutes, HOUR, xnys, now_us=LONG_AFTER_US)
    assert clock_times(bars.time_us) == ["09:30", "10:30", "11:30", "12:30"]
    after = resample(minutes, HOUR, xnys, now_us=LONG_AFTER_US, hours=SessionHours.EXTENDED)
    assert clock_times(after.time_us) == ["13:00", "14:00", "15:00"]


@pytest.mark.parametrize(
    ("name", "zone", "times"),
    [
        ("XTKS", "Asia/Tokyo", ["09:00", "10:00", "11:00", "12:30", "13:30", "14:30"]),
        ("XHKG", "Asia/Hong_Kong", ["09:30", "10:30", "11:30", "13:00", "14:00", "15:00"]),
    ],
)
def test_rule_4_lunch_break_given_hours_starts_anew_after_it(
    name: str, zone: str, times: list[str]
) -> None:
    """No hour spans the break; the day does. Minutes in the break belong to none."""
    calendar = get_calendar(name)
    minutes = walk(minutes_between("2013-07-03 00:00", "2013-07-04 00:00", zone))
    hours = resample(minutes, HOUR, calendar, now_us=LONG_AFTER_US)
    assert clock_times(hours.time_us, zone) == times
    day = resample(minutes, DAY, calendar, now_us=LONG_AFTER_US)
    assert day.time_us.tolist() == labels_of("2013-07-03").tolist()
    assert day.volume.tolist() == [hours.volume.sum()]
    assert (day.open[0], day.close[0]) == (hours.open[0], hours.close[-1])


@pytest.mark.parametrize(("session", "open_utc"), [("2013-03-08", 14), ("2013-03-11", 13)])
def test_rule_5_dst_switch_given_hours_stay_at_half_past_by_the_wall_clock(
    session: str, open_utc: int, xnys: SessionCalendar
) -> None:
    """Around the switch the bars move in UTC, not in New York."""
    minutes = walk(minutes_between(f"{session} 09:00", f"{session} 16:00"))
    bars = resample(minutes, HOUR, xnys, now_us=LONG_AFTER_US)
    assert clock_times(bars.time_us)[0] == "09:30"
    year, month, day = map(int, session.split("-"))
    opened = datetime(year, month, day, open_utc, 30, tzinfo=UTC)
    assert bars.time_us[0] == to_unix_us(opened)


@pytest.mark.parametrize(
    ("timeframe", "now", "final"),
    [
        (FIVE, "09:34", [False]),
        (FIVE, "09:35", [True]),
        (HOUR, "10:29", [False]),
        (HOUR, "10:30", [True]),
        (DAY, "15:59", [False]),
        (DAY, "16:00", [True]),
    ],
)
def test_rule_6_bar_given_end_not_reached_is_not_final(
    timeframe: Timeframe, now: str, final: list[bool], xnys: SessionCalendar
) -> None:
    """A bar can grow until its end, and the day until the close."""
    bars = resample(walk(FIVE_MINUTES), timeframe, xnys, now_us=local_us(f"2013-07-05 {now}"))
    assert (bars.flags & BarFlag.FINAL > 0).tolist() == final


def test_rule_6_bar_given_minute_that_is_not_final_is_not_final(xnys: SessionCalendar) -> None:
    """A forming minute keeps its bar open, whatever the clock says."""
    flags = np.array([1, 1, 1, 1, 0], np.int16)
    assert one_bar(xnys, flags=flags).flags.tolist() == [int(BarFlag.DERIVED)]


def test_rule_7_stretch_without_minutes_makes_no_bar(xnys: SessionCalendar) -> None:
    """Nothing is filled: ten quiet minutes are two bars fewer."""
    times = np.concatenate([FIVE_MINUTES, FIVE_MINUTES + 15 * MINUTE_US])
    bars = resample(walk(times), FIVE, xnys, now_us=LONG_AFTER_US)
    assert clock_times(bars.time_us) == ["09:30", "09:45"]


def test_rule_8_derived_bars_say_so(xnys: SessionCalendar) -> None:
    """Rolled-up bars are marked, so that a provider's bar can win over them."""
    for timeframe in (FIVE, FIFTEEN, HOUR, DAY):
        bars = resample(walk(ROUND_THE_CLOCK), timeframe, xnys, now_us=LONG_AFTER_US)
        assert np.all(bars.flags & BarFlag.DERIVED)


@pytest.mark.parametrize(
    ("columns", "volume", "vwap", "trade_count"),
    [
        ({"volume": [1.0, np.nan, 1, 1, 1]}, None, None, 10),
        ({"vwap": [1.0, np.nan, 1, 1, 1]}, 5.0, None, 10),
        ({"volume": [1.0, 0, 1, 1, 1], "vwap": [1.0, np.nan, 1, 1, 1]}, 4.0, 1.0, 10),
        ({"volume": [0.0] * 5}, 0.0, None, 10),
        ({"trade_count": [2, -1, 2, 2, 2]}, 5.0, 2.0, -1),
    ],
)
def test_resample_given_missing_sizes_leaves_the_sum_missing(
    columns: dict[str, Any],
    volume: float | None,
    vwap: float | None,
    trade_count: int,
    xnys: SessionCalendar,
) -> None:
    """A sum that lacks a part would be too small without a word; a minute without volume weighs 0."""
    sizes = {"volume": [1.0] * 5, "vwap": [2.0] * 5, "trade_count": [2] * 5} | columns
    bar = one_bar(xnys, **sizes)
    assert bar.volume[0] == volume or (volume is None and np.isnan(bar.volume[0]))
    assert bar.vwap[0] == vwap or (vwap is None and np.isnan(bar.vwap[0]))
    assert bar.trade_count[0] == trade_count


def test_rule_17_volumes_given_minutes_of_two_feeds_are_not_merged(xnys: SessionCalendar) -> None:
    """Prices of both, sizes of none, the name of the lower-ranked feed; a pure bar keeps its own."""
    times = minutes_between("2013-07-05 09:30", "2013-07-05 09:40")
    feed = np.array([0] * 4 + [1] + [0] * 5, np.int16)
    minutes = walk(times, feed=feed)
    bars = resample(minutes, FIVE, xnys, now_us=LONG_AFTER_US, feed_ranks={0: 20, 1: 10})
    assert bars.feed.tolist() == [1, 0]
    assert bars.high.tolist() == [minutes.high[:5].max(), minutes.high[5:].max()]
    assert np.isnan(bars.volume).tolist() == np.isnan(bars.vwap).tolist() == [True, False]
    assert bars.trade_count.tolist() == [-1, minutes.trade_count[5:].sum()]


@pytest.mark.parametrize(("ranks", "lowest"), [({0: 1, 1: 2, 2: 3}, 0), ({0: 3, 2: 3}, 1), ({}, 0)])
def test_rule_17_mixed_bar_given_ranks_names_the_lowest_feed(
    ranks: dict[int, int], lowest: int, xnys: SessionCalendar
) -> None:
    """A feed without a rank is the lowest; among equals the smaller key."""
    minutes = walk(FIVE_MINUTES, feed=np.array([2, 1, 0, 1, 2], np.int16))
    assert resample(minutes, FIVE, xnys, now_us=LONG_AFTER_US, feed_ranks=ranks).feed.tolist() == [
        lowest
    ]


def test_rule_18_revision_given_revised_minutes_grows_with_each(xnys: SessionCalendar) -> None:
    """The sum of the minutes' revisions rises whenever one of them is revised."""
    before = one_bar(xnys, revision=np.array([0, 1, 0, 0, 0], np.int32))
    after = one_bar(xnys, revision=np.array([0, 1, 0, 1, 0], np.int32))
    assert (before.revision[0], after.revision[0]) == (1, 2)
    assert one_bar(xnys).revision.tolist() == [0]


def test_resample_given_two_symbols_of_the_same_minutes_keeps_them_apart(xnys: SessionCalendar) -> None:
    """The last bar of one and the first of the next may share a time, as on a symbol's only day."""
    frames = [walk(FIVE_MINUTES, seed, symbol) for seed, symbol in enumerate(("A", "B"))]
    bars = resample(side_by_side(frames), FIVE, xnys, now_us=LONG_AFTER_US)
    assert bars.symbol_index.tolist() == [0, 1]
    assert bars.close.tolist() == [frame.close[-1] for frame in frames]


@pytest.mark.parametrize("times", [ROUND_THE_CLOCK[:0], ROUND_THE_CLOCK[:100]])
def test_resample_given_nothing_within_the_hours_is_empty(times: Any, xnys: SessionCalendar) -> None:
    """No minutes, or only minutes of the night, make no bars."""
    bars = resample(walk(times), HOUR, xnys, now_us=LONG_AFTER_US)
    assert (len(bars), bars.symbols) == (0, ("AAPL",))


@pytest.mark.parametrize("rows", [[1, 0], [0, 0]])
def test_resample_given_rows_out_of_order_raises_value_error(
    rows: list[int], xnys: SessionCalendar
) -> None:
    """Descending or doubled times would make wrong opens and closes without a word."""
    minutes = walk(FIVE_MINUTES).take(np.array(rows))
    with pytest.raises(ValueError, match="grouped by symbol, ascending by time"):
        resample(minutes, FIVE, xnys, now_us=LONG_AFTER_US)


def test_resample_given_symbol_that_comes_back_raises_value_error(xnys: SessionCalendar) -> None:
    """Rows by time first would make two bars of one symbol and time."""
    index = np.array([0, 1, 0, 1, 1], np.int32)
    minutes = replace(walk(FIVE_MINUTES), symbols=("A", "B"), symbol_index=index)
    with pytest.raises(ValueError, match="grouped by symbol"):
        resample(minutes, FIVE, xnys, now_us=LONG_AFTER_US)


def test_resample_given_minutes_as_target_raises_value_error(xnys: SessionCalendar) -> None:
    """Minutes are stored, not derived."""
    with pytest.raises(ValueError, match="they are minutes"):
        resample(walk(FIVE_MINUTES), Timeframe.MINUTE_1, xnys, now_us=LONG_AFTER_US)


def test_resample_given_minutes_beyond_the_calendar_raises_calendar_range_error() -> None:
    """Where the sessions are not known, no anchor is guessed."""
    minutes = walk(minutes_between("1996-07-03 09:00", "1996-07-03 10:00", "Asia/Tokyo"))
    with pytest.raises(CalendarRangeError, match="XTKS knows sessions from 199"):
        resample(minutes, HOUR, get_calendar("XTKS"), now_us=LONG_AFTER_US)
