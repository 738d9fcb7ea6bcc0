"""What a run that fetches no bars asks for: pure."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final

from marketdata.domain.ingestion_run import PlannedReference
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import TimeRange, session_date, session_label_us
from marketdata.domain.timeframe import Timeframe

# Vendors correct amounts and ex-dates within days; a year also finds what one of them added late, and
# costs no more calls than a week.
TRAILING: Final = timedelta(days=365)
# Dividends are announced for up to a year.
AHEAD: Final = timedelta(days=365)


def longest_waiting_first(identities: Sequence[Symbol], fetched_on: Mapping[int, date]) -> list[Symbol]:
    """Order symbols by when they were told of, those that never were first.

    Where a provider's calls do not last for all, the next run goes on with those that were left out.
    """
    return sorted(identities, key=lambda symbol: fetched_on.get(symbol.symbol_id, date.min))


def plan_actions(
    identities: Sequence[Symbol], fetched_on: Mapping[int, date], now_us: int
) -> list[PlannedReference]:
    """Plan for which ex-dates a provider is asked: all at first, then a trailing window.

    Parameters
    ----------
    identities : sequence of Symbol
        In the order in which they are asked about.
    fetched_on : mapping of int to date
        Up to which day the provider has told everything, by symbol_id.
    now_us : int
        Unix microseconds.
    """
    end_us = session_label_us(session_date(now_us) + AHEAD)
    planned = []
    for symbol in identities:
        known = fetched_on.get(symbol.symbol_id)
        first_us = Timeframe.DAY_1.earliest_us
        start_us = first_us if known is None else max(first_us, session_label_us(known - TRAILING))
        planned.append(PlannedReference(symbol.symbol, symbol.symbol_id, TimeRange(start_us, end_us)))
    return planned


def plan_company(identities: Sequence[Symbol], now_us: int) -> list[PlannedReference]:
    """Plan to ask for the facts of companies, as they are today."""
    today = session_date(now_us)
    day = TimeRange(session_label_us(today), session_label_us(today + timedelta(days=1)))
    return [PlannedReference(symbol.symbol, symbol.symbol_id, day) for symbol in identities]
