"""write_rates: how fast bars are stored, by the size of a write and the number of writers.

`BarWriter.commit_bars` from one process, fresh ranges, every write acknowledged after its COMMIT before
the writer sends the next. With 16 writers each has a symbol of its own and a connection of its own. No
other side: the lines say what to expect of CreateBars (1 to 5,000 bars) and of imports (100,000).
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import numpy as np

from marketdata.domain.bars import BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.commit import BarWriter
from tests.benchmarks.sampling import Line, take_turns, value_line
from tests.benchmarks.setting import Setting, make_partitions, opened_storage
from tests.benchmarks.synthetic import minute_bars, renamed
from tests.support.databases import connected

NAME: Final = "write_rates"

_MINUTE: Final = Timeframe.MINUTE_1


@dataclass(frozen=True, slots=True)
class Load:
    """Writes of `bars` bars by `writers`, each sending `writes` a sample."""

    bars: int
    writers: int
    writes: int

    @property
    def case(self) -> str:
        """Name in the report."""
        bars = "1 bar" if self.bars == 1 else f"{self.bars:,} bars"
        writers = "1 writer" if self.writers == 1 else f"{self.writers} writers"
        return f"{bars} a write, {writers}"


LOADS: Final = (
    Load(1, 1, 50),
    Load(1, 16, 20),
    Load(100, 1, 30),
    Load(100, 16, 10),
    Load(5_000, 1, 4),
    Load(5_000, 16, 1),
    Load(100_000, 1, 1),
    Load(100_000, 16, 1),
)
# 16 writers of 100,000 bars store 1.6 M a sample: too long for a quick run, and for many rounds.
_SLOW: Final = Load(100_000, 16, 1)
_SLOW_ROUNDS: Final = 3


async def run(setting: Setting) -> list[Line]:
    """Measure every load."""
    lines = []
    for load in LOADS:
        if load == _SLOW and setting.is_quick:
            continue
        rounds = min(setting.rounds, _SLOW_ROUNDS) if load == _SLOW else setting.rounds
        lines.append(await _measure(setting, load, rounds))
    return lines


async def _measure(setting: Setting, load: Load, rounds: int) -> Line:
    database = await setting.databases.migrated()
    everything = minute_bars("X", max(load.bars * load.writes, 1))
    with connected(database) as connection:
        make_partitions(connection, everything, _MINUTE)
    async with opened_storage(database) as storage:

        async def sample(number: int) -> float:
            frames = [renamed(everything, f"W{number}X{writer}") for writer in range(load.writers)]
            started = time.perf_counter()
            await asyncio.gather(*(_write(storage.writer, frame, load) for frame in frames))
            seconds = time.perf_counter() - started
            return load.bars * load.writes * load.writers / seconds

        samples = await take_turns(rounds, {"ours": sample})
    setting.databases.drop(database)
    return value_line(NAME, load.case, "bars/s", samples["ours"])


async def _write(writer: BarWriter, frame: BarFrame, load: Load) -> None:
    for first in range(0, len(frame), load.bars):
        await writer.commit_bars(frame.take(np.arange(first, first + load.bars)), _MINUTE)
