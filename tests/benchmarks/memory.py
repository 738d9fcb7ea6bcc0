"""memory_of_a_server: what streaming 10 million bars costs the server's process.

`marketdata serve` in a process of its own over 204 symbols of minutes (10,024,560 bars); one client
reads all of them in one stream, and keeps nothing. Resident memory is read every 10 ms: the line is its
peak above what the process had when it was idle: after a first short call, once it had grown by nothing
for two seconds (a start still makes a calendar, in the background). The peer is a bound: 64 MB.
"""

import asyncio
from pathlib import Path
from typing import Any, Final

import grpc
from bifrost.marketdata.v1 import bars_service_pb2, timeframe_pb2

from marketdata.client import MarketDataClient
from marketdata.domain.bars import BarFrame
from marketdata.wire.stream_parts import decode_stream_part
from tests.benchmarks.processes import service
from tests.benchmarks.sampling import Line, value_line
from tests.benchmarks.setting import (
    Setting,
    service_variables,
    symbol_name,
)
from tests.benchmarks.synthetic import MINUTE_BARS

NAME: Final = "memory_of_a_server"
LIMIT_MB: Final = 64.0

_SYMBOLS: Final = 204
_INTERVAL_SECONDS: Final = 0.01
_SETTLED_SECONDS: Final = 2.0
_SETTLED_LOOKS: Final = 20
_STREAM_BARS: Final = "/bifrost.marketdata.v1.BarsService/StreamBars"


async def run(setting: Setting) -> list[Line]:
    """Measure one long stream; loading its bars takes about a minute."""
    database = await setting.database_of_minutes(_SYMBOLS)
    names = [symbol_name(number) for number in range(_SYMBOLS)]
    async with service(service_variables(database)) as own:
        async with MarketDataClient(own.address) as client:
            await client.get_symbol(names[0])
        idle = await _settled_mb(own.pid)
        done = asyncio.Event()
        peak = asyncio.create_task(_peak_mb(own.pid, done))
        bars = await _read_all(own.address, names)
        done.set()
        above = await peak - idle
    setting.databases.drop(database)
    assert bars == MINUTE_BARS * _SYMBOLS
    return [
        value_line(NAME, f"{bars:,} bars in one stream, above {idle:.0f} MB", "MB", [above], LIMIT_MB)
    ]


async def _read_all(address: str, symbols: list[str]) -> int:
    request = bars_service_pb2.StreamBarsRequest(
        symbols=symbols, timeframe=timeframe_pb2.TIMEFRAME_1_MINUTE
    )
    bars = 0
    async with grpc.aio.insecure_channel(address) as channel:
        stream: Any = channel.unary_stream(
            _STREAM_BARS, request_serializer=bars_service_pb2.StreamBarsRequest.SerializeToString
        )
        async for data in stream(request, timeout=600):
            if isinstance(part := decode_stream_part(data), BarFrame):
                bars += len(part)
    return bars


async def _peak_mb(pid: int, done: asyncio.Event) -> float:
    peak = 0.0
    while not done.is_set():
        peak = max(peak, _resident_mb(pid))
        await asyncio.sleep(_INTERVAL_SECONDS)
    return peak


async def _settled_mb(pid: int) -> float:
    least_growth_mb, looks = 0.25, 0
    last = _resident_mb(pid)
    while looks < _SETTLED_LOOKS:
        await asyncio.sleep(_SETTLED_SECONDS / _SETTLED_LOOKS)
        now = _resident_mb(pid)
        looks = looks + 1 if abs(now - last) < least_growth_mb else 0
        last = now
    return last


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has ended")
