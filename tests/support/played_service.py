"""The service as a test plays it, call by call, behind gRPC's own test channel."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

import grpc
import grpc_testing
from bifrost.marketdata.v1 import bars_service_pb2, symbol_service_pb2

from marketdata.client import RetryPolicy, SyncMarketDataClient
from marketdata.errors import ServiceError
from marketdata.wire.errors import STATUS_DETAILS_KEY, to_status

T = TypeVar("T")
SYMBOLS: Final = symbol_service_pb2.DESCRIPTOR.services_by_name["SymbolService"]
BARS: Final = bars_service_pb2.DESCRIPTOR.services_by_name["BarsService"]


class PlayedService:
    """Takes the calls of a client out of its channel, and answers them."""

    def __init__(self) -> None:
        clock = grpc_testing.strict_real_time()
        self.channel = grpc_testing.channel([SYMBOLS, BARS], clock)
        retries = RetryPolicy(most_attempts=3, first_wait_seconds=0.0)
        self.client = SyncMarketDataClient(channel=self.channel, retries=retries)

    def begin(self, call: Callable[[SyncMarketDataClient], T]) -> "Future[T]":
        """Make a call in a thread of its own."""
        called: Future[T] = Future()

        def make() -> None:
            try:
                called.set_result(call(self.client))
            except Exception as error:  # noqa: BLE001 -- the test raises it
                called.set_exception(error)

        # A daemon: in a test that fails it may wait for ever.
        threading.Thread(target=make, daemon=True).start()
        return called

    def answer(self, name: str, response: Any, error: ServiceError | None = None) -> Any:
        """Answer a call of one request; return the request."""
        method = next(s.methods_by_name[name] for s in (SYMBOLS, BARS) if name in s.methods_by_name)
        _, request, call = self.channel.take_unary_unary(method)
        end(call, error, response)
        return request

    def take_stream(self) -> tuple[Any, Any]:
        """Take a StreamBars call; return its request, and where to answer."""
        _, request, call = self.channel.take_unary_stream(BARS.methods_by_name["StreamBars"])
        # Nothing encodes it on its way here, and the client goes on writing into it.
        return type(request).FromString(request.SerializeToString()), call

    def take_upload(self) -> Any:
        """Take an UploadBars call."""
        return self.channel.take_stream_stream(BARS.methods_by_name["UploadBars"])[1]


def end(call: Any, error: ServiceError | None = None, *response: Any) -> None:
    """End a call well, or with the status of an error."""
    if error is None:
        call.terminate(*response, (), grpc.StatusCode.OK, "")
        return
    code, status = to_status(error)
    metadata = ((STATUS_DETAILS_KEY, status.SerializeToString()),)
    call.terminate(*(None for _ in response), metadata, code, status.message)
