"""A loopback server that speaks as Yahoo's stream does, from what yfinance sends and reads."""

import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from yfinance.pricing_pb2 import PricingData

from marketdata.providers.yahoo.ticks import Tick
from tests.support.providers.played_socket import PlayedSocket
from tests.support.waiting import until


def message(tick: Tick) -> str:
    """Write a tick as the stream has it."""
    pricing = PricingData(
        id=tick.symbol, price=tick.price, time=tick.time_us // 1_000, day_volume=tick.day_volume
    )
    packed = base64.b64encode(pricing.SerializeToString()).decode()
    return json.dumps({"type": "pricing", "message": packed})


class PlayedStream(PlayedSocket):
    """Plays the stream to one client.

    Attributes
    ----------
    asked : list of list of str
        The symbols of each subscription that arrived.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []

    async def subscribed(self, times: int) -> None:
        """Wait until a client has subscribed so often."""

        async def is_asked() -> bool:
            return len(self.asked) >= times

        await until(is_asked)

    async def tell(self, ticks: Sequence[Tick]) -> None:
        """Send ticks, one a message."""
        await self.tell_texts(*[message(tick) for tick in ticks])

    async def hang_up(self) -> None:
        """End the connection normally, after which yfinance's own client would spin."""
        assert self.socket is not None
        await self.socket.close(code=aiohttp.WSCloseCode.OK)

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Serve a client."""
        assert request.query["version"] == "2"
        socket = self.socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for asked in socket:
            self.asked.append(json.loads(asked.data)["subscribe"])
        return socket


@asynccontextmanager
async def playing() -> AsyncIterator[PlayedStream]:
    """Play the stream for the time of the context."""
    played = PlayedStream()
    await played.start()
    try:
        yield played
    finally:
        await played.stop()
