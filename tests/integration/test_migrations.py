"""Migrations: from nothing to the checked-in schema, one migrator at a time, never backwards.

A change of the schema renews the snapshot, which a reviewer then reads:

    RENEW_SCHEMA=1 .venv/bin/python -m pytest tests/integration/test_migrations.py
"""

import asyncio
import gzip
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import psycopg
import pytest
from psycopg import sql

from marketdata.errors import DatabaseUnavailableError, MigrationError
from marketdata.storage import migrate as migrate_module
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.migrate import Migration, migrate, migrations, pending
from marketdata.storage.modes import StorageMode
from tests.support.databases import Databases, connected
from tests.support.dumps import FIRST_RELEASE, SCHEMA, dump_schema, restore_database
from tests.support.releases import assert_kept
from tests.support.rows import fetch
from tests.support.storage import opened_storage

pytestmark = pytest.mark.modes("plain", reason="it compares with the schema of plain mode")

PLAIN: Final = StorageMode.PLAIN


@pytest.fixture
def empty(databases: Databases) -> Iterator[ServerAddress]:
    """Give a database without any table; it is dropped at the end."""
    address = databases.empty()
    yield address
    databases.drop(address)


@asynccontextmanager
async def session(address: ServerAddress) -> AsyncIterator[psycopg.AsyncConnection[tuple[Any, ...]]]:
    """Connect as the service's pools do."""
    parameters = address.connection_parameters()
    async with await psycopg.AsyncConnection.connect(
        autocommit=True,
        **parameters,  # type: ignore[arg-type]
    ) as connection:
        yield connection


def replace_migrations(monkeypatch: pytest.MonkeyPatch, known: list[Migration]) -> None:
    """Make this release one of other migrations."""
    monkeypatch.setattr(migrate_module, "migrations", lambda _: known)


async def test_migrate_given_an_empty_database_makes_the_checked_in_schema(
    empty: ServerAddress,
) -> None:
    """Whoever reads the snapshot reads the schema; whoever changes one changes both."""
    applied = await migrate(empty, PLAIN)
    assert applied == migrations(PLAIN)
    schema = dump_schema(empty)
    if os.environ.get("RENEW_SCHEMA"):
        SCHEMA.write_text(schema)
    assert schema == SCHEMA.read_text(), "RENEW_SCHEMA=1 renews the snapshot"


async def test_migrate_given_two_migrators_at_once_applies_each_once(empty: ServerAddress) -> None:
    """They take turns: one does all, the others find it done."""
    applied = await asyncio.gather(*(migrate(empty, PLAIN) for _ in range(4)))
    assert sorted(len(done) for done in applied) == [0, 0, 0, len(migrations(PLAIN))]
    assert dump_schema(empty) == SCHEMA.read_text()


async def test_migrate_given_a_migrated_database_does_nothing(database: ServerAddress) -> None:
    """Every start of the service may migrate."""
    before = dump_schema(database)
    assert await migrate(database, PLAIN) == []
    assert dump_schema(database) == before


async def test_migrate_given_a_changed_migration_refuses(
    database: ServerAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An applied migration is never edited: the database would not be what the code believes."""
    known = migrations(PLAIN)
    replace_migrations(monkeypatch, [replace(known[0], text=known[0].text + "\n"), *known[1:]])
    with pytest.raises(MigrationError, match=r"0001_spine was applied with another text.*restore"):
        await migrate(database, PLAIN)


async def test_migrate_given_a_later_database_refuses(
    database: ServerAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older release does not run on what a newer one made."""
    replace_migrations(monkeypatch, migrations(PLAIN)[:-1])
    last = migrations(PLAIN)[-1].number
    with pytest.raises(MigrationError, match=f"has migration {last:04}, which this release does not"):
        await migrate(database, PLAIN)


async def test_migrate_given_a_new_migration_applies_only_that(
    database: ServerAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forward only: what is applied is not run again."""
    new = Migration(9001, "more", "CREATE TABLE more (id int); INSERT INTO more VALUES (1)")
    replace_migrations(monkeypatch, [*migrations(PLAIN), new])
    assert await migrate(database, PLAIN) == [new]
    assert await migrate(database, PLAIN) == []
    with connected(database) as connection:
        assert connection.execute("SELECT * FROM more").fetchall() == [(1,)]


@pytest.mark.parametrize("mistake", ["SELECT nonsense", "SELEC", "SELECT 1 / 0"])
async def test_migrate_given_a_migration_that_fails_leaves_no_trace_of_it(
    database: ServerAddress, monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    """All of a migration or none of it; those before it stay, and it can be tried again."""
    good = Migration(9001, "good", "CREATE TABLE good ()")
    bad = Migration(9002, "bad", f"CREATE TABLE half ();\n{mistake}")
    replace_migrations(monkeypatch, [*migrations(PLAIN), good, bad])
    for _ in range(2):
        with pytest.raises(MigrationError, match="9002_bad failed and left no trace"):
            await migrate(database, PLAIN)
    with connected(database) as connection:
        query = "SELECT to_regclass('good') IS NOT NULL, to_regclass('half') IS NULL"
        assert connection.execute(query).fetchall() == [(True, True)]


async def test_migrate_given_no_server_raises_database_unavailable(empty: ServerAddress) -> None:
    """The operator hears that the database is down, not of the driver."""
    with pytest.raises(DatabaseUnavailableError):
        await migrate(replace(empty, port=1), PLAIN)


async def test_pending_given_an_empty_database_lists_all_and_changes_nothing(
    empty: ServerAddress,
) -> None:
    """A look does not make the table of applied migrations."""
    async with session(empty) as connection:
        assert await pending(connection, migrations(PLAIN)) == migrations(PLAIN)
    with connected(empty) as connection:
        assert connection.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchone() == (0,)


async def test_pending_given_a_migrated_database_is_empty(database: ServerAddress) -> None:
    """Nothing is left to do."""
    async with session(database) as connection:
        assert await pending(connection, migrations(PLAIN)) == []


def test_migrations_given_the_package_are_numbered_without_gaps() -> None:
    """A number that is filled in later would be applied behind those that follow it."""
    numbers = [migration.number for migration in migrations(PLAIN)]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_migrate_given_the_first_release_keeps_its_rows_and_goes_on(
    empty: ServerAddress,
) -> None:
    """A backup of release 0.1, restored and migrated: every row is there, and the log continues."""
    restore_database(empty, gzip.decompress(FIRST_RELEASE.read_bytes()).decode())
    await migrate(empty, PLAIN)
    assert dump_schema(empty).count("ATTACH PARTITION") > 0
    async with opened_storage(lambda: empty) as storage:
        await assert_kept(storage)


async def test_first_release_given_its_dump_has_rows_of_every_table(empty: ServerAddress) -> None:
    """An upgrade is only tested for tables that have something to lose."""
    restore_database(empty, gzip.decompress(FIRST_RELEASE.read_bytes()).decode())
    async with opened_storage(lambda: empty) as storage:
        tables = await fetch(
            storage,
            """
            SELECT relname FROM pg_class
             WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
            """,
        )
        assert len(tables) > 10
        for (table,) in tables:
            any_row = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(table))
            assert await fetch(storage, any_row) == [(True,)], table
