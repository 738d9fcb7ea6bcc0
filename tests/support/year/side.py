"""The provider's side of a simulated year: it tells what it knows at the moment of the clock."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final

import numpy as np

from marketdata.clock import Clock
from marketdata.domain.bars import BarFrame
from marketdata.domain.company import CompanyFacts
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.listing import Listing
from marketdata.domain.timeframe import Timeframe
from marketdata.providers.alpha_vantage.adapter import AlphaVantageProvider
from marketdata.providers.alpha_vantage.plan import Plan
from marketdata.providers.http.assembly import Surroundings
from marketdata.providers.iex.alpaca import AlpacaProvider
from tests.support.providers.alpha_vantage.side import KEY
from tests.support.providers.iex.alpaca_side import KEY_ID, SECRET, AlpacaDialect
from tests.support.providers.played import Dialect, PlayedCall, Reply
from tests.support.providers.truth import Truth
from tests.support.year.events import EVENTS
from tests.support.year.series import CLOSE, HIGH, LOW, OPEN, TRADES, VOLUME, VWAP, Series
from tests.support.year.sessions import utc
from tests.support.year.truth import Key, is_out

_PAGE_BARS: Final = 1_000
# As many as nobody waits for.
_CALLS_A_MINUTE: Final = 100_000


class Side:
    """Says what a provider knows by now: bars that have ended, what is mended and announced.

    Parameters
    ----------
    bars : mapping of Key to Series
        What it learns in time.
    outages : sequence of (str, str)
        When it answers nothing but errors, UTC.
    clock : Clock
        What is now.
    speak : callable
        Makes the dialect of what it knows.
    listings_at : callable
        Tells what it states of listings at a moment, Unix microseconds.
    companies : mapping of str to CompanyFacts
        What it tells of companies.
    """

    def __init__(
        self,
        bars: Mapping[Key, Series],
        outages: Sequence[tuple[str, str]],
        clock: Clock,
        speak: Callable[[Truth], Dialect],
        listings_at: Callable[[int], tuple[Listing, ...]] = lambda _: (),
        companies: Mapping[str, CompanyFacts] | None = None,
    ) -> None:
        self._bars = bars
        self._outages = outages
        self._clock = clock
        self._speak = speak
        self._listings_at = listings_at
        self._companies = companies or {}

    def reply(self, call: PlayedCall) -> Reply:
        """Answer a call."""
        now_us = self._clock.now_us()
        if is_out(now_us, self._outages):
            return Reply(b"Service Unavailable", 503, "text/plain")
        asked = {*call.path.split("/"), call.query.get("symbol")}
        bars = {
            (ticker, Timeframe(label)): frame_of(ticker, *series.told(now_us))
            for (ticker, label), series in self._bars.items()
            if ticker in asked
        }
        actions = {ticker: actions_of(ticker, now_us) for ticker, _ in self._bars}
        known = Truth(bars, actions, self._companies, listings=self._listings_at(now_us))
        return self._speak(known).reply(call)


def alpaca_dialect(known: Truth) -> Dialect:
    """Speak as Alpaca."""
    return AlpacaDialect(known, _PAGE_BARS)


def make_alpaca(around: Surroundings, address: str) -> AlpacaProvider:
    """Make the adapter of Alpaca over its played side."""
    return AlpacaProvider(KEY_ID, SECRET, _CALLS_A_MINUTE, around, address)


def make_alpha_vantage(around: Surroundings, address: str) -> AlphaVantageProvider:
    """Make the adapter of Alpha Vantage, with a premium key, over its played side."""
    return AlphaVantageProvider(KEY, Plan(None, _CALLS_A_MINUTE), around, address)


def frame_of(
    ticker: str, time_us: "np.typing.NDArray[np.int64]", values: "np.typing.NDArray[np.float64]"
) -> BarFrame:
    """Make a frame of one ticker, as dialects take it."""
    return BarFrame(
        (ticker,),
        time_us,
        open=values[:, OPEN],
        high=values[:, HIGH],
        low=values[:, LOW],
        close=values[:, CLOSE],
        volume=values[:, VOLUME],
        vwap=values[:, VWAP],
        trade_count=values[:, TRADES].astype(np.int64),
    )


def actions_of(ticker: str, now_us: int) -> tuple[CorporateAction, ...]:
    """List the corporate actions of a ticker as they are told at a moment."""
    return tuple(
        CorporateAction(
            CorporateActionKind.SPLIT if event.ratio else CorporateActionKind.CASH_DIVIDEND,
            date.fromisoformat(event.ex_date),
            split_ratio=event.ratio,
            cash_amount=event.cash_told(now_us),
        )
        for event in EVENTS
        if event.symbol == ticker and utc(event.announced) <= now_us
    )
