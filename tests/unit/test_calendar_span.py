"""Spans of calendar time, read and written."""

import pytest

from marketdata.domain.calendar_span import CalendarSpan


@pytest.mark.parametrize(
    ("text", "span", "written"),
    [
        ("1d", CalendarSpan(days=1), "1d"),
        ("2w", CalendarSpan(days=14), "14d"),
        ("6mo", CalendarSpan(months=6), "6mo"),
        ("12mo", CalendarSpan(months=12), "1y"),
        (" 10Y ", CalendarSpan(months=120), "10y"),
        ("18mo", CalendarSpan(months=18), "18mo"),
    ],
)
def test_parse_given_a_number_and_a_unit_reads_both(
    text: str, span: CalendarSpan, written: str
) -> None:
    """What is written reads back as the same span."""
    assert CalendarSpan.parse(text) == span
    assert str(span) == written
    assert CalendarSpan.parse(written) == span


@pytest.mark.parametrize(
    "text", ["", "6", "mo", "0d", "-1d", "1.5y", "6m", "6 months", "1y6mo", "999999d"]
)
def test_parse_given_anything_else_says_what_to_write(text: str) -> None:
    """A minute and a month are easily mixed up: `m` is neither."""
    with pytest.raises(ValueError, match="write a number and d, w, mo or y"):
        CalendarSpan.parse(text)


def test_least_days_given_months_counts_thirty_each() -> None:
    """As PostgreSQL compares intervals, so that both checks of a floor agree."""
    assert CalendarSpan(months=2, days=3).least_days == 63
