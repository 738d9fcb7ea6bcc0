"""The service as its composition root runs it: started, sampled, signalled, drained."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from marketdata.client import MarketDataClient
from marketdata.domain.ingestion_target import NewIngestionTarget
from marketdata.domain.symbol import NewSymbol
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import AddressInUseError
from marketdata.storage.embedded import ServerAddress
from tests.contract.own_process import running, settings_for
from tests.contract.service import CALL_SECONDS
from tests.support.databases import Databases, connected
from tests.support.waiting import until


@pytest.fixture
async def empty(databases: Databases) -> AsyncIterator[ServerAddress]:
    """Give a database without any table."""
    database = databases.empty()
    yield database
    databases.drop(database)


@pytest.fixture
async def idle_watch() -> AsyncIterator[Callable[[str], Any]]:
    """Give a health watch, which never ends by itself."""
    channels = []

    async def watch(address: str) -> Any:
        channel = grpc.aio.insecure_channel(address)
        channels.append(channel)
        call = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        await call.read()
        return call

    yield watch
    for channel in channels:
        await channel.close()


@pytest.mark.usefixtures("signals")
async def test_serve_given_empty_database_migrates_it_and_loads_the_sample(
    empty: ServerAddress,
) -> None:
    """From nothing to real bars: the schema is made, the sample imported, and reads answer."""
    async with running(settings_for(empty), with_sample=True) as service:
        assert service.serving.has_bars
        assert service.serving.facts.is_durable
        assert {stock.symbol: stock.accepted for stock in service.imported} == {
            "AAPL": 3_270,
            "FB": 196,
            "GOOG": 2_148,
            "IBM": 3_270,
            "MSFT": 3_270,
        }
        async with MarketDataClient(service.address) as client:
            frame = await client.bars(["AAPL", "FB"], "1d")
            assert len(frame) == 3_270 + 196
    async with running(settings_for(empty), with_sample=True) as service:
        assert service.serving.has_bars
        assert not service.imported


@pytest.mark.usefixtures("signals")
async def test_serve_given_a_write_tells_those_who_read_the_change_log(
    database: ServerAddress,
) -> None:
    """Other processes hear of it at once, without the poll."""
    async with running(settings_for(database)) as service, MarketDataClient(service.address) as client:
        with connected(database) as listener:
            listener.execute("LISTEN bar_log")
            await client.create_symbol(NewSymbol("AAPL"))
            heard = await asyncio.to_thread(list, listener.notifies(timeout=CALL_SECONDS, stop_after=1))
    assert len(heard) == 1


@pytest.mark.usefixtures("signals")
async def test_serve_given_entries_that_are_too_old_trims_them(database: ServerAddress) -> None:
    """The service keeps the change log within its age by itself; its last entry stays."""
    settings = settings_for(
        database, MARKETDATA_LOG_KEEP_DAYS=1e-9, MARKETDATA_MAINTENANCE_SECONDS=0.05
    )
    async with running(settings) as service, MarketDataClient(service.address) as client:
        for symbol in ("AAPL", "IBM", "MSFT"):
            await client.create_symbol(NewSymbol(symbol))

        async def is_trimmed() -> bool:
            with connected(database) as connection:
                row = connection.execute("SELECT oldest_seq::int FROM bar_log").fetchone()
            return row == (3,)

        await until(is_trimmed)


@pytest.mark.usefixtures("signals")
async def test_serve_given_a_target_starts_the_runs_that_are_due(
    database: ServerAddress, tmp_path: Path
) -> None:
    """A service keeps targets current by itself; one that is told not to leaves it to others."""
    files = {"MARKETDATA_FILES_DIR": tmp_path}
    wanted = NewIngestionTarget("files", (), (Timeframe.DAY_1,), ("files",))
    idle = settings_for(database, MARKETDATA_SCHEDULE=False, **files)
    async with running(idle) as service, MarketDataClient(service.address) as client:
        await client.create_symbol(NewSymbol("AAPL"))
        target = await client.create_ingestion_target(wanted)
    busy = settings_for(database, **files)
    async with running(busy) as service, MarketDataClient(service.address) as client:

        async def is_executed() -> bool:
            return [run.state.is_over async for run in client.list_ingestion_runs()] == [True] * 2

        await until(is_executed)
        runs = [run async for run in client.list_ingestion_runs()]
    jobs = [run.request_id.rpartition("/")[0] for run in runs]
    assert sorted(jobs) == [f"slot/{target.target_id}/{job}" for job in ("actions", "daily/1d")]
    assert [run.symbol_count for run in runs] == [1, 1]


@pytest.mark.usefixtures("signals")
async def test_serve_given_sigterm_drains_and_returns(
    database: ServerAddress, idle_watch: Callable[[str], Any]
) -> None:
    """SIGTERM ends the service in order: watchers are told, new calls refused, the port given back."""
    settings = settings_for(database, MARKETDATA_DRAIN_SECONDS=5)
    async with running(settings) as service:
        assert not service.serving.has_bars
        watch = await idle_watch(service.address)
        await service.stop()
        assert watch.done()
        assert service.task.result() is None
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # its connections may linger
        free.bind((service.serving.host, service.serving.port))


@pytest.mark.usefixtures("signals")
async def test_serve_given_taken_port_says_so_before_it_touches_the_database(
    empty: ServerAddress,
) -> None:
    """A port that is taken is told with the remedy, and no schema was made for nothing."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = settings_for(empty).model_copy(update={"port": port})
        with pytest.raises(AddressInUseError, match="MARKETDATA_PORT"):
            async with running(settings):
                pass
    with connected(empty) as connection:
        row = connection.execute("SELECT to_regclass('schema_migration')").fetchone()
    assert row == (None,)
