"""Why nothing moves: what a provider waits for reaches everybody who watches its run."""

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Final

import pytest
from bifrost.marketdata.v1 import ingestion_pb2, timeframe_pb2
from bifrost.marketdata.v1 import ingestion_service_pb2 as messages
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from marketdata.client import MarketDataClient
from marketdata.domain.symbol import NewSymbol
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.embedded import ServerAddress
from tests.contract.commands import Commands
from tests.contract.service import CALL_SECONDS, Service, serving
from tests.support.ingesting import Gate, days
from tests.support.scripted_provider import OneProvider, ScriptedProvider
from tests.support.waiting import until

# Longer than a test takes, and less than two minutes: whoever watches sees 1m and some seconds.
WAIT_SECONDS: Final = 119.0


@pytest.fixture
def gate() -> Gate:
    """Give what holds the provider up."""
    return Gate()


@pytest.fixture
async def held(database: ServerAddress, gate: Gate) -> AsyncIterator[tuple[Service, int]]:
    """Give a service, and the number of a run whose provider waits for its limit."""
    frame = days("A", "2024-01-01", "2024-02-01")
    provider = ScriptedProvider({("A", Timeframe.DAY_1): frame}, before_page=gate)
    async with serving(lambda: database, OneProvider(provider)) as service:
        await service.stores.symbols.create(NewSymbol("A"))
        request = messages.StartIngestionRequest(
            mode=ingestion_pb2.INGESTION_MODE_BACKFILL,
            provider="alpaca",
            symbols=["A"],
            timeframes=[timeframe_pb2.TIMEFRAME_1_DAY],
            start_time=Timestamp(seconds=1_704_067_200),
        )
        started = await service.ingestion.StartIngestion(request, timeout=CALL_SECONDS)
        await gate.reached.wait()
        service.waits.add("alpaca", "rate_limit", WAIT_SECONDS)
        yield service, started.run.run_id


async def test_watch_given_provider_that_waits_says_for_what_and_how_long(
    held: tuple[Service, int], gate: Gate
) -> None:
    """The wait comes with the progress while it lasts; a run that is over waits for nothing."""
    service, run_id = held
    request = messages.WatchIngestionRunRequest(run_id=run_id)
    seen = []
    async for answer in service.ingestion.WatchIngestionRun(request, timeout=CALL_SECONDS):
        last = answer.run.progress
        if last.waits:
            seen.append(last.waits[0])
            gate.open.set()
    assert {(wait.provider, wait.reason) for wait in seen} == {("alpaca", "rate_limit")}
    assert all(0 < wait.time_left.ToMicroseconds() <= WAIT_SECONDS * 1e6 for wait in seen)
    assert not last.waits


async def test_client_given_provider_that_waits_has_it_in_its_status(
    held: tuple[Service, int], gate: Gate
) -> None:
    """The same as values of the client."""
    service, run_id = held
    async with MarketDataClient(service.address) as client:
        async for run in client.watch_ingestion_run(run_id):
            if run.waits:
                (wait,) = run.waits
                gate.open.set()
    assert (wait.provider, wait.reason) == ("alpaca", "rate_limit")
    assert 60 < wait.seconds_left <= WAIT_SECONDS


async def test_watch_command_given_provider_that_waits_shows_it_beside_the_progress(
    held: tuple[Service, int], gate: Gate, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal a person reads why the bar stands still."""
    service, run_id = held
    terminal = io.StringIO()
    console = Console(file=terminal, force_terminal=True, width=200)
    monkeypatch.setattr("marketdata.cli.ingest_run.ERR", console)
    command = asyncio.create_task(
        commands.run("ingest", "watch", str(run_id), "--address", service.address)
    )

    async def is_shown() -> bool:
        return "waits 1m" in terminal.getvalue() and "(rate_limit)" in terminal.getvalue()

    await until(is_shown)
    gate.open.set()
    assert (await command).code == 0
