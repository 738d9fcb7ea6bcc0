"""Rules about a bar's neighbours: scale, spikes, splits, repeats."""

import numpy as np
import pytest

from marketdata.domain.quality.rules import QualityRule
from marketdata.domain.timeframe import Timeframe
from tests.support.quality import (
    broken,
    changed,
    counted,
    judge,
    minutes,
    scaled,
    session_days,
    split,
)
from tests.support.sessions import local_us

ROW = 120


@pytest.mark.parametrize("factor", [100.0, 0.01])
@pytest.mark.parametrize("rows", [slice(ROW, ROW + 1), slice(ROW, ROW + 40), slice(200, None)])
def test_check_given_a_stretch_in_pence_rejects_exactly_that(factor: float, rows: slice) -> None:
    """Rule 14: pence for pounds, however long, also up to the end."""
    frame = scaled(session_days(), rows, factor)
    report = judge(frame, Timeframe.DAY_1)
    wrong = {"SCALE_100X"}
    assert broken(report.rejected) == {int(time_us): wrong for time_us in frame.time_us[rows]}
    assert len(report.flagged) == 0
    assert len(report.accepted) == len(frame) - len(frame.time_us[rows])
    assert report.suspects_split


def test_check_given_all_in_pence_behind_stored_pounds_rejects_all() -> None:
    """What is stored is on the right scale, however many rows say otherwise."""
    frame = session_days()
    before, frame = frame.take(slice(0, 3)), scaled(frame.take(slice(3, None)), slice(None), 100.0)
    report = judge(frame, Timeframe.DAY_1, before=before)
    assert counted(report) == {"SCALE_100X": len(frame)}
    assert len(report.accepted) == 0
    assert not counted(judge(frame, Timeframe.DAY_1))


def test_check_given_a_bar_half_in_pence_rejects_it_alone() -> None:
    """Only some of its prices are wrong."""
    frame = session_days()
    frame = changed(frame, ROW, high=frame.high[ROW] * 100, close=frame.close[ROW] * 100)
    report = judge(frame, Timeframe.DAY_1)
    assert broken(report.rejected) == {int(frame.time_us[ROW]): {"SCALE_100X"}}
    assert len(report.flagged) == 0


def test_check_given_a_split_of_a_hundred_that_is_known_rejects_nothing() -> None:
    """A corporate action explains what would be a wrong unit."""
    frame = scaled(session_days(), slice(ROW, None), 100.0)
    action = split(int(frame.time_us[ROW]), 0.01)
    assert not counted(judge(frame, Timeframe.DAY_1, actions=[action]))


@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("factor", [1.4, 0.7])
def test_check_given_closes_that_come_back_at_once_flags_them(length: int, factor: float) -> None:
    """Up to two in a row."""
    rows = slice(ROW, ROW + length)
    frame = scaled(session_days(), rows, factor)
    report = judge(frame, Timeframe.DAY_1)
    assert broken(report.flagged) == {int(time_us): {"SPIKE"} for time_us in frame.time_us[rows]}
    assert len(report.accepted) == len(frame)


def test_check_given_a_move_that_stays_flags_nothing() -> None:
    """News is no error."""
    frame = scaled(session_days(), slice(ROW, None), 0.75)
    assert not counted(judge(frame, Timeframe.DAY_1))


def test_check_given_a_move_that_overshoots_and_mostly_stays_flags_nothing() -> None:
    """A crash may be deepest on its first day."""
    frame = scaled(scaled(session_days(), slice(ROW, None), 0.75), ROW, 0.8)
    assert not counted(judge(frame, Timeframe.DAY_1))


def test_check_given_a_spike_in_the_last_bar_flags_it_with_the_next_answer() -> None:
    """Whether a price comes back is known once there is another one."""
    frame = scaled(session_days(), ROW, 1.4)
    first, then = frame.take(slice(0, ROW + 1)), frame.take(slice(ROW - 5, ROW + 6))
    assert not counted(judge(first, Timeframe.DAY_1))
    report = judge(then, Timeframe.DAY_1, before=frame.take(slice(ROW - 40, ROW - 5)))
    assert broken(report.flagged) == {int(frame.time_us[ROW]): {"SPIKE"}}


def test_check_given_a_lone_high_flags_the_bar() -> None:
    """A bad print reaches high or low, and seldom the close."""
    frame = minutes()
    frame = changed(frame, ROW, high=frame.high[ROW] * 1.05)
    frame = changed(frame, ROW + 50, low=frame.low[ROW + 50] * 0.95)
    report = judge(frame)
    expected = {int(frame.time_us[row]): {"LONE_EXTREME"} for row in (ROW, ROW + 50)}
    assert broken(report.flagged) == expected


@pytest.mark.parametrize("ratio", [1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 20.0, 0.5, 0.1, 0.05, 2 / 3])
def test_check_given_a_split_that_nobody_told_of_flags_its_first_bar(ratio: float) -> None:
    """Days and minutes; the action makes it none."""
    days = scaled(session_days(), slice(ROW, None), 1 / ratio)
    report = judge(days, Timeframe.DAY_1)
    assert broken(report.flagged) == {int(days.time_us[ROW]): {"SPLIT_SHAPED_JUMP"}}
    assert report.suspects_split
    action = split(int(days.time_us[ROW]), ratio)
    known = judge(days, Timeframe.DAY_1, actions=[action])
    assert not counted(known)
    assert not known.suspects_split


def test_check_given_a_split_known_that_prices_do_not_show_flags_it() -> None:
    """The provider adjusted what it calls raw (domain rule 11)."""
    frame = session_days()
    report = judge(frame, Timeframe.DAY_1, actions=[split(int(frame.time_us[ROW]), 2.0)])
    assert broken(report.flagged) == {int(frame.time_us[ROW]): {"SPLIT_SHAPED_JUMP"}}
    assert report.suspects_split


def test_check_given_a_split_on_the_last_or_first_bar_finds_it() -> None:
    """As an answer of today begins behind what is stored, or ends with the ex-date."""
    frame = scaled(session_days(), slice(ROW, None), 0.5)
    at = int(frame.time_us[ROW])
    last = judge(frame.take(slice(0, ROW + 1)), Timeframe.DAY_1)
    assert broken(last.flagged) == {at: {"SPLIT_SHAPED_JUMP"}}
    first = judge(frame.take(slice(ROW, None)), Timeframe.DAY_1, before=frame.take(slice(ROW - 9, ROW)))
    assert broken(first.flagged) == {at: {"SPLIT_SHAPED_JUMP"}}


def test_check_given_minutes_over_a_split_flags_the_session_s_first_minute_only() -> None:
    """A jump within a session is no split."""
    frame = minutes("2024-03-04 09:30", "2024-03-05 16:00")
    regular = (frame.time_us < local_us("2024-03-04 16:00")) | (
        frame.time_us >= local_us("2024-03-05 09:30")
    )
    frame = frame.take(regular)
    between = scaled(frame, slice(390, None), 0.25)
    report = judge(between)
    assert broken(report.flagged) == {local_us("2024-03-05 09:30"): {"SPLIT_SHAPED_JUMP"}}
    assert not counted(judge(between, actions=[split(_label("2024-03-05"), 4.0)]))
    within = judge(scaled(frame, slice(200, None), 0.25))
    assert not within.suspects_split


def _label(day: str) -> int:
    return local_us(f"{day} 00:00", "UTC")


def test_check_given_a_feed_that_stands_still_flags_the_repeats() -> None:
    """The first bar of a run is what was traded."""
    frame = minutes()
    values = {
        name: getattr(frame, name)[ROW]
        for name in ("open", "high", "low", "close", "vwap", "trade_count")
    }
    run = slice(ROW, ROW + 5)
    report = judge(changed(frame, run, **values, volume=300.0))
    expected = {int(time_us): {"STALE_REPEAT"} for time_us in frame.time_us[ROW + 1 : ROW + 5]}
    assert broken(report.flagged) == expected
    assert not counted(judge(changed(frame, slice(ROW, ROW + 4), **values, volume=300.0)))


def test_check_given_filled_minutes_flags_them_but_not_of_what_has_no_volume() -> None:
    """An index has no volume, ever; a share's minutes without trades are no bars."""
    frame = minutes()
    price = frame.close[ROW]
    run = slice(ROW + 1, ROW + 11)
    flat = changed(
        frame, run, open=price, high=price, low=price, close=price, vwap=float("nan"), volume=0.0
    )
    report = judge(flat)
    assert counted(report) == {"ZERO_VOLUME_REPEAT": 10}
    assert not counted(judge(changed(flat, slice(None), volume=0.0)))


def test_check_given_bars_from_before_judges_none_of_them() -> None:
    """They are looked at, and neither accepted nor flagged again; nor counted."""
    frame = scaled(session_days(), ROW, 1.5)
    report = judge(
        frame.take(slice(ROW + 1, None)),
        Timeframe.DAY_1,
        before=frame.take(slice(0, ROW + 1)),
    )
    assert not counted(report)
    assert np.array_equal(report.accepted.time_us, frame.time_us[ROW + 1 :])
    overlapping = judge(frame, Timeframe.DAY_1, before=frame)
    assert set(overlapping.counts) == {QualityRule.SPIKE}
