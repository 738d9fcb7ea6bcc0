"""A provider's caller, put together."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from marketdata.clock import Clock
from marketdata.providers.http.breaker import OPEN_SECONDS, Breaker
from marketdata.providers.http.caller import DailyQuota, Patience, ProviderCaller
from marketdata.providers.http.client import CallBounds, HttpClient
from marketdata.providers.http.pace import Pace
from marketdata.providers.http.redaction import Redactor, key_id
from marketdata.providers.protocol import Limits, Quota, Waits


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every provider over HTTP works with.

    Attributes
    ----------
    quota : Quota
        Counts calls a day.
    waits : Waits
        Is told what waits.
    clock : Clock
        The time of day.
    bounds : CallBounds
        What a call may take.
    patience : Patience
        How often a call is made anew.
    rest_seconds : float
        How long a provider that failed again and again is left alone; see `Breaker`.
    """

    quota: Quota
    waits: Waits
    clock: Clock
    bounds: CallBounds = field(default_factory=CallBounds)
    patience: Patience = field(default_factory=Patience)
    rest_seconds: float = OPEN_SECONDS


@dataclass(frozen=True, slots=True)
class Access:
    """Where a provider is and what it knows the caller by.

    Attributes
    ----------
    address : str
        ``https://host``.
    secrets : tuple of str
        Keys; the first one stands for the account.
    headers : mapping of str to str
        Sent with each call.
    """

    address: str
    secrets: tuple[str, ...] = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def make_caller(
    provider: str, access: Access, limits: Limits, surroundings: Surroundings
) -> ProviderCaller:
    """Put a caller together; it makes connections with its first call.

    Raises
    ------
    ConfigurationError
        Keys must not be sent to the address.
    """
    around = surroundings
    daily = None
    if limits.calls_a_day is not None:
        daily = DailyQuota(around.quota, key_id(access.secrets[0]), limits.calls_a_day)
    return ProviderCaller(
        provider,
        HttpClient(access.address, around.bounds, around.clock, access.headers),
        pace=Pace(provider, limits, around.waits),
        breaker=Breaker(provider, open_seconds=around.rest_seconds),
        waits=around.waits,
        patience=around.patience,
        redactor=Redactor(access.secrets),
        daily=daily,
    )
