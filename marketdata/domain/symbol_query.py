"""What callers ask of the stored symbols, and what they are told."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from marketdata.domain.symbol import AssetClass, Symbol, SymbolStatus

# Where a page of a list ended: the value of the field that it is ordered by, and the symbol_id.
SymbolPosition = tuple[str, int]


class SymbolOrder(Enum):
    """By which field symbols are listed; the value is its name."""

    SYMBOL = "symbol"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class SymbolQuery:
    """A list of symbols.

    Attributes
    ----------
    status, venue, asset_class : SymbolStatus, str, AssetClass or None
        Only symbols of these; None for all.
    sector : str or None
        Only symbols whose company is of it, spelled the same; None for all.
    order : SymbolOrder
        By which field; symbols of the same value by symbol_id.
    descending : bool
        Greatest first.
    """

    status: SymbolStatus | None = None
    venue: str | None = None
    asset_class: AssetClass | None = None
    sector: str | None = None
    order: SymbolOrder = SymbolOrder.SYMBOL
    descending: bool = False


ALL_SYMBOLS: Final = SymbolQuery()


class MatchKind(Enum):
    """How a symbol matches a search, best first."""

    EXACT = "exact"
    PREFIX = "prefix"
    FUZZY = "fuzzy"


@dataclass(frozen=True, slots=True)
class SymbolMatch:
    """A symbol that a search found.

    Attributes
    ----------
    symbol : Symbol
        The symbol.
    kind : MatchKind
        How it matches.
    score : float
        Likeness from 0 to 1; 1 for the ticker that it has now.
    """

    symbol: Symbol
    kind: MatchKind
    score: float


class SymbolValidity(Enum):
    """What a text can name."""

    KNOWN_ACTIVE = "known_active"
    KNOWN_DELISTED = "known_delisted"
    RENAMED = "renamed"
    UNKNOWN = "unknown"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class SymbolVerdict:
    """What a text names.

    Attributes
    ----------
    symbol : str
        The text.
    validity : SymbolValidity
        What it names.
    renamed_to : str
        Present ticker of what it named, where that is another one; else empty.
    problem : str
        What is wrong with a malformed text; else empty.
    """

    symbol: str
    validity: SymbolValidity
    renamed_to: str = ""
    problem: str = ""
