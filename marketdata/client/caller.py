"""What the calls of both services share: a transport, and deadlines."""

import math
from typing import TypeVar

from google.protobuf.message import Message

from marketdata.client.methods import Method
from marketdata.client.retry import Attempts, RetryPolicy
from marketdata.client.transport import Transport

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT")


class Caller:
    """Makes calls.

    Parameters
    ----------
    transport : Transport
        What they are made over.
    timeout_seconds : float
        Deadline of a call, unless it says another. Streams and uploads have none of their own.
    retries : RetryPolicy
        When an interrupted stream or upload is given up.
    """

    def __init__(self, transport: Transport, timeout_seconds: float, retries: RetryPolicy) -> None:
        self._transport = transport
        self._timeout_seconds = timeout_seconds
        self._retries = retries

    async def _call(
        self, method: Method[RequestT, ResponseT], request: RequestT, timeout_seconds: float | None
    ) -> ResponseT:
        return await self._transport.call(method, request, self._seconds(timeout_seconds))

    def _seconds(self, timeout_seconds: float | None) -> float | None:
        """Tell the deadline of a call: its own, or the client's; None for none."""
        seconds = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        return None if math.isinf(seconds) else seconds

    def _attempts(self, timeout_seconds: float | None) -> Attempts:
        return Attempts(self._retries, timeout_seconds)
