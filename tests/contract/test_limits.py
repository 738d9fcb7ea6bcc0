"""What the server takes, how much at a time, and how it ends."""

import asyncio
from typing import Any, Final

import grpc
import pytest
from bifrost.marketdata.v1.bars_service_pb2 import (
    CreateBarsRequest,
    GetLatestBarRequest,
    ListBarsRequest,
)
from bifrost.marketdata.v1.symbol_service_pb2 import ListSymbolsRequest
from grpc_health.v1 import health_pb2

from marketdata.rpc.decoding import MOST_REQUEST_BYTES
from marketdata.storage.embedded import ServerAddress
from tests.contract.known import Known
from tests.contract.refusals import Refusal, refusal_of, stream_refusal_of
from tests.contract.requests import DAY, add_bars, add_symbols, create
from tests.contract.service import BARS, CALL_SECONDS, SYMBOLS, Service, serving, state
from tests.contract.streams import daily, held, held_up, rest_of, stream
from tests.support.waiting import until

UNARY: Final = (
    BARS + "GetLatestBar",
    BARS + "ListBars",
    BARS + "CreateBars",
    SYMBOLS + "GetSymbol",
    SYMBOLS + "ListSymbols",
    SYMBOLS + "CreateSymbol",
)
# A length that the message does not have; a wire type that does not exist; a number without an end.
GARBAGE: Final = (b"\x0a\xff", b"\x0f", b"\xff" * 20)
NOT_UTF8: Final = b"\x0a\x02\xff\xfe"


async def raw(service: Service, method: str, data: bytes) -> Refusal:
    """Send bytes as they are to a method that must refuse them."""
    if method.endswith("StreamBars"):
        streaming: Any = service.channel.unary_stream(method)
        return await stream_refusal_of(streaming(data, timeout=CALL_SECONDS))
    unary: Any = service.channel.unary_unary(method)
    return await refusal_of(unary(data, timeout=CALL_SECONDS))


@pytest.mark.parametrize(
    ("method", "data"),
    [
        *((method, data) for method in (*UNARY, BARS + "StreamBars") for data in GARBAGE),
        *((BARS + name, NOT_UTF8) for name in ("GetLatestBar", "ListBars", "StreamBars")),
    ],
)
async def test_calls_given_undecodable_bytes_say_so(known: Known, method: str, data: bytes) -> None:
    """Bytes that are not the message of the method get a typed status like everything else."""
    before = state(known.database)
    refusal = await raw(known.service, method, data)
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "UNDECODABLE_REQUEST",
    )
    assert state(known.database) == before


@pytest.mark.parametrize("method", [BARS + "ListBars", BARS + "StreamBars", BARS + "CreateBars"])
async def test_calls_given_more_than_the_limit_say_the_limit(known: Known, method: str) -> None:
    """One byte more than four megabytes is refused with the limit, and the remedy."""
    before = state(known.database)
    refusal = await raw(known.service, method, bytes(MOST_REQUEST_BYTES + 1))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MESSAGE_TOO_LARGE")
    assert refusal.metadata == {"limit_bytes": str(MOST_REQUEST_BYTES)}
    assert "in parts" in refusal.message
    assert state(known.database) == before


async def test_calls_given_just_the_limit_are_read(known: Known) -> None:
    """Four megabytes are still decoded, and judged by what they say."""
    padding = b"\xfa\x07" + b"\xf8\xff\xff\x01"  # an unknown field of so many bytes
    data = padding + bytes(MOST_REQUEST_BYTES - len(padding))
    refusal = await raw(known.service, BARS + "ListBars", data)
    assert refusal.reason == "UNDECODABLE_REQUEST" or refusal.violations


async def test_calls_given_far_more_than_the_limit_are_refused_by_grpc(known: Known) -> None:
    """Beyond sixteen megabytes gRPC refuses before the bytes are kept; the service lives on."""
    before = state(known.database)
    refusal = await raw(known.service, BARS + "CreateBars", bytes(4 * MOST_REQUEST_BYTES + 1))
    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert state(known.database) == before
    assert await known.service.status() == "SERVING"


@pytest.mark.parametrize(
    "method", [BARS + "ListCandles", "/bifrost.marketdata.v1.NoService/Get", "/nothing"]
)
async def test_calls_given_method_that_is_not_there_are_unimplemented(
    known: Known, method: str
) -> None:
    """What this release does not have is UNIMPLEMENTED."""
    refusal = await raw(known.service, method, b"")
    assert refusal.code is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.modes("plain", "apache", reason="two transactions at once")
async def test_streams_given_limit_reached_are_refused_with_a_retry(database: ServerAddress) -> None:
    """The stream past the limit is refused at once; short calls and health still answer."""
    async with serving(lambda: database, MARKETDATA_STREAM_POOL_SIZE=2) as service:
        await add_symbols(service, "AAPL", "IBM")
        await add_bars(service)
        with held(database):
            running = [await held_up(service, daily("AAPL"), count) for count in (1, 2)]
            call = service.bars.StreamBars(daily("AAPL"), timeout=CALL_SECONDS)
            refusal = await stream_refusal_of(call)
            assert (refusal.code, refusal.reason) == (
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "RESOURCE_EXHAUSTED",
            )
            assert refusal.metadata == {"limit": "2"}
            assert refusal.retry_seconds == 1.0
            assert len((await service.symbols.ListSymbols(ListSymbolsRequest())).symbols) == 2
            assert await service.status() == "SERVING"
        assert [len((await rest_of(call)).rows()) for call in running] == [1, 1]
        assert len((await stream(service, daily("AAPL"))).rows()) == 1


async def test_calls_given_limit_reached_are_refused_with_a_retry(database: ServerAddress) -> None:
    """The short call past the limit is refused at once; streams and health still answer."""
    async with serving(lambda: database, MARKETDATA_MAX_CALLS=1) as service:
        await add_symbols(service, "AAPL")
        await add_bars(service)
        request = ListBarsRequest(symbol="AAPL", timeframe=DAY)
        with held(database):
            running = asyncio.ensure_future(service.bars.ListBars(request, timeout=CALL_SECONDS))
            await service.until_busy("queries", 1)
            refusal = await refusal_of(service.symbols.ListSymbols(ListSymbolsRequest()))
            assert (refusal.code, refusal.reason) == (
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "RESOURCE_EXHAUSTED",
            )
            assert refusal.metadata == {"limit": "1"}
            assert refusal.retry_seconds == 1.0
            streaming = await held_up(service, daily("AAPL"))
            assert await service.status() == "SERVING"
        assert len((await running).bars) == 1
        assert len((await rest_of(streaming)).rows()) == 1
        assert len((await service.bars.ListBars(request)).bars) == 1


async def test_call_given_deadline_that_passes_frees_its_connection(
    service: Service, database: ServerAddress
) -> None:
    """A caller's deadline ends the call on both sides: nothing goes on working for nobody."""
    await add_symbols(service, "AAPL")
    await add_bars(service)
    request = ListBarsRequest(symbol="AAPL", timeframe=DAY)
    with held(database):
        refusal = await refusal_of(service.bars.ListBars(request, timeout=0.2))
        assert refusal.code is grpc.StatusCode.DEADLINE_EXCEEDED
        call = service.bars.StreamBars(daily("AAPL"), timeout=0.2)
        assert (await stream_refusal_of(call)).code is grpc.StatusCode.DEADLINE_EXCEEDED
        await service.until_busy("queries", 0)
        await service.until_busy("streams", 0)
    assert len((await stream(service, daily("AAPL"))).rows()) == 1


async def test_drain_given_stream_that_goes_on_ends_it_with_a_status(
    service: Service, database: ServerAddress
) -> None:
    """After its time a stream is ended with UNAVAILABLE; its client does not wait for a deadline."""
    await add_symbols(service, "AAPL")
    await add_bars(service)
    with held(database):
        running = await held_up(service, daily("AAPL"))
        await service.admission.drain(0.05)
        refusal = await stream_refusal_of(running)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")
    await service.until_busy("streams", 0)


@pytest.mark.parametrize("kind", ["read", "write", "stream"])
async def test_drain_given_new_call_refuses_it_with_a_retry(
    service: Service, database: ServerAddress, kind: str
) -> None:
    """A draining server takes nothing new, and says that another one or a later call will do."""
    await add_symbols(service, "AAPL")
    before = state(database)
    await service.admission.drain(0)
    if kind == "stream":
        refusal = await stream_refusal_of(service.bars.StreamBars(daily("AAPL")))
    elif kind == "write":
        refusal = await refusal_of(service.bars.CreateBars(create()))
    else:
        refusal = await refusal_of(service.bars.GetLatestBar(GetLatestBarRequest(symbol="AAPL")))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")
    assert refusal.retry_seconds is not None
    assert state(database) == before


async def test_drain_given_call_that_ends_in_time_lets_it_end(
    service: Service, database: ServerAddress
) -> None:
    """A stream that ends within the drain's time is whole, and the drain is over with it."""
    await add_symbols(service, "AAPL")
    await add_bars(service)
    with held(database):
        running = await held_up(service, daily("AAPL"))
        draining = asyncio.create_task(service.admission.drain(60))
        refusal = await refusal_of(service.symbols.ListSymbols(ListSymbolsRequest()))
        assert refusal.reason == "SERVER_DRAINING"
        assert not draining.done()
    assert len((await rest_of(running)).rows()) == 1
    await asyncio.wait_for(draining, CALL_SECONDS)


async def test_drain_given_health_tells_watchers_and_ends_them(service: Service) -> None:
    """Load balancers hear of the drain first, and an open watch does not hold the server up."""
    watch = service.health.Watch(health_pb2.HealthCheckRequest())
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    await service.monitor.drain()
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    await service.admission.drain(0)

    async def ended() -> bool:
        return bool(watch.done())

    await until(ended)
    for name in ("", "db", "bifrost.marketdata.v1.BarsService", "bifrost.marketdata.v1.SymbolService"):
        assert await service.status(name) == "NOT_SERVING"


async def test_create_bars_given_four_megabytes_of_columns_counts_them(known: Known) -> None:
    """A request of the greatest size is answered by its count, before any rule is held to its bars."""
    request = CreateBarsRequest()
    request.batch.CopyFrom(create().batch)
    request.batch.time_us.extend(range(400_000))
    refusal = await refusal_of(known.service.bars.CreateBars(request))
    assert ("batch.time_us", "TOO_MANY") in refusal.violations
