"""Clocks: the machine's, and the one that stands still."""

import time

import pytest

from marketdata.clock import ManualClock, SystemClock


def test_system_clock_given_now_tells_unix_microseconds() -> None:
    """It tells the machine's time of day, in microseconds."""
    before = time.time_ns() // 1_000
    told = SystemClock().now_us()
    assert before <= told <= time.time_ns() // 1_000


def test_manual_clock_given_nothing_stands_still() -> None:
    """It tells what it was set to for as long as nobody moves it."""
    clock = ManualClock(1_704_240_000_000_000)
    assert [clock.now_us(), clock.now_us()] == [1_704_240_000_000_000] * 2


@pytest.mark.parametrize(
    ("seconds", "moved_us"), [(60, 60_000_000), (0.000001, 1), (0.1, 100_000), (0, 0)]
)
def test_manual_clock_given_seconds_moves_by_whole_microseconds(seconds: float, moved_us: int) -> None:
    """It moves exactly, however the seconds are represented."""
    clock = ManualClock(5)
    clock.advance(seconds)
    assert clock.now_us() == 5 + moved_us
