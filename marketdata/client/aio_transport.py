"""The transport over asyncio's channel."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, Generic

import grpc

from marketdata.client.calls import translated
from marketdata.client.methods import Method, Request_contra, Response_co, encode
from marketdata.errors import (
    CallCancelledError,
    InternalError,
    ServiceError,
    ServiceUnavailableError,
)

# What gRPC says of a call that ended while a request was being sent.
_FAILED_WRITE: Final = "Internal error from Core"
# Longer than a service on the other side of the world takes to refuse a call that it has heard of.
_SETTLE_SECONDS: Final = 0.3


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
        call = callable_(request, timeout=timeout_seconds)
        with _translated(call):
            return await call

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
        with _translated(self._call):
            response: Response_co | None = await self._call.read()
        return None if response is grpc.aio.EOF else response

    def cancel(self) -> None:
        """End the call."""
        self._call.cancel()


class AioExchange(AioAnswers[Response_co], Generic[Request_contra, Response_co]):
    """A call of asyncio's channel whose requests go up while its responses come down.

    When a call ends while a request is being sent, gRPC loses the service's status and says INTERNAL.
    Such a call counts as interrupted: another one, which sends less at a time, hears the status.
    """

    def __init__(self, call: Any) -> None:
        super().__init__(call)
        # As many as requests were sent beyond those that were answered: a few.
        self._arrived: asyncio.Queue[Response_co | ServiceError | None] = asyncio.Queue()
        self._reader = asyncio.create_task(self._read_all())

    async def read(self) -> Response_co | None:
        """Wait for the next response; None at the end."""
        response = await self._arrived.get()
        if isinstance(response, ServiceError):
            raise response
        return response

    async def settle(self) -> None:
        """Wait a moment for a call that is refused before anything is sent."""
        await asyncio.wait({self._reader}, timeout=_SETTLE_SECONDS)

    async def write(self, request: Request_contra) -> None:
        """Send a request, as soon as flow control lets it."""
        with suppress(grpc.RpcError, asyncio.InvalidStateError):  # it has ended; `read` says how
            await self._call.write(request)

    async def end(self) -> None:
        """Tell the service that no request follows."""
        with suppress(grpc.RpcError, asyncio.InvalidStateError):  # it has ended; `read` says how
            await self._call.done_writing()

    def cancel(self) -> None:
        """End the call."""
        super().cancel()
        self._reader.cancel()

    async def _read_all(self) -> None:
        response: Response_co | None
        try:
            while (response := await super().read()) is not None:
                self._arrived.put_nowait(response)
            self._arrived.put_nowait(None)
        except ServiceError as error:
            is_lost = isinstance(error, InternalError) and error.message == _FAILED_WRITE
            self._arrived.put_nowait(_lost() if is_lost else error)


def _lost() -> ServiceUnavailableError:
    return ServiceUnavailableError("the call was cut off while it was sending; send it again")


@contextmanager
def _translated(call: Any) -> Iterator[None]:
    """Raise the tree's errors, also where the call was ended by closing the client.

    gRPC then raises CancelledError in a task that nobody cancelled.
    """
    try:
        with translated():
            yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling() or not call.cancelled():
            raise
        raise CallCancelledError("the client was closed while the call was under way") from None
