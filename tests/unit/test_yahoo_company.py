"""Companies, symbols and currencies of Yahoo."""

from typing import Any

import pytest

from marketdata.domain.symbol import Symbol
from marketdata.errors import ProviderAnswerError, ProviderSymbolError
from marketdata.providers.yahoo.company import parse_company
from marketdata.providers.yahoo.spelling import our_currency, yahoo_spelling


def test_company_given_a_summary_tells_its_facts() -> None:
    """Also where numbers come formatted; what is impossible is not told."""
    result = {
        "assetProfile": {"sector": "Technology", "industry": "Consumer\xa0Electronics"},
        "price": {
            "longName": "Apple Inc.",
            "currency": "USD",
            "marketCap": {"raw": 3.5e12, "fmt": "3.5T"},
            "regularMarketTime": 1_732_718_000,
        },
        "defaultKeyStatistics": {"sharesOutstanding": -1},
    }

    facts = parse_company({"quoteSummary": {"result": [result], "error": None}}, "AAPL")

    assert (facts.name, facts.sector, facts.industry) == (
        "Apple Inc.",
        "Technology",
        "Consumer Electronics",
    )
    assert (facts.market_cap, facts.shares_outstanding, facts.employees) == (3.5e12, None, None)
    assert str(facts.as_of) == "2024-11-27"


@pytest.mark.parametrize("payload", [None, {}, {"quoteSummary": {"result": [], "error": None}}])
def test_company_given_no_summary_is_refused(payload: Any) -> None:
    """An answer without facts is not taken for a company without any."""
    with pytest.raises(ProviderAnswerError):
        parse_company(payload, "AAPL")


def test_company_given_an_unknown_symbol_says_so() -> None:
    """It is not taken for a company of which nothing is known."""
    error = {"code": "Not Found", "description": "Quote not found for symbol: NOSUCH"}

    with pytest.raises(ProviderSymbolError, match="NOSUCH"):
        parse_company({"quoteSummary": {"result": None, "error": error}}, "NOSUCH")


@pytest.mark.parametrize(
    ("symbol", "spelling"),
    [
        (Symbol("BRK.B"), "BRK-B"),
        (Symbol("VOD.L", venue="XLON"), "VOD.L"),
        (Symbol("BTC-USD", venue=""), "BTC-USD"),
        (Symbol("GSPC", provider_symbols={"yahoo": "^GSPC"}), "^GSPC"),
    ],
)
def test_yahoo_spelling_given_a_symbol_is_what_is_said_or_the_rule_of_its_venue(
    symbol: Symbol, spelling: str
) -> None:
    """A class of shares has a hyphen there; another exchange's suffix keeps its dot."""
    assert yahoo_spelling(symbol) == spelling


def test_our_currency_given_pence_is_not_pounds() -> None:
    """Upper case alone would make them a hundred times as much."""
    assert [our_currency(text) for text in ("GBp", "GBP", "USD")] == ["GBX", "GBP", "USD"]
