"""A service as it runs in a simulated year: the real ingestion, with the test's clock."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from marketdata.clock import Clock
from marketdata.domain.schedule import ScheduleTimes
from marketdata.ingestion.assembly import Ingestion, build_ingestion
from marketdata.ingestion.gap_search import GapSearch
from marketdata.ingestion.scheduler import Scheduler
from marketdata.ingestion.waits import ProviderWaits
from marketdata.providers.http.assembly import Surroundings
from marketdata.providers.http.caller import Patience
from marketdata.providers.protocol import Provider
from marketdata.storage.coverage import CoverageReader
from marketdata.storage.deleted_bars import DeletedBars
from marketdata.storage.ingestion.slots import SlotReader
from marketdata.storage.provider_quota import ProviderQuotas
from tests.support.storage import Storage
from tests.support.year.catalog import Catalog
from tests.support.year.sessions import HOUR_US

#: Five minutes would be twelve times the runs, of the same kind.
MINUTES_EVERY_US: Final = HOUR_US
_LEASE_SECONDS: Final = 15.0
# A provider that is down stays down for simulated hours: waiting for it is nothing but waiting.
_PATIENCE: Final = Patience(attempts=2, first_wait_seconds=0.001)

#: Makes the adapters of a process.
MakeProviders = Callable[[Surroundings], Sequence[Provider]]


@dataclass(frozen=True, slots=True)
class Process:
    """A service as it runs: what it remembers ends with it."""

    ingestion: Ingestion
    scheduler: Scheduler


@asynccontextmanager
async def process(
    storage: Storage, clock: Clock, make_providers: MakeProviders
) -> AsyncIterator[Process]:
    """Run a service's ingestion over a storage."""
    waits = ProviderWaits()
    quotas = ProviderQuotas(storage.pools, {})
    around = Surroundings(quotas, waits, clock, patience=_PATIENCE, rest_seconds=0.0)
    providers = make_providers(around)
    ingestion = build_ingestion(
        storage.pools,
        storage.intake,
        storage.actions,
        Catalog(*providers),
        waits.of,
        clock,
        _LEASE_SECONDS,
    )
    async with AsyncExitStack() as stack:
        for provider in providers:
            stack.push_async_callback(provider.aclose)
        await stack.enter_async_context(ingestion.executor.running())
        yield Process(ingestion, _scheduler(storage, clock, ingestion))


def _scheduler(storage: Storage, clock: Clock, ingestion: Ingestion) -> Scheduler:
    coverage = CoverageReader(storage.reader)
    return Scheduler(
        ingestion.targets.list_all,
        SlotReader(storage.pools),
        ingestion.runs,
        ingestion.starter,
        clock,
        ScheduleTimes(minutes_every_us=MINUTES_EVERY_US),
        GapSearch(coverage, DeletedBars(storage.pools), ingestion.runs, ingestion.starter, clock),
    )
