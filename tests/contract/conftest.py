"""Fixtures of the contract tests: a service of the test's own, and one that a module shares."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from marketdata.domain.symbol import NewSymbol
from marketdata.storage.embedded import ServerAddress
from tests.contract.commands import Commands
from tests.contract.known import Known, fill
from tests.contract.service import Service, serving
from tests.support.bars import NAN
from tests.support.databases import Databases
from tests.support.quarantined import NOT_FINITE, SPIKE, bar, judged, put


@pytest.fixture
async def service(database: ServerAddress) -> AsyncIterator[Service]:
    """Give a service over an empty database of the test's own."""
    async with serving(lambda: database) as running:
        yield running


@pytest.fixture
async def following(database: ServerAddress) -> AsyncIterator[Service]:
    """Give a service as `service` that reads the change log."""
    async with serving(lambda: database, follows_log=True) as running:
        yield running


@pytest.fixture(scope="module")
async def known(databases: Databases) -> AsyncIterator[Known]:
    """Give a service that has symbols and bars; the tests of a module share it and change nothing."""
    database = await databases.migrated()
    async with serving(lambda: database) as running:
        yield await fill(running, database)
    databases.drop(database)


@pytest.fixture
def commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Commands:
    """Give a way to run commands that know nothing of the machine's settings."""
    for name in os.environ:
        if name.startswith(("DB_", "MARKETDATA_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return Commands(monkeypatch, capsys)


@pytest.fixture
async def quarantining(service: Service) -> Service:
    """Give a service with a symbol and three quarantined bars: 1 to release, 2 flagged, 3 invalid."""
    await service.stores.symbols.create(NewSymbol("A"))
    await put(
        service.stores.pools,
        judged(bar(day=1)),
        judged(bar(day=2), rules=SPIKE),
        judged(bar(day=3, close=NAN), rules=NOT_FINITE),
    )
    return service


@pytest.fixture
async def signals() -> AsyncIterator[None]:
    """Give the process back what a service takes of it: its signals, and how its threads take turns."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)
    for number, handler in before.items():
        asyncio.get_running_loop().remove_signal_handler(number)
        signal.signal(number, handler)
