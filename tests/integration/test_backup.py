"""The documented backup: dumped, restored into an empty database, it answers the same."""

import os
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.calendar_span import CalendarSpan
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_storage import BarStorage
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.embedded.account import current_account
from marketdata.storage.embedded.binaries import find_binaries
from marketdata.storage.embedded.folder import STATE_FOLDER
from marketdata.storage.log_reader import LogReader
from marketdata.storage.migrate import migrate
from marketdata.storage.modes import StorageMode
from tests.support.bars import bars_of
from tests.support.databases import Databases, connected
from tests.support.kept import midnight_us, store_minutes
from tests.support.reads import read_in_bulk
from tests.support.rows import changes, latest_bars
from tests.support.servers.apache import apache_programs
from tests.support.storage import Storage, opened_storage

pytestmark = pytest.mark.modes("plain", "apache", reason="pg_dump opens several transactions")

MINUTE: Final = Timeframe.MINUTE_1
QUERY: Final = BarQuery(("A", "B"), MINUTE, TimeRange(midnight_us(40), midnight_us(-1)))


def run(mode: StorageMode, program: str, address: ServerAddress, *arguments: str | Path) -> None:
    """Run a program of the server's own PostgreSQL, as docs/storage.md has it."""
    explicit = apache_programs() if mode.has_hypertables else None
    binaries = find_binaries(explicit, current_account(), STATE_FOLDER)
    done = subprocess.run(
        [binaries.program(program), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={
            "PATH": os.environ["PATH"],
            "PGHOST": address.host,
            "PGPORT": str(address.port),
            "PGUSER": address.user,
            "PGDATABASE": address.database,
            "PGPASSWORD": address.password,
        },
    )
    assert done.returncode == 0, done.stderr


def restore(mode: StorageMode, address: ServerAddress, file: Path) -> None:
    """Restore a file into an empty database, as docs/storage.md has it."""
    if mode.has_hypertables:
        with connected(address) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
            connection.execute("SELECT timescaledb_pre_restore()")
    run(mode, "pg_restore", address, "--exit-on-error", f"--dbname={address.database}", file)
    if mode.has_hypertables:
        with connected(address) as connection:
            connection.execute("SELECT timescaledb_post_restore()")


async def answers(storage: Storage) -> list[Any]:
    """Ask all that a backup has to bring back: bars, latest, symbols, the log, the settings."""
    bulk = await read_in_bulk(storage, QUERY)
    return [
        bulk.seq,
        [bars_of(frame) for frame in bulk.frames],
        await latest_bars(storage, MINUTE),
        await changes(storage),
        [await storage.symbols.get(symbol) for symbol in QUERY.symbols],
        await BarStorage(storage.pools).of_all(),
    ]


async def test_restore_given_a_dump_answers_the_same_and_goes_on(
    storage: Storage,
    database: ServerAddress,
    databases: Databases,
    storage_mode: StorageMode,
    tmp_path: Path,
) -> None:
    """Every answer is the same, the schema is this release's, and the next write gets the next seq."""
    await store_minutes(storage, "A", 20, 9, 2)
    await store_minutes(storage, "B", 9)
    await BarStorage(storage.pools).change(MINUTE, keep=CalendarSpan(months=3))
    expected = await answers(storage)
    generation = (await LogReader(storage.pools).bounds()).generation
    file = tmp_path / "marketdata.dump"
    run(storage_mode, "pg_dump", database, "--format=custom", f"--file={file}")
    empty = databases.empty()
    try:
        restore(storage_mode, empty, file)
        assert await migrate(empty, storage_mode) == []
        async with opened_storage(empty.for_service, owner=lambda: empty) as restored:
            assert await answers(restored) == expected
            # Positions of before are refused: the log goes on with other entries there.
            bounds = await LogReader(restored.pools).bounds()
            assert bounds.generation != generation
            await store_minutes(restored, "C", 9, 1)
            # The symbol, then its bars.
            later = [change.seq for change in await changes(restored, expected[0])]
            assert later == [expected[0] + 1, expected[0] + 2]
    finally:
        databases.drop(empty)
