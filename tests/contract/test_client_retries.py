"""What gRPC retries for the client, and its deadlines and limits, over real connections."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import grpc
import pytest
from bifrost.marketdata.v1 import bars_service_pb2, symbol_service_pb2
from bifrost.marketdata.v1.symbol_pb2 import Symbol

from marketdata.client import MarketDataClient, NewSymbol, SyncMarketDataClient
from marketdata.client.methods import METHODS
from marketdata.errors import (
    DeadlineExceededError,
    ResourceExhaustedError,
    ServerDrainingError,
    ServiceError,
    ServiceUnavailableError,
)
from marketdata.rpc.error_mapping import abort

GET: Final = "GetSymbol"
CREATE: Final = "CreateSymbol"
STREAM: Final = "StreamBars"
GONE: Final = ServerDrainingError("stopping")


class Backend:
    """Answers GetSymbol and CreateSymbol, once it has failed as often as it is told.

    Attributes
    ----------
    calls : Counter of str
        How often each method was called.
    """

    def __init__(self) -> None:
        self.failures: list[ServiceError] = []
        self.calls: Counter[str] = Counter()
        self.seconds_left: list[float | None] = []
        self.never: asyncio.Event | None = None
        self.message = b""

    async def unary(self, name: str, context: Any) -> Any:
        """Answer a call of one response."""
        await self._begin(name, context)
        kind = symbol_service_pb2.GetSymbolResponse
        return kind(symbol=Symbol(symbol="AAPL")).SerializeToString()

    async def stream(self, name: str, context: Any) -> None:
        """Answer a call of many responses."""
        await self._begin(name, context)
        await context.write(self.message)

    async def _begin(self, name: str, context: Any) -> None:
        self.calls[name] += 1
        self.seconds_left.append(context.time_remaining())
        if self.never is not None:
            await self.never.wait()
        if self.failures:
            await abort(context, self.failures.pop(0))


def handlers_of(backend: Backend) -> list[grpc.GenericRpcHandler]:
    """Register the backend under the contract's paths."""
    made: list[grpc.GenericRpcHandler] = []
    handler: Any
    for method in METHODS:
        _, service, name = method.path.split("/")
        if name == STREAM:
            handler = grpc.unary_stream_rpc_method_handler(_bound(backend.stream, name))
        else:
            handler = grpc.unary_unary_rpc_method_handler(_bound(backend.unary, name))
        made.append(grpc.method_handlers_generic_handler(service, {name: handler}))
    return made


def _bound(answer: Callable[[str, Any], Any], name: str) -> Callable[[Any, Any], Any]:
    async def behaviour(_: Any, context: Any) -> Any:
        return await answer(name, context)

    return behaviour


@pytest.fixture
async def backend() -> AsyncIterator[tuple[Backend, str]]:
    """Give a backend and its address."""
    made = Backend()
    server = grpc.aio.server(options=[("grpc.max_send_message_length", -1)])
    server.add_generic_rpc_handlers(handlers_of(made))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield made, f"127.0.0.1:{port}"
    await server.stop(0)


async def test_get_symbol_given_passing_failures_is_retried_by_grpc(
    backend: tuple[Backend, str],
) -> None:
    """The caller sees nothing of a service that is away for a blink; both faces."""
    played, address = backend
    async with MarketDataClient(address) as client:
        played.failures = [GONE, GONE]
        assert (await client.get_symbol("AAPL")).symbol == "AAPL"
        assert played.calls[GET] == 3
        played.failures = [GONE] * 10
        with pytest.raises(ServerDrainingError):
            await client.get_symbol("AAPL")
        assert played.calls[GET] == 3 + 4

    def get() -> str:
        with SyncMarketDataClient(address) as sync:
            return sync.get_symbol("AAPL").symbol

    played.failures = [GONE]
    assert await asyncio.to_thread(get) == "AAPL"


async def test_create_symbol_given_failure_is_not_retried(backend: tuple[Backend, str]) -> None:
    """A second one would say that the symbol exists, which the first one created."""
    played, address = backend
    async with MarketDataClient(address) as client:
        played.failures = [GONE]
        with pytest.raises(ServiceUnavailableError):
            await client.create_symbol(NewSymbol("AAPL"))
    assert played.calls[CREATE] == 1


async def test_retries_given_service_that_stays_away_are_throttled(
    backend: tuple[Backend, str],
) -> None:
    """A service that is down gets the calls, not four times the calls."""
    played, address = backend
    played.failures = [GONE] * 1_000
    async with MarketDataClient(address) as client:
        for _ in range(30):
            with pytest.raises(ServerDrainingError):
                await client.get_symbol("AAPL")
    assert played.calls[GET] <= 30 + 20


async def test_calls_given_no_deadline_of_their_own_have_the_clients(
    backend: tuple[Backend, str],
) -> None:
    """A call always has one, unless that is asked for."""
    played, address = backend
    async with MarketDataClient(address, timeout_seconds=40) as client:
        await client.get_symbol("AAPL")
        await client.get_symbol("AAPL", timeout_seconds=20)
        await client.get_symbol("AAPL", timeout_seconds=math.inf)
    default, own, none = played.seconds_left
    assert default == pytest.approx(40, abs=5)
    assert own == pytest.approx(20, abs=5)
    assert none is None or none > 1e6


async def test_calls_given_service_that_hangs_end_at_their_deadline(
    backend: tuple[Backend, str],
) -> None:
    """Short calls and reads alike."""
    played, address = backend
    played.never = asyncio.Event()
    async with MarketDataClient(address) as client:
        for call in (
            client.get_symbol("AAPL", timeout_seconds=0.1),
            client.bars("AAPL", "1d", timeout_seconds=0.1),
            anext(client.stream_bars("AAPL", "1d", timeout_seconds=0.1)),
        ):
            with pytest.raises(DeadlineExceededError):
                await call
    played.never.set()


async def test_bars_given_message_beyond_the_limit_fails_at_once(
    backend: tuple[Backend, str],
) -> None:
    """A client is not made to take any amount of memory, and does not ask for it again."""
    played, address = backend
    header = bars_service_pb2.StreamBarsHeader(unresolved_symbols=["A" * 1024] * 17 * 1024)
    played.message = bars_service_pb2.StreamBarsResponse(header=header).SerializeToString()
    async with MarketDataClient(address) as client:
        with pytest.raises(ResourceExhaustedError):
            await client.bars("AAPL", "1d")
    assert played.calls[STREAM] == 1


async def test_clients_given_credentials_connect_with_them() -> None:
    """What TLS will come in by, tried with gRPC's credentials of this machine."""
    played = Backend()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(handlers_of(played))
    port = server.add_secure_port("127.0.0.1:0", grpc.local_server_credentials())
    await server.start()
    address, credentials = f"127.0.0.1:{port}", grpc.local_channel_credentials()

    def get() -> str:
        with SyncMarketDataClient(address, credentials=credentials) as sync:
            return sync.get_symbol("AAPL").symbol

    async with MarketDataClient(address, credentials=credentials) as client:
        assert (await client.get_symbol("AAPL")).symbol == "AAPL"
    assert await asyncio.to_thread(get) == "AAPL"
    await server.stop(0)
