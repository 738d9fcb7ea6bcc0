"""The protocol that every provider keeps: what it can do, and what it is asked.

docs/providers.md numbers what an adapter must do; tests/contract/test_provider_conformance.py holds
each adapter to it.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Protocol, runtime_checkable

from marketdata.domain.bars import BarFrame
from marketdata.domain.company import CompanyFacts
from marketdata.domain.corporate_action import CorporateAction
from marketdata.domain.listing import Listing
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do.

    Attributes
    ----------
    name : str
        As requests and `market_feed.provider` spell it: ``alpha_vantage``.
    title : str
        The company and its product, for people.
    feeds : mapping of Timeframe to str
        The feed (``provider/feed``, a row of `market_feed`) of each timeframe that it has.
    history : mapping of Timeframe to timedelta or None
        How far back from now bars of each of these timeframes reach; None: as far as there are any.
    has_actions, has_company : bool
        Whether it tells corporate actions, and facts of companies.
    settings : tuple of str
        The environment variables that it cannot work without; their values are secrets.
    terms : str
        What its terms allow, in a sentence, with the page that says so.
    has_old_tickers : bool
        Whether it has the bars of before a rename under the ticker of then, and is asked for them by
        that one; else they stand under the latest ticker.
    has_listings : bool
        Whether it states what is listed and what was delisted: it is a `TellsListings` then.
    """

    name: str
    title: str
    feeds: Mapping[Timeframe, str]
    history: Mapping[Timeframe, timedelta | None]
    has_actions: bool
    has_company: bool
    settings: tuple[str, ...]
    terms: str
    has_old_tickers: bool = False
    has_listings: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What a provider allows.

    Attributes
    ----------
    calls_a_minute, calls_a_day : int or None
        Per key; None where there is no such limit.
    calls_at_once : int
        Most calls under way at a time.
    bars_a_call : int or None
        Most bars that one call answers.
    """

    calls_a_minute: int | None = None
    calls_a_day: int | None = None
    calls_at_once: int = 4
    bars_a_call: int | None = None


@dataclass(frozen=True, slots=True)
class BarsRequest:
    """Bars to fetch.

    Attributes
    ----------
    symbol : Symbol
        Whose; `provider_symbols` has the provider's own spelling where it differs.
    timeframe : Timeframe
        One of the provider's.
    range : TimeRange
        Opens of the bars, start inclusive, end exclusive; for daily bars of their session labels. Not
        empty, and within the provider's history.
    """

    symbol: Symbol
    timeframe: Timeframe
    range: TimeRange


@dataclass(frozen=True, slots=True, eq=False)
class BarsPage:
    """A part of an answer, complete for its range.

    Attributes
    ----------
    frame : BarFrame
        All columns; raw prices of one symbol, under its own spelling (not the provider's), in any
        order and not checked: prices may be NaN. `feeds` names the feed; FINAL is set on every bar
        but the one that is still forming.
    range : TimeRange
        What it completes: the frame has every bar that the provider has there, and none from
        elsewhere. The first page of an answer starts where the request does, each goes on where the
        one before ended, and the last ends where the request does.
    actions : tuple of CorporateAction
        What came along with the bars, as declared.
    """

    frame: BarFrame
    range: TimeRange
    actions: tuple[CorporateAction, ...] = field(default=())


class Provider(Protocol):
    """Fetches from one provider. Safe to use from many tasks of one event loop at once.

    Every method can raise

    - `ProviderUnavailableError`: it does not answer, or fails, after all retries, or lately failed so
      often that it is left alone for a while;
    - `ProviderLimitError`: its limit is used up; says when there is more;
    - `ProviderAnswerError`: its answers cannot be understood, after all retries;
    - `ProviderSymbolError`: it does not know the symbol;
    - `ProviderKeyError`: it refuses the key, or what is asked is not in the key's plan.

    Cancelling a call ends it at once and leaves nothing behind.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    @property
    def limits(self) -> Limits:
        """What it allows."""
        ...

    def fetch_bars(self, request: BarsRequest) -> AsyncGenerator[BarsPage, None]:
        """Fetch bars, page by page; pages hold at most 50,000 bars."""
        ...

    async def fetch_actions(self, symbol: Symbol, start: date, end: date) -> Sequence[CorporateAction]:
        """Fetch the corporate actions with ex-dates in `[start, end)`, ascending."""
        ...

    async def fetch_company(self, symbol: Symbol) -> CompanyFacts:
        """Fetch what is known of the company."""
        ...

    async def aclose(self) -> None:
        """Close connections. The provider is not used after it."""
        ...


@runtime_checkable
class TellsListings(Protocol):
    """A provider that also states what is listed, and what was delisted."""

    async def fetch_listings(self, symbols: Sequence[Symbol]) -> Mapping[int, Sequence[Listing]]:
        """Fetch what is stated of some symbols, listed or delisted, by symbol_id.

        Those of which nothing is stated are left out. An answer is the whole truth about the tickers in
        it: who else had one, and who has it now. Raises as the methods of `Provider` do.
        """
        ...


class Quota(Protocol):
    """Counts the calls of a key, across restarts and replicas."""

    async def take(self, provider: str, key_id: str, calls_a_day: int) -> None:
        """Count one call, before it is made.

        Parameters
        ----------
        provider : str
            Its name.
        key_id : str
            Stands for the key without telling it: a hash.
        calls_a_day : int
            How many the key may make between two midnights of the provider's day.

        Raises
        ------
        ProviderLimitError
            There is none left; says when there is.
        """
        ...


class Waits(Protocol):
    """Is told when a provider waits, so that people can see why nothing moves."""

    def add(self, provider: str, reason: str, seconds: float) -> None:
        """Note that a call waits for `seconds` from now; `reason` is a stable word: ``rate_limit``."""
        ...
