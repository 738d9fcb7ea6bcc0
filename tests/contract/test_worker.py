"""A worker as its composition root runs it: it does what a service leaves to it, and ends in order."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, Final

import grpc
import pytest
from bifrost.marketdata.v1.symbol_service_pb2 import GetSymbolRequest
from bifrost.marketdata.v1.symbol_service_pb2_grpc import SymbolServiceStub
from grpc_health.v1 import health_pb2, health_pb2_grpc

from marketdata.client import IngestionMode, MarketDataClient, RunState
from marketdata.domain.ingestion_target import NewIngestionTarget
from marketdata.domain.symbol import NewSymbol
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.ingestion.targets import TargetStore
from tests.contract.commands import Commands
from tests.contract.own_process import running, settings_for, working
from tests.support.databases import connected
from tests.support.ingesting import days
from tests.support.providers.faults import never
from tests.support.providers.iex.alpaca_side import KEY_ID, SECRET, AlpacaDialect
from tests.support.providers.played import LoopbackServer, loopback
from tests.support.providers.truth import Truth
from tests.support.storage import Storage
from tests.support.symbols import create_symbols
from tests.support.waiting import until

#: Longer than any test: who takes a run over did not wait for its lease.
LONG_LEASE: Final = 3_600
BARS: Final = days("AAPL", "2024-01-01", "2024-03-01")

pytestmark = [
    pytest.mark.modes("plain", "apache", reason="needs connections of its own"),
    pytest.mark.usefixtures("signals"),
]


@asynccontextmanager
async def alpaca() -> AsyncIterator[tuple[LoopbackServer, dict[str, Any]]]:
    """Play Alpaca with two months of days of AAPL; give the settings of who asks it."""
    truth = Truth({("AAPL", Timeframe.DAY_1): BARS}, {"AAPL": ()}, {})
    async with loopback(AlpacaDialect(truth, 1_000), never) as server:
        yield (
            server,
            {
                "MARKETDATA_ALPACA_URL": server.address,
                "MARKETDATA_ALPACA_KEY_ID": KEY_ID,
                "MARKETDATA_ALPACA_SECRET_KEY": SECRET,
                "MARKETDATA_INGESTION_LEASE_SECONDS": LONG_LEASE,
            },
        )


def runs(database: ServerAddress) -> list[tuple[object, ...]]:
    """List the state, epoch and claim of each run that fetches bars, oldest first."""
    with connected(database) as connection:
        return connection.execute(
            "SELECT state, epoch::int, lease_until > clock_timestamp() FROM ingestion_run"
            " WHERE mode <> 'actions' ORDER BY run_id"
        ).fetchall()


def has(database: ServerAddress, *wanted: tuple[object, ...]) -> Callable[[], Awaitable[bool]]:
    """Make a condition: the state and the epoch of each run."""

    async def looked() -> bool:
        return [row[:2] for row in runs(database)] == list(wanted)

    return looked


async def test_worker_given_a_service_that_leaves_runs_to_it_executes_them(
    database: ServerAddress, caplog: pytest.LogCaptureFixture
) -> None:
    """The service queues a run and executes none; the worker does, and the service shows its end."""
    caplog.set_level("INFO")
    async with alpaca() as (server, settings):
        leaving = settings_for(database, MARKETDATA_INGESTION=False, **settings)
        async with running(leaving) as service, MarketDataClient(service.address) as client:
            await client.create_symbol(NewSymbol("AAPL"))
            run = await client.start_ingestion(
                IngestionMode.BACKFILL, "alpaca", ["AAPL"], ["1d"], date(2024, 1, 1), date(2024, 3, 1)
            )
        assert runs(database) == [("queued", 0, None)]
        assert "ingestion_left_to_workers" in caplog.messages
        async with working(settings_for(database, **settings)) as worker:
            assert worker.health == ""
            await until(has(database, ("succeeded", 1)))
        assert len(server.calls) > 0
        async with running(leaving) as service, MarketDataClient(service.address) as client:
            over = await client.get_ingestion_run(run.run_id)
        assert (over.state, over.counts.accepted) == (RunState.SUCCEEDED, len(BARS))


async def test_worker_given_a_target_executes_its_slots_at_the_times_that_are_set(
    storage: Storage, database: ServerAddress, caplog: pytest.LogCaptureFixture
) -> None:
    """What is due is named after the settings, which the log repeats at the start."""
    caplog.set_level("INFO")
    await create_symbols(storage, "AAPL")
    wanted = NewIngestionTarget("days", ("AAPL",), (Timeframe.DAY_1,), ("alpaca",), date(2024, 1, 2))
    await TargetStore(storage.pools).create(wanted)
    async with alpaca() as (_, settings):
        times = {"MARKETDATA_SCHEDULE_REPAIR_AT": "06:30", "MARKETDATA_SCHEDULE_WAKE_SECONDS": 0.2}
        async with working(settings_for(database, **settings, **times)):
            await until(has(database, ("succeeded", 1), ("succeeded", 1)))
    with connected(database) as connection:
        rows = connection.execute("SELECT request_id FROM ingestion_run ORDER BY 1").fetchall()
    actions, daily, repair = [str(name) for (name,) in rows]
    assert actions.startswith("slot/1/actions/")
    assert daily.startswith("slot/1/daily/1d/")
    assert repair.startswith("slot/1/repair/1d/")
    assert repair.endswith("T06:30:00Z")
    (said,) = [vars(record) for record in caplog.records if record.message == "schedule_times"]
    assert said["repair_at"] == "06:30"
    assert (said["daily_delay_seconds"], said["minutes_every_seconds"]) == (21_600, 300)


async def test_worker_given_sigterm_leaves_its_claims_to_the_next(
    storage: Storage, database: ServerAddress
) -> None:
    """It ends in the middle of a run, whose lease has an hour to go: another goes on at once."""
    await create_symbols(storage, "AAPL")
    wanted = NewIngestionTarget("days", ("AAPL",), (Timeframe.DAY_1,), ("alpaca",))
    await TargetStore(storage.pools).create(wanted)
    async with alpaca() as (server, settings):
        server.answer_seconds = 60

        async def is_asked() -> bool:
            return bool(server.calls)

        async with working(settings_for(database, **settings)):
            await until(is_asked)
            assert runs(database) == [("running", 1, True)]
        assert runs(database) == [("running", 1, False)]
        server.answer_seconds = 0
        async with working(settings_for(database, **settings)):
            await until(has(database, ("succeeded", 2)))


async def test_worker_given_a_port_answers_for_its_health(database: ServerAddress) -> None:
    """An orchestrator asks it as it asks the service; nothing else is served there."""
    settings = settings_for(database, MARKETDATA_WORKER_PORT=0)
    async with working(settings) as worker, grpc.aio.insecure_channel(worker.health) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", "db"):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await SymbolServiceStub(channel).GetSymbol(GetSymbolRequest(symbol="AAPL"))
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_worker_given_an_embedded_database_says_that_serve_includes_it(
    commands: Commands,
) -> None:
    """Without DB_HOST there is nothing to share; the refusal says who does the work there."""
    refused = await commands.run("worker")
    assert refused.code == 1
    assert "set DB_HOST" in refused.err
    assert "marketdata serve, which keeps targets current" in " ".join(refused.err.split())
