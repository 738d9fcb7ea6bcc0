"""Companies: what is known of the business behind a symbol."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class CompanyFacts:
    """Facts of one company as a provider tells them; what it does not tell is None or empty.

    Attributes
    ----------
    name : str
        Of the company, for people.
    sector, industry : str
        In the provider's own words.
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
