"""Whether a symbol is still listed, by what a provider states: pure.

A symbol is delisted on a positive statement with a date, or when a person says so. That something is
not told, or not known, says nothing (rule 16).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from marketdata.domain.symbol import BY_HAND, StatusEvidence, Symbol, SymbolStatus

# The day that is told is that of the removal, a few days behind the last session as well as before it;
# and shares can go on being traded elsewhere for a while.
_SLACK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a provider states of a listing.

    Attributes
    ----------
    symbol : str
        The ticker, in the provider's spelling.
    name, exchange : str
        In the provider's words.
    is_listed : bool
        Whether it is.
    listed_on, delisted_on : date or None
        First session, and the day of its removal, where they are told.
    """

    symbol: str
    name: str = ""
    exchange: str = ""
    is_listed: bool = True
    listed_on: date | None = None
    delisted_on: date | None = None


@dataclass(frozen=True, slots=True)
class ListingVerdict:
    """What is to be done: evidence of the status DELISTED, and what a person should know."""

    evidence: StatusEvidence | None = None
    remark: str = ""


def judge_listings(
    identity: Symbol, listings: Sequence[Listing], source: str, last_bar: date | None, today: date
) -> ListingVerdict:
    """Tell whether what is stated is evidence that a symbol is delisted.

    A ticker is used by one company after the other. So a removal counts only where it fell into the
    time in which the ticker named this symbol, nobody is listed under it now, and no bars are newer.

    Parameters
    ----------
    identity : Symbol
        As it is now.
    listings : sequence of Listing
        All that `source` states of its ticker; empty says nothing.
    source : str
        The provider.
    last_bar : date or None
        Session of its newest bar.
    today : date
        What is told of days to come has not happened.
    """
    removals = [
        (listing.delisted_on, listing)
        for listing in listings
        if not listing.is_listed and listing.delisted_on is not None
        if listing.delisted_on <= today
        if identity.valid_from is None or listing.delisted_on > identity.valid_from
    ]
    if not removals or any(listing.is_listed for listing in listings):
        return ListingVerdict()
    day, listing = max(removals, key=lambda removal: removal[0])
    known = identity.status_evidence
    if identity.status is SymbolStatus.DELISTED and known is not None:
        return ListingVerdict()
    stated = f"{source} states that {listing.symbol} was delisted on {day}"
    if known is not None and known.source == BY_HAND and known.is_of_or_after(day):
        return ListingVerdict(remark=f"{stated}; a person has said otherwise since, which stands")
    if last_bar is not None and last_bar > day + _SLACK:
        text = f"{stated}, but there are bars up to {last_bar}; UpdateSymbol says what is so"
        return ListingVerdict(remark=text)
    what = ", ".join(part for part in (listing.name, listing.exchange) if part)
    text = f"delisted on {day}" + (f": {what}" if what else "")
    return ListingVerdict(StatusEvidence(source, day, text), f"{stated}; its status is delisted now")
