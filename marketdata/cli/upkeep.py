"""The database, opened by a command that keeps it: beside a service or without one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from marketdata import app, database
from marketdata.clock import SystemClock
from marketdata.config import Settings
from marketdata.storage.address import DatabaseRoles
from marketdata.storage.maintenance import Upkeep
from marketdata.storage.modes import DatabaseFacts, probe
from marketdata.storage.pools import Pools


@dataclass(frozen=True, slots=True)
class OpenDatabase:
    """A database at this release's schema."""

    roles: DatabaseRoles
    facts: DatabaseFacts
    pools: Pools
    upkeep: Upkeep


@asynccontextmanager
async def opened_database(settings: Settings, command: str) -> AsyncIterator[OpenDatabase]:
    """Open the configured database as `marketdata migrate` does; its schema stays as it is.

    Raises
    ------
    MigrationError
        The schema is not this release's.
    """
    async with database.open_database(settings, command) as roles:
        await database.refuse_pending(roles, settings, command)
        stores = app.build_stores(roles.service, settings)
        pools = stores.pools
        async with pools, stores.notifier.running():
            async with pools.query() as connection:
                facts = await probe(connection, database.wanted_mode(settings))
            yield OpenDatabase(roles, facts, pools, Upkeep(pools, SystemClock()))
