"""The service and the worker as their composition roots run them, as tasks of the test's process."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from marketdata import app
from marketdata.config import Settings
from marketdata.ingestion.sample_import import SampleImport
from marketdata.storage.embedded import ServerAddress
from marketdata.worker import Working, work
from tests.contract.service import CALL_SECONDS, test_settings


@dataclass
class Running:
    """A service that runs as a task of this process."""

    task: "asyncio.Task[None]"
    serving: app.Serving
    imported: list[SampleImport] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Where it serves."""
        return f"{self.serving.host}:{self.serving.port}"

    async def stop(self) -> None:
        """Send it what an operator sends, and wait until it has ended."""
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(self.task, CALL_SECONDS)


def settings_for(database: ServerAddress, **settings: Any) -> Settings:
    """Make settings of a database that is given."""
    return test_settings(
        DB_HOST=database.host,
        DB_PORT=database.port,
        DB_NAME=database.database,
        DB_USERNAME=database.user,
        DB_PASSWORD=database.password,
        MARKETDATA_PORT=0,
        **settings,
    )


@asynccontextmanager
async def running(settings: Settings, *, with_sample: bool = False) -> AsyncIterator[Running]:
    """Run the service until it is stopped, at the latest with the context."""
    imported: list[SampleImport] = []
    started: asyncio.Future[app.Serving] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        app.serve(
            settings,
            with_sample=with_sample,
            on_sample=imported.append,
            on_serving=started.set_result,
        )
    )
    both: list[asyncio.Future[Any]] = [task, started]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    service = Running(task, started.result(), imported)
    try:
        yield service
    finally:
        if not task.done():
            await service.stop()


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[Working]:
    """Run a worker; at the end of the context it gets SIGTERM, and has to end by itself."""
    started: asyncio.Future[Working] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(work(settings, started.set_result))
    both: list[asyncio.Future[Any]] = [task, started]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    try:
        yield started.result()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(task, CALL_SECONDS)
