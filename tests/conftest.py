"""Fixtures of every test that needs a real database.

`postgres` is the one server of the session, or one for each `--mode` of it: a test that kills or stops
PostgreSQL runs its own with `tests.support.databases.running_server`. `database` is the address of a
migrated database that only this test uses; `storage` is the storage layer over it. A test of more than
the storage layer takes `database` and gives it to what it starts.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings

from marketdata.storage.embedded import ServerAddress
from marketdata.storage.modes import StorageMode
from tests.support.databases import Databases, RunningServer
from tests.support.servers.provision import NotProvisionedError, skip_or_fail
from tests.support.servers.running import server_of
from tests.support.storage import Storage, opened_storage

pytest_plugins = ["pytester", "tests.support.mode_selection", "tests.support.mode_matrix"]

# A property over a real database shares its fixtures between examples on purpose: each example uses
# symbols of its own. No example has a deadline: the machines of CI stall for longer than any would be.
settings.register_profile(
    "marketdata", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("marketdata")


@pytest.fixture(scope="session")
def storage_mode(request: pytest.FixtureRequest) -> StorageMode:
    """Give the storage mode that a test is run in."""
    mode: StorageMode = request.param
    return mode


@pytest.fixture(scope="session")
def postgres(storage_mode: StorageMode) -> Iterator[RunningServer]:
    """Run the session's PostgreSQL; it is never killed or stopped by a test."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(server_of(storage_mode))
        except NotProvisionedError as error:
            skip_or_fail(error)
        yield server


@pytest.fixture(scope="session")
def databases(postgres: RunningServer, storage_mode: StorageMode) -> Databases:
    """Make further databases on the session's server."""
    return Databases(postgres, storage_mode)


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[ServerAddress]:
    """Give the address of a migrated database of the test's own; it is dropped at the end."""
    address = await databases.migrated()
    yield address
    # Beside the event loop: PostgreSQL waits for whoever is just connecting, and that may be in it.
    await asyncio.to_thread(databases.drop, address)


@pytest.fixture
async def storage(database: ServerAddress) -> AsyncIterator[Storage]:
    """Give the storage layer over `database`, with open pools of the service's own role."""
    async with opened_storage(database.for_service, owner=lambda: database) as opened:
        yield opened
