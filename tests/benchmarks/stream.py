"""stream_vs_arrow_flight: bars in the memory of a server to bars in the memory of a client.

Ours: the service's StreamBars servicer with its interceptors, in a process of its own, over a frame in
memory instead of the database; `MarketDataClient.bars` reads it into one `BarFrame`. Encoding from
numpy, gRPC and HTTP/2 on loopback, decoding, and the copy into owned, contiguous columns are within.

Peer: an Arrow Flight server (pyarrow) in a process of its own, DoGet from record batches that stand
ready in memory; the client reads the stream into one table and each column into a numpy array
(`Table.to_numpy` joins the batches where there is more than one).

The same eleven columns in the same dtypes and batches of the same sizes: 2,048, then 16,384 rows. The
short stream is four batches: there a call and its messages cost more than the bars, in Python more than
in Arrow's C++. It is shown, and held to nothing.
"""

import asyncio
import time
from typing import Any, Final

from pyarrow import flight

from marketdata.client import MarketDataClient
from marketdata.domain.timeframe import Timeframe
from tests.benchmarks.processes import peer
from tests.benchmarks.sampling import Line, rate_line, take_turns
from tests.benchmarks.setting import Setting
from tests.benchmarks.synthetic import MINUTE_BARS

NAME: Final = "stream_vs_arrow_flight"
FLOOR: Final = 0.5

_LONG: Final = 20 * MINUTE_BARS
_COUNTS: Final = (MINUTE_BARS, _LONG)
# About this many bars make a sample.
_BARS_A_SAMPLE: Final = 1_000_000


async def run(setting: Setting) -> list[Line]:
    """Measure a short and a long stream."""
    return [await _measure(setting.rounds, bars) for bars in _COUNTS]


async def _measure(rounds: int, bars: int) -> Line:
    reads = max(1, _BARS_A_SAMPLE // bars)
    async with (
        peer("memory_server", str(bars)) as own,
        peer("flight_server", str(bars)) as other,
        MarketDataClient(own.address) as client,
    ):
        connection = flight.connect(f"grpc://{other.address}")

        async def ours(_: int) -> float:
            started = time.perf_counter()
            for _ in range(reads):
                frame = await client.bars("S000", Timeframe.MINUTE_1)
            seconds = time.perf_counter() - started
            assert len(frame) == bars
            return seconds

        async def theirs(_: int) -> float:
            return await asyncio.to_thread(_read_flight, connection, bars, reads)

        samples = await take_turns(rounds, {"ours": ours, "peer": theirs})
        connection.close()
    floor = FLOOR if bars == _LONG else None
    return rate_line(
        NAME, f"{bars:,} bars a stream", "bars/s", bars * reads, samples["ours"], samples["peer"], floor
    )


def _read_flight(connection: Any, bars: int, reads: int) -> float:
    started = time.perf_counter()
    for _ in range(reads):
        table = connection.do_get(flight.Ticket(b"")).read_all()
        columns = [column.to_numpy() for column in table.columns]
    seconds = time.perf_counter() - started
    assert {len(column) for column in columns} == {bars}
    return seconds
