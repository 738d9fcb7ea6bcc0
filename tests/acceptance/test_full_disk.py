"""A full disk: nothing acknowledged is lost, callers hear why, and with room again it goes on."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from marketdata.client import BarFrame, MarketDataClient, RetryPolicy
from marketdata.errors import DatabaseUnavailableError, ServiceError, StorageFullError
from marketdata.storage.embedded import EmbeddedPostgres
from marketdata.storage.embedded.folder import DataFolder
from marketdata.storage.modes import StorageMode
from tests.acceptance.processes import Service, marketdata, serving
from tests.acceptance.test_faults import seqs
from tests.support.embedded import reachable_folder
from tests.support.servers.apache import apache_programs
from tests.support.servers.provision import NotProvisionedError, skip_or_fail
from tests.support.small_disk import NEEDS_ROOT, SmallDisk, small_disk
from tests.support.waiting import until

pytestmark = NEEDS_ROOT

MODES: Final = [StorageMode.PLAIN, StorageMode.APACHE]
ONCE: Final = RetryPolicy(most_attempts=1)
MINUTE_US: Final = 60_000_000
# 2024-01-02 14:30 UTC, when New York opens.
FIRST_US: Final = 1_704_205_800_000_000
BARS: Final = 2_000
# A database with the sample takes 45 MB, and two segments of its log 32 MB.
DATA_BYTES: Final = 400 * 2**20
LOG_BYTES: Final = 64 * 2**20
# Less than a segment of the log, and some batches of bars.
LEFT_BYTES: Final = 3 * 2**20
RECOVERY_SECONDS: Final = 60.0


def variables(mode: StorageMode) -> dict[str, str | int]:
    """Say which server a service runs."""
    if mode is StorageMode.PLAIN:
        return {}
    try:
        return {"MARKETDATA_PG_BINDIR": str(apache_programs())}
    except NotProvisionedError as error:
        skip_or_fail(error)


@contextmanager
def served(mode: StorageMode, what: str) -> Iterator[tuple[Service, SmallDisk]]:
    """Run a service on the sample whose data, or whose log, lies on a small disk of its own."""
    with ExitStack() as stack:
        base = stack.enter_context(reachable_folder())
        folder, log = base / "data", base / "log"
        disk = stack.enter_context(
            small_disk(folder, DATA_BYTES) if what == "data" else small_disk(log, LOG_BYTES)
        )
        made = marketdata(folder, "import", "sample", **variables(mode))
        assert made.code == 0, made.err
        move_log(folder / "pg", log)
        # A call that waits for a connection when PostgreSQL ends waits for all of this.
        patience = {"DB_POOL_TIMEOUT": 5}
        yield stack.enter_context(serving(folder, **variables(mode), **patience)), disk


def move_log(pgdata: Path, folder: Path) -> None:
    """Lay a stopped database's write-ahead log into another folder, as operators do."""
    moved, owner = folder / "pg_wal", pgdata.stat()
    shutil.copytree(pgdata / "pg_wal", moved)
    for path in (folder, moved, *moved.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    shutil.rmtree(pgdata / "pg_wal")
    (pgdata / "pg_wal").symlink_to(moved)


@pytest.fixture
def small() -> Iterator[SmallDisk]:
    """Give a small disk to keep a data folder on."""
    with reachable_folder() as base, small_disk(base / "data", DATA_BYTES) as disk:
        yield disk


class BatchWriter:
    """Stores batches of minutes of IBM one after the other, and counts what was acknowledged."""

    def __init__(self, client: MarketDataClient) -> None:
        self._client = client
        self.acknowledged = 0

    async def write(self) -> None:
        """Store the next batch; the same one again where it was not acknowledged."""
        time_us = FIRST_US + (self.acknowledged * BARS + np.arange(BARS)) * MINUTE_US
        price = np.full(BARS, 10.0)
        frame = BarFrame(("IBM",), time_us=time_us, open=price, high=price, low=price, close=price)
        await self._client.create_bars(frame, "1m")
        self.acknowledged += 1

    async def write_until_refused(self) -> ServiceError:
        """Store batches until one is not taken, and give what was said."""
        while True:
            try:
                await self.write()
            except ServiceError as error:
                return error

    async def is_taken(self) -> bool:
        """Tell whether the next batch is stored now; what refuses it is one of the two that may."""
        try:
            await self.write()
        except (StorageFullError, DatabaseUnavailableError):
            return False
        return True


async def assert_intact(service: Service, writer: BatchWriter) -> None:
    """Every acknowledged bar is there, once, and the change log has no gap."""
    async with MarketDataClient(service.address) as client:
        stored = await client.bars("IBM", "1m", session="all")
        assert stored.time_us.tolist() == [
            FIRST_US + place * MINUTE_US for place in range(writer.acknowledged * BARS)
        ]
        assert len(await client.bars("AAPL", "1d")) == 3_270
    assert seqs(service) == list(range(1, len(seqs(service)) + 1))


@pytest.mark.parametrize("mode", MODES)
async def test_writes_given_a_full_disk_of_data_are_refused_until_there_is_room(
    mode: StorageMode,
) -> None:
    """STORAGE_FULL each time, while reads answer; with room again the same calls succeed."""
    with served(mode, "data") as (service, disk):
        async with MarketDataClient(service.address, retries=ONCE) as client:
            writer = BatchWriter(client)
            await writer.write()
            disk.fill(LEFT_BYTES)
            for _ in range(3):
                refusal = await writer.write_until_refused()
                assert isinstance(refusal, StorageFullError), refusal
                assert refusal.retry_after_seconds
                await assert_intact(service, writer)
            disk.free()
            await writer.write()
            await assert_intact(service, writer)
        assert service.stop() == 0
        assert "Traceback" not in service.log()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", MODES)
async def test_writes_given_a_full_disk_of_the_log_recover_by_themselves(mode: StorageMode) -> None:
    """PostgreSQL ends where it cannot log, and is started until it can: nobody lends a hand."""
    with served(mode, "log") as (service, disk):
        async with MarketDataClient(service.address, retries=ONCE) as client:
            writer = BatchWriter(client)
            await writer.write()
            disk.fill(LEFT_BYTES)
            refusal = await writer.write_until_refused()
            assert isinstance(refusal, StorageFullError | DatabaseUnavailableError), refusal

            async def has_ended() -> bool:
                await writer.is_taken()
                return "PANIC" in DataFolder(service.folder).log_file.read_text()

            await until(has_ended, RECOVERY_SECONDS)
            disk.free()
            await until(writer.is_taken, RECOVERY_SECONDS)
            await assert_intact(service, writer)
        assert service.stop() == 0


def test_migrate_given_a_full_disk_leaves_no_half_and_completes_with_room(small: SmallDisk) -> None:
    """What was applied stays, what was not is told why; the same command goes on."""
    server = EmbeddedPostgres(small.folder)
    server.start()
    server.stop()
    small.fill(2**20)
    refused = marketdata(small.folder, "migrate")
    assert refused.code == 1
    assert "the database has no space left" in refused.err
    assert "Traceback" not in refused.err
    small.free()
    migrated = marketdata(small.folder, "migrate")
    assert migrated.code == 0, migrated.err
    assert marketdata(small.folder, "migrate").out == "The schema is up to date.\n"


def test_commands_given_no_room_at_all_say_so_and_go_on_later(small: SmallDisk) -> None:
    """Neither PostgreSQL nor its log has a byte: the message names the folder; nothing is harmed."""
    assert marketdata(small.folder, "import", "sample").code == 0
    small.fill(0)
    refused = marketdata(small.folder, "migrate")
    assert refused.code == 1
    assert f"The data folder {small.folder} cannot be used: No space left on device" in refused.err
    assert "Traceback" not in refused.err
    small.free()
    again = marketdata(small.folder, "import", "sample")
    assert {row[0]: row[1:3] for row in again.table()}["AAPL"] == ["0", "3270"]


def test_first_start_given_no_room_for_a_database_leaves_none(small: SmallDisk) -> None:
    """Half a database would pass for a damaged one; with room it is made."""
    small.fill(20 * 2**20)
    refused = marketdata(small.folder, "migrate")
    assert refused.code == 1
    assert "initdb could not make a database" in refused.err
    assert "Traceback" not in refused.err
    assert not (small.folder / "pg").exists()
    small.free()
    made = marketdata(small.folder, "migrate")
    assert made.code == 0, made.err
