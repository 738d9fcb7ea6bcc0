"""A loopback HTTP server that plays a provider, and misbehaves where it is told."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

from aiohttp import web

from tests.support.providers.faults import SERVER_FAULTS, Fault, FaultPlan

_DRIP_SECONDS: Final = 0.02
# So that calls that may overlap do.
_ANSWER_SECONDS: Final = 0.001


@dataclass(frozen=True, slots=True)
class PlayedCall:
    """A call as it arrived.

    Attributes
    ----------
    number : int
        Counted from 0.
    path : str
        Decoded.
    query, headers : mapping of str to str
        Headers by lower-case name.
    fault : Fault or None
        What goes wrong with it.
    """

    number: int
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Dialect(Protocol):
    """How one provider speaks; it plays the faults that are not in `SERVER_FAULTS`."""

    def reply(self, call: PlayedCall) -> Reply:
        """Answer a call."""
        ...


class LoopbackServer:
    """Plays a provider on a free port of the loopback interface.

    Parameters
    ----------
    dialect : Dialect
        What it says.
    faults : FaultPlan
        What goes wrong.
    answer_seconds : float
        How long each answer takes, at least; may be changed while it runs.
    """

    def __init__(
        self, dialect: Dialect, faults: FaultPlan, answer_seconds: float = _ANSWER_SECONDS
    ) -> None:
        self.answer_seconds = answer_seconds
        self._dialect = dialect
        self._faults = faults
        self._runner: web.AppRunner | None = None
        self._at_once = 0
        self.calls: list[PlayedCall] = []
        self.most_at_once = 0
        self.address = ""

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.address = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Break what is still open."""
        if self._runner is not None:
            await self._runner.cleanup()

    def open_connections(self) -> int:
        """Count the connections of clients."""
        server = self._runner.server if self._runner is not None else None
        return len(server.connections) if server is not None else 0

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        number = len(self.calls)
        headers = {name.lower(): value for name, value in request.headers.items()}
        fault = self._faults(number)
        call = PlayedCall(number, request.path, dict(request.query), headers, fault)
        self.calls.append(call)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await asyncio.sleep(self.answer_seconds)
            reply = self._dialect.reply(call)
            if fault is not None and fault in SERVER_FAULTS:
                return await _misbehave(request, fault, reply)
            return _response(reply)
        finally:
            self._at_once -= 1


def _response(reply: Reply) -> web.Response:
    return web.Response(
        body=reply.body,
        status=reply.status,
        content_type=reply.content_type,
        headers=dict(reply.headers),
    )


_PLAIN: Final[Mapping[Fault, Reply]] = {
    Fault.TOO_MANY: Reply(b"", 429),
    Fault.TOO_MANY_FOR_AN_HOUR: Reply(b"", 429, headers={"Retry-After": "3600"}),
    Fault.SERVER_ERROR: Reply(b"Internal Server Error", 500, "text/plain"),
    Fault.KEY_REFUSED: Reply(b'{"message": "Unauthorized"}', 401),
    Fault.EMPTY_BODY: Reply(b""),
    Fault.GARBAGE: Reply(b"<html><body>Be right back</body></html>", 200, "text/html"),
    # Another port is another host: what listens there gets no key.
    Fault.AWAY: Reply(b"", 302, headers={"Location": "http://127.0.0.1:9/elsewhere"}),
}


async def _misbehave(request: web.Request, fault: Fault, reply: Reply) -> web.StreamResponse:
    if fault is Fault.DRIP:
        return await _drip(request, reply)
    if fault is Fault.TRUNCATED:
        return await _broken_off(request, reply)
    if fault is Fault.RESET:
        _abort(request)
    return _response(_PLAIN.get(fault, Reply(b"", 500)))


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _broken_off(request: web.Request, reply: Reply) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(len(reply.body) + 1)})
    response.content_type = reply.content_type
    await response.prepare(request)
    await response.write(reply.body[: len(reply.body) // 2])
    _abort(request)
    return response


async def _drip(request: web.Request, reply: Reply) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_type = reply.content_type
    await response.prepare(request)
    for position in range(len(reply.body)):
        await response.write(reply.body[position : position + 1])
        await asyncio.sleep(_DRIP_SECONDS)
    return response


@asynccontextmanager
async def loopback(dialect: Dialect, faults: FaultPlan) -> AsyncIterator[LoopbackServer]:
    """Run a server until the end of the context."""
    server = LoopbackServer(dialect, faults)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
