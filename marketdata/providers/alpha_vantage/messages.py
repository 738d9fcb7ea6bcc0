"""What Alpha Vantage says instead of data: always HTTP 200 and JSON, also when CSV was asked for."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from marketdata.domain.time_range import from_unix_us, to_unix_us
from marketdata.domain.timeframe import MICROSECONDS_PER_SECOND
from marketdata.errors import (
    ProviderAnswerError,
    ProviderError,
    ProviderKeyError,
    ProviderLimitError,
    ProviderSymbolError,
)

PREMIUM_PAGE: Final = "https://www.alphavantage.co/premium/"
# Its documentation says "requests per day" and not where the day begins. Everything else of it is in
# New York time. Should its day begin elsewhere, its own message ends it early: a ProviderLimitError.
QUOTA_ZONE: Final = ZoneInfo("America/New_York")

# Where its messages stand. Every one of these keys has carried every kind of message over the years,
# so what kind it is, only the words say.
_KEYS: Final = ("Error Message", "Note", "Information")
# In this order: the message about calls a second also names the daily limit and premium plans.
_TOO_FAST: Final = ("spreading out", "burst pattern", "calls per minute", "requests per minute")
_USED_UP: Final = ("requests per day", "detected your api key", "calls per day")
_NOT_IN_PLAN: Final = ("premium endpoint", "premium feature", "premium plan", "premium membership")
_BAD_KEY: Final = ("apikey is invalid", "api key is invalid", "demo** api key", "demo api key")
_BAD_CALL: Final = ("invalid api call",)
_QUOTED_LENGTH: Final = 160


def check_message(document: Any, symbol: str, asked_us: int) -> None:
    """Raise what a message stands for, or pass what is none.

    Parameters
    ----------
    document : Any
        Decoded JSON.
    symbol : str
        That was asked for, for people.
    asked_us : int
        When, Unix microseconds.

    Raises
    ------
    ProviderLimitError
        Too many calls; for those of a day with the time to the next one.
    ProviderKeyError
        The key is wrong, or its plan does not have what was asked for.
    ProviderSymbolError
        It does not know the symbol, or has no such bars of it: it says the same in both cases.
    ProviderAnswerError
        It says something else.
    """
    if not isinstance(document, Mapping):
        raise ProviderAnswerError("the answer is not an object")
    for key in _KEYS:
        if isinstance(document.get(key), str):
            raise _meaning(document[key], symbol, asked_us)


def _meaning(text: str, symbol: str, asked_us: int) -> ProviderError:
    words = text.lower()
    quoted = f"Alpha Vantage says: {text[:_QUOTED_LENGTH]}"
    if any(part in words for part in _TOO_FAST):
        return ProviderLimitError(
            f"{quoted}; lower MARKETDATA_ALPHA_VANTAGE_CALLS_A_MINUTE if this goes on"
        )
    if any(part in words for part in _USED_UP):
        return ProviderLimitError(
            f"{quoted}; no more calls until midnight in New York",
            retry_after_seconds=seconds_to_midnight(asked_us),
        )
    if any(part in words for part in _BAD_KEY):
        return ProviderKeyError(f"{quoted}; check MARKETDATA_ALPHA_VANTAGE_API_KEY")
    if any(part in words for part in _NOT_IN_PLAN):
        return ProviderKeyError(
            f"{quoted}; this is not in the free plan but in the premium plans ({PREMIUM_PAGE});"
            " with such a key set MARKETDATA_ALPHA_VANTAGE_CALLS_A_DAY=0"
        )
    if any(part in words for part in _BAD_CALL):
        return ProviderSymbolError(
            f"Alpha Vantage does not know {symbol}, or has no bars of then; check its spelling there,"
            " or ask from its first session on"
        )
    return ProviderAnswerError(quoted)


def seconds_to_midnight(now_us: int) -> float:
    """Tell how long the quota's day, that of New York, still lasts."""
    local = from_unix_us(now_us).astimezone(QUOTA_ZONE)
    midnight = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return (to_unix_us(midnight) - now_us) / MICROSECONDS_PER_SECOND
