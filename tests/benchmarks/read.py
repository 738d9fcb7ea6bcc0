r"""read_vs_psql_copy: one symbol's minutes from the database.

Ours: `BarReader.snapshot` and its `blocks`, as StreamBars reads: a pooled connection, a transaction,
the symbol resolved, then 49,140 bars of all columns to `BarFrame`s, numpy arrays that own their
memory, until the transaction has ended.

Peer: `COPY (SELECT … ORDER BY time) TO STDOUT (FORMAT binary)` of the same bars and columns in an open
session of the wheel's psql, its output to /dev/null, timed by psql itself (``\timing``): neither its
start nor its connecting counts, and it decodes nothing.

The table holds 20 symbols, vacuumed and in memory.
"""

import asyncio
import contextlib
import os
import re
import time
from collections.abc import AsyncIterator
from typing import Final

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarColumn, BarFrame
from marketdata.domain.time_range import from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_rows import SQL_NAMES
from marketdata.storage.embedded import ServerAddress
from tests.benchmarks.sampling import Line, rate_line, take_turns
from tests.benchmarks.setting import STORED_SYMBOLS, Setting, opened_storage, symbol_name
from tests.benchmarks.synthetic import MINUTE_BARS, minute_bars, range_of

NAME: Final = "read_vs_psql_copy"
FLOOR: Final = 0.8

# One read takes some 50 ms: several make a sample that outlasts a hiccup of the machine.
_READS_A_SAMPLE: Final = 4
# One line: psql sends at the semicolon and is read line by line.
_COPY: Final = (
    "COPY (SELECT {columns} FROM market_stock_hist_bars_min_ts WHERE symbol = '{symbol}' "
    "AND time >= '{start}' AND time < '{end}' ORDER BY time) TO STDOUT (FORMAT binary);\n"
)
_TIME: Final = re.compile(rb"Time: ([0-9.]+) ms")


async def run(setting: Setting) -> list[Line]:
    """Measure one symbol."""
    database = await setting.stored_bars()
    symbol = symbol_name(STORED_SYMBOLS // 2)
    whole = range_of(minute_bars(symbol), Timeframe.MINUTE_1)
    query = BarQuery((symbol,), Timeframe.MINUTE_1, whole)
    statement = _COPY.format(
        columns=", ".join(SQL_NAMES[column] for column in BarColumn),
        symbol=symbol,
        start=from_unix_us(whole.start_us),
        end=from_unix_us(whole.end_us),
    )
    async with opened_storage(database) as storage, _psql(setting, database) as psql:

        async def ours(_: int) -> float:
            started = time.perf_counter()
            for _ in range(_READS_A_SAMPLE):
                async with storage.reader.snapshot(query) as snapshot:
                    frames = [frame async for frame in snapshot.blocks(_as_it_is)]
            seconds = time.perf_counter() - started
            assert sum(map(len, frames)) == MINUTE_BARS
            return seconds

        async def peer(_: int) -> float:
            return sum([await psql.timed(statement) for _ in range(_READS_A_SAMPLE)])

        samples = await take_turns(setting.rounds, {"ours": ours, "peer": peer})
    amount = MINUTE_BARS * _READS_A_SAMPLE
    case = f"one symbol, {MINUTE_BARS:,} bars"
    return [rate_line(NAME, case, "bars/s", amount, samples["ours"], samples["peer"], FLOOR)]


def _as_it_is(frame: BarFrame) -> BarFrame:
    return frame


class _Psql:
    """An open session of psql that throws away what it reads."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def timed(self, statement: str) -> float:
        """Run a statement; return the seconds that psql says it took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(statement.encode())
        async for line in self._process.stdout:
            if found := _TIME.search(line):
                return float(found[1]) / 1e3
        raise RuntimeError("psql ended early")


@contextlib.asynccontextmanager
async def _psql(setting: Setting, database: ServerAddress) -> AsyncIterator[_Psql]:
    process = await asyncio.create_subprocess_exec(
        setting.program("psql"),
        *("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"),
        env={
            **os.environ,
            "PGHOST": database.host,
            "PGPORT": str(database.port),
            "PGUSER": database.user,
            "PGPASSWORD": database.password,
            "PGDATABASE": database.database,
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(b"\\o /dev/null\n\\timing on\n")
    try:
        yield _Psql(process)
    finally:
        process.stdin.close()
        await process.wait()
