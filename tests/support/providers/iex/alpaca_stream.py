"""A loopback server that speaks as Alpaca's stream does, from its documentation.

https://docs.alpaca.markets/docs/streaming-market-data and
https://docs.alpaca.markets/docs/real-time-stock-pricing-data
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
from aiohttp import web

from tests.support.providers.iex.alpaca_side import KEY_ID, SECRET
from tests.support.providers.played_socket import PlayedSocket


def bar(symbol: str, time: str, price: float, kind: str = "b") -> dict[str, Any]:
    """Write a bar as the stream has it."""
    return {
        "T": kind,
        "S": symbol,
        "o": price,
        "h": price + 0.5,
        "l": price - 0.5,
        "c": price + 0.25,
        "v": 1200,
        "n": 17,
        "vw": price + 0.1,
        "t": time,
    }


class PlayedStream(PlayedSocket):
    """Plays the stream: one connection an account, as the free plan has it.

    Attributes
    ----------
    unknown : set of str
        Symbols that it does not subscribe.
    is_mute : bool
        Whether it greets nobody.
    answers_pings : bool
        Whether it says that it lives.
    """

    path = "/v2/iex"

    def __init__(self) -> None:
        super().__init__()
        self.unknown: set[str] = set()
        self.is_mute = False
        self.answers_pings = True
        self.connections = 0
        self._subscribed = asyncio.Event()

    @property
    def is_followed(self) -> bool:
        """Whether a client has subscribed, and is there still."""
        return self._subscribed.is_set() and self.socket is not None and not self.socket.closed

    async def subscribed(self) -> None:
        """Wait until a client has subscribed."""
        await asyncio.wait_for(self._subscribed.wait(), 10)

    async def tell(self, items: Sequence[Any]) -> None:
        """Send a message to the client."""
        await self.tell_texts(json.dumps(list(items)))

    async def hang_up(self) -> None:
        """End the connection as a restart of the other side does."""
        assert self.socket is not None
        self._subscribed.clear()
        await self.socket.close(code=aiohttp.WSCloseCode.GOING_AWAY)

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Serve a client."""
        socket = web.WebSocketResponse(autoping=self.answers_pings)
        await socket.prepare(request)
        self.connections += 1
        if self.is_mute:
            await socket.receive()
            return socket
        await socket.send_str('[{"T":"success","msg":"connected"}]')
        if self.socket is not None and not self.socket.closed:
            await socket.send_str('[{"T":"error","code":406,"msg":"connection limit exceeded"}]')
            await socket.close()
            return socket
        self.socket = socket
        try:
            with suppress(TypeError):  # a closed connection ends the loop of messages
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        await self._answer(socket, json.loads(message.data))
        finally:
            if self.socket is socket:  # and not one that was opened since
                self._subscribed.clear()
        return socket

    async def _answer(self, socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        if asked["action"] == "auth":
            if (asked["key"], asked["secret"]) != (KEY_ID, SECRET):
                await socket.send_str('[{"T":"error","code":402,"msg":"auth failed"}]')
                return
            await socket.send_str('[{"T":"success","msg":"authenticated"}]')
            return
        lists = {
            name: [symbol for symbol in asked.get(name, []) if symbol not in self.unknown]
            for name in ("bars", "updatedBars")
        }
        await socket.send_str(json.dumps([{"T": "subscription", "trades": [], **lists}]))
        self._subscribed.set()


@asynccontextmanager
async def playing() -> AsyncIterator[PlayedStream]:
    """Play the stream for the time of the context."""
    played = PlayedStream()
    await played.start()
    try:
        yield played
    finally:
        await played.stop()
