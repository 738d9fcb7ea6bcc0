"""Starts the first run of a slot, with the first provider of its target that is ready."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from marketdata.domain.ingestion_run import IngestionMode, IngestionRun, RunRequest
from marketdata.domain.ingestion_target import IngestionTarget
from marketdata.domain.provider import ProviderDescription
from marketdata.domain.schedule import ScheduledJob, Slot
from marketdata.domain.time_range import session_label_us
from marketdata.errors import ProviderNotReadyError, RequestIdReusedError
from marketdata.ingestion.run_starter import RunStarter
from marketdata.ingestion.target_troubles import TargetTroubles

log = logging.getLogger(__name__)

# Of jobs that fetch no bars.
_REFERENCE_MODES: Final = {
    ScheduledJob.ACTIONS: IngestionMode.ACTIONS,
    ScheduledJob.COMPANY: IngestionMode.COMPANY,
}


class SlotStarter:
    """Starts the first run of slots.

    Parameters
    ----------
    starter : RunStarter
        Starts runs.
    troubles : TargetTroubles
        Is told which providers are not ready.
    """

    def __init__(self, starter: RunStarter, troubles: TargetTroubles) -> None:
        self._starter = starter
        self._troubles = troubles

    async def start(
        self,
        target: IngestionTarget,
        slot: Slot,
        serving: Sequence[ProviderDescription],
        symbols: tuple[str, ...],
    ) -> IngestionRun | None:
        """Start the run of a slot; None where no provider is ready, or another process was first.

        Parameters
        ----------
        serving : sequence of ProviderDescription
            The target's providers that have the timeframe, in order; not empty.
        symbols : tuple of str
            Known ones; not empty.

        Raises
        ------
        ServiceError
            The database did not answer, or a symbol was deleted this moment.
        """
        request = _request(target, slot, serving[0].name, symbols)
        problems: list[str] = []
        run = None
        for provider in serving:
            try:
                run = await self._ask(request, slot, serving[0], provider)
            except ProviderNotReadyError as error:
                problems.append(error.message)
                continue
            except RequestIdReusedError:
                # Another process started it between our two looks, and knew a symbol more or less.
                return None
            log_started(target, slot, run)
            break
        about = f"{slot.series.prefix}providers"
        if problems:
            self._troubles.report(target, about, "; ".join(problems))
        else:
            self._troubles.mended(target, about)
        return run

    async def _ask(
        self,
        request: RunRequest,
        slot: Slot,
        first: ProviderDescription,
        provider: ProviderDescription,
    ) -> IngestionRun:
        trailing_us = slot.series.trailing_us
        if slot.series.timeframe is None:
            return await self._starter.start(replace(request, provider=provider.name))
        if provider is first:
            return await self._starter.start(request, trailing_us)
        return await self._starter.start_instead(request, first, provider.name, trailing_us)


def log_started(target: IngestionTarget, slot: Slot, run: IngestionRun) -> None:
    """Say that a run of a slot was started."""
    facts = {
        "target": target.name,
        "slot": slot.request_id,
        "run": run.run_id,
        "provider": run.request.provider,
    }
    log.info("schedule_slot_started", extra=facts)


def _request(
    target: IngestionTarget, slot: Slot, provider: str, symbols: tuple[str, ...]
) -> RunRequest:
    timeframe = slot.series.timeframe
    if timeframe is None:
        mode = _REFERENCE_MODES[slot.series.job]
        return RunRequest(slot.request_id, mode, provider, symbols, ())
    is_repair = slot.series.job is ScheduledJob.REPAIR
    start_us = None
    if is_repair and target.history_start is not None:
        start_us = max(session_label_us(target.history_start), timeframe.earliest_us)
    return RunRequest(
        slot.request_id,
        IngestionMode.BACKFILL if is_repair else IngestionMode.BATCH,
        provider,
        symbols,
        (timeframe,),
        start_us,
    )
