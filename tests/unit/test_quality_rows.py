"""Rules that a row keeps or breaks by itself: values, times, sessions, rows of one time."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata.domain.bars import BarFlag
from marketdata.domain.quality.rules import QualityRule, Severity
from marketdata.domain.timeframe import Timeframe
from tests.support.quality import broken, changed, counted, judge, minutes, session_days
from tests.support.sessions import labels_of, local_us, minutes_between, walk

NAN = float("nan")
ROW = 7


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        ("NOT_FINITE", {"close": NAN}),
        ("NOT_FINITE", {"high": float("inf")}),
        ("NOT_POSITIVE", {"open": 0.0, "high": 0.0, "low": 0.0, "close": 0.0}),
        ("NOT_POSITIVE", {"low": -1.0}),
        ("HIGH_NOT_HIGHEST", {"high": 1.0, "low": 0.5}),
        ("LOW_NOT_LOWEST", {"low": 1e6, "high": 2e6}),
        ("NEGATIVE_VOLUME", {"volume": -1.0}),
        ("VWAP_NOT_POSITIVE", {"vwap": 0.0}),
        ("NEGATIVE_TRADE_COUNT", {"trade_count": -2}),
    ],
)
def test_check_given_a_value_that_no_bar_may_have_rejects_the_bar_alone(
    rule: str, values: dict[str, Any]
) -> None:
    """One bad row costs one row, and says which value it is."""
    frame = changed(minutes(), ROW, **values)
    report = judge(frame)
    assert broken(report.rejected) == {int(frame.time_us[ROW]): {rule}}
    assert next(iter(values)) in report.rejected.details[0] or rule.endswith("EST")
    assert len(report.accepted) == len(frame) - 1
    assert QualityRule[rule].severity is Severity.INVALID


def test_check_given_missing_volume_vwap_and_trades_accepts_the_bars() -> None:
    """What is not known is no error."""
    frame = changed(minutes(), slice(None), volume=NAN, vwap=NAN, trade_count=-1)
    report = judge(frame)
    assert not counted(report)
    assert len(report.accepted) == len(frame)


def test_check_given_prices_half_a_tick_off_accepts_them_where_the_tick_is_known() -> None:
    """Providers round each price by itself."""
    frame = minutes()
    off = changed(frame, ROW, high=max(frame.open[ROW], frame.close[ROW]) - 0.004)
    assert not counted(judge(off, tick_size=0.01))
    assert counted(judge(off)) == {"HIGH_NOT_HIGHEST": 1}
    further = changed(frame, ROW, high=max(frame.open[ROW], frame.close[ROW]) - 0.006)
    assert counted(judge(further, tick_size=0.01)) == {"HIGH_NOT_HIGHEST": 1}


@pytest.mark.parametrize("side", [-1, 1])
def test_check_given_vwap_beyond_low_or_high_flags_the_bar(side: int) -> None:
    """The bar is stored, and listed."""
    frame = minutes()
    edge = frame.high[ROW] if side > 0 else frame.low[ROW]
    far = changed(frame, ROW, vwap=edge + side * 0.05)
    report = judge(far)
    assert broken(report.flagged) == {int(frame.time_us[ROW]): {"VWAP_OUTSIDE_OF_RANGE"}}
    assert len(report.accepted) == len(frame)
    assert not counted(judge(changed(frame, ROW, vwap=edge + side * 0.005)))


def test_check_given_nan_prices_with_a_volume_before_the_open_never_accepts_the_row() -> None:
    """Domain rule 19: such a row must not overwrite a good bar."""
    prices = dict.fromkeys(("open", "high", "low", "close", "vwap"), NAN)
    report = judge(changed(minutes(), ROW, **prices, volume=1234.0))
    assert counted(report) == {"NOT_FINITE": 1}
    assert len(report.rejected) == 1
    assert not np.isnan(report.accepted.close).any()


@pytest.mark.parametrize("volume", [NAN, 0.0])
def test_check_given_a_row_without_anything_leaves_it_out_and_counts_it(volume: float) -> None:
    """Where nothing was traded there is no bar, and nobody has to look at it."""
    prices = dict.fromkeys(("open", "high", "low", "close", "vwap"), NAN)
    frame = changed(minutes(), ROW, **prices, volume=volume)
    report = judge(frame)
    assert counted(report) == {"EMPTY_ROW": 1}
    assert len(report.rejected) == 0
    assert len(report.accepted) == len(frame) - 1


def test_check_given_the_running_bar_at_an_odd_second_leaves_it_out_as_forming() -> None:
    """Providers label what is under way by the last trade; that is no fault, and nothing to keep."""
    frame = minutes()
    time_us = frame.time_us.copy()
    time_us[-1] += 17_000_000
    flags = frame.flags.copy()
    flags[-1] = 0
    report = judge(replace(frame, time_us=time_us, flags=flags))
    assert counted(report) == {"FORMING": 1}
    assert len(report.rejected) == 0
    assert len(report.accepted) == len(frame) - 1


def test_check_given_a_bar_that_has_not_ended_leaves_it_out_whatever_its_flags() -> None:
    """Domain rule 6: a clock decides, too."""
    frame = minutes()
    report = judge(frame, now_us=int(frame.time_us[-1]) + 59_999_999)
    assert counted(report) == {"FORMING": 1}
    assert not counted(judge(frame, now_us=int(frame.time_us[-1]) + 60_000_000))


def test_check_given_a_day_whose_session_is_over_accepts_it_by_its_calendar() -> None:
    """A daily bar is final at the close, not at midnight in UTC."""
    frame = walk(labels_of("2024-03-01", "2024-03-04"))
    close_us = local_us("2024-03-04 16:00")
    assert not counted(judge(frame, Timeframe.DAY_1, now_us=close_us))
    assert counted(judge(frame, Timeframe.DAY_1, now_us=close_us - 1)) == {"FORMING": 1}
    assert counted(judge(frame, Timeframe.DAY_1, now_us=close_us, calendar=None)) == {"FORMING": 1}


def test_check_given_the_short_last_hour_accepts_it_at_the_close() -> None:
    """15:30 to 16:00 has ended at four."""
    frame = walk(minutes_between("2024-03-04 09:30", "2024-03-04 16:00")[::60])
    assert not counted(judge(frame, Timeframe.HOUR_1, now_us=local_us("2024-03-04 16:00")))
    early = judge(frame, Timeframe.HOUR_1, now_us=local_us("2024-03-04 15:59"))
    assert counted(early) == {"FORMING": 1}


def test_check_given_times_off_the_timeframe_or_out_of_bounds_rejects_them() -> None:
    """Misread times are never stored, and break no neighbour."""
    frame = minutes()
    time_us = frame.time_us.copy()
    time_us[3] += 1
    time_us[5] = 0
    time_us[6] = np.iinfo(np.int64).max
    report = judge(replace(frame, time_us=time_us))
    assert counted(report) == {
        "TIME_NOT_ALIGNED": 1,
        "TIME_OUT_OF_BOUNDS": 2,
        "TIME_NOT_ASCENDING": 2,
    }
    assert len(report.rejected) == 3


@pytest.mark.parametrize(
    ("calendar", "zone", "time", "rule"),
    [
        ("XNYS", "America/New_York", "2024-03-04 09:29", None),
        ("XNYS", "America/New_York", "2024-03-04 03:59", "OUTSIDE_OF_SESSION"),
        ("XNYS", "America/New_York", "2024-03-04 19:59", None),
        ("XNYS", "America/New_York", "2024-03-04 20:00", "OUTSIDE_OF_SESSION"),
        ("XNYS", "America/New_York", "2023-11-24 13:05", None),
        ("XNYS", "America/New_York", "2023-11-24 17:00", "OUTSIDE_OF_SESSION"),
        ("XNYS", "America/New_York", "2024-07-04 12:00", "OUTSIDE_OF_SESSION"),
        ("XNYS", "America/New_York", "2024-03-09 12:00", "OUTSIDE_OF_SESSION"),
        ("XTKS", "Asia/Tokyo", "2024-03-04 11:29", None),
        ("XTKS", "Asia/Tokyo", "2024-03-04 11:30", None),
        ("XTKS", "Asia/Tokyo", "2024-03-04 11:31", "OUTSIDE_OF_SESSION"),
        ("XTKS", "Asia/Tokyo", "2024-03-04 12:30", None),
        ("24/7", "UTC", "2024-03-09 12:00", None),
        ("24/5", "UTC", "2024-03-10 22:00", None),
        ("24/5", "UTC", "2024-03-10 12:00", "OUTSIDE_OF_SESSION"),
        ("XSHG", "UTC", "2098-03-10 12:00", None),
    ],
)
def test_check_given_a_minute_holds_it_to_the_hours_of_its_calendar(
    calendar: str, zone: str, time: str, rule: str | None
) -> None:
    """Rule 4: half days, holidays and lunch breaks count; what no calendar knows is held to none."""
    frame = walk(np.array([local_us(time, zone)], np.int64))
    report = judge(frame, calendar=calendar, now_us=local_us("2099-01-01 00:00"))
    assert counted(report) == ({rule: 1} if rule else {})


@pytest.mark.parametrize(
    ("day", "rule"),
    [("2024-03-04", None), ("2024-07-04", "NOT_A_SESSION"), ("2024-03-09", "NOT_A_SESSION")],
)
def test_check_given_a_daily_bar_asks_for_a_session(day: str, rule: str | None) -> None:
    """A provider's row of a holiday repeats the day before."""
    report = judge(walk(labels_of(day)), Timeframe.DAY_1)
    assert counted(report) == ({rule: 1} if rule else {})


@pytest.mark.parametrize(
    ("time", "rule"),
    [
        ("09:30", None),
        ("15:30", None),
        ("10:00", "NOT_AT_SESSION_ANCHOR"),
        ("08:00", None),
        ("16:00", None),
        ("17:30", "NOT_AT_SESSION_ANCHOR"),
    ],
)
def test_check_given_an_hour_anchors_it_at_the_session(time: str, rule: str | None) -> None:
    """Domain rule 3: an hour by the clock would mix pre-market and regular trading."""
    frame = walk(np.array([local_us(f"2024-03-04 {time}")], np.int64))
    assert counted(judge(frame, Timeframe.HOUR_1)) == ({rule: 1} if rule else {})


def test_check_given_the_same_row_twice_takes_it_once() -> None:
    """Overlapping pages are no fault."""
    frame = changed(minutes(), ROW, vwap=NAN)
    twice = frame.take(np.append(np.arange(len(frame)), ROW))
    report = judge(twice)
    assert counted(report) == {"DUPLICATE_ROW": 1, "TIME_NOT_ASCENDING": 1}
    assert len(report.rejected) == 0
    assert np.array_equal(report.accepted.time_us, frame.time_us)


def test_check_given_rows_of_one_time_that_differ_takes_the_first_and_rejects_the_other() -> None:
    """Which is right is not known: one is stored, and the other waits for a person."""
    frame = minutes()
    again = changed(frame.take(slice(ROW, ROW + 1)), 0, volume=5e6)
    columns = {
        name: np.append(getattr(frame, name), getattr(again, name))
        for name in ("open", "high", "low", "close", "volume", "vwap", "trade_count", "feed", "flags")
    }
    both = replace(
        frame,
        time_us=np.append(frame.time_us, again.time_us),
        revision=np.zeros(len(frame) + 1, np.int32),
        **columns,
    )
    report = judge(both)
    assert broken(report.rejected) == {int(frame.time_us[ROW]): {"DUPLICATE_TIME"}}
    assert report.rejected.frame.volume.tolist() == [5e6]
    assert np.array_equal(report.accepted.volume, frame.volume)


def test_check_given_the_first_of_two_rows_broken_takes_the_sound_one() -> None:
    """A row that can never be stored does not stand in the way of one that can."""
    frame = minutes()
    rows = np.insert(np.arange(len(frame)), ROW, ROW)
    report = judge(changed(frame.take(rows), ROW, close=NAN))
    assert counted(report) == {"NOT_FINITE": 1}
    assert np.array_equal(report.accepted.close, frame.close)


def test_check_given_the_newest_first_sorts_without_a_word() -> None:
    """That is an order, too."""
    frame = minutes()
    report = judge(frame.take(slice(None, None, -1)))
    assert not counted(report)
    assert np.array_equal(report.accepted.time_us, frame.time_us)


def test_check_given_no_rows_reports_nothing() -> None:
    """An empty answer is an answer."""
    report = judge(minutes().take(slice(0, 0)))
    assert (len(report.accepted), len(report.rejected), len(report.flagged)) == (0, 0, 0)
    assert not report.suspects_split


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_check_given_rows_in_any_order_and_state_loses_none(data: st.DataObject) -> None:
    """Every row is accepted, rejected, or counted by a rule that leaves it out; once."""
    frame = minutes("2024-03-04 15:30", "2024-03-04 16:30")
    rows = np.array(data.draw(st.lists(st.integers(0, len(frame) - 1), max_size=80)), np.int64)
    frame = frame.take(rows)
    for column in ("close", "volume", "vwap", "high"):
        values = data.draw(st.lists(st.sampled_from([NAN, 0.0, -1.0, 1e-3, 1e7]), max_size=5))
        at = data.draw(
            st.lists(
                st.integers(0, max(len(frame) - 1, 0)),
                min_size=len(values),
                max_size=len(values),
            )
        )
        if len(frame):
            frame = changed(frame, np.array(at, np.int64), **{column: values})
    flags = np.where(rows % 11 == 0, 0, BarFlag.FINAL).astype(np.int16)
    report = judge(replace(frame, flags=flags))
    assert len(report.accepted) + len(report.rejected) + _left_out(report.counts) == len(frame)
    assert np.all(np.diff(report.accepted.time_us) > 0)
    assert np.all(np.diff(report.rejected.frame.time_us) >= 0)
    assert set(report.flagged.frame.time_us) <= set(report.accepted.time_us)


def _left_out(counts: Mapping[QualityRule, int]) -> int:
    leaving_out = (QualityRule.FORMING, QualityRule.EMPTY_ROW, QualityRule.DUPLICATE_ROW)
    return sum(counts.get(rule, 0) for rule in leaving_out)


def test_check_given_days_accepts_what_it_was_given() -> None:
    """Sound days pass as they are."""
    frame = session_days()
    report = judge(frame, Timeframe.DAY_1)
    assert report.accepted is frame
    assert not counted(report)
