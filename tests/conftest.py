"""Fixtures of every test that needs a real database.

`postgres` is the one server of the session: a test that kills or stops PostgreSQL runs its own with
`tests.support.databases.running_server`. `database` is the address of a migrated database that only
this test uses; `storage` is the storage layer over it. A test of more than the storage layer takes
`database` and gives it to what it starts.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from marketdata.storage.embedded import EmbeddedPostgres, ServerAddress
from tests.support.databases import Databases, running_server
from tests.support.storage import Storage, opened_storage

# A property over a real database shares its fixtures between examples on purpose: each example uses
# symbols of its own. No example has a deadline: the machines of CI stall for longer than any would be.
settings.register_profile(
    "marketdata", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("marketdata")


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """Run the session's PostgreSQL; it is never killed or stopped by a test."""
    with running_server(in_memory=True) as server:
        yield server


@pytest.fixture(scope="session")
def databases(postgres: EmbeddedPostgres) -> Databases:
    """Make further databases on the session's server."""
    return Databases(postgres)


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[ServerAddress]:
    """Give the address of a migrated database of the test's own; it is dropped at the end."""
    address = await databases.migrated()
    yield address
    databases.drop(address)


@pytest.fixture
async def storage(database: ServerAddress) -> AsyncIterator[Storage]:
    """Give the storage layer over `database`, with open pools."""
    async with opened_storage(lambda: database) as opened:
        yield opened
