"""What providers wait for at present: noted when a wait begins, gone when it is over."""

import pytest

from marketdata.domain.ingestion_run import ProviderWait
from marketdata.ingestion.waits import ProviderWaits


class Seconds:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """Tell how many have passed."""
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    """Give a time that stands still."""
    return Seconds()


def test_waits_given_time_that_passes_tell_what_is_left_and_then_nothing(seconds: Seconds) -> None:
    """A wait runs down; one that is over in a moment is none."""
    waits = ProviderWaits(seconds)
    waits.add("alpaca", "rate_limit", 60.0)
    assert waits.of("alpaca") == [ProviderWait("alpaca", "rate_limit", 60.0)]
    seconds.now += 45
    assert waits.of("alpaca") == [ProviderWait("alpaca", "rate_limit", 15.0)]
    seconds.now += 14.96
    assert waits.of("alpaca") == []
    seconds.now += 100
    assert waits.of("alpaca") == []


def test_waits_given_many_calls_tell_the_longest_of_each_reason_first(seconds: Seconds) -> None:
    """A shorter wait that begins later takes nothing away from a longer one."""
    waits = ProviderWaits(seconds)
    waits.add("alpaca", "retry", 5.0)
    waits.add("alpaca", "rate_limit", 60.0)
    seconds.now += 1
    waits.add("alpaca", "rate_limit", 10.0)
    waits.add("alpaca", "retry", 20.0)
    assert waits.of("alpaca") == [
        ProviderWait("alpaca", "rate_limit", 59.0),
        ProviderWait("alpaca", "retry", 20.0),
    ]


def test_waits_given_another_provider_are_apart(seconds: Seconds) -> None:
    """What one waits for is nothing to the other, known or not."""
    waits = ProviderWaits(seconds)
    waits.add("alpaca", "rate_limit", 60.0)
    assert waits.of("yahoo") == []


def test_waits_given_a_wait_after_one_that_is_over_tell_the_new_one(seconds: Seconds) -> None:
    """Longer ones of before do not stand in its way."""
    waits = ProviderWaits(seconds)
    waits.add("alpaca", "retry", 60.0)
    seconds.now += 61
    waits.add("alpaca", "retry", 2.0)
    assert waits.of("alpaca") == [ProviderWait("alpaca", "retry", 2.0)]
