"""The composition root: what is made of what, and the order of start and stop."""

import asyncio
import contextlib
import gc
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import grpc

from marketdata.clock import SystemClock
from marketdata.config import Settings
from marketdata.database import (
    open_database,
    open_service_database,
    refuse_pending,
    settle_schema,
    wanted_mode,
)
from marketdata.ingesting import Ingesting
from marketdata.ingestion.assembly import Ingestion
from marketdata.ingestion.sample_import import SampleImport, SampleImporter
from marketdata.providers.sample.source import fetch_sample_stocks
from marketdata.rpc.admission import AdmissionInterceptor, AdmissionLimits
from marketdata.rpc.health import HealthMonitor
from marketdata.rpc.server import SERVICE_NAMES, Services, bind, build_server
from marketdata.servicers.bars import BarsServicer
from marketdata.servicers.ingestion import IngestionServicer
from marketdata.servicers.symbols import SymbolServicer
from marketdata.servicers.token_signers import build_signers
from marketdata.storage.actions import ActionStore
from marketdata.storage.address import Address
from marketdata.storage.bar_reader import BarReader
from marketdata.storage.calendars import warm_calendars
from marketdata.storage.commit import BarWriter
from marketdata.storage.companies import CompanyStore
from marketdata.storage.coverage import CoverageReader
from marketdata.storage.deletion import BarDeleter
from marketdata.storage.ingestion.feed_leases import FeedReader
from marketdata.storage.ingestion.run_trim import RunTrimmer
from marketdata.storage.intake import BarIntake
from marketdata.storage.latest import LatestBarReader
from marketdata.storage.log_notifier import LogNotifier
from marketdata.storage.log_reader import LogReader
from marketdata.storage.log_session import log_session
from marketdata.storage.log_trim import LogTrimmer
from marketdata.storage.maintenance import Maintenance, Trimmer, Upkeep, maintained
from marketdata.storage.modes import DatabaseFacts, probe
from marketdata.storage.partitions import Partitions
from marketdata.storage.pools import PoolLimits, Pools
from marketdata.storage.quarantine import QuarantineReader
from marketdata.storage.quarantine_decisions import QuarantineDecider
from marketdata.storage.revisions import RevisionReader
from marketdata.storage.statistics import StatisticsReader
from marketdata.storage.symbol_deletion import SymbolDeleter
from marketdata.storage.symbols import SymbolStore
from marketdata.storage.version_trim import VersionTrimmer
from marketdata.streaming.hub import build_hub
from marketdata.streaming.tailer import LogTailer

log = logging.getLogger(__name__)

#: A hot thread holds the interpreter for 5 ms by default, and the event loop waits for it; bulk reads
#: run in threads.
SWITCH_INTERVAL_SECONDS: Final = 0.0005
# Streams that were ended get this long to send their status.
_STOP_GRACE_SECONDS: Final = 1.0

AddressOf = Callable[[], Address]


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything that reads and writes the database, over one set of pools.

    While they run, the notifier tells other processes of writes, and the tailer reads the change log.
    """

    pools: Pools
    notifier: LogNotifier
    tailer: LogTailer
    symbols: SymbolStore
    symbol_deleter: SymbolDeleter
    actions: ActionStore
    companies: CompanyStore
    reader: BarReader
    latest: LatestBarReader
    coverage: CoverageReader
    revisions: RevisionReader
    statistics: StatisticsReader
    deleter: BarDeleter
    intake: BarIntake
    quarantine: QuarantineReader
    quarantine_decider: QuarantineDecider

    @property
    def sample(self) -> SampleImporter:
        """The importer of the sample data."""
        return SampleImporter(self.symbols, self.actions, self.intake)


@dataclass(frozen=True, slots=True)
class Serving:
    """A service that has started.

    Attributes
    ----------
    host, port : str, int
        Where it serves.
    facts : DatabaseFacts
        What its database is.
    has_bars : bool
        Whether there is something to read.
    """

    host: str
    port: int
    facts: DatabaseFacts
    has_bars: bool


def build_stores(address: AddressOf, settings: Settings) -> Stores:
    """Make the stores over pools that are not open yet."""
    limits = PoolLimits(
        size=settings.db_pool_size,
        overflow=settings.db_max_overflow,
        stream_size=settings.stream_pool_size,
        timeout_seconds=settings.db_pool_timeout,
        recycle_seconds=settings.db_pool_recycle,
    )
    notifier = LogNotifier(address)
    pools = Pools(address, limits, notifier.wake)
    executor = ThreadPoolExecutor(settings.stream_pool_size, thread_name_prefix="bulk-read")
    reader = BarReader(pools, executor)
    intake = BarIntake(pools, BarWriter(pools, Partitions(pools)))
    return Stores(
        pools=pools,
        notifier=notifier,
        tailer=LogTailer(lambda: log_session(address), LogReader(pools), settings.log_poll_seconds),
        symbols=SymbolStore(pools),
        symbol_deleter=SymbolDeleter(pools),
        actions=ActionStore(pools),
        companies=CompanyStore(pools),
        reader=reader,
        latest=LatestBarReader(pools, reader),
        coverage=CoverageReader(reader),
        revisions=RevisionReader(pools),
        statistics=StatisticsReader(pools),
        deleter=BarDeleter(pools),
        intake=intake,
        quarantine=QuarantineReader(pools),
        quarantine_decider=QuarantineDecider(pools, intake, SystemClock()),
    )


@contextlib.asynccontextmanager
async def open_stores(
    settings: Settings, command: str, *, migrates: bool = True
) -> AsyncIterator[Stores]:
    """Open the database for a command, at this release's schema.

    Parameters
    ----------
    migrates : bool
        Whether a schema that is behind is brought to this release, where its owner is known; else it
        is refused.

    Raises
    ------
    MigrationError
        The schema is behind and stays so, or is a later release's.
    """
    async with open_database(settings, command) as roles:
        if migrates:
            await settle_schema(roles, settings)
        else:
            await refuse_pending(roles, settings, command)
        stores = build_stores(roles.service, settings)
        async with stores.pools, stores.notifier.running():
            yield stores


async def serve(
    settings: Settings,
    *,
    with_sample: bool,
    on_sample: Callable[[SampleImport], None],
    on_serving: Callable[[Serving], None],
) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    Parameters
    ----------
    with_sample : bool
        Whether an empty database gets the sample bars first.
    on_sample, on_serving : callable
        Told of each stock of the sample, and when the service answers.

    Raises
    ------
    AddressInUseError, DataFolderInUseError, DatabaseSetupError, MigrationError
        The service cannot start.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    stop = stop_on_signals()
    async with contextlib.AsyncExitStack() as stack:
        current: list[AddressOf] = []
        stores = build_stores(lambda: current[0](), settings)  # noqa: PLW0108 -- it is filled below
        ingesting = Ingesting(stores.pools, stores.intake, stores.actions, stores.coverage, settings)
        frontend = _Frontend(stores, settings, ingesting.ingestion)
        # The port first: what is taken should be said before a database is started for nothing.
        port = bind(frontend.server, settings.host, settings.port)
        roles = await stack.enter_async_context(open_service_database(settings))
        current.append(roles.service)
        await settle_schema(roles, settings)
        await stack.enter_async_context(stores.pools)
        stack.push_async_callback(ingesting.aclose)
        await stack.enter_async_context(stores.notifier.running())
        await stack.enter_async_context(stores.tailer.running())
        async with stores.pools.query() as connection:
            facts = await probe(connection, wanted_mode(settings))
        log.info("database", extra={"is": str(facts)})
        if with_sample and await stores.sample.is_empty():
            await stores.sample.run(fetch_sample_stocks(), on_sample)
        await frontend.start()
        # What was made so far stays to the end. Every full collection would visit it all again, and no
        # call is answered meanwhile (measured: 45 to 115 ms).
        gc.collect()
        gc.freeze()
        on_serving(Serving(settings.host, port, facts, not await stores.sample.is_empty()))
        maintenance = maintained(_maintenance(stores.pools, settings), settings.maintenance_seconds)
        async with maintenance, _ingestion(ingesting, settings):
            await stop.wait()
        await frontend.drain(settings.drain_seconds)


def stop_on_signals() -> asyncio.Event:
    """Give what is set by SIGTERM or SIGINT, from now on."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _ingestion(
    ingesting: Ingesting, settings: Settings
) -> contextlib.AbstractAsyncContextManager[None]:
    if settings.ingestion:
        return ingesting.running()
    log.info("ingestion_left_to_workers")
    return contextlib.nullcontext()


def _maintenance(pools: Pools, settings: Settings) -> Maintenance:
    trimmers: dict[str, Trimmer] = {
        "superseded versions": VersionTrimmer(pools, timedelta(days=settings.revisions_keep_days)),
        "change log": LogTrimmer(pools, timedelta(days=settings.log_keep_days)),
        "ingestion runs": RunTrimmer(pools, timedelta(days=settings.runs_keep_days)),
    }
    return Maintenance(pools, Upkeep(pools, SystemClock(), trimmers).steps())


class _Frontend:
    """The gRPC server with its health monitor."""

    def __init__(self, stores: Stores, settings: Settings, ingestion: Ingestion) -> None:
        self._stores = stores
        limits = settings.stream_pool_size, settings.max_subscriptions, settings.max_calls
        self._admission = AdmissionInterceptor(AdmissionLimits(*limits))
        self._health = HealthMonitor(self._probe, SERVICE_NAMES, stores.pools.report_database)
        self._hub = build_hub(stores.tailer, stores.pools, stores.symbols, stores.reader)
        services = Services(
            symbols=SymbolServicer(
                stores.symbols, stores.symbol_deleter, stores.actions, stores.companies
            ),
            bars=BarsServicer(
                stores.reader,
                stores.latest,
                stores.coverage,
                stores.revisions,
                stores.statistics,
                stores.intake,
                stores.deleter,
                ingestion.providers.describe,
                self._hub,
                build_signers(settings.token_key.get_secret_value(), stores.pools),
                SystemClock(),
            ),
            ingestion=IngestionServicer(
                ingestion.runs,
                ingestion.starter,
                ingestion.providers.describe,
                ingestion.executor.wake,
                stores.quarantine,
                stores.quarantine_decider,
                ingestion.targets,
                ingestion.target_checker,
                FeedReader(stores.pools),
            ),
            health=self._health.servicer,
        )
        self.server: grpc.aio.Server = build_server(
            services, self._admission, with_reflection=settings.reflection
        )
        self._monitor: asyncio.Task[None] | None = None
        self._warming: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._health.check()
        await self.server.start()
        self._monitor = asyncio.create_task(self._health.run(), name="health-monitor")
        # Seconds that the first write of intraday bars would otherwise take.
        self._warming = asyncio.create_task(warm_calendars(), name="warm-calendars")

    async def drain(self, seconds: float) -> None:
        log.info("draining", extra={"seconds": seconds})
        for task in (self._monitor, self._warming):
            if task is not None:
                task.cancel()
        await self._health.drain()
        await self._admission.drain(seconds)
        await self.server.stop(_STOP_GRACE_SECONDS)
        log.info("stopped")

    async def _probe(self) -> None:
        async with self._stores.pools.query() as connection:
            await connection.execute("SELECT 1")
