"""A provider whose answers are a test's own, without a network.

Adapters are held to the protocol over a real network by tests/contract/test_provider_conformance.py;
what stands behind the protocol is tested with this one, whose every step a test can hold up.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import numpy as np

from marketdata.domain.bars import BarFrame
from marketdata.domain.company import CompanyFacts
from marketdata.domain.corporate_action import CorporateAction
from marketdata.domain.listing import Listing
from marketdata.domain.provider import ProviderDescription
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import InvalidRequestError, ProviderError, ProviderNotReadyError
from marketdata.providers.protocol import BarsPage, BarsRequest, Capabilities, Limits, Provider

FEED = "alpaca/iex"


async def _at_once(_: BarsRequest, __: int) -> None:
    """Hold nothing up."""


async def _actions_at_once(_: Symbol) -> None:
    """Hold nothing up."""


@dataclass
class ScriptedProvider:
    """Answers from frames.

    Attributes
    ----------
    bars : mapping of (str, Timeframe) to BarFrame
        What it has, ascending.
    actions : mapping of str to sequence of CorporateAction
        What it tells when asked; `along` is what comes with the first page of bars.
    page_bars : int
        Bars a page.
    fails : dict of str to ProviderError
        Raised for bars of these symbols, behind their first page.
    before_page : callable
        Awaited before each page, with the request and the page's number: where a test holds it up.
    before_actions : callable
        Awaited before each answer about corporate actions, with the symbol.
    fails_actions : dict of str to ProviderError
        Raised for corporate actions and companies of these symbols.
    companies : mapping of str to CompanyFacts
        What it tells of companies; without any it has none.
    listings, fails_listings : sequence of Listing, ProviderError or None
        What it states of listings, or why it cannot; without both it states none.
    requests, asked_actions, asked_ranges : list
        What it was asked.
    """

    bars: Mapping[tuple[str, Timeframe], BarFrame]
    actions: Mapping[str, Sequence[CorporateAction]] = field(default_factory=dict)
    along: Mapping[str, tuple[CorporateAction, ...]] = field(default_factory=dict)
    page_bars: int = 100
    calls_at_once: int = 2
    fails: dict[str, ProviderError] = field(default_factory=dict)
    before_page: Callable[[BarsRequest, int], Awaitable[None]] = _at_once
    history: Mapping[Timeframe, timedelta | None] = field(default_factory=dict)
    requests: list[BarsRequest] = field(default_factory=list)
    asked_actions: list[str] = field(default_factory=list)
    asked_ranges: list[tuple[date, date]] = field(default_factory=list)
    fails_actions: dict[str, ProviderError] = field(default_factory=dict)
    companies: Mapping[str, CompanyFacts] = field(default_factory=dict)
    listings: Sequence[Listing] = ()
    has_old_tickers: bool = False
    fails_listings: ProviderError | None = None
    before_actions: Callable[[Symbol], Awaitable[None]] = _actions_at_once
    name: str = "alpaca"
    feed: str = FEED

    @property
    def capabilities(self) -> Capabilities:
        """All stored timeframes, of one feed."""
        timeframes = [timeframe for timeframe in Timeframe if timeframe.is_stored]
        return Capabilities(
            name=self.name,
            title="A test's own",
            feeds=dict.fromkeys(timeframes, self.feed),
            history=self.history,
            has_actions=True,
            has_company=bool(self.companies),
            settings=(),
            terms="",
            has_old_tickers=self.has_old_tickers,
            has_listings=bool(self.listings) or self.fails_listings is not None,
        )

    @property
    def limits(self) -> Limits:
        """Some calls at once."""
        return Limits(calls_at_once=self.calls_at_once)

    async def fetch_bars(self, request: BarsRequest) -> AsyncGenerator[BarsPage, None]:
        """Yield what lies within the request."""
        self.requests.append(request)
        symbol, wanted = request.symbol.symbol, request.range
        frame = self.bars.get((symbol, request.timeframe), BarFrame.empty((symbol,)))
        frame = frame.take((frame.time_us >= wanted.start_us) & (frame.time_us < wanted.end_us))
        starts = list(range(0, max(1, len(frame)), self.page_bars))
        begin_us = wanted.start_us
        for number, first in enumerate(starts):
            await self.before_page(request, number)
            if symbol in self.fails and (number > 0 or len(starts) == 1):
                raise self.fails[symbol]
            part = frame.take(slice(first, first + self.page_bars))
            is_last = number == len(starts) - 1
            end_us = wanted.end_us if is_last else int(frame.time_us[first + self.page_bars])
            yield BarsPage(
                replace(part, feed=np.zeros(len(part), np.int16), feeds={0: self.feed}),
                TimeRange(begin_us, end_us),
                self.along.get(symbol, ()) if number == 0 else (),
            )
            begin_us = end_us

    async def fetch_actions(self, symbol: Symbol, start: date, end: date) -> Sequence[CorporateAction]:
        """Tell the actions within a range."""
        self.asked_actions.append(symbol.symbol)
        self.asked_ranges.append((start, end))
        await self.before_actions(symbol)
        if symbol.symbol in self.fails_actions:
            raise self.fails_actions[symbol.symbol]
        return [a for a in self.actions.get(symbol.symbol, ()) if start <= a.ex_date < end]

    async def fetch_company(self, symbol: Symbol) -> CompanyFacts:
        """Tell what is known of a company."""
        if symbol.symbol in self.fails_actions:
            raise self.fails_actions[symbol.symbol]
        return self.companies.get(symbol.symbol, CompanyFacts())

    async def fetch_listings(self, symbols: Sequence[Symbol]) -> Mapping[int, Sequence[Listing]]:
        """State what is listed."""
        if self.fails_listings is not None:
            raise self.fails_listings
        of = {s.symbol_id: [one for one in self.listings if one.symbol == s.symbol] for s in symbols}
        return {symbol_id: stated for symbol_id, stated in of.items() if stated}

    async def aclose(self) -> None:
        """Have nothing to close."""


class OneProvider:
    """A catalog of one provider."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def get(self, name: str) -> Provider:
        """Find it by its name."""
        if name != self._provider.capabilities.name:
            raise InvalidRequestError(f"there is no provider {name}")
        return self._provider

    def describe(self) -> Sequence[ProviderDescription]:
        """Describe it."""
        own = self._provider.capabilities
        return [ProviderDescription(own.name, own.title, feeds=own.feeds, history=own.history)]

    def find(self, name: str) -> ProviderDescription | None:
        """Describe it where that is its name."""
        return next((provider for provider in self.describe() if provider.name == name), None)


class SomeProviders:
    """A catalog of several providers, of which those in `missing` are not ready.

    Parameters
    ----------
    providers : Provider
        In any order.
    """

    def __init__(self, *providers: Provider) -> None:
        self._own = {provider.capabilities.name: OneProvider(provider) for provider in providers}
        self.missing: set[str] = set()

    def get(self, name: str) -> Provider:
        """Find one by its name."""
        if name in self.missing:
            raise ProviderNotReadyError(f"{name} needs a key")
        if name not in self._own:
            raise InvalidRequestError(f"there is no provider {name}")
        return self._own[name].get(name)

    def describe(self) -> Sequence[ProviderDescription]:
        """Describe them."""
        return [description for one in self._own.values() for description in one.describe()]

    def find(self, name: str) -> ProviderDescription | None:
        """Describe one."""
        return self._own[name].find(name) if name in self._own else None
