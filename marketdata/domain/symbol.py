"""Symbols: the text as quoted, and the identity behind it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from typing import Any, Final

from marketdata.domain.time_range import TimeRange

#: The source of what people say, and not a provider.
BY_HAND: Final = "manual"
MAX_SYMBOL_LENGTH: Final = 20
# Upper case letters and digits; classes or series after dots or hyphens (BRK.B, BTC-USD); a leading
# ^ for indices and a trailing = and letter for rates and futures (EURUSD=X, ES=F), as vendors quote.
SYMBOL_PATTERN: Final = re.compile(r"\^?[A-Z0-9]+(?:[.\-][A-Z0-9]+)*(?:=[A-Z])?")


class AssetClass(Enum):
    """What kind of instrument a symbol names."""

    EQUITY = "equity"
    ETF = "etf"
    INDEX = "index"
    FUTURE = "future"
    FX = "fx"
    CRYPTO = "crypto"


class SymbolStatus(Enum):
    """Whether a symbol is still traded."""

    ACTIVE = "active"
    DELISTED = "delisted"


@dataclass(frozen=True, slots=True)
class StatusEvidence:
    """Why a symbol has its status.

    Attributes
    ----------
    source : str
        A provider, or `BY_HAND`.
    day : date or None
        When it happened, where that is known.
    text : str
        What is known, for people.
    noted : datetime or None
        When it was stored, UTC; None in what is to be stored.
    """

    source: str
    day: date | None = None
    text: str = ""
    noted: datetime | None = None

    def is_of_or_after(self, day: date) -> bool:
        """Tell whether it is about this day or a later one, or was stored then."""
        days = [self.day, self.noted.date() if self.noted is not None else None]
        return any(each is not None and each >= day for each in days)


@dataclass(frozen=True, slots=True)
class NewSymbol:
    """What is said of a symbol when it is created.

    Attributes
    ----------
    symbol : str
        The ticker as quoted, in this service's one spelling (``BRK.B``).
    name : str
        For people.
    venue : str
        ISO 10383 MIC of the primary listing.
    currency : str
        ISO 4217 code of the prices.
    calendar : str
        Name of the exchange calendar, as `exchange_calendars` spells it (``XNYS``).
    time_zone : str
        IANA zone of the venue.
    tick_size : float or None
        Smallest price step in quote currency, where known.
    ipo_date : date or None
        First session, where known.
    provider_symbols : mapping of str to str
        Spelling per provider where it differs from `symbol`.
    valid_from : date or None
        First session during which `symbol` names it; None: always did.
    """

    symbol: str
    name: str = ""
    venue: str = "XNYS"
    asset_class: AssetClass = AssetClass.EQUITY
    currency: str = "USD"
    calendar: str = "XNYS"
    time_zone: str = "America/New_York"
    tick_size: float | None = None
    status: SymbolStatus = SymbolStatus.ACTIVE
    ipo_date: date | None = None
    provider_symbols: Mapping[str, str] = field(default_factory=dict)
    valid_from: date | None = None


@dataclass(frozen=True, slots=True)
class Symbol(NewSymbol):
    """A symbol that is stored.

    Attributes
    ----------
    symbol_id : int
        The stable identity; it outlives renames.
    valid_to : date or None
        First session during which `symbol` no longer named it; None: it still does.
    status_evidence : StatusEvidence or None
        Why it has its status; None: it was created with it.
    """

    symbol_id: int = 0
    valid_to: date | None = None
    status_evidence: StatusEvidence | None = None


@dataclass(frozen=True, slots=True)
class SymbolUpdate:
    """What is to change of a stored symbol.

    Attributes
    ----------
    values : mapping of str to Any
        New values by the names of `NewSymbol`'s fields, all but `valid_from`. With `symbol` among
        them the identity is renamed.
    effective_date : date or None
        First session under the new ticker; None unless it is renamed.
    evidence : StatusEvidence or None
        Why `status` changes; None where it does not, or nobody said why.
    """

    values: Mapping[str, Any]
    effective_date: date | None = None
    evidence: StatusEvidence | None = None


@dataclass(frozen=True, slots=True)
class TickerSegment:
    """A ticker under which an identity's bars stand during a range."""

    ticker: str
    range: TimeRange


@dataclass(frozen=True, slots=True)
class ResolvedSymbol:
    """A symbol of a request, turned into where its bars stand.

    Attributes
    ----------
    symbol : str
        As asked for.
    symbol_id : int
        The identity it names.
    currency : str
        ISO 4217 code of the prices.
    segments : tuple of TickerSegment
        Disjoint, ascending by time. A rename makes two.
    calendar : str
        Name of its exchange calendar.
    """

    symbol: str
    symbol_id: int
    currency: str
    segments: tuple[TickerSegment, ...]
    calendar: str = "XNYS"


def symbol_problem(symbol: str) -> str | None:
    """Say what is wrong with the text of a symbol, or None where it is well-formed.

    Parameters
    ----------
    symbol : str
        The text, exactly as it would be stored.
    """
    if not symbol:
        return "is empty; give a ticker such as AAPL or BRK.B"
    if len(symbol) > MAX_SYMBOL_LENGTH:
        return f"has {len(symbol)} characters; the most is {MAX_SYMBOL_LENGTH}"
    if SYMBOL_PATTERN.fullmatch(symbol) is None:
        return (
            "is not a ticker; use upper case letters and digits, with . or - before a class "
            "or series, such as AAPL, BRK.B or BTC-USD"
        )
    return None
