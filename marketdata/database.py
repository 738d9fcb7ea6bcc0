"""The database that is configured: opened, brought to this release, looked into."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from pydantic import SecretStr

from marketdata.config import Settings
from marketdata.errors import MigrationError
from marketdata.storage.address import DatabaseAddress, DatabaseRoles
from marketdata.storage.aggregates import settle_aggregates
from marketdata.storage.columnstore import settle_columnstore
from marketdata.storage.lifecycle import borrow_embedded, own_embedded
from marketdata.storage.log_facts import LogFacts, read_log_facts
from marketdata.storage.migrate import Migration, make_extension, migrate, migrations, pending
from marketdata.storage.modes import DatabaseFacts, StorageMode, probe, probe_address
from marketdata.storage.pools import PoolLimits, Pools
from marketdata.storage.roles import may_migrate

# A look opens one connection, and needs no second.
_ONE_LOOK: Final = PoolLimits(size=1, overflow=0, stream_size=1)


@contextlib.asynccontextmanager
async def open_database(settings: Settings, command: str) -> AsyncIterator[DatabaseRoles]:
    """Open the configured database for a command: given, or the embedded one, borrowed.

    Raises
    ------
    DataFolderInUseError, DatabaseSetupError
        See `borrow_embedded`.
    """
    if settings.is_embedded:
        async with borrow_embedded(settings.data_dir, settings.pg_bindir, command) as roles:
            yield roles
    else:
        yield _given(settings)


@contextlib.asynccontextmanager
async def open_service_database(settings: Settings) -> AsyncIterator[DatabaseRoles]:
    """Open the configured database for a service: given, or the embedded one, owned.

    Raises
    ------
    DataFolderInUseError, DatabaseSetupError
        See `own_embedded`.
    """
    if settings.is_embedded:
        async with own_embedded(settings.data_dir, settings.pg_bindir) as roles:
            yield roles
    else:
        yield _given(settings)


def wanted_mode(settings: Settings) -> StorageMode | None:
    """Tell the storage mode that is configured; None: what the database offers."""
    return StorageMode(settings.storage_mode) if settings.storage_mode else None


async def migrate_database(roles: DatabaseRoles, settings: Settings) -> list[Migration]:
    """Bring the schema to this release, in the mode that the database is or will be in; see `migrate`.

    Raises
    ------
    DatabaseSetupError
        The database cannot be what is configured.
    """
    wanted = wanted_mode(settings)
    # What is offered, before what is wanted is held against it: only once the extension is there is the
    # licence of TimescaleDB known.
    offered = await probe_address(
        roles.owner(), StorageMode.PLAIN if wanted is StorageMode.PLAIN else None
    )
    if offered.mode.has_hypertables:
        await make_extension(roles.owner())
    facts = await probe_address(roles.owner(), wanted)
    applied = await migrate(roles.owner(), facts.mode)
    await settle_columnstore(roles.owner(), facts.mode)
    await settle_aggregates(roles.owner(), facts.mode)
    return applied


async def settle_schema(roles: DatabaseRoles, settings: Settings) -> None:
    """Bring the schema to this release where its owner is known; else refuse one that is behind.

    Raises
    ------
    MigrationError
        The schema is behind and stays so, or is a later release's.
    """
    if await may_migrate(roles.owner()):
        await migrate_database(roles, settings)
        return
    behind = len((await examine_database(roles, settings)).pending)
    if behind:
        raise MigrationError(
            f"the schema is {behind} migrations behind, and this role does not own it: run marketdata "
            "migrate as the owner, with MARKETDATA_MIGRATOR_USERNAME and MARKETDATA_MIGRATOR_PASSWORD"
        )


async def refuse_pending(roles: DatabaseRoles, settings: Settings, command: str) -> None:
    """Refuse a schema that is behind, and leave it as it is.

    Raises
    ------
    MigrationError
        The schema is behind, or is a later release's.
    """
    behind = len((await examine_database(roles, settings)).pending)
    if behind:
        raise MigrationError(
            f"the schema is {behind} migrations behind, and this {command} changes nothing: run"
            " marketdata migrate first"
        )


@dataclass(frozen=True, slots=True)
class DatabaseReport:
    """What `marketdata doctor` wants to know of a database.

    Attributes
    ----------
    facts : DatabaseFacts
        What it is.
    pending : list of Migration
        What this release still has to apply.
    is_owner : bool
        Whether the service works as the role that owns the schema: it then may do more than it needs.
    log : LogFacts or None
        What the change log holds; None where the schema is behind.
    """

    facts: DatabaseFacts
    pending: list[Migration]
    is_owner: bool
    log: LogFacts | None


async def examine_database(roles: DatabaseRoles, settings: Settings) -> DatabaseReport:
    """Look into a database as the service does, without changing it.

    Raises
    ------
    DatabaseUnavailableError
        It does not answer.
    DatabaseSetupError, MigrationError
        This release cannot use it.
    """
    pools = Pools(roles.service, _ONE_LOOK)
    # Known to be down until it answers: a question must not wait out the pool's timeout.
    pools.report_database(is_down=True)
    async with pools, pools.query() as connection:
        facts = await probe(connection, wanted_mode(settings))
        behind = await pending(connection, migrations(facts.mode))
        log = None if behind else await read_log_facts(connection)
    return DatabaseReport(facts, behind, await may_migrate(roles.service()), log)


def _given(settings: Settings) -> DatabaseRoles:
    service = _address(settings, settings.db_username or "", settings.db_password)
    owner = service
    if settings.migrator_username:
        owner = _address(settings, settings.migrator_username, settings.migrator_password)
    return DatabaseRoles(lambda: owner, lambda: service)


def _address(settings: Settings, user: str, password: SecretStr) -> DatabaseAddress:
    return DatabaseAddress(
        host=settings.db_host or "",
        port=settings.db_port,
        database=settings.db_name,
        user=user,
        password=password.get_secret_value(),
    )
