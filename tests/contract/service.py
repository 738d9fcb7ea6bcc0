"""The whole service in this process: real servicers, interceptors and limits over a real database.

It is put together by the composition root itself, bound to a free port of the loopback interface and
called through a real channel.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import grpc
from bifrost.marketdata.v1.bars_service_pb2_grpc import BarsServiceStub
from bifrost.marketdata.v1.ingestion_service_pb2_grpc import IngestionServiceStub
from bifrost.marketdata.v1.symbol_service_pb2_grpc import SymbolServiceStub
from grpc_health.v1 import health_pb2, health_pb2_grpc

from marketdata import app
from marketdata.config import Settings
from marketdata.ingesting import Ingesting
from marketdata.ingestion.assembly import Providers
from marketdata.ingestion.waits import ProviderWaits
from marketdata.rpc.admission import AdmissionInterceptor
from marketdata.rpc.health import HealthMonitor
from marketdata.rpc.server import bind
from marketdata.storage.embedded import ServerAddress
from marketdata.streaming.hub import SubscriptionHub
from tests.support.databases import connected
from tests.support.waiting import until

if TYPE_CHECKING:  # the classes of the asyncio stubs are in the type stubs only
    from bifrost.marketdata.v1.bars_service_pb2_grpc import BarsServiceAsyncStub
    from bifrost.marketdata.v1.ingestion_service_pb2_grpc import IngestionServiceAsyncStub
    from bifrost.marketdata.v1.symbol_service_pb2_grpc import SymbolServiceAsyncStub

BARS: Final = "/bifrost.marketdata.v1.BarsService/"
SYMBOLS: Final = "/bifrost.marketdata.v1.SymbolService/"
INGESTION: Final = "/bifrost.marketdata.v1.IngestionService/"
# Long enough for a busy machine; a call that hangs fails its test instead of the whole run.
CALL_SECONDS: Final = 20.0
_GRACE_SECONDS: Final = 0.2

# Everything that a write could change. The counts are small: each test has its own database.
_STATE: Final = """
    SELECT (SELECT seq FROM bar_log_head), (SELECT count(*) FROM bar_write),
           (SELECT count(*) FROM bar_change), (SELECT count(*) FROM market_symbol),
           (SELECT count(*) FROM symbol_validity), (SELECT count(*) FROM bar_latest),
           (SELECT count(*) FROM market_stock),
           (SELECT count(*) FROM ingestion_run), (SELECT count(*) FROM ingestion_task),
           (SELECT count(*) FROM ingestion_target),
           (SELECT count(*) FROM bar_quarantine WHERE state = 'open'),
           (SELECT count(*) FROM market_stock_hist_bars_min_ts),
           (SELECT count(*) FROM market_stock_hist_bars_hour_ts),
           (SELECT count(*) FROM market_stock_hist_bars_day_ts)
"""


@dataclass(frozen=True)
class Service:
    """A running service and the ways to look at it.

    Attributes
    ----------
    address : str
        ``host:port`` where it serves.
    waits : ProviderWaits
        Where providers tell what they wait for.
    bars, symbols, ingestion, health : stub
        The generated stubs over `channel`.
    """

    address: str
    channel: grpc.aio.Channel
    stores: app.Stores
    admission: AdmissionInterceptor
    hub: SubscriptionHub
    monitor: HealthMonitor
    waits: ProviderWaits
    bars: "BarsServiceAsyncStub"
    symbols: "SymbolServiceAsyncStub"
    ingestion: "IngestionServiceAsyncStub"
    health: Any

    async def status(self, name: str = "") -> str:
        """Ask health for a service; ``""`` is the whole, ``"db"`` the database."""
        request = health_pb2.HealthCheckRequest(service=name)
        answer = await self.health.Check(request, timeout=CALL_SECONDS)
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))

    def busy(self, pool: str) -> int:
        """Count the connections of a pool that calls hold: ``queries`` or ``streams``."""
        stats = self.stores.pools.stats()[pool]
        return stats.get("pool_size", 0) - stats.get("pool_available", 0)

    async def until_busy(self, pool: str, count: int) -> None:
        """Wait until calls hold `count` connections of a pool."""

        async def reached() -> bool:
            return self.busy(pool) == count

        await until(reached)

    async def until_status(self, status: str, name: str = "") -> None:
        """Wait until health says `status`."""

        async def reached() -> bool:
            return await self.status(name) == status

        await until(reached)


def test_settings(**settings: Any) -> Settings:
    """Make settings of defaults and `settings` (by their variables), whatever the environment has."""
    return Settings(_env_file=None, **{"DB_POOL_SIZE": 1, **settings})


test_settings.__test__ = False  # type: ignore[attr-defined]


@asynccontextmanager
async def serving(
    address: Callable[[], ServerAddress],
    providers: Providers | None = None,
    *,
    follows_log: bool = False,
    **settings: Any,
) -> AsyncIterator[Service]:
    """Serve a migrated database as the service's role until the end of the context, and call it.

    Parameters
    ----------
    address : callable
        Asked at every new connection: a test can make the database disappear.
    providers : Providers, optional
        Where bars come from. Default: those of the settings.
    follows_log : bool
        Whether it reads the change log, as subscriptions need.
    settings
        By their variables: ``MARKETDATA_MAX_CALLS=1``.
    """
    chosen = test_settings(**settings)
    stores = app.build_stores(lambda: address().for_service(), chosen)
    ingesting = Ingesting(
        stores.pools, stores.intake, stores.actions, stores.coverage, chosen, providers
    )
    ingestion = ingesting.ingestion
    frontend = app._Frontend(stores, chosen, ingestion)
    port = bind(frontend.server, "127.0.0.1", 0)
    target = f"127.0.0.1:{port}"
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(stores.pools)
        if follows_log:
            await stack.enter_async_context(stores.notifier.running())
            await stack.enter_async_context(stores.tailer.running())
        await stack.enter_async_context(ingestion.executor.running())
        await frontend.start()
        try:
            async with grpc.aio.insecure_channel(target) as channel:
                yield Service(
                    address=target,
                    channel=channel,
                    stores=stores,
                    admission=frontend._admission,
                    hub=frontend._hub,
                    monitor=frontend._health,
                    waits=ingesting.waits,
                    bars=BarsServiceStub(channel),
                    symbols=SymbolServiceStub(channel),
                    ingestion=IngestionServiceStub(channel),
                    health=health_pb2_grpc.HealthStub(channel),
                )
        finally:
            await frontend.drain(_GRACE_SECONDS)


def state(database: ServerAddress) -> tuple[object, ...]:
    """Look at everything that a write could change, from outside of the service."""
    with connected(database) as connection:
        row = connection.execute(_STATE).fetchone()
    assert row is not None
    return row
