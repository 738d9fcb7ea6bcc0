"""What the run of a slot left is fetched from the next providers, and then from the first one again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from marketdata.domain.ingestion_run import IngestionRun, RunState
from marketdata.domain.schedule import Slot
from marketdata.domain.slot_runs import (
    MOST_ATTEMPTS,
    LeftOver,
    SlotRun,
    attempt_name,
    last_round,
    providers_behind,
    retry_seconds,
    subtract_answered,
)
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ProviderNotReadyError, RequestIdReusedError
from marketdata.ingestion.run_starter import RunStarter
from marketdata.storage.ingestion.runs import RunStore
from marketdata.storage.ingestion.slots import SlotReader

# Symbols in a log line; the rest is counted.
_MOST_NAMED: Final = 10


@dataclass(frozen=True, slots=True)
class FallbackStep:
    """How far a slot is.

    Attributes
    ----------
    is_over : bool
        Whether nothing is to be done for it any more.
    run : IngestionRun or None
        What was started now.
    trouble : str
        What none of its providers gave, and why; empty where that is nothing.
    """

    is_over: bool
    run: IngestionRun | None = None
    trouble: str = ""


_OVER: Final = FallbackStep(is_over=True)
_WAITING: Final = FallbackStep(is_over=False)


class SlotFallback:
    """Goes on with slots whose run is over.

    Parameters
    ----------
    slots : SlotReader
        Tells the runs of a slot, and what they left.
    runs : RunStore
        Tells what providers have answered.
    starter : RunStarter
        Starts runs.
    """

    def __init__(self, slots: SlotReader, runs: RunStore, starter: RunStarter) -> None:
        self._slots = slots
        self._runs = runs
        self._starter = starter

    async def go_on(self, slot: Slot, serving: Sequence[str], *, may_retry: bool) -> FallbackStep:
        """Do what comes next for a slot whose own run failed.

        However many processes do it at once, each attempt has one run: its name is unique.

        Parameters
        ----------
        serving : sequence of str
            The target's providers that have the timeframe, in order.
        may_retry : bool
            Whether the first provider is asked again when all have been; otherwise the slot is over
            then, since a newer one fetches what it would.

        Raises
        ------
        ServiceError
            The database did not answer.
        """
        timeframe = slot.series.timeframe
        if timeframe is None:
            return _OVER  # facts beside bars come again with the next slot: no bar depends on them
        attempts = await self._slots.runs(slot.request_id)
        if not attempts or not attempts[-1].state.is_over:
            return _WAITING
        # What a person has cancelled is not fetched from somebody else.
        if attempts[-1].state is RunState.CANCELLED or len(attempts) >= MOST_ATTEMPTS:
            return _OVER
        left = await self._slots.left(attempts, last_round(attempts, serving))
        number = len(attempts) + 1
        try:
            run = await self._ask(slot, timeframe, number, providers_behind(attempts, serving), left)
            if run is not None:
                return FallbackStep(is_over=False, run=run)
            return await self._end_round(slot, timeframe, attempts, serving, left, may_retry=may_retry)
        except RequestIdReusedError:
            # Another process was first, and saw what is left a moment earlier or later.
            return _WAITING

    async def _end_round(
        self,
        slot: Slot,
        timeframe: Timeframe,
        attempts: Sequence[SlotRun],
        serving: Sequence[str],
        left: Sequence[LeftOver],
        *,
        may_retry: bool,
    ) -> FallbackStep:
        ids = [each.symbol_id for each in left]
        answered = []
        for name in serving[1:]:
            found = await self._runs.fetched(name, ids, (timeframe,))
            answered.append({symbol_id: ranges for (symbol_id, _), ranges in found.items()})
        # One that was asked for it before needs no run to have answered it.
        left = subtract_answered(left, answered)
        if not left:
            return _OVER
        trouble = _trouble(attempts, serving, left)
        seconds = retry_seconds(attempts, left) if may_retry else None
        if seconds is None:
            return FallbackStep(is_over=True, trouble=trouble)
        run = None
        if seconds <= 0:
            run = await self._ask(slot, timeframe, len(attempts) + 1, serving, left)
        return FallbackStep(is_over=False, run=run, trouble=trouble)

    async def _ask(
        self,
        slot: Slot,
        timeframe: Timeframe,
        number: int,
        providers: Sequence[str],
        left: Sequence[LeftOver],
    ) -> IngestionRun | None:
        """Start a run of the first provider that is ready and has something of what is left."""
        name, trailing_us = attempt_name(slot.request_id, number), slot.series.trailing_us
        for provider in providers if left else ():
            try:
                run = await self._starter.start_left(name, provider, timeframe, left, trailing_us)
            except ProviderNotReadyError:
                continue  # said when a slot began without it
            if run is not None:
                return run
        return None


def _trouble(attempts: Sequence[SlotRun], serving: Sequence[str], left: Sequence[LeftOver]) -> str:
    named = ", ".join(each.symbol for each in left[:_MOST_NAMED])
    more = ", …" if len(left) > _MOST_NAMED else ""
    reasons = "; ".join(
        f"{run.provider}: {run.error}" for run in last_round(attempts, serving) if run.error
    )
    count = f"{len(left)} symbol{'s' if len(left) > 1 else ''}"
    return f"not fetched of {count} ({named}{more}): {reasons}"
