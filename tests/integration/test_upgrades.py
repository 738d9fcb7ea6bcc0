"""Databases of the first release, with what it stored, brought to this one in every storage mode."""

import gzip
from typing import Final

import pytest

from marketdata.storage import migrate as migrate_module
from marketdata.storage.migrate import migrate, migrations
from marketdata.storage.modes import StorageMode
from tests.support.databases import Databases
from tests.support.dumps import FIRST_RELEASE, restore_database, rows_of
from tests.support.releases import assert_kept
from tests.support.storage import opened_storage

# What release 0.1 had: its dump says so.
FIRST: Final = 4


@pytest.mark.modes("apache", "timescale", reason="plain mode restores the dump itself")
async def test_migrate_given_the_first_releases_hypertables_keeps_their_rows_and_goes_on(
    databases: Databases, storage_mode: StorageMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its migrations, which nobody edits, then the rows of its dump, then the migrations since."""
    empty = databases.empty()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(migrate_module, "migrations", lambda mode: migrations(mode)[:FIRST])
            await migrate(empty, storage_mode)
        restore_database(empty, rows_of(gzip.decompress(FIRST_RELEASE.read_bytes()).decode()))
        later = await migrate(empty, storage_mode)
        assert later == migrations(storage_mode)[FIRST:]
        async with opened_storage(lambda: empty) as storage:
            await assert_kept(storage)
    finally:
        databases.drop(empty)
