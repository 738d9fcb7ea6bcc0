"""Numbered, forward-only migrations."""

import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from typing import Final

import psycopg
from psycopg import AsyncConnection
from psycopg import errors as pg
from psycopg.conninfo import make_conninfo

from marketdata.errors import MigrationError
from marketdata.storage.address import Address
from marketdata.storage.modes import StorageMode
from marketdata.storage.pools import Connection
from marketdata.storage.roles import check_owner, ensure_service_role, grant_platform_reads
from marketdata.storage.translate import translated

# Any constant of this service's own: two migrators at once take turns on it.
_LOCK_KEY: Final = 0x4D44_4D49
# A migrator that was killed while a statement of its waits must not keep the lock from the next one.
_SESSION: Final = (
    "-c timezone=UTC -c client_min_messages=warning -c client_connection_check_interval=1s"
)
_NAME: Final = re.compile(r"(?P<number>\d{4})_(?P<title>[a-z_]+)(?:\.(?P<variant>[a-z]+))?\.sql")

_CREATE_HISTORY: Final = """
    CREATE TABLE IF NOT EXISTS schema_migration (
        number     integer PRIMARY KEY,
        title      text NOT NULL,
        checksum   text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
"""
# Null where there is no such table.
_READABLE: Final = "SELECT has_table_privilege(to_regclass('schema_migration'), 'SELECT')"


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema.

    Attributes
    ----------
    number : int
        Place in the order, from 1 without gaps.
    title : str
        What it brings.
    text : str
        SQL of one or many statements.
    """

    number: int
    title: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hex: an applied migration is never edited."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations(mode: StorageMode) -> list[Migration]:
    """List the migrations of `mode` in their order.

    ``NNNN_title.sql`` belongs to every mode, ``.plain.sql`` to the plain one, ``.hypertable.sql`` to
    those of TimescaleDB.
    """
    variant = "hypertable" if mode.has_hypertables else "plain"
    found = []
    for file in (resources.files(__package__) / "migrations").iterdir():
        name = _NAME.fullmatch(file.name)
        if name and name["variant"] in (None, variant):
            found.append(Migration(int(name["number"]), name["title"], file.read_text("utf-8")))
    return sorted(found, key=lambda migration: migration.number)


async def pending(connection: Connection, known: Sequence[Migration]) -> list[Migration]:
    """List what is still to be applied.

    Raises
    ------
    MigrationError
        The database was migrated by a later release, an applied migration has changed since, or the
        asking role may not read what was applied.
    """
    applied: dict[int, str] = {}
    cursor = await connection.execute(_READABLE)
    (is_readable,) = await cursor.fetchone() or (None,)
    if is_readable is False:
        raise MigrationError(
            f"the role {connection.info.user} may not read what was migrated: run marketdata migrate "
            "as the owner of the schema, which grants it"
        )
    if is_readable:
        cursor = await connection.execute("SELECT number, checksum FROM schema_migration")
        applied = dict(await cursor.fetchall())
    later = sorted(set(applied) - {migration.number for migration in known})
    if later:
        raise MigrationError(
            f"the database has migration {later[-1]:04}, which this release does not know; "
            "run the release that made it, or a later one"
        )
    for migration in known:
        if applied.get(migration.number, migration.checksum) != migration.checksum:
            raise MigrationError(
                f"migration {migration.number:04}_{migration.title} was applied with another text; "
                "the database comes from another build: restore a backup or start an empty one"
            )
    return [migration for migration in known if migration.number not in applied]


async def migrate(address: Address, mode: StorageMode) -> list[Migration]:
    """Bring the schema to this release, each migration in its own transaction.

    Parameters
    ----------
    address : Address
        The database, asked by the role that owns the schema, or will.
    mode : StorageMode
        Which variant of the tables.

    Returns
    -------
    list of Migration
        What was applied now; empty where the schema was up to date.

    Raises
    ------
    MigrationError
        The schema does not fit this release, the asking role does not own it, the service's role is
        missing, or a statement failed; that migration left no trace.
    DatabaseUnavailableError
        The database cannot be reached.
    """
    async with _migrating(address) as connection:
        await check_owner(connection)
        await ensure_service_role(connection)
        if mode.has_hypertables:
            await _make_extension(connection)
        await connection.execute(_CREATE_HISTORY)
        todo = await pending(connection, migrations(mode))
        for migration in todo:
            await _apply(connection, migration)
        await grant_platform_reads(connection)
        return todo


async def make_extension(address: Address) -> None:
    """Make the extension of TimescaleDB where it is not there yet: only then its licence is known.

    Raises
    ------
    MigrationError
        The role may not, or the server cannot.
    DatabaseUnavailableError
        The database cannot be reached.
    """
    async with _migrating(address) as connection:
        await _make_extension(connection)


@asynccontextmanager
async def _migrating(address: Address) -> AsyncIterator[Connection]:
    """Connect outside of the pools, as the one migrator: DDL runs unprepared and may wait for locks."""
    with translated():
        connection = await AsyncConnection.connect(
            make_conninfo("", **address.connection_parameters()),
            autocommit=True,
            prepare_threshold=None,
            options=_SESSION,
        )
        async with connection:
            await connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK_KEY])
            yield connection


async def _make_extension(connection: Connection) -> None:
    try:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    except (pg.InsufficientPrivilege, pg.FeatureNotSupported, pg.UndefinedFile) as error:
        raise MigrationError(
            f"the extension timescaledb cannot be made here: {error.diag.message_primary}; let an "
            "administrator run CREATE EXTENSION timescaledb, or set MARKETDATA_STORAGE_MODE=plain"
        ) from error


async def _apply(connection: Connection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.text.encode())
            await connection.execute(
                "INSERT INTO schema_migration (number, title, checksum) VALUES (%s, %s, %s)",
                [migration.number, migration.title, migration.checksum],
            )
    except psycopg.OperationalError:
        raise  # not the migration's fault: the server, a lock or the disk
    except psycopg.DatabaseError as error:
        raise MigrationError(
            f"migration {migration.number:04}_{migration.title} failed and left no trace: "
            f"{error.diag.message_primary}"
        ) from error
