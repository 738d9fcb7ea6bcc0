"""Streams and uploads over connections that break."""

import random
from collections.abc import AsyncIterator
from datetime import date
from typing import Final

import numpy as np
import pytest

from marketdata.client import (
    BarFrame,
    BarOrder,
    Bars,
    MarketDataClient,
    NewSymbol,
    RetryPolicy,
    UploadResult,
)
from marketdata.domain.bar_merge import merge_frames
from marketdata.errors import ServiceUnavailableError
from tests.contract.requests import MINUTE_US, OPEN_US
from tests.contract.service import Service, serving
from tests.support.databases import Databases
from tests.support.tcp_proxy import BreakingProxy, breaking_proxy

SYMBOLS: Final = ("IBM", "AAPL")
# More than a symbol's first batch of 2,048.
BARS: Final = 6_000
# What a whole answer takes on the wire at the least.
ANSWER_BYTES: Final = 2 * BARS * 72
PATIENT: Final = RetryPolicy(most_attempts=20, first_wait_seconds=0.001, longest_wait_seconds=0.05)


def minutes(symbol: str, count: int = BARS, seed: int = 1) -> BarFrame:
    """Make good minute bars without a gap."""
    close = 100 + np.random.default_rng(seed).normal(0, 1, count)
    return BarFrame(
        symbols=(symbol,),
        time_us=OPEN_US + np.arange(count, dtype=np.int64) * MINUTE_US,
        open=close,
        high=close + 1,
        low=close - 1,
        close=close,
        volume=np.arange(count, dtype=np.float64),
    )


@pytest.fixture(scope="module")
async def filled(databases: Databases) -> AsyncIterator[Service]:
    """Give a service that has minutes of two symbols."""
    database = await databases.migrated()
    async with serving(lambda: database) as running:
        async with MarketDataClient(running.address) as client:
            for symbol in SYMBOLS:
                await client.create_symbol(NewSymbol(symbol))
            await client.upload_bars([minutes(symbol) for symbol in SYMBOLS], "1m")
        yield running
    databases.drop(database)


@pytest.fixture(scope="module")
async def whole(filled: Service) -> dict[BarOrder, Bars]:
    """Read everything without an interruption."""
    async with MarketDataClient(filled.address) as client:
        return {order: await read(client, order) for order in BarOrder}


@pytest.fixture
async def proxy(filled: Service) -> AsyncIterator[BreakingProxy]:
    """Give a proxy in front of the filled service."""
    async with breaking_proxy(filled.address) as running:
        yield running


async def read(client: MarketDataClient, order: BarOrder) -> Bars:
    """Read everything."""
    start, end = date(2024, 1, 2), date(2024, 1, 8)
    return await client.bars(SYMBOLS, "1m", start, end, order=order, session="all")


def assert_same(found: BarFrame, expected: BarFrame) -> None:
    """Compare every bar of two answers, in order."""
    assert [found.symbols[i] for i in found.row_symbol_index()] == [
        expected.symbols[i] for i in expected.row_symbol_index()
    ]
    for column in ("time_us", "open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(found, column), getattr(expected, column))


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("order", BarOrder)
async def test_bars_given_connections_that_break_equal_the_whole_answer(
    whole: dict[BarOrder, Bars], proxy: BreakingProxy, order: BarOrder, seed: int
) -> None:
    """However often and wherever the connection breaks: no bar twice, none left out."""
    dice = random.Random(f"{order}{seed}")  # noqa: S311 -- the same breaks every time
    # The first break lies anywhere, the others within what is then left of the answer.
    cuts = [dice.randrange(ANSWER_BYTES // n) for n in range(1, dice.randint(2, 6))]
    proxy.cut_after(*cuts)
    async with MarketDataClient(proxy.address, retries=PATIENT) as client:
        found = await read(client, order)
    assert len(found) == len(SYMBOLS) * BARS
    assert_same(found.frame, whole[order].frame)
    assert proxy.connections > 1
    assert found.applied.snapshot_seq == whole[order].applied.snapshot_seq
    assert found.applied.snapshots == 1


async def test_stream_bars_given_broken_connection_goes_on_behind_what_was_given_out(
    whole: dict[BarOrder, Bars], proxy: BreakingProxy
) -> None:
    """Frames that the caller has stay; the rest follows them, read from a new snapshot."""
    proxy.cut_after(ANSWER_BYTES // 3, ANSWER_BYTES // 4)
    async with MarketDataClient(proxy.address, retries=PATIENT) as client:
        stream = client.stream_bars(SYMBOLS, "1m", session="all")
        frames = []
        async for frame in stream:
            frames.append(frame)
            assert all(column.flags.owndata for column in (frame.time_us, frame.close))
    assert_same(merge_frames(frames), whole[BarOrder.SYMBOL_TIME].frame)
    assert proxy.connections == 3
    assert stream.applied is not None
    assert stream.applied.snapshots == 1


async def test_stream_bars_given_write_while_interrupted_says_that_it_read_two_snapshots(
    service: Service,
) -> None:
    """The rest comes from a later snapshot, and the answer does not hide it."""
    async with breaking_proxy(service.address) as proxy, MarketDataClient(service.address) as direct:
        for symbol in SYMBOLS:
            await direct.create_symbol(NewSymbol(symbol))
            await direct.upload_bars(minutes(symbol), "1m")
        # Within the second symbol: the frame of the first one is out.
        proxy.cut_after(ANSWER_BYTES * 3 // 4)
        async with MarketDataClient(proxy.address, retries=PATIENT) as client:
            stream = client.stream_bars(SYMBOLS, "1m", session="all")
            first = await anext(stream)
            await direct.upload_bars(minutes(SYMBOLS[1], count=3, seed=2), "1m")
            rest = [frame async for frame in stream]
    applied = stream.applied
    assert applied is not None
    assert applied.snapshots == 2
    assert len(first) + sum(map(len, rest)) == len(SYMBOLS) * BARS


async def test_bars_given_service_that_never_answers_gives_up(proxy: BreakingProxy) -> None:
    """A bounded number of attempts, then the error of the last one."""
    proxy.cut_after(*[0] * 100)
    hasty = RetryPolicy(most_attempts=3, first_wait_seconds=0.001)
    async with MarketDataClient(proxy.address, retries=hasty) as client:
        with pytest.raises(ServiceUnavailableError):
            await client.bars("AAPL", "1m")
    assert proxy.connections


@pytest.mark.parametrize("seed", range(10))
async def test_upload_bars_given_connections_that_break_stores_every_bar_once(
    service: Service, seed: int
) -> None:
    """Batches without an answer go up again; bars that were stored by then change nothing."""
    dice = random.Random(seed)  # noqa: S311 -- the same breaks every time
    frames = [minutes(symbol, count=3_000, seed=seed) for symbol in SYMBOLS]
    parts = [frame.take(np.arange(n, n + 500)) for frame in frames for n in range(0, 3_000, 500)]
    progress: list[UploadResult] = []
    async with breaking_proxy(service.address) as proxy:
        async with MarketDataClient(service.address) as direct:
            for symbol in SYMBOLS:
                await direct.create_symbol(NewSymbol(symbol))
        # An answer of the service takes some 60 bytes, what begins a connection about 200.
        proxy.cut_after(*(dice.randrange(100, 900) for _ in range(3)))
        async with MarketDataClient(proxy.address, retries=PATIENT) as client:
            result = await client.upload_bars(parts, "1m", on_progress=progress.append)
        assert proxy.connections > 1
    async with MarketDataClient(service.address) as direct:
        stored = await direct.bars(SYMBOLS, "1m", session="all")
    assert_same(stored.frame, merge_frames(frames))
    assert not stored.frame.revision.any()
    assert (result.batches, result.bars) == (len(parts), 6_000)
    assert result.accepted + result.unchanged == 6_000
    assert [so_far.batches for so_far in progress] == list(range(1, len(parts) + 1))
    assert progress[-1] == result
