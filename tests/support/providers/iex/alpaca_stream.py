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


class PlayedStream:
    """Plays the stream: one connection an account, as the free plan has it.

    Attributes
    ----------
    address : str
        ``http://127.0.0.1:port``.
    unknown : set of str
        Symbols that it does not subscribe.
    is_mute : bool
        Whether it greets nobody.
    """

    def __init__(self) -> None:
        self.address = ""
        self.unknown: set[str] = set()
        self.is_mute = False
        self.connections = 0
        self._socket: web.WebSocketResponse | None = None
        self._subscribed = asyncio.Event()
        self._runner: web.AppRunner | None = None

    @property
    def is_followed(self) -> bool:
        """Whether a client has subscribed, and is there still."""
        return self._subscribed.is_set() and self._socket is not None and not self._socket.closed

    async def subscribed(self) -> None:
        """Wait until a client has subscribed."""
        await asyncio.wait_for(self._subscribed.wait(), 10)

    async def tell(self, items: Sequence[Any]) -> None:
        """Send a message to the client."""
        assert self._socket is not None
        await self._socket.send_str(json.dumps(list(items)))

    async def tell_text(self, text: str) -> None:
        """Send any text to the client."""
        assert self._socket is not None
        await self._socket.send_str(text)

    async def hang_up(self) -> None:
        """End the connection as a restart of the other side does."""
        assert self._socket is not None
        self._subscribed.clear()
        await self._socket.close(code=aiohttp.WSCloseCode.GOING_AWAY)

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_get("/v2/iex", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.address = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Break what is still open."""
        if self._socket is not None:
            await self._socket.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connections += 1
        if self.is_mute:
            await socket.receive()
            return socket
        await socket.send_str('[{"T":"success","msg":"connected"}]')
        if self._socket is not None and not self._socket.closed:
            await socket.send_str('[{"T":"error","code":406,"msg":"connection limit exceeded"}]')
            await socket.close()
            return socket
        self._socket = socket
        try:
            with suppress(TypeError):  # a closed connection ends the loop of messages
                async for message in socket:
                    await self._answer(socket, json.loads(message.data))
        finally:
            if self._socket is socket:  # and not one that was opened since
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
