"""Calendars as they come from `exchange_calendars`: names, bounds, and when it is imported."""

import subprocess
import sys

import numpy as np
import pytest

from marketdata.domain.exchange_hours import UnknownCalendarError, get_calendar
from marketdata.domain.time_range import session_date
from marketdata.providers.sample.source import fetch_sample_stocks
from tests.support.sessions import labels_of


@pytest.mark.parametrize("alias", ["XNAS", "NYSE", "NASDAQ", "BATS", "ARCX", "XNYS"])
def test_get_calendar_given_alias_is_the_one_calendar(alias: str) -> None:
    """Venues that keep New York's hours share its calendar, made once a process."""
    assert get_calendar(alias) is get_calendar("XNYS")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("XNYE", "there is .*XNYS"),
        ("xnys", "there is .*XNYS"),
        ("crypto", "24/7"),
        ("", "such as XNYS"),
    ],
)
def test_get_calendar_given_unknown_name_raises_and_says_what_to_use(name: str, hint: str) -> None:
    """A calendar that does not exist is a caller's error with a remedy."""
    with pytest.raises(UnknownCalendarError, match=hint) as caught:
        get_calendar(name)
    assert isinstance(caught.value, ValueError)
    assert repr(name) in str(caught.value)


def test_get_calendar_given_sample_has_exactly_the_sessions_of_its_bars() -> None:
    """From its first bar on, each stock of the sample has a bar for every session and no other day."""
    calendar = get_calendar("XNYS")
    for stock in fetch_sample_stocks():
        first = int(np.searchsorted(calendar.label_us, stock.bars.time_us[0]))
        expected = calendar.label_us[first : first + len(stock.bars)]
        assert np.array_equal(stock.bars.time_us, expected), stock.symbol.symbol


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("XNYS", 1900, 2049),
        ("24/7", 1900, 2049),
        ("XTKS", 1997, 2049),
        ("XHKG", 1960, 2049),
        ("XSHG", 1990, 2026),
    ],
)
def test_get_calendar_given_bounds_of_its_records_reaches_as_far_as_they_do(
    name: str, first: int, last: int
) -> None:
    """From the earliest daily bar on, or from where the exchange's holidays are recorded."""
    labels = get_calendar(name).label_us
    assert session_date(int(labels[0])).year == first
    assert session_date(int(labels[-1])).year >= last


@pytest.mark.parametrize(("name", "session"), [("XBOM", "2024-01-20"), ("XBOM", "2025-02-01")])
def test_get_calendar_given_special_saturday_session_has_it(name: str, session: str) -> None:
    """With pandas 3.1 these are lost without a word: pyproject.toml keeps it out."""
    assert labels_of(session)[0] in get_calendar(name).label_us


def test_get_calendar_given_orthodox_easter_can_be_made() -> None:
    """With pandas 3.1 Athens' calendar cannot be made at all; its Easter Monday of 2024 was 6 May."""
    calendar = get_calendar("ASEX")
    assert labels_of("2024-05-06")[0] not in calendar.label_us
    assert labels_of("2024-05-07")[0] in calendar.label_us


def test_domain_given_fresh_process_imports_neither_pandas_nor_exchange_calendars() -> None:
    """A client that only reads bars pays for no calendar: 0.9 s and 57 MB."""
    modules = "adjust", "calendar", "coverage", "exchange_hours", "resample"
    code = (
        f"import sys; from marketdata.domain import {', '.join(modules)};"
        " sys.exit(bool({'pandas', 'exchange_calendars'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
