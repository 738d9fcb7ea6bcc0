"""latest_bar_vs_empty_handler: the unary call that everybody makes.

Ours: GetLatestBar of `marketdata serve` in a process of its own, its PostgreSQL beside it, for 100
symbols in turn; the answer is read from the database at every call.

Peer: the same RPC, interceptors, server options and access log in a process of its own; the handler
returns a constant.

One client process sends for both: 16 calls at a time on one channel, over the generated stub. The
sample is the time of 2,000 calls; latencies are those of all calls of the samples that count.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import grpc
import numpy as np
from bifrost.marketdata.v1 import bars_service_pb2, timeframe_pb2
from bifrost.marketdata.v1.bars_service_pb2_grpc import BarsServiceStub

from marketdata.domain.timeframe import Timeframe
from tests.benchmarks.processes import peer, service
from tests.benchmarks.sampling import Line, rate_line, take_turns, value_line
from tests.benchmarks.setting import (
    Setting,
    create_symbols,
    opened_storage,
    service_variables,
    symbol_name,
)
from tests.benchmarks.synthetic import daily_bars, renamed

NAME: Final = "latest_bar_vs_empty_handler"
FLOOR: Final = 0.4

_SYMBOLS: Final = 100
_CONCURRENT: Final = 16
_CALLS_A_SAMPLE: Final = 2_000
_PERCENTILES: Final = {"p50": 50, "p99": 99}


async def run(setting: Setting) -> list[Line]:
    """Measure calls a second, and what each takes."""
    database = await setting.databases.migrated()
    names = [symbol_name(number) for number in range(_SYMBOLS)]
    async with opened_storage(database) as storage:
        await create_symbols(storage.symbols, names)
        for name in names:  # through the write path, which keeps what the call reads
            await storage.writer.commit_bars(renamed(daily_bars("S", 5), name), Timeframe.DAY_1)
    async with (
        service(service_variables(database)) as own,
        peer("empty_server") as other,
        grpc.aio.insecure_channel(own.address) as own_channel,
        grpc.aio.insecure_channel(other.address) as other_channel,
    ):
        sides = {
            "ours": _Load(own_channel, names),
            "peer": _Load(other_channel, names),
        }
        samples = await take_turns(setting.rounds, {name: side.sample for name, side in sides.items()})
    setting.databases.drop(database)
    case = f"{_CONCURRENT} calls at a time"
    rates = rate_line(NAME, case, "calls/s", _CALLS_A_SAMPLE, samples["ours"], samples["peer"], FLOOR)
    return [rates, *_latencies(case, sides)]


def _latencies(case: str, sides: dict[str, "_Load"]) -> Iterable[Line]:
    for label, percent in _PERCENTILES.items():
        for side, load in sides.items():
            who = "" if side == "ours" else ", empty handler"
            values = [float(np.percentile(sample, percent)) * 1e3 for sample in load.latencies[1:]]
            yield value_line(NAME, f"{case}, {label}{who}", "ms", values)


class _Load:
    """Sends calls to one server."""

    def __init__(self, channel: grpc.aio.Channel, symbols: list[str]) -> None:
        stub: Any = BarsServiceStub(channel)
        self._call: Callable[[Any], Any] = stub.GetLatestBar
        self._requests = [
            bars_service_pb2.GetLatestBarRequest(symbol=symbol, timeframe=timeframe_pb2.TIMEFRAME_1_DAY)
            for symbol in symbols
        ]
        self.latencies: list[list[float]] = []

    async def sample(self, _: int) -> float:
        """Send one sample's calls; return the seconds until all were answered."""
        todo = iter(range(_CALLS_A_SAMPLE))
        latencies: list[float] = []

        async def caller() -> None:
            for number in todo:
                started = time.perf_counter()
                await self._call(self._requests[number % len(self._requests)])
                latencies.append(time.perf_counter() - started)

        started = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(_CONCURRENT)))
        self.latencies.append(latencies)
        return time.perf_counter() - started
