"""path_vs_fastapi: from the database to columns in a client, the whole way.

Ours: `marketdata serve` in a process of its own, on the benchmark's PostgreSQL; `MarketDataClient.bars`
into one `BarFrame`.

Peer: the design that this service replaces, on the same database: FastAPI on uvicorn (uvloop,
httptools), SQLAlchemy's asyncio engine with asyncpg, one Pydantic model a bar, JSON; an httpx client
with one kept connection, the body parsed by orjson and turned into one numpy array a column.
See `tests.benchmarks.peers.fastapi_server` for how it is tuned.

Cases: 49,140 minutes and 3,270 days of one symbol, all eleven columns. The days lie in 153 partitions
of 30 days, which PostgreSQL plans and opens for both sides alike; that weighs more than their bars, so
they are shown, and held to nothing.
"""

import time
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

import httpx
import numpy as np
import numpy.typing as npt
import orjson

from marketdata.client import MarketDataClient
from marketdata.domain.bars import COLUMN_DTYPES, BarColumn, BarFrame
from marketdata.domain.time_range import from_unix_us
from marketdata.domain.timeframe import Timeframe
from tests.benchmarks.processes import peer, service
from tests.benchmarks.sampling import Line, rate_line, take_turns
from tests.benchmarks.setting import STORED_SYMBOLS, Setting, service_variables, symbol_name
from tests.benchmarks.synthetic import daily_bars, minute_bars, range_of

NAME: Final = "path_vs_fastapi"
FLOOR: Final = 15.0

_STYLES: Final = {"orm": "ORM entities", "core": "Core rows"}
# The daily request takes some milliseconds: many make a sample.
_DAILY_READS: Final = 10


@dataclass(frozen=True, slots=True)
class Case:
    """A request, and how often it is sent a sample."""

    style: str
    frame: BarFrame
    timeframe: Timeframe
    reads: int


async def run(setting: Setting) -> list[Line]:
    """Measure both requests in both styles; in a quick run the first."""
    database = await setting.stored_bars()
    symbol = symbol_name(STORED_SYMBOLS // 2)
    variables = service_variables(database)
    cases = [
        case
        for style in _STYLES
        for case in (
            Case(style, minute_bars(symbol), Timeframe.MINUTE_1, 1),
            Case(style, daily_bars(symbol), Timeframe.DAY_1, _DAILY_READS),
        )
    ]
    if setting.is_quick:
        del cases[1:]
    async with service(variables) as own, peer("fastapi_server", variables=variables) as other:
        return [await _measure(setting.rounds, case, own.address, other.address) for case in cases]


async def _measure(rounds: int, case: Case, own: str, other: str) -> Line:
    symbol, count = case.frame.symbols[0], len(case.frame)
    whole = range_of(case.frame, case.timeframe)
    start, end = from_unix_us(whole.start_us), from_unix_us(whole.end_us)
    async with MarketDataClient(own) as client, httpx.AsyncClient(base_url=f"http://{other}") as http:

        async def ours(_: int) -> float:
            started = time.perf_counter()
            for _ in range(case.reads):
                bars = await client.bars(symbol, case.timeframe, start, end)
            seconds = time.perf_counter() - started
            assert np.array_equal(bars.close, case.frame.close)
            return seconds

        async def theirs(_: int) -> float:
            parameters = {"start": start.isoformat(), "end": end.isoformat()}
            started = time.perf_counter()
            for _ in range(case.reads):
                response = await http.get(
                    f"/{case.style}/{symbol}/{case.timeframe.value}", params=parameters, timeout=60
                )
                columns = _columns(orjson.loads(response.raise_for_status().content))
            seconds = time.perf_counter() - started
            assert np.array_equal(columns["close"], case.frame.close)
            assert np.array_equal(columns["time_us"], case.frame.time_us)
            return seconds

        samples = await take_turns(rounds, {"ours": ours, "peer": theirs})
    name = f"{count:,} bars of {case.timeframe.value}, {_STYLES[case.style]}"
    floor = FLOOR if case.timeframe is Timeframe.MINUTE_1 else None
    return rate_line(NAME, name, "bars/s", count * case.reads, samples["ours"], samples["peer"], floor)


def _columns(rows: list[dict[str, Any]]) -> dict[str, npt.NDArray[Any]]:
    columns = {
        column.value: np.fromiter(map(itemgetter(column.value), rows), COLUMN_DTYPES[column], len(rows))
        for column in BarColumn
        if column is not BarColumn.TIME
    }
    # numpy reads ISO 8601 without a zone; the answer is in UTC.
    times = np.array([row["time"][:-1] for row in rows], "datetime64[us]")
    return {"time_us": times.astype(np.int64), **columns}
