"""Executes runs: claims what nobody works on, keeps the claim, and notes how each ends."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from marketdata.domain.ingestion_run import ProviderWait, RunState
from marketdata.errors import (
    DeadlineExceededError,
    MarketDataError,
    ServiceError,
    ServiceUnavailableError,
    StorageFullError,
    WriteConflictError,
)
from marketdata.ingestion.pipeline import Pipeline, PipelineEnd
from marketdata.ingestion.reference_pipeline import ReferencePipeline
from marketdata.providers.protocol import Provider
from marketdata.storage.ingestion.claims import Claim, LeaseLostError, RunClaims
from marketdata.storage.ingestion.runs import RunStore

log = logging.getLogger(__name__)

# More would share the same database and the same providers' limits.
_MOST_RUNS_AT_ONCE: Final = 4
# How long a database that failed is left alone.
_PAUSE_SECONDS: Final = 1.0

# What is in a run's way for a while, and not because of the run.
_PASSING: Final = (
    ServiceUnavailableError,
    DeadlineExceededError,
    WriteConflictError,
    StorageFullError,
)

ProviderOf = Callable[[str], Provider]
WaitsOf = Callable[[str], Sequence[ProviderWait]]


@dataclass(frozen=True, slots=True)
class ExecutorTimes:
    """When an executor looks and says that it lives.

    Attributes
    ----------
    poll_seconds : float
        How often it looks for runs that nobody told it of.
    renew_seconds : float
        How often it keeps its claims; well below the lease.
    """

    poll_seconds: float
    renew_seconds: float


class RunExecutor:
    """Executes runs in this process.

    Parameters
    ----------
    claims : RunClaims
        Claims them.
    runs : RunStore
        Where their symbols are looked up.
    pipeline, reference : Pipeline, ReferencePipeline
        Do the work: of runs that fetch bars, and of the others.
    provider_of : callable
        Finds a provider by its name; raises `ServiceError` where it is not ready here.
    waits_of : callable
        Tells what a provider waits for at present.
    times : ExecutorTimes
        How often to look.
    """

    def __init__(
        self,
        claims: RunClaims,
        runs: RunStore,
        pipeline: Pipeline,
        reference: ReferencePipeline,
        provider_of: ProviderOf,
        waits_of: WaitsOf,
        times: ExecutorTimes,
    ) -> None:
        self._claims = claims
        self._runs = runs
        self._pipeline = pipeline
        self._reference = reference
        self._provider_of = provider_of
        self._waits_of = waits_of
        self._times = times
        self._woken = asyncio.Event()
        self._executing: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Look now: a run was started, or asked to end."""
        self._woken.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Execute runs as a context; at its end those under way are left to who claims them next."""
        looking = asyncio.create_task(self._look(), name="ingestion-executor")
        try:
            yield
        finally:
            # First: otherwise it would claim again what the others give up.
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            tasks = tuple(self._executing)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            self._woken.clear()
            claim = None
            if len(self._executing) < _MOST_RUNS_AT_ONCE:
                try:
                    claim = await self._claim()
                except ServiceError as error:
                    log.warning("ingestion_claim_failed", extra={"error": error.message})
            if claim is None:
                await self._wait(self._times.poll_seconds)
                continue
            task = asyncio.create_task(self._execute(claim), name=f"ingestion-run-{claim.run_id}")
            self._executing.add(task)
            task.add_done_callback(self._executing.discard)
            task.add_done_callback(lambda _: self.wake())

    async def _claim(self) -> Claim | None:
        claiming = asyncio.create_task(self._claims.claim(), name="ingestion-claim")
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            # A claim that was committed in this moment would be nobody's until its lease ends.
            with contextlib.suppress(ServiceError):
                claim = await claiming
                if claim is not None:
                    await self._release(claim)
            raise

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    async def _execute(self, claim: Claim) -> None:
        log.info(
            "ingestion_run_claimed",
            extra={"run": claim.run_id, "epoch": claim.epoch, "provider": claim.provider},
        )
        try:
            await self._execute_claimed(claim)
        except LeaseLostError:
            _log_lost(claim)
        except _PASSING as error:
            # The run can go on where it ended, once what is in its way is mended.
            log.warning("ingestion_run_paused", extra={"run": claim.run_id, "error": error.message})
            await asyncio.sleep(_PAUSE_SECONDS)
            await self._release(claim)
        except ServiceError as error:
            await self._finish(claim, RunState.FAILED, error.message, error.retry_after_seconds)
        except asyncio.CancelledError:
            await self._release(claim)
            raise
        except Exception:
            error_id = uuid.uuid4().hex[:12]
            log.exception("ingestion_run_defect", extra={"run": claim.run_id, "error_id": error_id})
            text = f"a defect of the service ended it; the service's log has details under {error_id}"
            await self._finish(claim, RunState.FAILED, text)

    async def _execute_claimed(self, claim: Claim) -> None:
        try:
            provider = self._provider_of(claim.provider)
        except ServiceError as error:
            await self._finish(claim, RunState.FAILED, error.message, error.retry_after_seconds)
            return
        work = asyncio.create_task(self._work(claim, provider), name=f"pipeline-{claim.run_id}")
        try:
            is_cancelled = await self._attend(claim, work)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        if is_cancelled:
            await self._finish(claim, RunState.CANCELLED, "")
            return
        end = work.result()
        retry_after_seconds = end.stopped_by.retry_after_seconds if end.stopped_by else None
        await self._finish(claim, *_verdict(end, claim), retry_after_seconds)

    async def _work(self, claim: Claim, provider: Provider) -> PipelineEnd:
        if claim.mode.is_reference:
            references = await self._claims.open_references(claim)
            return await self._reference.run(claim, provider, references, self._runs.identity)
        tasks = await self._claims.open_tasks(claim)
        runs = self._runs
        return await self._pipeline.run(claim, provider, tasks, runs.identity, runs.tickers)

    async def _attend(self, claim: Claim, work: "asyncio.Task[PipelineEnd]") -> bool:
        """Keep the claim until the work is done; tell whether somebody asked it to end before."""
        while not work.done():
            try:
                if await self._claims.renew(claim, self._waits_of(claim.provider)):
                    return True
            except ServiceError as error:
                # A commit would fail as well, and is what ends the run; one lost renewal is no harm.
                facts = {"run": claim.run_id, "error": error.message}
                log.warning("ingestion_renewal_failed", extra=facts)
            await asyncio.wait([work], timeout=self._times.renew_seconds)
        return False

    async def _finish(
        self,
        claim: Claim,
        state: RunState,
        error: str,
        retry_after_seconds: float | None = None,
    ) -> None:
        if await self._claims.finish(claim, state, error, retry_after_seconds):
            log.info("ingestion_run_over", extra={"run": claim.run_id, "state": state.value})
        else:
            _log_lost(claim)

    async def _release(self, claim: Claim) -> None:
        # Without it the lease runs out by itself, only later.
        with contextlib.suppress(MarketDataError):
            await self._claims.release(claim)


def _log_lost(claim: Claim) -> None:
    log.warning("ingestion_run_lost", extra={"run": claim.run_id, "epoch": claim.epoch})


def _verdict(end: PipelineEnd, claim: Claim) -> tuple[RunState, str]:
    if end.stopped_by is not None:
        return RunState.FAILED, (
            f"stopped: {end.stopped_by.message} What was fetched is stored; start the same again "
            "later, and it goes on from there."
        )
    if end.failed:
        again = "the same again" if claim.mode.is_reference else "a backfill of the same range"
        return RunState.FAILED, (
            f"{end.failed} task{'s' if end.failed > 1 else ''} failed; what was fetched is stored, and "
            f"{again} fetches the rest"
        )
    return RunState.SUCCEEDED, ""
