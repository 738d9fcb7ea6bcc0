"""Answers of Yahoo's quoteSummary as facts of a company: pure."""

import math
from collections.abc import Mapping
from typing import Any, Final

from marketdata.domain.company import CompanyFacts
from marketdata.domain.time_range import session_date
from marketdata.domain.timeframe import MICROSECONDS_PER_SECOND
from marketdata.errors import ProviderAnswerError, ProviderSymbolError
from marketdata.providers.yahoo.chart import unknown_symbol

# What is asked for, in one call; `Ticker.info` makes three.
MODULES: Final = ("assetProfile", "price", "defaultKeyStatistics")
_UNKNOWN: Final = "not found"
_SHOWN_CHARACTERS: Final = 200
_LATEST_S: Final = 2**32


def parse_company(payload: Any, spelling: str) -> CompanyFacts:
    """Read facts of a company.

    The first session is left unknown: Yahoo's is that of its own history, 1962 for older companies.

    Parameters
    ----------
    payload : Any
        The decoded JSON of an answer, whatever its HTTP status.
    spelling : str
        Of the symbol, as it was asked for.

    Raises
    ------
    ProviderSymbolError
        Yahoo does not know the symbol.
    ProviderAnswerError
        It is no such answer.
    """
    answer = payload.get("quoteSummary") if isinstance(payload, dict) else None
    if not isinstance(answer, dict):
        raise ProviderAnswerError("Yahoo's answer has no quoteSummary")
    if answer.get("error"):
        raise _told(answer["error"], spelling)
    results = answer.get("result")
    if not isinstance(results, list) or not results or not isinstance(results[0], dict):
        raise ProviderAnswerError("Yahoo's quoteSummary has neither a result nor an error")
    profile, price, statistics = (_module(results[0], name) for name in MODULES)
    employees = _number(profile, "fullTimeEmployees")
    quoted_s = _number(price, "regularMarketTime")
    return CompanyFacts(
        name=_text(price, "longName") or _text(price, "shortName"),
        sector=_text(profile, "sector"),
        industry=_text(profile, "industry"),
        employees=int(employees) if employees is not None else None,
        market_cap=_number(price, "marketCap"),
        shares_outstanding=_number(statistics, "sharesOutstanding"),
        currency=_text(price, "currency"),
        as_of=session_date(int(quoted_s) * MICROSECONDS_PER_SECOND) if quoted_s else None,
    )


def _told(error: Any, spelling: str) -> ProviderSymbolError | ProviderAnswerError:
    said = error if isinstance(error, dict) else {}
    code, description = str(said.get("code", "")), str(said.get("description", ""))
    if code.casefold() == _UNKNOWN:
        return ProviderSymbolError(unknown_symbol(spelling))
    shown = " ".join(f"{code}: {description}".split())[:_SHOWN_CHARACTERS]
    return ProviderAnswerError(f"Yahoo answers {shown!r} instead of facts")


def _module(result: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    module = result.get(name)
    return module if isinstance(module, dict) else {}


def _text(module: Mapping[str, Any], name: str) -> str:
    value = module.get(name)
    return " ".join(value.split()) if isinstance(value, str) else ""


def _number(module: Mapping[str, Any], name: str) -> float | None:
    """Read a number that can be what it counts: an impossible one is one that is not told."""
    value = module.get(name)
    if isinstance(value, dict):
        # So it comes where somebody asked for formatted answers.
        value = value.get("raw")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    is_time = name == "regularMarketTime"
    is_possible = math.isfinite(value) and value > 0 and not (is_time and value >= _LATEST_S)
    return float(value) if is_possible else None
