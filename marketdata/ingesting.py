"""Ingestion as a process runs it, a service or a worker: its parts, providers, schedule and feed."""

import contextlib
import logging
from collections.abc import AsyncIterator

from marketdata.clock import SystemClock
from marketdata.config import Settings
from marketdata.ingestion.assembly import Ingestion, Providers, build_ingestion
from marketdata.ingestion.gap_search import GapSearch
from marketdata.ingestion.live_assembly import build_follower
from marketdata.ingestion.scheduler import Scheduler
from marketdata.ingestion.waits import ProviderWaits
from marketdata.providers.live_registry import make_live_feed
from marketdata.providers.registry import QUOTA_ZONES, ProviderCatalog, build_providers
from marketdata.storage.actions import ActionStore
from marketdata.storage.coverage import CoverageReader
from marketdata.storage.deleted_bars import DeletedBars
from marketdata.storage.ingestion.slots import SlotReader
from marketdata.storage.intake import BarIntake
from marketdata.storage.pools import Pools
from marketdata.storage.provider_quota import ProviderQuotas

log = logging.getLogger(__name__)


class Ingesting:
    """Starts and executes runs while it runs; its parts are there from the beginning.

    Parameters
    ----------
    pools : Pools
        Where runs are kept.
    intake : BarIntake
        Stores bars.
    actions : ActionStore
        Stores corporate actions.
    coverage : CoverageReader
        Finds what is not stored.
    settings : Settings
        Which providers there are, and when what is due.
    providers : Providers, optional
        Where bars come from; whoever gives them closes them. Default: those of the settings.

    Attributes
    ----------
    ingestion : Ingestion
        What others ask and tell.
    waits : ProviderWaits
        What providers wait for.
    """

    def __init__(
        self,
        pools: Pools,
        intake: BarIntake,
        actions: ActionStore,
        coverage: CoverageReader,
        settings: Settings,
        providers: Providers | None = None,
    ) -> None:
        self.waits = ProviderWaits()
        self._pools = pools
        self._coverage = coverage
        self._settings = settings
        self._clock = SystemClock()
        self._own: ProviderCatalog | None = None
        if providers is None:
            quotas = ProviderQuotas(pools, QUOTA_ZONES)
            options = settings.provider_options
            providers = self._own = build_providers(options, quotas, self.waits, self._clock)
        lease_seconds = settings.ingestion_lease_seconds
        self._intake = intake
        name = settings.live_feed
        self._feed = make_live_feed(name, settings.provider_options, self._clock) if name else None
        self.ingestion: Ingestion = build_ingestion(
            pools, intake, actions, providers, self.waits.of, self._clock, lease_seconds
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Execute runs, and start those of the schedule; at the end, claims are left to others."""
        # The schedule starts runs, so it ends before who executes them.
        async with self.ingestion.executor.running(), self._schedule(), self._live():
            yield

    async def aclose(self) -> None:
        """Close what providers hold; the pools are closed later."""
        if self._own is not None:
            await self._own.aclose()

    def _schedule(self) -> contextlib.AbstractAsyncContextManager[None]:
        if not self._settings.schedule:
            return contextlib.nullcontext()
        _log_times(self._settings)
        scheduler = Scheduler(
            self.ingestion.targets.list_all,
            SlotReader(self._pools),
            self.ingestion.runs,
            self.ingestion.starter,
            self._clock,
            self._settings.schedule_times,
            GapSearch(
                self._coverage,
                DeletedBars(self._pools),
                self.ingestion.runs,
                self.ingestion.starter,
                self._clock,
            ),
        )
        return scheduler.running(self._settings.schedule_wake_seconds)

    def _live(self) -> contextlib.AbstractAsyncContextManager[None]:
        if self._feed is None:
            return contextlib.nullcontext()
        lease_seconds = self._settings.ingestion_lease_seconds
        follower = build_follower(
            self._feed, self.ingestion, self._pools, self._intake, self._clock, lease_seconds
        )
        return follower.running()


def _log_times(settings: Settings) -> None:
    """Say what the names of slots follow from: processes that differ in it execute slots twice."""
    facts = {
        "daily_delay_seconds": settings.schedule_daily_delay_seconds,
        "minutes_every_seconds": settings.schedule_minutes_every_seconds,
        "repair_at": f"{settings.schedule_repair_at:%H:%M}",
        "wake_seconds": settings.schedule_wake_seconds,
    }
    log.info("schedule_times", extra=facts)
