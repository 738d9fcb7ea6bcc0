"""stalled_readers: what clients that do not read, or die, cost the others.

`marketdata serve` in a process of its own. 30 clients, each with a channel of its own, ask for all
minutes of 20 symbols (982,800 bars), take the first message, and read no more. Once the database has
nothing to do for them any more, a thirty-first client reads 49,140 bars, and a writer commits 50 writes
of 100 bars. Both are measured with the stalled
clients and without them, in turn; the ratio is of the two, at least 1 / 1.2.

A client process that is killed in the middle of such a stream: how long after the kill PostgreSQL still
has a session that works, or is within a transaction, for it. The bound is 2 s.
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import grpc
import numpy as np
from bifrost.marketdata.v1 import bars_service_pb2, timeframe_pb2

from marketdata.client import MarketDataClient
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.commit import BarWriter
from marketdata.storage.embedded import ServerAddress
from tests.benchmarks.processes import service
from tests.benchmarks.sampling import Line, rate_line, take_turns, value_line
from tests.benchmarks.setting import (
    STORED_SYMBOLS,
    Setting,
    make_partitions,
    opened_storage,
    service_variables,
    symbol_name,
)
from tests.benchmarks.synthetic import MINUTE_BARS, minute_bars, renamed
from tests.support.databases import connected

NAME: Final = "stalled_readers"
FLOOR: Final = 1 / 1.2
LIMIT_SECONDS: Final = 2.0

_STALLED: Final = 30
_WRITES: Final = 50
_BARS_A_WRITE: Final = 100
_POLL_SECONDS: Final = 0.01
_GIVE_UP_SECONDS: Final = 20.0
_STREAM_BARS: Final = "/bifrost.marketdata.v1.BarsService/StreamBars"
_NAMES: Final = [symbol_name(number) for number in range(STORED_SYMBOLS)]
# Sessions of clients that are not idle; ours of this look excepted.
_BUSY: Final = """
    SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
       AND state <> 'idle'
"""
_WORKING: Final = _BUSY.replace("<> 'idle'", "= 'active'")
_QUIET_LOOKS: Final = 20
_DOOMED: Final = """
import sys, grpc
from bifrost.marketdata.v1 import bars_service_pb2 as m
channel = grpc.insecure_channel(sys.argv[1])
call = channel.unary_stream(sys.argv[2], request_serializer=m.StreamBarsRequest.SerializeToString)
stream = call(m.StreamBarsRequest(symbols=sys.argv[3].split(","), timeframe=1))
next(stream)
print("reading", flush=True)
sys.stdin.read()
"""


async def run(setting: Setting) -> list[Line]:
    """Measure a reader, a writer, and a client that is killed."""
    database = await setting.stored_bars()
    async with service(service_variables(database)) as own, opened_storage(database) as storage:
        sides = _Sides(own.address, database, setting.rounds)
        writes = _WRITES * _BARS_A_WRITE
        lines = [
            await _beside(sides, "a 31st reader", MINUTE_BARS, _reader(own.address)),
            await _beside(sides, "a writer", writes, _writer(storage.writer, database)),
        ]
        seconds = [await _killed(own.address, database) for _ in range(setting.rounds)]
    return [*lines, value_line(NAME, "a killed client is busy for", "s", seconds, LIMIT_SECONDS)]


@dataclass(frozen=True, slots=True)
class _Sides:
    """Where both sides are measured, and how often."""

    address: str
    database: ServerAddress
    rounds: int


async def _beside(sides: _Sides, who: str, bars: int, sample: Callable[[], Awaitable[float]]) -> Line:
    async def alone(_: int) -> float:
        return await sample()

    async def beside(_: int) -> float:
        async with _stalled_clients(sides.address):
            await _quiet(sides.database)
            return await sample()

    samples = await take_turns(sides.rounds, {"ours": beside, "peer": alone})
    case = f"{who}, beside {_STALLED} that stall and alone"
    return rate_line(NAME, case, "bars/s", bars, samples["ours"], samples["peer"], FLOOR)


def _reader(address: str) -> Callable[[], Awaitable[float]]:
    async def sample() -> float:
        async with MarketDataClient(address) as client:
            await client.get_symbol(_NAMES[0])
            started = time.perf_counter()
            bars = await client.bars(_NAMES[0], Timeframe.MINUTE_1)
            seconds = time.perf_counter() - started
        assert len(bars) == MINUTE_BARS
        return seconds

    return sample


def _writer(writer: BarWriter, database: ServerAddress) -> Callable[[], Awaitable[float]]:
    everything = minute_bars("X", _WRITES * _BARS_A_WRITE)
    with connected(database) as connection:
        make_partitions(connection, everything, Timeframe.MINUTE_1)
    number = 0

    async def sample() -> float:
        nonlocal number
        number += 1
        frame = renamed(everything, f"W{number}")
        started = time.perf_counter()
        for first in range(0, len(frame), _BARS_A_WRITE):
            part = frame.take(np.arange(first, first + _BARS_A_WRITE))
            await writer.commit_bars(part, Timeframe.MINUTE_1)
        return time.perf_counter() - started

    return sample


@contextlib.asynccontextmanager
async def _stalled_clients(address: str) -> AsyncIterator[None]:
    request = bars_service_pb2.StreamBarsRequest(
        symbols=_NAMES, timeframe=timeframe_pb2.TIMEFRAME_1_MINUTE
    )
    async with contextlib.AsyncExitStack() as stack:
        calls = []
        for number in range(_STALLED):
            # Channels with the same options share a connection, and its window.
            options = [("grpc.use_local_subchannel_pool", 1), ("marketdata.number", number)]
            channel = await stack.enter_async_context(
                grpc.aio.insecure_channel(address, options=options)
            )
            stream: Any = channel.unary_stream(
                _STREAM_BARS, request_serializer=bars_service_pb2.StreamBarsRequest.SerializeToString
            )
            calls.append(stream(request))
        await asyncio.gather(*(call.read() for call in calls))
        yield
        for call in calls:
            call.cancel()


async def _quiet(database: ServerAddress) -> None:
    """Wait until no session works: what the stalled clients were sent has filled all buffers."""
    quiet = 0
    with connected(database) as connection:
        while quiet < _QUIET_LOOKS:
            await asyncio.sleep(_POLL_SECONDS)
            quiet = 0 if _count(connection, _WORKING) else quiet + 1


async def _killed(address: str, database: ServerAddress) -> float:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _DOOMED, address, _STREAM_BARS, ",".join(_NAMES)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await process.stdout.readline()
    with connected(database) as connection:
        process.kill()
        started = time.perf_counter()
        while _count(connection, _BUSY):
            if time.perf_counter() - started > _GIVE_UP_SECONDS:
                break
            await asyncio.sleep(_POLL_SECONDS)
        seconds = time.perf_counter() - started
    await process.wait()
    return seconds


def _count(connection: Any, sessions: str) -> int:
    return int(connection.execute(sessions).fetchone()[0])
