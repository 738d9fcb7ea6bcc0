"""log_head: how many writes a second the one row takes that gives each of them its seq.

pgbench, the server's own, so that no Python client is measured: transactions that append an entry
without bars and commit, by 1, 4 and 16 connections. The head row is locked inside COMMIT only, until
the commit is on disk: what is told is the ceiling of all writers together. With commit_delay 2000 and
commit_siblings 0 the server waits 2 ms for others before it flushes; the head is locked meanwhile, so
the others cannot come.

The last cases write for 60 s (10 s in a quick run) without and with a snapshot that is open all the
time: the dead versions of the head stay until it ends. No stream of this service keeps one for longer.
"""

import asyncio
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from marketdata.domain.bars import Int64Array
from marketdata.storage.embedded import ServerAddress
from tests.benchmarks.sampling import Line, Sampler, take_turns, value_line
from tests.benchmarks.setting import Setting
from tests.support.databases import connected

NAME: Final = "log_head"

_SCRIPT: Final = """
BEGIN;
SELECT nextval('bar_write_id') AS write_id \\gset
INSERT INTO bar_write (write_id) VALUES (:write_id);
INSERT INTO bar_change (write_id, part, kind, symbols, timeframe, accepted)
VALUES (:write_id, 0, 'bars', '{AAPL}', '1m', 1);
COMMIT;
"""
_SECONDS: Final = 2
_QUICK_SECONDS: Final = 1
_QUICK_ROUNDS: Final = 3
_SNAPSHOT_SECONDS: Final = 60
_QUICK_SNAPSHOT_SECONDS: Final = 10
_SNAPSHOT_WRITERS: Final = 16
_PARTS: Final = 6


@dataclass(frozen=True, slots=True)
class Load:
    """Connections that write, and the delay before a flush, in microseconds."""

    writers: int
    commit_delay: int

    @property
    def case(self) -> str:
        """Name in the report."""
        writers = "1 writer" if self.writers == 1 else f"{self.writers} writers"
        return f"{writers}, commit_delay {self.commit_delay}"


LOADS: Final = tuple(Load(writers, delay) for delay in (0, 2_000) for writers in (1, 4, 16))


@dataclass(frozen=True, slots=True)
class Committed:
    """Transactions of a run, in the order of their ends.

    Attributes
    ----------
    end_us : int64[n]
        When each ended, Unix microseconds.
    duration_us : int64[n]
        How long each took.
    """

    end_us: Int64Array
    duration_us: Int64Array

    def rate(self) -> float:
        """Transactions a second."""
        return self._rate_from(int(self.end_us[0]))

    def last_rate(self) -> float:
        """Transactions a second in the last sixth of the time."""
        first, last = int(self.end_us[0]), int(self.end_us[-1])
        return self._rate_from(last - (last - first) // _PARTS)

    def p99_ms(self) -> float:
        """Duration that one of a hundred exceeds."""
        return float(np.percentile(self.duration_us, 99)) / 1e3

    def _rate_from(self, start_us: int) -> float:
        count = int((self.end_us >= start_us).sum())
        return count / ((int(self.end_us[-1]) + 1 - start_us) / 1e6)


async def run(setting: Setting) -> list[Line]:
    """Measure every load, then a long snapshot."""
    database = await setting.databases.migrated()
    seconds = _QUICK_SECONDS if setting.is_quick else _SECONDS
    rounds = min(setting.rounds, _QUICK_ROUNDS) if setting.is_quick else setting.rounds
    p99: dict[str, list[float]] = {load.case: [] for load in LOADS}

    def sampler(load: Load) -> Sampler:
        async def sample(number: int) -> float:
            committed = await _write(setting, database, load, seconds)
            if number > 0:
                p99[load.case].append(committed.p99_ms())
            return committed.rate()

        return sample

    rates = await take_turns(rounds, {load.case: sampler(load) for load in LOADS})
    lines = []
    for case, samples in rates.items():
        lines.append(value_line(NAME, case, "tx/s", samples))
        lines.append(value_line(NAME, f"{case}: p99", "ms", p99[case]))
    lines += await _beside_snapshot(setting, database)
    setting.databases.drop(database)
    return lines


async def _beside_snapshot(setting: Setting, database: ServerAddress) -> list[Line]:
    seconds = _QUICK_SNAPSHOT_SECONDS if setting.is_quick else _SNAPSHOT_SECONDS
    load = Load(_SNAPSHOT_WRITERS, 0)
    alone = await _write(setting, database, load, seconds)
    with connected(database) as reader:
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        reader.execute("SELECT seq FROM bar_log_head")
        beside = await _write(setting, database, load, seconds)
        reader.execute("COMMIT")
    lines = []
    for name, committed in (("without a snapshot", alone), ("beside a snapshot", beside)):
        case = f"{load.writers} writers {name}, {seconds} s"
        lines.append(value_line(NAME, case, "tx/s", [committed.rate()]))
        lines.append(value_line(NAME, f"{case}: its last sixth", "tx/s", [committed.last_rate()]))
        lines.append(value_line(NAME, f"{case}: p99", "ms", [committed.p99_ms()]))
    return lines


async def _write(setting: Setting, database: ServerAddress, load: Load, seconds: int) -> Committed:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "append.sql"
        script.write_text(_SCRIPT)
        process = await asyncio.create_subprocess_exec(
            *(setting.program("pgbench"), "--no-vacuum", "--protocol=prepared", "--log"),
            *(f"--file={script}", f"--client={load.writers}", f"--time={seconds}"),
            f"--log-prefix={Path(folder) / 'log'}",
            env={**os.environ, **_variables(database, load)},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, error = await process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"pgbench failed:\n{error.decode()}")
        return _read_log(Path(folder))


def _variables(database: ServerAddress, load: Load) -> Mapping[str, str]:
    options = {"commit_delay": load.commit_delay, "commit_siblings": 0, "synchronous_commit": "on"}
    return {
        "PGHOST": database.host,
        "PGPORT": str(database.port),
        "PGUSER": database.user,
        "PGPASSWORD": database.password,
        "PGDATABASE": database.database,
        "PGOPTIONS": " ".join(f"-c {name}={value}" for name, value in options.items()),
    }


def _read_log(folder: Path) -> Committed:
    """Read pgbench's log: client, number, duration, script, second and microsecond of the end."""
    (file,) = folder.glob("log.*")
    rows = np.loadtxt(file, dtype=np.int64, usecols=(2, 4, 5), ndmin=2)
    end_us = rows[:, 1] * 1_000_000 + rows[:, 2]
    order = np.argsort(end_us)
    return Committed(end_us[order], rows[order, 0])
