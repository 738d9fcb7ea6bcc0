"""The provider `yahoo`, put together."""

from marketdata.providers.http.assembly import Surroundings
from marketdata.providers.http.breaker import Breaker
from marketdata.providers.http.caller import ProviderCaller
from marketdata.providers.http.pace import Pace
from marketdata.providers.http.redaction import Redactor
from marketdata.providers.yahoo.client import YahooClient
from marketdata.providers.yahoo.provider import LIMITS, YahooProvider
from marketdata.providers.yahoo.spelling import PROVIDER


def make_yahoo(around: Surroundings) -> YahooProvider:
    """Put the provider together; its first call imports yfinance and makes connections."""
    caller = ProviderCaller(
        PROVIDER,
        YahooClient(around.clock, threads=LIMITS.calls_at_once),
        pace=Pace(PROVIDER, LIMITS, around.waits),
        breaker=Breaker(PROVIDER, open_seconds=around.rest_seconds),
        waits=around.waits,
        patience=around.patience,
        redactor=Redactor(()),
    )
    return YahooProvider(caller, around.clock)
