"""pipeline_vs_commit: from parsed pages to committed bars, quality and checkpoints included.

Ours: a run through the pipeline of ingestion over pages of 10,000 bars that are parsed already: quality
rules, corporate actions, quarantine, symbols looked up, session flags, and bars, checkpoints and change
log in one COMMIT each. Peer: `BarWriter.commit_bars` alone on the same rows, a symbol's 49,140 minutes
a commit. Both on one database, each with symbols of its own; the partitions exist before.

memory_of_a_run: the greatest resident memory of a process that runs 10 million bars through, above that
of one which runs a million.
"""

import asyncio
import os
import sys
import time
from dataclasses import replace
from datetime import timedelta
from typing import Final

import numpy as np

from marketdata.clock import SystemClock
from marketdata.domain.bars import BarFrame
from marketdata.domain.ingestion_run import IngestionMode, PlannedTask, RunRequest
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.ingestion.page_checker import QualityCheckers
from marketdata.ingestion.pipeline import Pipeline
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.ingestion.claims import RunClaims
from marketdata.storage.ingestion.runs import RunStore
from tests.benchmarks.pages import PROVIDER, ParsedPages, session_minutes
from tests.benchmarks.sampling import Line, rate_line, take_turns, value_line
from tests.benchmarks.setting import Setting, create_symbols, make_partitions
from tests.support.databases import connected
from tests.support.storage import Storage, opened_storage

NAME: Final = "pipeline_vs_commit"
FLOOR: Final = 0.7
LIMIT_MB: Final = 64.0

_MINUTE: Final = Timeframe.MINUTE_1
_SYMBOLS: Final = 6
_MANY_SYMBOLS: Final = 204
_LEASE: Final = timedelta(hours=1)


async def run(setting: Setting) -> list[Line]:
    """Measure the rate; in a full run the memory too, which takes two minutes."""
    database = await setting.databases.migrated()
    minutes = session_minutes()
    with connected(database) as connection:
        make_partitions(connection, minutes, _MINUTE)
    async with opened_storage(lambda: database) as storage:
        sides = _Sides(storage, minutes)
        samples = await take_turns(setting.rounds, {"ours": sides.pipeline, "peer": sides.commit})
    setting.databases.drop(database)
    bars = len(minutes) * _SYMBOLS
    lines = [
        rate_line(NAME, "pages of 10,000", "bars/s", bars, samples["ours"], samples["peer"], FLOOR)
    ]
    return lines if setting.is_quick else [*lines, await _memory(setting, minutes)]


class _Sides:
    """Both sides; every sample has symbols of its own."""

    def __init__(self, storage: Storage, minutes: BarFrame) -> None:
        self._storage = storage
        self._minutes = minutes

    async def pipeline(self, number: int) -> float:
        names = await self._symbols(f"P{number}")
        return await run_through(self._storage, self._minutes, names)

    async def commit(self, number: int) -> float:
        names = await self._symbols(f"C{number}")
        frames = [
            replace(self._minutes, symbols=(name,), feed=np.full(len(self._minutes), 1, np.int16))
            for name in names
        ]
        started = time.perf_counter()
        for frame in frames:
            await self._storage.writer.commit_bars(frame, _MINUTE)
        return time.perf_counter() - started

    async def _symbols(self, prefix: str) -> list[str]:
        names = [f"{prefix}X{symbol}" for symbol in range(_SYMBOLS)]
        await create_symbols(self._storage.symbols, names)
        return names


async def run_through(storage: Storage, minutes: BarFrame, names: list[str]) -> float:
    """Run the minutes of some symbols through the pipeline; return the seconds that it took."""
    first, last = minutes.time_bounds()
    runs = RunStore(storage.pools)
    claims = RunClaims(storage.pools, "benchmark", _LEASE)
    identities = await runs.identities(names)
    wanted = TimeRange(first, last + _MINUTE.duration_us)
    request = RunRequest(names[0], IngestionMode.BACKFILL, PROVIDER, tuple(names), (_MINUTE,), first)
    tasks = [PlannedTask(s.symbol, s.symbol_id, _MINUTE, wanted) for s in identities.values()]
    await runs.start(request, tasks)
    claim = await claims.claim()
    assert claim is not None
    checkers = QualityCheckers(storage.pools, storage.actions, claims, SystemClock())
    pipeline = Pipeline(claims, storage.intake, checkers.make)
    opened = await claims.open_tasks(claim)
    started = time.perf_counter()
    await pipeline.run(claim, ParsedPages(minutes), opened, runs.identity, runs.tickers)
    seconds = time.perf_counter() - started
    counts = (await runs.get(claim.run_id)).counts
    assert counts.fetched == counts.accepted == len(minutes) * len(names), counts
    return seconds


async def _memory(setting: Setting, minutes: BarFrame) -> Line:
    peaks = []
    for symbols in (_MANY_SYMBOLS // 10, _MANY_SYMBOLS):
        database = await setting.databases.migrated()
        with connected(database) as connection:
            make_partitions(connection, minutes, _MINUTE)
        peaks.append(await _peak_mb(database, symbols))
        setting.databases.drop(database)
    bars = len(minutes) * _MANY_SYMBOLS
    case = f"memory: {bars:,} bars above a tenth of them ({peaks[0]:.0f} MB)"
    return value_line(NAME, case, "MB", [peaks[1] - peaks[0]], LIMIT_MB)


async def _peak_mb(database: ServerAddress, symbols: int) -> float:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.benchmarks.peers.run_memory",
        *(database.host, str(database.port), database.user, database.database, str(symbols)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PGPASSWORD": database.password},
    )
    printed, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("the process that runs bars through has failed")
    return float(printed)
