"""The typed client against the real service: columns in, columns out, errors as the tree's own."""

import asyncio
import math
import socket
from datetime import UTC, datetime
from typing import Any, Final

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health

from marketdata import errors as tree
from marketdata.client import MarketDataClient, RetryPolicy
from marketdata.client.calls import translated
from marketdata.domain.bars import COLUMN_DTYPES, BarColumn
from marketdata.domain.symbol import NewSymbol
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import FieldViolation
from marketdata.rpc.admission import AdmissionInterceptor, AdmissionLimits
from marketdata.rpc.server import Services, bind, build_server
from marketdata.storage.embedded import ServerAddress
from marketdata.wire.errors import ERROR_TABLE
from tests.contract.known import AAPL_DAYS_US, IBM_DAYS_US, Known
from tests.contract.requests import MINUTE, add_bars, add_symbols, session_minutes
from tests.contract.service import Service
from tests.contract.streams import daily, held, held_up

FIRST_DAY: Final = datetime(2024, 1, 2, tzinfo=UTC)
# What fails is told at once, instead of after the waits between attempts.
ONCE: Final = RetryPolicy(most_attempts=1)


async def test_bars_given_one_symbol_gives_its_columns(known: Known) -> None:
    """All columns come, in the frame's dtypes, feed names included."""
    async with MarketDataClient(known.service.address) as client:
        frame = await client.bars("AAPL", "1d")
    assert frame.symbols == ("AAPL",)
    assert frame.time_us.tolist() == list(AAPL_DAYS_US)
    assert frame.close.tolist() == [11.0 + row for row in range(10)]
    assert frame.volume.tolist() == [100.0 * (row + 1) for row in range(10)]
    assert all(math.isnan(vwap) for vwap in frame.vwap.tolist())
    assert frame.trade_count.tolist() == [-1] * 10
    assert {frame.feeds[key] for key in frame.feed.tolist()} == {"manual/upload"}
    for column, dtype in COLUMN_DTYPES.items():
        assert (len(frame.column(column)), frame.column(column).dtype) == (10, dtype)


async def test_bars_given_many_symbols_keeps_their_order(known: Known) -> None:
    """Symbols come as asked for, each with its times ascending; unknown ones are left out."""
    async with MarketDataClient(known.service.address) as client:
        frame = await client.bars(["IBM", "NOPE", "AAPL"], Timeframe.DAY_1)
    rows = [frame.symbols[index] for index in frame.row_symbol_index()]
    assert list(zip(rows, frame.time_us.tolist(), strict=True)) == [
        *(("IBM", time_us) for time_us in IBM_DAYS_US),
        *(("AAPL", time_us) for time_us in AAPL_DAYS_US),
    ]


async def test_bars_given_range_limit_and_columns_passes_them_on(known: Known) -> None:
    """Half-open range, last so many, only the columns asked for."""
    async with MarketDataClient(known.service.address) as client:
        frame = await client.bars(
            "AAPL",
            "1d",
            FIRST_DAY,
            datetime(2024, 1, 8, tzinfo=UTC),
            limit=2,
            columns=[BarColumn.CLOSE],
        )
    assert frame.time_us.tolist() == list(AAPL_DAYS_US[4:6])
    assert frame.close.tolist() == [15.0, 16.0]
    assert {c for c in BarColumn if len(frame.column(c))} == {BarColumn.TIME, BarColumn.CLOSE}


async def test_bars_given_no_bars_gives_an_empty_frame(known: Known) -> None:
    """Nothing stored is no error: a frame of the symbols asked for, without bars."""
    async with MarketDataClient(known.service.address) as client:
        frame = await client.bars(["BRK.B", "IBM"], "1m")
    assert len(frame) == 0
    assert frame.symbols == ("BRK.B", "IBM")


async def test_bars_given_several_batches_joins_them(service: Service) -> None:
    """An answer of many messages is one frame, every bar once and in order."""
    await add_symbols(service, "AAPL", "IBM")
    times_us = session_minutes(4_000)
    for symbol in ("AAPL", "IBM"):
        await add_bars(service, times_us, MINUTE, symbols=[symbol])
    async with MarketDataClient(service.address) as client:
        frame = await client.bars(["IBM", "AAPL"], "1m", session="all")
    assert frame.symbols == ("IBM", "AAPL")
    assert frame.time_us.tolist() == [*times_us, *times_us]
    assert np.array_equal(frame.row_symbol_index(), np.repeat([0, 1], 4_000))


async def test_symbols_given_client_are_created_got_and_listed(service: Service) -> None:
    """The symbols' calls, and their refusals, through the client."""
    async with MarketDataClient(service.address) as client:
        created = await client.create_symbol(NewSymbol("IBM", name="IBM Corp.", tick_size=0.01))
        await client.create_symbol(NewSymbol("AAPL"))
        assert await client.get_symbol("IBM") == created
        assert (created.name, created.tick_size, created.venue) == ("IBM Corp.", 0.01, "XNYS")
        assert [symbol.symbol async for symbol in client.list_symbols()] == ["AAPL", "IBM"]
        with pytest.raises(tree.SymbolAlreadyExistsError, match="GetSymbol"):
            await client.create_symbol(NewSymbol("IBM"))


@pytest.mark.parametrize("symbols", ["NOPE", ["NOPE", "ZZZZ"]])
async def test_bars_given_only_unknown_symbols_raises(known: Known, symbols: str | list[str]) -> None:
    """Where nothing of the request is known there is no frame, but the tree's error."""
    async with MarketDataClient(known.service.address) as client:
        with pytest.raises(tree.SymbolNotFoundError, match="NOPE"):
            await client.bars(symbols, "1d")
        assert len(await client.bars("AAPL", "1d")) == 10
    await known.service.until_busy("streams", 0)


async def test_bars_given_refused_request_raises_with_its_violations(known: Known) -> None:
    """What the service found wrong is there for programs, field by field."""
    async with MarketDataClient(known.service.address) as client:
        with pytest.raises(tree.InvalidRequestError) as caught:
            await client.bars(["aapl", "IBM", "IBM"], "1d", limit=-1)
        assert {(v.field, v.reason) for v in caught.value.violations} == {
            ("symbols[0]", "MALFORMED_SYMBOL"),
            ("symbols[2]", "DUPLICATE"),
            ("limit", "NEGATIVE"),
        }
        with pytest.raises(tree.SymbolNotFoundError) as missing:
            await client.get_symbol("NOPE")
        assert missing.value.metadata == {"symbol": "NOPE"}


async def test_client_given_nobody_who_serves_raises_unavailable() -> None:
    """A service that is not there is the tree's error too."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        async with MarketDataClient(address, retries=ONCE) as client:
            with pytest.raises(tree.ServiceUnavailableError):
                await client.get_symbol("AAPL")
            with pytest.raises(tree.ServiceUnavailableError):
                await client.bars("AAPL", "1d")


async def test_client_given_deadline_that_passes_raises_deadline(
    service: Service, database: ServerAddress
) -> None:
    """A call that takes longer than its caller allows ends with the tree's error."""
    await add_symbols(service, "AAPL")
    await add_bars(service)
    with held(database):
        async with MarketDataClient(service.address, timeout_seconds=0.2, retries=ONCE) as client:
            with pytest.raises(tree.DeadlineExceededError):
                await client.bars("AAPL", "1d")
    await service.until_busy("streams", 0)


async def test_client_given_server_that_drains_raises_draining(
    service: Service, database: ServerAddress
) -> None:
    """Both the stream that is cut off and the call that comes too late say that another try helps."""
    await add_symbols(service, "AAPL")
    await add_bars(service)
    with held(database):
        await held_up(service, daily("AAPL"))
        async with MarketDataClient(service.address, retries=ONCE) as client:
            await service.admission.drain(0)
            with pytest.raises(tree.ServerDrainingError) as caught:
                await client.bars("AAPL", "1d")
            assert caught.value.retry_after_seconds is not None


async def test_bars_given_reader_that_leaves_early_ends_the_call(
    service: Service, database: ServerAddress
) -> None:
    """A caller's cancellation reaches the service: nothing goes on reading for nobody."""
    await add_symbols(service, "AAPL")
    await add_bars(service)
    async with MarketDataClient(service.address) as client:
        with held(database):
            reading = asyncio.create_task(client.bars("AAPL", "1d"))
            await service.until_busy("streams", 1)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            await service.until_busy("streams", 0)


class Failing:
    """A servicer that can only fail, in the way it is told."""

    def __init__(self) -> None:
        self.error: Exception = RuntimeError("not told yet")

    def __getattr__(self, name: str) -> Any:
        """Be every method of a service."""
        if not name[:1].isupper():
            raise AttributeError(name)
        return self._fail

    async def _fail(self, *_: Any) -> Any:
        raise self.error


def an_error(error: type[tree.ServiceError]) -> tree.ServiceError:
    """Make an error of a class with everything that it can hold."""
    facts: dict[str, Any] = {"metadata": {"symbol": "AAPL"}, "retry_after_seconds": 2.5}
    if issubclass(error, tree.InvalidRequestError):
        violations = [FieldViolation("symbol", "MALFORMED", "is not one")]
        return error("what is wrong", violations=violations, **facts)
    return error("what is wrong", **facts)


async def test_client_given_any_error_of_the_service_raises_the_same() -> None:
    """Over a real server and channel each class of the tree comes back as itself, facts and all."""
    failing: Any = Failing()
    services = Services(failing, failing, failing, health.aio.HealthServicer())
    server = build_server(services, AdmissionInterceptor(AdmissionLimits()), with_reflection=False)
    port = bind(server, "127.0.0.1", 0)
    await server.start()
    try:
        async with MarketDataClient(f"127.0.0.1:{port}", retries=ONCE) as client:
            for error in ERROR_TABLE:
                failing.error = an_error(error)
                for call in (client.get_symbol("A"), client.bars("A", "1d")):
                    with pytest.raises(error) as caught:
                        await call
                    assert type(caught.value) is error
                    assert caught.value.message == "what is wrong"
                    assert caught.value.metadata["symbol"] == "AAPL"
                    assert caught.value.retry_after_seconds == 2.5
                    assert getattr(caught.value, "violations", ()) == getattr(
                        failing.error, "violations", ()
                    )
            failing.error = RuntimeError("a secret")
            with pytest.raises(tree.InternalError) as internal:
                await client.get_symbol("A")
            assert "secret" not in str(internal.value)
    finally:
        await server.stop(0)


async def test_client_given_method_that_is_not_there_says_the_code(known: Known) -> None:
    """A status that means nothing to this release is told by its code."""
    call: Any = known.service.channel.unary_unary("/bifrost.marketdata.v1.BarsService/Later")
    with pytest.raises(tree.UnexpectedStatusError) as caught, translated():
        await call(b"")
    assert caught.value.metadata == {"code": grpc.StatusCode.UNIMPLEMENTED.name}
