"""Fetches what a live feed did not tell: a run as any other, that is waited for."""

import asyncio
from collections.abc import Sequence
from typing import Final

from marketdata.domain.ingestion_run import IngestionMode, RunRequest, RunState
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ServiceError
from marketdata.ingestion.run_starter import RunStarter
from marketdata.storage.ingestion.feed_leases import FeedClaim
from marketdata.storage.ingestion.runs import RunStore

# Fetched again before what is complete: late trades revise a bar within minutes.
_OVERLAP_US: Final = 5 * 60_000_000
_POLL_SECONDS: Final = 0.5


class RunCatchUp:
    """Fetches minutes from the feed's own provider.

    Parameters
    ----------
    runs : RunStore
        Where a run is looked at.
    starter : RunStarter
        Starts it; an executor of this or another process executes it.
    """

    def __init__(self, runs: RunStore, starter: RunStarter) -> None:
        self._runs = runs
        self._starter = starter
        self._number = 0

    async def __call__(self, claim: FeedClaim, symbols: Sequence[str], since_us: int | None) -> str:
        """Fetch from a time on; tell why some was not, or nothing.

        Parameters
        ----------
        since_us : int or None
            Unix microseconds; None: as far back as a batch does.
        """
        if not symbols:
            return ""
        self._number += 1
        request = RunRequest(
            f"live/{claim.feed}/{claim.epoch}/{self._number}",
            IngestionMode.BATCH if since_us is None else IngestionMode.BACKFILL,
            claim.feed.partition("/")[0],
            tuple(symbols),
            (Timeframe.MINUTE_1,),
            None if since_us is None else since_us - _OVERLAP_US,
            refetches=since_us is not None,
        )
        try:
            run = await self._starter.start(request)
            while not run.state.is_over:
                await asyncio.sleep(_POLL_SECONDS)
                run = await self._runs.get(run.run_id)
        except ServiceError as error:
            return f"bars of before could not be fetched: {error.message}"
        if run.state is RunState.SUCCEEDED:
            return ""
        return f"bars of before are missing (run {run.run_id}, {run.state.value}): {run.error}"
