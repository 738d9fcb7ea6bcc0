"""The transport over gRPC's synchronous channel: whatever is awaited has ended before it is."""

import os
import queue
import time
from collections.abc import Iterator
from typing import Any, Generic

import grpc

from marketdata.client.calls import translated
from marketdata.client.methods import Method, Request_contra, Response_co, encode


class BlockingTransport:
    """Makes calls that block the thread; safe to share between threads.

    Parameters
    ----------
    channel : grpc.Channel
        What the calls are made over.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self._process_id = os.getpid()
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
            return callable_(request, timeout=timeout_seconds)

    def stream(
        self,
        method: Method[Request_contra, Response_co],
        request: Request_contra,
        timeout_seconds: float | None,
    ) -> "BlockingAnswers[Response_co]":
        """Begin a call of one request and many responses."""
        callable_ = self._own_channel().unary_stream(method.path, encode, method.decode)
        return BlockingAnswers(callable_(request, timeout=timeout_seconds))

    def exchange(
        self, method: Method[Request_contra, Response_co], timeout_seconds: float | None
    ) -> "BlockingExchange[Request_contra, Response_co]":
        """Begin a call of many requests and many responses."""
        callable_ = self._own_channel().stream_stream(method.path, encode, method.decode)
        # A queue between this thread and gRPC's, which takes requests out of an iterator. Its end is
        # the uploader's: it sends no more than a few batches beyond what was answered.
        requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        return BlockingExchange(callable_(_until_none(requests), timeout=timeout_seconds), requests)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)  # noqa: ASYNC251 -- there is no event loop here

    async def close(self) -> None:
        """Close the channel; calls under way are cancelled."""
        self._is_closed = True
        if os.getpid() == self._process_id:
            self._channel.close()

    def _own_channel(self) -> grpc.Channel:
        if self._is_closed:
            raise RuntimeError("the client is closed; make another one")
        if os.getpid() != self._process_id:
            # gRPC's threads do not live on in a forked process: a call would wait for ever.
            raise RuntimeError("the client was made before this process was forked; make one in it")
        return self._channel


class BlockingAnswers(Generic[Response_co]):
    """The responses of a call of the synchronous channel."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def read(self) -> Response_co | None:
        """Wait for the next response; None at the end."""
        with translated():
            response: Response_co | None = next(self._call, None)
        return response

    def cancel(self) -> None:
        """End the call."""
        self._call.cancel()


class BlockingExchange(BlockingAnswers[Response_co], Generic[Request_contra, Response_co]):
    """A call of the synchronous channel whose requests go up while its responses come down."""

    def __init__(self, call: Any, requests: "queue.SimpleQueue[Any]") -> None:
        super().__init__(call)
        self._requests = requests

    async def settle(self) -> None:
        """Do nothing: this channel keeps the status of a call that ends while it sends."""

    async def write(self, request: Request_contra) -> None:
        """Hand a request to gRPC's thread."""
        self._requests.put(request)

    async def end(self) -> None:
        """Tell the service that no request follows."""
        self._requests.put(None)

    def cancel(self) -> None:
        """End the call, and gRPC's thread that waits for requests."""
        super().cancel()
        self._requests.put(None)


def _until_none(requests: "queue.SimpleQueue[Any]") -> Iterator[Any]:
    while (request := requests.get()) is not None:
        yield request
