"""The provider `yahoo` with a played site of its own, and what that knows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np

from marketdata.clock import ManualClock
from marketdata.domain.bars import BarFrame
from marketdata.domain.corporate_action import CorporateAction
from marketdata.domain.symbol import Symbol
from marketdata.domain.timeframe import Timeframe
from marketdata.providers.http.breaker import Breaker
from marketdata.providers.http.caller import Patience, ProviderCaller
from marketdata.providers.http.pace import Pace
from marketdata.providers.http.redaction import Redactor
from marketdata.providers.protocol import BarsPage, BarsRequest, Limits
from marketdata.providers.sample.parse import SampleStock
from marketdata.providers.sample.source import fetch_sample_stocks
from marketdata.providers.yahoo.client import YahooClient
from marketdata.providers.yahoo.provider import YahooProvider
from tests.support.providers.adapters import NotedWaits
from tests.support.providers.faults import FaultPlan, never
from tests.support.providers.played import LoopbackServer, loopback
from tests.support.providers.yahoo.door import DoorDialect, LoopbackTransport
from tests.support.providers.yahoo.site import PlayedStock, YahooDialect
from tests.support.sessions import local_us, minutes_between, walk

NOW_US = local_us("2024-11-27 10:05") + 30_000_000
AAPL = Symbol("AAPL", venue="XNAS", symbol_id=1)
NO_BARS = {timeframe: BarFrame.empty(("AAPL",)) for timeframe in Timeframe}


@dataclass(frozen=True)
class PlayedYahoo:
    """The provider, and what it talks to."""

    provider: YahooProvider
    client: YahooClient
    server: LoopbackServer
    door: LoopbackServer

    def asked(self) -> list[str]:
        """List what the site was asked for: paths with their interval."""
        return [f"{call.path} {call.query.get('interval', '')}".strip() for call in self.server.calls]


@asynccontextmanager
async def played_yahoo(
    stocks: dict[str, PlayedStock],
    faults: FaultPlan = never,
    *,
    timeout_seconds: float = 10.0,
    patience: Patience | None = None,
) -> AsyncIterator[PlayedYahoo]:
    """Run the provider against a site that knows `stocks`, by Yahoo's spelling."""
    clock = ManualClock(NOW_US)
    async with (
        loopback(YahooDialect(stocks), faults) as server,
        loopback(DoorDialect(), never) as door,
    ):
        transport = LoopbackTransport(server.address, door.address)
        client = YahooClient(clock, threads=2, transport=transport, timeout_seconds=timeout_seconds)
        waits = NotedWaits()
        caller = ProviderCaller(
            "yahoo",
            client,
            pace=Pace("yahoo", Limits(), waits),
            breaker=Breaker("yahoo"),
            waits=waits,
            patience=patience or Patience(3, 0.002),
            redactor=Redactor(()),
        )
        provider = YahooProvider(caller, clock)
        try:
            yield PlayedYahoo(provider, client, server, door)
        finally:
            await provider.aclose()


async def pages_of(played: PlayedYahoo, request: BarsRequest) -> list[BarsPage]:
    """Fetch all pages of a request."""
    return [page async for page in played.provider.fetch_bars(request)]


def sample_stock(sample: SampleStock, later: tuple[CorporateAction, ...] = ()) -> PlayedStock:
    """Let Yahoo know a stock of the sample, and what happened after its last bar."""
    return PlayedStock({**NO_BARS, Timeframe.DAY_1: sample.bars}, (*sample.actions, *later))


def apple(*later: CorporateAction) -> dict[str, PlayedStock]:
    """Let Yahoo know AAPL as the sample has it."""
    return {"AAPL": sample_stock(sample_of("AAPL"), later)}


def sample_of(symbol: str) -> SampleStock:
    """Take one stock of the sample."""
    return next(stock for stock in fetch_sample_stocks() if stock.symbol.symbol == symbol)


def stock_of_minutes(first: str, last: str) -> PlayedStock:
    """Let Yahoo know every minute, and every hour, of a range of times in New York."""
    minutes = walk(minutes_between(first, last))
    return PlayedStock(
        {
            **NO_BARS,
            Timeframe.MINUTE_1: minutes,
            Timeframe.HOUR_1: walk(
                np.arange(local_us(first), local_us(last), 3_600_000_000, dtype=np.int64)
            ),
        }
    )
