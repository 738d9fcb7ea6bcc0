"""PostgreSQL's files put back as they were: what readers of the change log are told then."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from marketdata.domain.log_position import LogPosition
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import LogAheadError, LogGenerationError
from marketdata.storage.embedded import EmbeddedPostgres, ServerAddress
from marketdata.storage.log_reader import LogReader
from marketdata.storage.migrate import migrate
from marketdata.storage.modes import StorageMode
from tests.contract.commands import Commands
from tests.support.bars import Bar, days, frame_of
from tests.support.embedded import reachable_folder
from tests.support.storage import Storage, opened_storage

DAY: Final = Timeframe.DAY_1


@asynccontextmanager
async def opened_folder(folder: Path) -> AsyncIterator[tuple[ServerAddress, Storage]]:
    """Run the server of a folder, at this release's schema, until the end of the context."""
    server = EmbeddedPostgres(folder)
    try:
        address = await asyncio.to_thread(server.start)
        await migrate(address, StorageMode.PLAIN)
        async with opened_storage(lambda: address) as storage:
            yield address, storage
    finally:
        await asyncio.to_thread(server.stop)


async def write_bars(storage: Storage, *numbers: int) -> LogPosition:
    """Write a bar of each of these days; give the position behind them."""
    for number in numbers:
        await storage.writer.commit_bars(frame_of([Bar("AAPL", days(20_000 + number))]), DAY)
    return (await LogReader(storage.pools).bounds()).head


async def test_position_given_a_recovery_to_a_new_timeline_is_refused() -> None:
    """A recovery from an archive, or a standby that is promoted: the generation changes by itself."""
    with reachable_folder() as base:
        folder = base / "data"
        async with opened_folder(folder) as (_, storage):
            before = await write_bars(storage, 1, 2)
        with (folder / "pg" / "postgresql.auto.conf").open("a") as settings:
            # Nobody is let in before the recovery is over.
            settings.write("restore_command = 'false'\nhot_standby = off\n")
        (folder / "pg" / "recovery.signal").touch()
        async with opened_folder(folder) as (_, storage):
            bounds = await LogReader(storage.pools).bounds()
            assert bounds.head_seq == before.seq
            with pytest.raises(LogGenerationError, match="restored or replaced"):
                bounds.admit(before)


async def test_position_given_files_that_were_put_back_is_refused_after_new_generation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ahead of what came back it is refused at once; later only the command tells histories apart."""
    with reachable_folder() as base:
        folder, copy = base / "data", base / "copy"
        async with opened_folder(folder) as (_, storage):
            before = await write_bars(storage, 1, 2)
        await asyncio.to_thread(subprocess.run, ["cp", "--archive", folder, copy], check=True)
        async with opened_folder(folder) as (_, storage):
            lost = await write_bars(storage, 3)
        assert lost.generation == before.generation
        async with opened_folder(copy) as (address, storage):
            reader = LogReader(storage.pools)
            (await reader.bounds()).admit(before)
            with pytest.raises(LogAheadError):
                (await reader.bounds()).admit(lost)
            # Another third entry: nobody but an operator can know that it is another one.
            await write_bars(storage, 9)
            (await reader.bounds()).admit(lost)
            commands = Commands(monkeypatch, capsys)
            commands.use_database(address)
            assert (await commands.run("log", "new-generation", "--yes")).code == 0
            for position in (before, lost):
                with pytest.raises(LogGenerationError, match="restored or replaced"):
                    (await reader.bounds()).admit(position)
