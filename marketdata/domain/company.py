"""Companies: what is known of the business behind a symbol."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class CompanyFacts:
    """Facts of one company; what is not known, or a provider does not tell, is None or empty.

    Attributes
    ----------
    name : str
        Of the company, for people.
    sector, industry : str
        In the words of whoever told them.
    employees : int or None
        Full-time ones.
    market_cap : float or None
        In `currency`.
    shares_outstanding : float or None
        Shares.
    currency : str
        ISO 4217 code of `market_cap`.
    ipo_date : date or None
        First session.
    as_of : date or None
        The day for which the figures hold.
    """

    name: str = ""
    sector: str = ""
    industry: str = ""
    employees: int | None = None
    market_cap: float | None = None
    shares_outstanding: float | None = None
    currency: str = ""
    ipo_date: date | None = None
    as_of: date | None = None


@dataclass(frozen=True, slots=True)
class FactOrigin:
    """Where a fact is known from.

    Attributes
    ----------
    source : str
        A provider, or `BY_HAND`.
    day : date
        For which it was told; of what people say the day on which they said it, unless they named one.
    """

    source: str
    day: date


@dataclass(frozen=True, slots=True)
class Company:
    """What is stored of the company behind a symbol.

    Attributes
    ----------
    symbol : str
        Its latest ticker.
    symbol_id : int
        The identity that it stands behind; it outlives renames.
    facts : CompanyFacts
        What is known.
    source : str
        Who said the last change: a provider, or ``manual``. Empty where nothing is known.
    updated : datetime or None
        When the last change was stored, UTC. None where nothing is known.
    origins : mapping of str to FactOrigin
        Of each known fact but `as_of`, by its name.
    """

    symbol: str
    symbol_id: int
    facts: CompanyFacts
    source: str = ""
    updated: datetime | None = None
    origins: Mapping[str, FactOrigin] = field(default_factory=dict)
