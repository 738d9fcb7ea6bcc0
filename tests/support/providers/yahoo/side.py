"""The provider `yahoo` as the conformance suite sees it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from marketdata.providers.http.breaker import Breaker
from marketdata.providers.http.caller import ProviderCaller
from marketdata.providers.http.pace import Pace
from marketdata.providers.http.redaction import Redactor
from marketdata.providers.yahoo.client import YahooClient
from marketdata.providers.yahoo.provider import LIMITS, YahooProvider
from marketdata.providers.yahoo.spelling import PROVIDER
from tests.support.providers.adapters import AdapterUnderTest, Circumstances, Played
from tests.support.providers.faults import SERVER_FAULTS, Fault, never
from tests.support.providers.played import loopback
from tests.support.providers.yahoo.door import CRUMB, DoorDialect, LoopbackTransport
from tests.support.providers.yahoo.site import YahooDialect

_SPELLINGS: Final = {"BRK.B": "BRK-B"}


@asynccontextmanager
async def play(circumstances: Circumstances) -> AsyncIterator[Played]:
    """Build the adapter against its side."""
    given = circumstances
    dialect = YahooDialect.of_truth(given.truth, _SPELLINGS)
    async with loopback(dialect, given.faults) as server, loopback(DoorDialect(), never) as door:
        client = YahooClient(
            given.clock,
            threads=LIMITS.calls_at_once,
            transport=LoopbackTransport(server.address, door.address),
            timeout_seconds=given.bounds.total_seconds,
        )
        caller = ProviderCaller(
            PROVIDER,
            client,
            pace=Pace(PROVIDER, replace(LIMITS, calls_a_minute=None), given.waits),
            breaker=Breaker(PROVIDER),
            waits=given.waits,
            patience=given.patience,
            redactor=Redactor(()),
        )
        provider = YahooProvider(caller, given.clock)
        try:
            yield Played(provider, server)
        finally:
            await provider.aclose()


#: Without what its side cannot play: it has no keys, no pages of its own, and follows redirects.
YAHOO: Final = AdapterUnderTest(
    name=PROVIDER,
    play=play,
    faults=SERVER_FAULTS - {Fault.KEY_REFUSED, Fault.AWAY} | {Fault.REORDERED, Fault.NAN_ROWS},
    secrets=(CRUMB,),
    spellings=_SPELLINGS,
    company_fields=frozenset(
        {
            "name",
            "sector",
            "industry",
            "employees",
            "market_cap",
            "shares_outstanding",
            "currency",
            "as_of",
        }
    ),
)
