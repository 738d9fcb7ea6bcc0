"""Timeframes: labels, lengths, bounds."""

from datetime import UTC, datetime

import pytest

from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe

MINUTE_US = 60_000_000


def midnight_us(year: int) -> int:
    """Start of a year in Unix microseconds, UTC."""
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("label", "seconds"), [("1m", 60), ("5m", 300), ("15m", 900), ("1h", 3600), ("1d", 86_400)]
)
def test_timeframe_given_label_has_its_length(label: str, seconds: int) -> None:
    """Labels are the one spelling of a timeframe, and say its length."""
    assert Timeframe(label).duration_us == seconds * 1_000_000


def test_timeframe_given_all_members_are_the_five_of_the_vocabulary() -> None:
    """No timeframe was added or dropped without this list."""
    assert [timeframe.value for timeframe in Timeframe] == ["1m", "5m", "15m", "1h", "1d"]


@pytest.mark.parametrize("label", ["1M", "60m", "1D", "", "day"])
def test_timeframe_given_another_spelling_is_refused(label: str) -> None:
    """There are no synonyms."""
    with pytest.raises(ValueError, match="not a valid Timeframe"):
        Timeframe(label)


def test_is_stored_given_each_timeframe_is_true_for_minutes_hours_and_days() -> None:
    """Five and fifteen minutes are derived on read."""
    assert {timeframe.value for timeframe in Timeframe if timeframe.is_stored} == {"1m", "1h", "1d"}


@pytest.mark.parametrize("timeframe", list(Timeframe))
def test_bounds_given_timeframe_reach_from_its_first_year_to_2100(timeframe: Timeframe) -> None:
    """Daily series may start in 1900, the others in 1990."""
    first_year = 1900 if timeframe is Timeframe.DAY_1 else 1990
    assert timeframe.earliest_us == midnight_us(first_year)
    assert timeframe.latest_us == midnight_us(2100)


@pytest.mark.parametrize("timeframe", list(Timeframe))
def test_alignment_given_timeframe_is_a_day_for_days_and_a_minute_otherwise(
    timeframe: Timeframe,
) -> None:
    """An hour bar of New York opens at half past: it is held to whole minutes only."""
    expected = MICROSECONDS_PER_DAY if timeframe is Timeframe.DAY_1 else MINUTE_US
    assert timeframe.alignment_us == expected
    assert timeframe.duration_us % timeframe.alignment_us == 0
    assert timeframe.earliest_us % timeframe.alignment_us == 0
    assert timeframe.latest_us % timeframe.alignment_us == 0
