"""Alpha Vantage's company overview turned into facts: pure."""

import math
from typing import Any

from marketdata.domain.company import CompanyFacts
from marketdata.errors import ProviderAnswerError, ProviderSymbolError
from marketdata.providers.alpha_vantage.messages import check_message
from marketdata.providers.http.answer import HttpAnswer
from marketdata.providers.http.caller import expect_ok

# What stands where nothing is known.
_UNKNOWN = frozenset({"", "none", "-", "n/a"})


def parse_overview(answer: HttpAnswer, symbol: str) -> CompanyFacts:
    """Turn an answer of OVERVIEW into facts; it tells neither employees nor the first session.

    Raises
    ------
    ProviderSymbolError
        It is an empty object: there is no company of that symbol, or it is a fund.
    ProviderLimitError, ProviderKeyError, ProviderAnswerError
        As `check_message` says, or it is not what the documentation says.
    """
    document = expect_ok(answer).json()
    check_message(document, symbol, answer.asked_us)
    if not document:
        raise ProviderSymbolError(
            f"Alpha Vantage knows no company {symbol}; check its spelling there. It has none of funds"
        )
    if str(document.get("Symbol", "")).upper() != symbol.upper():
        raise ProviderAnswerError("the answer is about another symbol, or not a company's overview")
    return CompanyFacts(
        name=_text(document, "Name"),
        sector=_text(document, "Sector"),
        industry=_text(document, "Industry"),
        market_cap=_number(document, "MarketCapitalization"),
        shares_outstanding=_number(document, "SharesOutstanding"),
        currency=_text(document, "Currency"),
    )


def _text(document: dict[str, Any], name: str) -> str:
    text = str(document.get(name) or "").strip()
    return "" if text.lower() in _UNKNOWN else text


def _number(document: dict[str, Any], name: str) -> float | None:
    text = _text(document, name)
    try:
        number = float(text) if text else math.nan
    except ValueError:
        problem = ProviderAnswerError(f"{name} is not a number")
    else:
        return number if math.isfinite(number) and number > 0 else None
    raise problem
