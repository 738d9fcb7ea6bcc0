"""What a provider is asked for a task: under which ticker it has the bars of which time."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from marketdata.domain.ingestion_run import OpenTask
from marketdata.domain.symbol import Symbol, TickerSegment
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.providers.protocol import BarsPage, BarsRequest

# Tells the tickers of a symbol over time, ascending.
TickersOf = Callable[[Symbol, Timeframe], Awaitable[Sequence[TickerSegment]]]


def requests_of(task: OpenTask, symbol: Symbol, tickers: Sequence[TickerSegment]) -> list[BarsRequest]:
    """List the requests that fetch what is left of a task, in the order of time.

    Parameters
    ----------
    task : OpenTask
        What is to be fetched.
    symbol : Symbol
        Its symbol, under its latest ticker.
    tickers : sequence of TickerSegment
        Those by which its bars are asked for, ascending; empty: the latest one for all of them.

    Returns
    -------
    list of BarsRequest
        They meet, and are what is left of the task together: a time without a ticker is asked for by
        the one before it.
    """
    left = task.left
    # Each ticker is asked from its first session on, the first one from wherever the task begins.
    starts = [max(left.start_us, min(each.range.start_us, left.end_us)) for each in tickers[1:]]
    bounds = [left.start_us, *starts, left.end_us]
    spelled = [under(symbol, each.ticker) for each in tickers] or [symbol]
    parts = [TimeRange(*bound) for bound in pairwise(bounds)]
    return [
        BarsRequest(name, task.timeframe, part)
        for name, part in zip(spelled, parts, strict=True)
        if not part.is_empty
    ]


def under_latest(page: BarsPage, symbol: Symbol) -> BarsPage:
    """Put a page under the ticker by which its symbol is known now: an old one may be another's."""
    if page.frame.symbols == (symbol.symbol,):
        return page
    return replace(page, frame=replace(page.frame, symbols=(symbol.symbol,)))


def under(symbol: Symbol, ticker: str) -> Symbol:
    """Make the symbol by which a provider is asked about a time in which it had another ticker."""
    if ticker == symbol.symbol:
        return symbol
    # How providers spell the latest ticker says nothing of the ones before.
    return replace(symbol, symbol=ticker, provider_symbols={})
