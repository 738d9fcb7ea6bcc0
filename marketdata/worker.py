"""A process that keeps targets current and executes runs, and serves nothing but its health."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from marketdata.app import SWITCH_INTERVAL_SECONDS, Stores, build_stores, stop_on_signals
from marketdata.config import Settings
from marketdata.database import open_service_database, settle_schema, wanted_mode
from marketdata.errors import ConfigurationError
from marketdata.ingesting import Ingesting
from marketdata.rpc.health import HealthMonitor
from marketdata.rpc.server import bind, build_health_server
from marketdata.storage.modes import DatabaseFacts, probe

log = logging.getLogger(__name__)

# Who asks for its health hears that it ends, and needs no more than that.
_STOP_GRACE_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Working:
    """A worker that has started.

    Attributes
    ----------
    facts : DatabaseFacts
        What its database is.
    health : str
        ``host:port`` where it answers grpc.health.v1; empty: nowhere.
    """

    facts: DatabaseFacts
    health: str


async def work(settings: Settings, on_working: Callable[[Working], None]) -> None:
    """Start and execute runs until SIGTERM or SIGINT, then leave those under way to others.

    What tables need now and then (`MARKETDATA_MAINTENANCE_SECONDS`) stays the services' business.

    Parameters
    ----------
    on_working : callable
        Told when it has begun.

    Raises
    ------
    ConfigurationError
        The database is an embedded one.
    AddressInUseError, DatabaseSetupError, MigrationError
        The worker cannot start.
    """
    if settings.is_embedded:
        raise ConfigurationError(
            "a worker needs a database that it shares with the service: set DB_HOST. An embedded "
            "database belongs to marketdata serve, which keeps targets current and executes runs itself"
        )
    # Making a calendar takes a thread seconds, in which claims are to be kept.
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    stop = stop_on_signals()
    async with contextlib.AsyncExitStack() as stack:
        roles = await stack.enter_async_context(open_service_database(settings))
        stores = build_stores(roles.service, settings)
        ingesting = Ingesting(stores.pools, stores.intake, stores.actions, stores.coverage, settings)
        health = await stack.enter_async_context(_health(stores, settings))
        await settle_schema(roles, settings)
        await stack.enter_async_context(stores.pools)
        stack.push_async_callback(ingesting.aclose)
        await stack.enter_async_context(stores.notifier.running())
        async with stores.pools.query() as connection:
            facts = await probe(connection, wanted_mode(settings))
        log.info("database", extra={"is": str(facts)})
        await stack.enter_async_context(_monitored(health))
        async with ingesting.running():
            on_working(Working(facts, health.address))
            log.info("worker_ready")
            await stop.wait()
            log.info("worker_stopping")
    log.info("stopped")


@dataclass(frozen=True, slots=True)
class _Health:
    monitor: HealthMonitor
    address: str


@contextlib.asynccontextmanager
async def _health(stores: Stores, settings: Settings) -> AsyncIterator[_Health]:
    """Answer grpc.health.v1 where a port is set; NOT_SERVING until somebody monitors."""

    async def ask() -> None:
        async with stores.pools.query() as connection:
            await connection.execute("SELECT 1")

    monitor = HealthMonitor(ask, (), stores.pools.report_database)
    if settings.worker_port is None:
        yield _Health(monitor, "")
        return
    server = build_health_server(monitor.servicer)
    port = bind(server, settings.host, settings.worker_port)
    await server.start()
    try:
        yield _Health(monitor, f"{settings.host}:{port}")
    finally:
        await server.stop(_STOP_GRACE_SECONDS)


@contextlib.asynccontextmanager
async def _monitored(health: _Health) -> AsyncIterator[None]:
    await health.monitor.check()
    # Also where nobody can ask: calls fail at once while the database is down, and do not queue.
    task = asyncio.create_task(health.monitor.run(), name="health-monitor")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        await health.monitor.drain()
