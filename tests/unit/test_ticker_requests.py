"""Under which ticker a provider is asked for which part of a task."""

from datetime import date
from typing import Final

from marketdata.domain.ingestion_run import OpenTask
from marketdata.domain.symbol import Symbol, TickerSegment
from marketdata.domain.time_range import TimeRange, session_label_us
from marketdata.domain.timeframe import Timeframe
from marketdata.ingestion.ticker_requests import requests_of

DAY: Final = Timeframe.DAY_1
RENAMED_US: Final = session_label_us(date(2022, 6, 9))
SOLD_US: Final = session_label_us(date(2024, 1, 2))
META: Final = Symbol("META", symbol_id=7, provider_symbols={"alpaca": "META.X"})
TICKERS: Final = (
    TickerSegment("FB", TimeRange(DAY.earliest_us, RENAMED_US)),
    TickerSegment("META", TimeRange(RENAMED_US, DAY.latest_us)),
)


def task(start_us: int, end_us: int, done_until_us: int | None = None) -> OpenTask:
    """Make a task of META."""
    begun_us = start_us if done_until_us is None else done_until_us
    return OpenTask("META", 7, DAY, TimeRange(start_us, end_us), 1, begun_us)


def asked(given: OpenTask, tickers: tuple[TickerSegment, ...] = TICKERS) -> list[tuple[str, TimeRange]]:
    """Tell what is asked for: tickers and ranges."""
    return [(request.symbol.symbol, request.range) for request in requests_of(given, META, tickers)]


def test_requests_given_a_rename_within_ask_for_each_time_by_its_ticker() -> None:
    """Before the rename the bars stand under the old ticker (rule 15)."""
    start_us, end_us = RENAMED_US - 10 * DAY.duration_us, RENAMED_US + DAY.duration_us
    assert asked(task(start_us, end_us)) == [
        ("FB", TimeRange(start_us, RENAMED_US)),
        ("META", TimeRange(RENAMED_US, end_us)),
    ]


def test_requests_given_a_range_on_one_side_of_a_rename_are_one() -> None:
    """No empty range is asked for, and what is done already is not asked for again."""
    before = task(RENAMED_US - 10 * DAY.duration_us, RENAMED_US)
    assert asked(before) == [("FB", before.range)]
    rest = task(before.range.start_us, RENAMED_US + DAY.duration_us, RENAMED_US)
    assert asked(rest) == [("META", TimeRange(RENAMED_US, rest.range.end_us))]


def test_requests_given_a_time_without_a_ticker_leave_nothing_out() -> None:
    """All of a task is asked for, so that it is done in the end: also what lies beside all tickers."""
    tickers = (
        TickerSegment("FB", TimeRange(RENAMED_US, RENAMED_US + DAY.duration_us)),
        TickerSegment("META", TimeRange(SOLD_US, SOLD_US + DAY.duration_us)),
    )
    start_us, end_us = RENAMED_US - DAY.duration_us, SOLD_US + 9 * DAY.duration_us
    assert asked(task(start_us, end_us), tickers) == [
        ("FB", TimeRange(start_us, SOLD_US)),
        ("META", TimeRange(SOLD_US, end_us)),
    ]


def test_requests_given_no_tickers_are_one_under_the_latest() -> None:
    """As for providers that have all history under the ticker of today."""
    given = task(RENAMED_US - DAY.duration_us, SOLD_US)
    assert asked(given, ()) == [("META", given.range)]


def test_requests_given_a_spelling_of_the_provider_keep_it_for_the_latest_only() -> None:
    """How the latest ticker is spelled says nothing of the one before it."""
    given = task(RENAMED_US - DAY.duration_us, SOLD_US)
    old, new = requests_of(given, META, TICKERS)
    assert old.symbol.provider_symbols == {}
    assert new.symbol is META
