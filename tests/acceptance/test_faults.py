"""Signals and kills: what was acknowledged is there, and nothing needs a hand."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

import grpc
import psycopg
import pytest
from bifrost.marketdata.v1 import bar_pb2, timeframe_pb2
from bifrost.marketdata.v1.bars_service_pb2 import CreateBarsRequest
from bifrost.marketdata.v1.bars_service_pb2_grpc import BarsServiceStub

from marketdata.client import MarketDataClient, RetryPolicy
from marketdata.errors import ServerDrainingError, ServiceError
from tests.acceptance.processes import Service, runs_postgres
from tests.support.embedded import wait_until
from tests.support.waiting import until

Start = Callable[..., Service]

MINUTE_US: Final = 60_000_000
# 2024-01-02 14:30 UTC, when New York opens.
FIRST_US: Final = 1_704_205_800_000_000
# The failure of a stream is looked at here, not taken up again.
ONCE: Final = RetryPolicy(most_attempts=1)
# How soon the service answers again after its PostgreSQL was killed.
RECOVERY_SECONDS: Final = 30.0


class Writer:
    """Stores one bar a call, each a minute after the last one, and remembers what was acknowledged."""

    def __init__(self, address: str) -> None:
        self.acknowledged: list[int] = []
        self.failures = 0
        self._next_us = FIRST_US
        self._channel = grpc.aio.insecure_channel(address)
        self._bars = BarsServiceStub(self._channel)

    async def run(self) -> None:
        """Write until cancelled; a bar that was not acknowledged is sent again."""
        while True:
            try:
                response = await self._bars.CreateBars(bar_of(self._next_us), timeout=5)
            except grpc.aio.AioRpcError:
                self.failures += 1
                await asyncio.sleep(0.01)
                continue
            assert response.accepted + response.unchanged == 1
            self.acknowledged.append(self._next_us)
            self._next_us += MINUTE_US

    async def until_acknowledged(self, count: int) -> None:
        """Wait until so many bars were acknowledged in all."""

        async def reached() -> bool:
            return len(self.acknowledged) >= count

        await until(reached, RECOVERY_SECONDS)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


def bar_of(time_us: int) -> CreateBarsRequest:
    """Make a write of one minute bar of IBM."""
    batch = bar_pb2.BarBatch(
        symbols=["IBM"],
        timeframe=timeframe_pb2.TIMEFRAME_1_MINUTE,
        time_us=[time_us],
        open=[10],
        high=[12],
        low=[9],
        close=[11],
    )
    return CreateBarsRequest(batch=batch)


async def stored(address: str) -> list[int]:
    """Read the times of all minute bars of IBM."""
    async with MarketDataClient(address) as client:
        times_us: list[int] = (await client.bars("IBM", "1m")).time_us.tolist()
        return times_us


def seqs(service: Service) -> list[int]:
    """Read every seq of the change log, in order."""
    with psycopg.connect(**service.database().connection_parameters()) as connection:  # type: ignore[arg-type]
        rows = connection.execute("SELECT seq FROM bar_write ORDER BY seq").fetchall()
    return [seq for (seq,) in rows]


def test_serve_given_ctrl_c_ends_in_order(sample_folder: Path, start: Start) -> None:
    """Exit code 0, PostgreSQL stopped cleanly, the folder free for the next one."""
    service = start(sample_folder)
    assert service.stop(signal.SIGINT) == 0
    assert not runs_postgres(sample_folder)
    assert not (service.pgdata / "postmaster.pid").exists()
    assert "Traceback" not in service.log()


async def test_serve_given_sigterm_during_a_stream_ends_it_with_a_status(
    sample_folder: Path, start: Start
) -> None:
    """A stream that outlives the drain is told so; the service ends with 0 and stops PostgreSQL."""
    service = start(sample_folder, MARKETDATA_DRAIN_SECONDS="0.5")
    async with MarketDataClient(service.address, retries=ONCE) as client:
        parameters = service.database().connection_parameters()
        with psycopg.connect(**parameters) as blocker:  # type: ignore[arg-type]
            blocker.execute("LOCK TABLE market_stock_hist_bars_day_ts IN ACCESS EXCLUSIVE MODE")
            streaming = asyncio.create_task(client.bars("AAPL", "1d"))

            async def is_waiting() -> bool:
                found = blocker.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
                return bool(found and found[0])

            await until(is_waiting)
            ending = asyncio.create_task(asyncio.to_thread(service.stop))
            with pytest.raises(ServerDrainingError):
                await streaming
            # PostgreSQL ends the blocker's session itself.
            assert await ending == 0
            blocker.close()
    assert not runs_postgres(sample_folder)
    assert "Traceback" not in service.log()


async def test_service_given_kill_keeps_every_acknowledged_bar(
    sample_folder: Path, start: Start
) -> None:
    """A killed service loses nothing that it acknowledged; the next one adopts its PostgreSQL."""
    service = start(sample_folder)
    postmaster = service.postmaster_pid()
    writer = Writer(service.address)
    writing = asyncio.create_task(writer.run())
    await writer.until_acknowledged(50)
    await asyncio.to_thread(service.kill)
    writing.cancel()
    await writer.close()
    assert runs_postgres(sample_folder)

    restarted = start(sample_folder)
    assert restarted.postmaster_pid() == postmaster
    assert f"embedded_postgres_adopted pid={postmaster}" in restarted.log()
    found = await stored(restarted.address)
    assert found[: len(writer.acknowledged)] == writer.acknowledged
    # At most the one that was under way came in besides.
    assert len(found) <= len(writer.acknowledged) + 1
    assert seqs(restarted) == list(range(1, len(seqs(restarted)) + 1))
    assert restarted.stop() == 0
    assert not runs_postgres(sample_folder)


async def test_service_given_kill_of_its_postgres_recovers_by_itself(
    sample_folder: Path, start: Start
) -> None:
    """PostgreSQL comes back under the running service; writers go on, and lost nothing."""
    service = start(sample_folder)
    # As many connections as a busy service has: all of them die at once.
    async with MarketDataClient(service.address) as client:
        await asyncio.gather(*(client.bars("AAPL", "1d") for _ in range(20)))
        writer = Writer(service.address)
        writing = asyncio.create_task(writer.run())
        await writer.until_acknowledged(20)
        for _ in range(2):
            killed = service.postmaster_pid()
            before = len(writer.acknowledged)
            os.kill(killed, signal.SIGKILL)
            await writer.until_acknowledged(before + 20)
            assert service.postmaster_pid() != killed
        writing.cancel()
        assert len(await client.bars("AAPL", "1d")) == 3_270
    await writer.close()
    assert service.process.poll() is None
    found = await stored(service.address)
    assert found[: len(writer.acknowledged)] == writer.acknowledged
    assert seqs(service) == list(range(1, len(seqs(service)) + 1))
    assert service.stop() == 0


async def test_reads_given_kill_of_its_postgres_fail_typed_and_recover(
    sample_folder: Path, start: Start
) -> None:
    """Calls during the outage end with the tree's errors, none hangs, and soon all succeed again."""
    service = start(sample_folder)
    async with MarketDataClient(service.address, timeout_seconds=10) as client:
        await asyncio.gather(*(client.get_symbol("AAPL") for _ in range(50)))
        os.kill(service.postmaster_pid(), signal.SIGKILL)

        async def recovered() -> bool:
            try:
                await asyncio.gather(*(client.get_symbol("AAPL") for _ in range(30)))
            except ServiceError:
                return False
            return True

        await until(recovered, RECOVERY_SECONDS)
        assert len(await client.bars(["AAPL", "IBM"], "1d")) == 6_540
    wait_until(lambda: "embedded_postgres_restarted" in service.log())
