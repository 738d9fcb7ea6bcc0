"""Under which of a subscription's symbols the bars of a ticker come."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import BarFrame
from marketdata.domain.subscription import SubscriptionFilter
from marketdata.domain.symbol import ResolvedSymbol, TickerSegment
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.log_entries import LogEntry

Resolved = Mapping[str, ResolvedSymbol]


@dataclass(frozen=True, slots=True)
class Route:
    """Bars of a ticker come as this symbol's; within a range of time, or always."""

    symbol: str
    within: TimeRange | None


class Routes:
    """What tickers a subscription is about, by what is known of symbols now.

    A symbol has several tickers where it was renamed, and a ticker that was reused is its new holder's
    from then on only.

    Parameters
    ----------
    wanted : SubscriptionFilter
        What the subscription is about.
    resolved : mapping of Timeframe to mapping of str to ResolvedSymbol
        For each timeframe of `wanted` its symbols; unknown ones are left out. Empty for all symbols.
    """

    def __init__(self, wanted: SubscriptionFilter, resolved: Mapping[Timeframe, Resolved]) -> None:
        self.resolved = resolved
        self._wanted = frozenset(wanted.symbols)
        self._takes_all = not wanted.symbols
        self._timeframes = wanted.timeframes
        self._by_ticker = {
            timeframe: _by_ticker(timeframe, symbols) for timeframe, symbols in resolved.items()
        }

    @property
    def takes_all(self) -> bool:
        """Whether every symbol is wanted."""
        return self._takes_all

    def wants(self, timeframe: Timeframe | None) -> bool:
        """Whether bars of a timeframe are wanted."""
        return timeframe in self._timeframes

    def is_known(self, symbol: str) -> bool:
        """Whether a symbol of the subscription names something."""
        return any(symbol in symbols for symbols in self.resolved.values())

    def bars(self, entry: LogEntry) -> BarFrame | None:
        """Select the bars of an entry that are wanted, as the subscription's symbols; None for none.

        It costs as much as the smaller of both, what is wanted and what is there, has tickers.
        """
        if entry.bars is None or entry.timeframe not in self._timeframes or self._takes_all:
            return entry.bars if entry.timeframe in self._timeframes else None
        routes, rows = self._by_ticker[entry.timeframe], entry.rows_by_symbol
        smaller: Iterable[str] = routes if len(routes) < len(rows) else rows
        found = [(ticker, routes[ticker]) for ticker in smaller if ticker in rows and ticker in routes]
        if len(found) == len(rows) and all(_is_plain(ticker, own) for ticker, own in found):
            return entry.bars
        return _select(entry.bars, rows, found) if found else None

    def symbols_of(self, entry: LogEntry) -> tuple[str, ...] | None:
        """Tell the subscription's symbols that an entry is about; None for none, empty for all.

        Symbols that are asked for and name nothing yet are among them.
        """
        if not entry.symbols or self._takes_all:
            return entry.symbols
        timeframes = [entry.timeframe] if entry.timeframe else list(self._by_ticker)
        found = {
            route.symbol: None
            for timeframe in timeframes
            for ticker in entry.symbols
            for route in self._by_ticker.get(timeframe, {}).get(ticker, ())
        }
        if entry.timeframe is None:
            found |= {ticker: None for ticker in entry.symbols if ticker in self._wanted}
        return tuple(found) or None


def _by_ticker(timeframe: Timeframe, symbols: Resolved) -> dict[str, tuple[Route, ...]]:
    always = TimeRange(timeframe.earliest_us, timeframe.latest_us)
    found: dict[str, list[Route]] = {}
    for resolved in symbols.values():
        for segment in resolved.segments:
            found.setdefault(segment.ticker, []).append(_route(resolved.symbol, segment, always))
    return {ticker: tuple(routes) for ticker, routes in found.items()}


def _route(symbol: str, segment: TickerSegment, always: TimeRange) -> Route:
    return Route(symbol, None if segment.range.intersect(always) == always else segment.range)


def _is_plain(ticker: str, routes: tuple[Route, ...]) -> bool:
    return len(routes) == 1 and routes[0].within is None and routes[0].symbol == ticker


def _select(
    bars: BarFrame,
    rows: Mapping[str, npt.NDArray[np.int64]],
    found: Sequence[tuple[str, tuple[Route, ...]]],
) -> BarFrame | None:
    positions: dict[str, int] = {}
    taken: list[npt.NDArray[Any]] = []
    index: list[npt.NDArray[Any]] = []
    for ticker, routes in found:
        for route in routes:
            own = rows[ticker]
            if route.within is not None:
                times = bars.time_us[own]
                own = own[(times >= route.within.start_us) & (times < route.within.end_us)]
            if len(own):
                position = positions.setdefault(route.symbol, len(positions))
                taken.append(own)
                index.append(np.full(len(own), position, np.int32))
    if not taken:
        return None
    picked = bars.take(np.concatenate(taken))
    return replace(picked, symbols=tuple(positions), symbol_index=np.concatenate(index))
