"""Migrators that are killed, and several at once: a migration is there whole or not at all."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from marketdata.storage import migrate as migrate_module
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.migrate import migrate, migrations
from marketdata.storage.modes import StorageMode
from tests.acceptance.given import GivenServers, applied, settings_of
from tests.acceptance.processes import STOP_SECONDS, begin, marketdata
from tests.support.databases import connected
from tests.support.dumps import FIRST_RELEASE, dump_schema, restore_database
from tests.support.embedded import wait_until
from tests.support.release_dump import SERIES, expected_bars
from tests.support.rows import stored_bars
from tests.support.storage import opened_storage

MODES: Final = [StorageMode.PLAIN, StorageMode.APACHE]
# The same in both modes.
NUMBERS: Final = [migration.number for migration in migrations(StorageMode.PLAIN)]
LAST: Final = NUMBERS[-1]
# The first of all, one that makes hypertables, one that defines functions, the newest.
HELD: Final = [
    (StorageMode.PLAIN, 1),
    (StorageMode.APACHE, 2),
    (StorageMode.PLAIN, 6),
    (StorageMode.APACHE, LAST),
]
WAITING: Final = """
    SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = %s
       AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())
"""
SESSIONS: Final = """
    SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND backend_type = 'client backend'
"""
# Who is in the way, and who looks: pg_stat_activity is the same throughout a transaction.
OWN_SESSIONS: Final = 2

Connected = psycopg.Connection[tuple[Any, ...]]


def count(connection: Connected, query: str, *parameters: str) -> int:
    """Ask for a number."""
    row = connection.execute(query.encode(), parameters).fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def held_at(address: ServerAddress, number: int) -> Iterator[Connected]:
    """Keep whoever migrates at the end of a migration, all of which is done by then; give who looks.

    Another session is about to enter the same number, so that the migrator's own entry waits for it.
    """
    with connected(address) as other, connected(address) as watcher:
        other.execute(migrate_module._CREATE_HISTORY)
        with other.transaction(force_rollback=True):
            other.execute("INSERT INTO schema_migration VALUES (%s, 'another', '')", [number])
            yield watcher


async def schema_until(given: GivenServers, mode: StorageMode, number: int) -> str:
    """Dump the schema that the migrations up to a number make, each of them undisturbed."""
    address = given.empty(mode.value)
    known = [migration for migration in migrations(mode) if migration.number <= number]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate_module, "migrations", lambda _: known)
        await migrate(address, mode)
    return dump_schema(address)


@pytest.mark.parametrize(("mode", "number"), HELD)
async def test_migrate_given_a_kill_half_way_is_before_it_and_completes(
    given: GivenServers, empty_folder: Path, mode: StorageMode, number: int
) -> None:
    """Nothing of the migration that was under way is left; nobody keeps the next run from going on."""
    address = given.empty(mode.value)
    with held_at(address, number) as watcher:
        migrator = begin(empty_folder, "migrate", **settings_of(address))
        wait_until(lambda: count(watcher, WAITING, "transactionid") == 1)
        migrator.kill()
        migrator.communicate(timeout=STOP_SECONDS)
        # Its session ends while what it waited for is still held.
        wait_until(lambda: count(watcher, SESSIONS) == OWN_SESSIONS)
    done = [other for other in NUMBERS if other < number]
    assert applied(address) == done
    assert dump_schema(address) == await schema_until(given, mode, number - 1)
    again = marketdata(empty_folder, "migrate", **settings_of(address))
    assert (again.code, again.err) == (0, "")
    assert again.out.splitlines()[-1] == f"{len(NUMBERS) - len(done)} migrations applied"
    assert dump_schema(address) == await schema_until(given, mode, LAST)


@pytest.mark.parametrize("mode", MODES)
async def test_migrate_given_two_at_once_applies_each_migration_once(
    given: GivenServers, empty_folder: Path, mode: StorageMode
) -> None:
    """One is in the middle while the other waits for it, and then finds everything done."""
    address = given.empty(mode.value)
    with held_at(address, 3) as watcher:
        migrators = [begin(empty_folder, "migrate", **settings_of(address)) for _ in range(2)]
        wait_until(lambda: count(watcher, WAITING, "transactionid") == 1)
        wait_until(lambda: count(watcher, WAITING, "advisory") == 1)
    said = [migrator.communicate(timeout=STOP_SECONDS) for migrator in migrators]
    assert [migrator.returncode for migrator in migrators] == [0, 0], said
    endings = sorted(out.splitlines()[-1] for out, _ in said)
    assert endings == [f"{len(NUMBERS)} migrations applied", "The schema is up to date."]
    assert applied(address) == NUMBERS
    assert dump_schema(address) == await schema_until(given, mode, LAST)


async def test_migrate_given_a_kill_while_it_waits_for_a_table_keeps_every_bar(
    given: GivenServers, empty_folder: Path
) -> None:
    """A database of the first release, in use: the upgrade is killed, run again, and loses nothing."""
    address = given.empty("plain")
    restore_database(address, gzip.decompress(FIRST_RELEASE.read_bytes()).decode())
    before = applied(address)
    assert before == NUMBERS[: len(before)]
    with connected(address) as watcher, connected(address) as other, other.transaction():
        other.execute("LOCK TABLE bar_latest IN ACCESS SHARE MODE")
        migrator = begin(empty_folder, "migrate", **settings_of(address))
        wait_until(lambda: count(watcher, WAITING, "relation") == 1)
        migrator.kill()
        migrator.communicate(timeout=STOP_SECONDS)
        wait_until(lambda: count(watcher, SESSIONS) == OWN_SESSIONS)
    assert before <= applied(address) < NUMBERS
    assert marketdata(empty_folder, "migrate", **settings_of(address)).code == 0
    assert applied(address) == NUMBERS
    async with opened_storage(lambda: address) as storage:
        for timeframe in SERIES:
            assert await stored_bars(storage, timeframe) == expected_bars(timeframe)
