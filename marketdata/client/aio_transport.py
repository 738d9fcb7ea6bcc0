"""The transport over asyncio's channel."""

import asyncio
from collections.abc import Callable
from typing import Any, Generic

import grpc

from marketdata.client.calls import translated
from marketdata.client.methods import Method, Request_contra, Response_co, encode


class AioTransport:
    """Makes calls in the running event loop.

    Parameters
    ----------
    make_channel : callable
        Called at the first call, in the event loop that the channel then belongs to.
    """

    def __init__(self, make_channel: Callable[[], grpc.aio.Channel]) -> None:
        self._make_channel = make_channel
        self._channel: grpc.aio.Channel | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False

    async def call(
        self,
        method: Method[Request_contra, Response_co],
        request: Request_contra,
        timeout_seconds: float | None,
    ) -> Response_co:
        """Make a call of one request and one response."""
        callable_ = self._own_channel().unary_unary(method.path, encode, method.decode)
        with translated():
            return await callable_(request, timeout=timeout_seconds)

    def stream(
        self,
        method: Method[Request_contra, Response_co],
        request: Request_contra,
        timeout_seconds: float | None,
    ) -> "AioAnswers[Response_co]":
        """Begin a call of one request and many responses."""
        callable_ = self._own_channel().unary_stream(method.path, encode, method.decode)
        return AioAnswers(callable_(request, timeout=timeout_seconds))

    def exchange(
        self, method: Method[Request_contra, Response_co], timeout_seconds: float | None
    ) -> "AioExchange[Request_contra, Response_co]":
        """Begin a call of many requests and many responses."""
        callable_ = self._own_channel().stream_stream(method.path, encode, method.decode)
        return AioExchange(callable_(timeout=timeout_seconds))

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        """Close the channel; calls under way are cancelled."""
        self._is_closed = True
        if self._channel is not None:
            await self._channel.close()

    def _own_channel(self) -> grpc.aio.Channel:
        if self._is_closed:
            raise RuntimeError("the client is closed; make another one")
        loop = asyncio.get_running_loop()
        if self._channel is None:
            self._loop, self._channel = loop, self._make_channel()
        elif loop is not self._loop:
            raise RuntimeError("the client belongs to another event loop; make one in this loop")
        return self._channel


class AioAnswers(Generic[Response_co]):
    """The responses of a call of asyncio's channel."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def read(self) -> Response_co | None:
        """Wait for the next response; None at the end."""
        with translated():
            response: Response_co | None = await self._call.read()
        return None if response is grpc.aio.EOF else response

    def cancel(self) -> None:
        """End the call."""
        self._call.cancel()


class AioExchange(AioAnswers[Response_co], Generic[Request_contra, Response_co]):
    """A call of asyncio's channel whose requests go up while its responses come down."""

    async def write(self, request: Request_contra) -> None:
        """Send a request, as soon as flow control lets it."""
        try:
            await self._call.write(request)
        except (grpc.RpcError, asyncio.InvalidStateError):
            return  # it has ended; `read` says how

    async def end(self) -> None:
        """Tell the service that no request follows."""
        try:
            await self._call.done_writing()
        except (grpc.RpcError, asyncio.InvalidStateError):
            return  # it has ended; `read` says how
