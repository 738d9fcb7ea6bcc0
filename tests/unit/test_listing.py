"""Evidence that a symbol is delisted: a statement with a date, about this very symbol."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

import pytest

from marketdata.domain.listing import Listing, ListingVerdict, judge_listings
from marketdata.domain.symbol import BY_HAND, StatusEvidence, Symbol, SymbolStatus

TODAY: Final = date(2026, 11, 21)
GONE: Final = date(2022, 10, 28)
TWITTER: Final = Symbol("TWTR", symbol_id=5)
REMOVED: Final = Listing("TWTR", "Twitter Inc", "NYSE", is_listed=False, delisted_on=GONE)
LISTED: Final = Listing("TWTR", "Another Inc", "NYSE")


def judged(
    *listings: Listing, identity: Symbol = TWITTER, last_bar: date | None = GONE
) -> ListingVerdict:
    """Judge what is stated."""
    return judge_listings(identity, listings, "alpha_vantage", last_bar, TODAY)


def test_judge_given_a_removal_with_a_date_is_evidence() -> None:
    """Who states it, for which day, and in which words."""
    verdict = judged(REMOVED)
    assert verdict.evidence == StatusEvidence(
        "alpha_vantage", GONE, "delisted on 2022-10-28: Twitter Inc, NYSE"
    )
    assert "its status is delisted now" in verdict.remark
    assert judged(REMOVED, last_bar=None).evidence is not None
    assert judged(REMOVED, last_bar=GONE + timedelta(days=7)).evidence is not None


@pytest.mark.parametrize(
    "listings",
    [
        (),
        (LISTED,),
        (replace(REMOVED, delisted_on=None),),
        (replace(REMOVED, delisted_on=TODAY + timedelta(days=1)),),
        (REMOVED, LISTED),
    ],
    ids=["silence", "listed", "no date", "to come", "listed again"],
)
def test_judge_given_no_positive_statement_changes_nothing(listings: tuple[Listing, ...]) -> None:
    """Silence, a removal without a date or to come, and a ticker in use are no evidence (rule 16)."""
    assert judged(*listings) == ListingVerdict()


@pytest.mark.parametrize("since", [GONE, GONE + timedelta(days=400)])
def test_judge_given_a_former_holders_removal_changes_nothing(since: date) -> None:
    """The ticker was given to this symbol when the other one was gone (rule 15)."""
    assert judged(REMOVED, identity=replace(TWITTER, valid_from=since)) == ListingVerdict()


def test_judge_given_newer_bars_says_so_and_changes_nothing() -> None:
    """Bars are evidence too: most likely the ticker was used before anybody told the service."""
    verdict = judged(REMOVED, last_bar=GONE + timedelta(days=8))
    assert verdict.evidence is None
    assert "but there are bars up to 2022-11-05" in verdict.remark


def test_judge_given_a_persons_word_since_leaves_it() -> None:
    """Who made it active again behind the removal knows better; an older word does not count."""
    noted = datetime(2026, 11, 1, tzinfo=UTC)
    identity = replace(TWITTER, status_evidence=StatusEvidence(BY_HAND, None, "relisted", noted))
    verdict = judged(REMOVED, identity=identity)
    assert verdict.evidence is None
    assert "a person has said otherwise since" in verdict.remark
    old = replace(identity, status_evidence=StatusEvidence(BY_HAND, None, "", noted.replace(year=2020)))
    assert judged(REMOVED, identity=old).evidence is not None


def test_judge_given_a_delisted_one_keeps_its_evidence() -> None:
    """The first statement stands; one that was created as delisted gets its evidence."""
    delisted = replace(TWITTER, status=SymbolStatus.DELISTED)
    known = replace(delisted, status_evidence=StatusEvidence("alpha_vantage", GONE, "x"))
    assert judged(REMOVED, identity=known) == ListingVerdict()
    assert judged(REMOVED, identity=delisted).evidence is not None
