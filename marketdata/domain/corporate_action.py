"""Corporate actions: what prices are adjusted for on read."""

from dataclasses import dataclass
from datetime import date
from enum import Enum


class CorporateActionKind(Enum):
    """What happened."""

    SPLIT = "split"
    CASH_DIVIDEND = "cash_dividend"


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """One event of one symbol.

    Attributes
    ----------
    kind : CorporateActionKind
        What happened.
    ex_date : date
        The first session that trades without it: prices before this session are adjusted.
    split_ratio : float or None
        New shares for one old share (2.0 for 2:1); only for splits.
    cash_amount : float or None
        Dividend a share in quote currency, as declared, not adjusted for later splits.
    currency : str
        ISO 4217 code of `cash_amount`; empty in one that is to be stored: the symbol's.
    source : str
        Where the event is known from, for people.
    """

    kind: CorporateActionKind
    ex_date: date
    split_ratio: float | None = None
    cash_amount: float | None = None
    currency: str = "USD"
    source: str = ""


@dataclass(frozen=True, slots=True)
class ActionQuery:
    """A list of corporate actions of one symbol.

    Attributes
    ----------
    kind : CorporateActionKind or None
        Only of this kind; None for all.
    start, end : date or None
        Range of ex-dates, start inclusive, end exclusive; None where unbounded.
    """

    kind: CorporateActionKind | None = None
    start: date | None = None
    end: date | None = None
