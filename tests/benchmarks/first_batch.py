"""first_batch_latency: from the request of a large stream to its first bars.

`marketdata serve` in a process of its own on a warm database; the client asks for all minutes of 20
symbols (982,800 bars), waits for the first batch, decodes it, and cancels. The peer is a bound: at most
20 ms after the request.
"""

import time
from typing import Any, Final

import grpc
from bifrost.marketdata.v1 import bars_service_pb2, timeframe_pb2

from marketdata.domain.bars import BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.wire.stream_parts import decode_stream_part
from marketdata.wire.times import to_timestamp
from tests.benchmarks.processes import service
from tests.benchmarks.sampling import Line, take_turns, value_line
from tests.benchmarks.setting import STORED_SYMBOLS, Setting, service_variables, symbol_name
from tests.benchmarks.synthetic import minute_bars, range_of

NAME: Final = "first_batch_latency"
LIMIT_MS: Final = 20.0

_REQUESTS_A_ROUND: Final = 5
_STREAM_BARS: Final = "/bifrost.marketdata.v1.BarsService/StreamBars"


async def run(setting: Setting) -> list[Line]:
    """Measure the range of the bars, and a request that names no range."""
    database = await setting.stored_bars()
    names = [symbol_name(number) for number in range(STORED_SYMBOLS)]
    whole = range_of(minute_bars("S"), Timeframe.MINUTE_1)
    bounded = bars_service_pb2.StreamBarsRequest(
        symbols=names,
        timeframe=timeframe_pb2.TIMEFRAME_1_MINUTE,
        start_time=to_timestamp(whole.start_us),
        end_time=to_timestamp(whole.end_us),
    )
    open_ended = bars_service_pb2.StreamBarsRequest(
        symbols=names, timeframe=timeframe_pb2.TIMEFRAME_1_MINUTE
    )
    cases = {
        f"half a year of {STORED_SYMBOLS} symbols": bounded,
        "the same, no range named": open_ended,
    }
    async with (
        service(service_variables(database)) as own,
        grpc.aio.insecure_channel(own.address) as channel,
    ):
        samplers = {case: _FirstBatch(channel, request).sample for case, request in cases.items()}
        samples = await take_turns(setting.rounds * _REQUESTS_A_ROUND, samplers)
    return [value_line(NAME, case, "ms", values, LIMIT_MS) for case, values in samples.items()]


class _FirstBatch:
    """Asks for a stream and gives it up at its first batch."""

    def __init__(self, channel: grpc.aio.Channel, request: bars_service_pb2.StreamBarsRequest) -> None:
        self._request = request
        self._stream: Any = channel.unary_stream(
            _STREAM_BARS, request_serializer=bars_service_pb2.StreamBarsRequest.SerializeToString
        )

    async def sample(self, _: int) -> float:
        """Milliseconds to the first bars."""
        started = time.perf_counter()
        call = self._stream(self._request, timeout=60)
        async for data in call:
            if isinstance(part := decode_stream_part(data), BarFrame) and len(part):
                break
        milliseconds = (time.perf_counter() - started) * 1e3
        call.cancel()
        return milliseconds
