"""Fixtures of the contract tests: a service of the test's own, and one that a module shares."""

from collections.abc import AsyncIterator

import pytest

from marketdata.storage.embedded import ServerAddress
from tests.contract.known import Known, fill
from tests.contract.service import Service, serving
from tests.support.databases import Databases


@pytest.fixture
async def service(database: ServerAddress) -> AsyncIterator[Service]:
    """Give a service over an empty database of the test's own."""
    async with serving(lambda: database) as running:
        yield running


@pytest.fixture(scope="module")
async def known(databases: Databases) -> AsyncIterator[Known]:
    """Give a service that has symbols and bars; the tests of a module share it and change nothing."""
    database = await databases.migrated()
    async with serving(lambda: database) as running:
        yield await fill(running, database)
    databases.drop(database)
