"""ingest_vs_server_copy: storing bars durably.

Ours: a `BarFrame` through the public write path, `BarWriter.commit_bars`, until COMMIT has returned:
encoding, stripe locks, classification, revisions, `bar_latest`, change log and seq included.

Peer: `COPY … FROM '/file' (FORMAT binary)` as superuser on an open session: the server reads a
prepared file of the same rows into a table of the same definition, keyed, logged and partitioned, in
another database of the same server. It checks nothing and keeps nothing but the table.

Cases, each per size of a commit: `fresh`, a range without bars; `half revised, half new`: every
second bar stands there with other values; `half revised, half same`: all stand there, every second
one with other values; `identical`: all stand there as they are. All are compared to the same COPY of
fresh rows: COPY itself can do nothing else. The partitions exist before; both sides have one
connection, open since before; fsync and synchronous_commit are on for both.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from marketdata.domain.bars import BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.commit import BarWriter
from tests.benchmarks.sampling import Line, rate_line
from tests.benchmarks.setting import (
    ONE_WRITER,
    Setting,
    SyncConnection,
    copy_file,
    make_partitions,
    opened_storage,
    write_copy_file,
)
from tests.benchmarks.synthetic import MINUTE_BARS, half_revised, minute_bars, renamed
from tests.support.databases import connected

NAME: Final = "ingest_vs_server_copy"
FRESH_FLOOR: Final = 0.9
UPSERT_FLOOR: Final = 0.35

_MINUTE: Final = Timeframe.MINUTE_1
_FLOORS: Final = {
    "fresh": FRESH_FLOOR,
    "half revised, half new": UPSERT_FLOOR,
    "half revised, half same": UPSERT_FLOOR,
    "identical": None,
}
# Below, what a commit costs whatever its size, and the copy of its bars in the change log, weigh more
# than the bars: such writes are shown, and held to nothing.
_LEAST_HELD_BARS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Size:
    """How many bars a commit has, of how many symbols, and how many commits make a sample."""

    bars: int
    symbols: int
    commits: int

    @property
    def total(self) -> int:
        """Bars a sample."""
        return self.bars * self.commits


SIZES: Final = (Size(5_000, 1, 10), Size(MINUTE_BARS, 1, 1), Size(100_000, 2, 1))
_QUICK_SIZES: Final = SIZES[1:2]


async def run(setting: Setting) -> list[Line]:
    """Measure every size; in a quick run the one in the middle."""
    lines = []
    for size in _QUICK_SIZES if setting.is_quick else SIZES:
        ours, theirs = [await setting.databases.migrated() for _ in range(2)]
        everything = minute_bars("X", size.total // size.symbols)
        for database in (ours, theirs):
            with connected(database) as connection:
                make_partitions(connection, everything, _MINUTE)
        async with opened_storage(ours, ONE_WRITER) as storage:
            with connected(theirs) as connection:
                sides = _Sides(storage.writer, connection, setting.folder, size)
                lines += await _measure(sides, setting.rounds)
        for database in (ours, theirs):
            setting.databases.drop(database)
    return lines


async def _measure(sides: "_Sides", rounds: int) -> list[Line]:
    samples: dict[str, list[float]] = {name: [] for name in ("copy", *_FLOORS)}
    for number in range(rounds + 1):
        measured = await sides.round(number)
        if number > 0:  # the first one warms up
            for name, seconds in measured.items():
                samples[name].append(seconds)
    size = sides.size
    return [
        rate_line(
            NAME,
            f"{size.bars:,} a commit, {case}",
            "bars/s",
            size.total,
            samples[case],
            samples["copy"],
            floor if size.bars >= _LEAST_HELD_BARS else None,
        )
        for case, floor in _FLOORS.items()
    ]


class _Sides:
    """Both sides for one size; every round has symbols of its own."""

    def __init__(self, writer: BarWriter, connection: SyncConnection, folder: Path, size: Size) -> None:
        self.size = size
        self._writer = writer
        self._connection = connection
        self._folder = folder

    async def round(self, number: int) -> dict[str, float]:
        """Take a sample of each case, the peer now first, now last."""
        fresh, other = self._frames("F", number), self._frames("U", number)
        for frame in other:
            await self._writer.commit_bars(
                half_revised(frame).take(np.arange(0, len(frame), 2)), _MINUTE
            )
        measured = {"copy": self._copy(fresh)} if number % 2 else {}
        measured["fresh"] = await self._commit(fresh)
        measured["identical"] = await self._commit(fresh)
        measured["half revised, half same"] = await self._commit([half_revised(f) for f in fresh])
        measured["half revised, half new"] = await self._commit(other)
        if "copy" not in measured:
            measured["copy"] = self._copy(fresh)
        return measured

    def _frames(self, prefix: str, number: int) -> list[BarFrame]:
        size = self.size
        # Tickers of different length, as they are.
        symbols = [f"{prefix}{number}" + "A" * n for n in range(size.symbols)]
        one = minute_bars("X", size.total // size.symbols)
        whole = BarFrame.concatenate([one] * size.symbols)
        frame = renamed(whole, *symbols)
        return [
            frame.take(np.arange(first, first + size.bars)).with_used_symbols()
            for first in range(0, size.total, size.bars)
        ]

    async def _commit(self, frames: Iterable[BarFrame]) -> float:
        started = time.perf_counter()
        for frame in frames:
            await self._writer.commit_bars(frame, _MINUTE)
        return time.perf_counter() - started

    def _copy(self, frames: Sequence[BarFrame]) -> float:
        paths = [self._folder / f"{number}.copy" for number in range(len(frames))]
        for path, frame in zip(paths, frames, strict=True):
            write_copy_file(path, frame)
        started = time.perf_counter()
        for path in paths:
            copy_file(self._connection, path, _MINUTE)
        return time.perf_counter() - started
