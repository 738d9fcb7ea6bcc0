"""fetch → parse → quality → commit: one run, in bounded memory, safe to interrupt at any moment."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from marketdata.domain.ingestion_run import OpenTask
from marketdata.domain.symbol import Symbol
from marketdata.errors import (
    ProviderError,
    ProviderKeyError,
    ProviderLimitError,
    ProviderUnavailableError,
    SymbolNotFoundError,
)
from marketdata.ingestion.checked_page import MakeChecker
from marketdata.ingestion.committer import PageCommitter
from marketdata.ingestion.row_budget import RowBudget
from marketdata.providers.protocol import BarsRequest, Provider
from marketdata.storage.ingestion.claims import Claim, RunClaims
from marketdata.storage.intake import BarIntake

SymbolOf = Callable[[int], Awaitable[Symbol]]

log = logging.getLogger(__name__)

# A transaction of so many bars takes some 150 ms, and one savepoint.
_MOST_BARS_A_COMMIT: Final = 50_000
# Three pages of the largest size, 100 bytes a bar: one is committed, two wait. Each call that is under
# way holds another page until there is room for it.
_MOST_BARS_UNDER_WAY: Final = 150_000
# So many tasks in a row that a provider failed: it is down, and the rest would only wait for it too.
_MOST_FAILURES_IN_A_ROW: Final = 10


@dataclass(frozen=True, slots=True)
class PipelineEnd:
    """How a pipeline ended.

    Attributes
    ----------
    failed : int
        Tasks that failed.
    stopped_by : ProviderError or None
        Why the tasks behind were not begun; None where all were.
    """

    failed: int
    stopped_by: ProviderError | None


class Pipeline:
    """Fetches, checks and commits what is left of one run.

    Parameters
    ----------
    claims : RunClaims
        Notes tasks that fail.
    intake : BarIntake
        Commits bars.
    make_checker : callable
        Makes the checker of a task.
    """

    def __init__(self, claims: RunClaims, intake: BarIntake, make_checker: MakeChecker) -> None:
        self._claims = claims
        self._intake = intake
        self._make_checker = make_checker

    async def run(
        self,
        claim: Claim,
        provider: Provider,
        tasks: Sequence[OpenTask],
        symbol_of: SymbolOf,
    ) -> PipelineEnd:
        """Fetch what is left of the tasks; cancelled, it stops at once and what is committed stays.

        Parameters
        ----------
        tasks : sequence of OpenTask
            In the order in which they are begun.
        symbol_of : callable
            Tells what the symbol of a task is at present, by symbol_id; raises `SymbolNotFoundError`
            where it was deleted, and its tasks with it.

        Raises
        ------
        LeaseLostError
            Another process has the run.
        ServiceError
            The database cannot be written; the run can go on later where it ended.
        """
        budget = RowBudget(_MOST_BARS_UNDER_WAY)
        committer = PageCommitter(self._intake, self._claims, claim, budget, _MOST_BARS_A_COMMIT)
        fetchers = _Fetchers(
            self._claims, self._make_checker, claim, provider, symbol_of, budget, committer
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(committer.run(), name=f"commit-run-{claim.run_id}")
                group.create_task(fetchers.run(iter(tasks)), name=f"fetch-run-{claim.run_id}")
        except BaseExceptionGroup as failures:
            # The first one made the others end.
            raise failures.exceptions[0] from None
        return PipelineEnd(fetchers.failed, fetchers.stopped_by)


class _Fetchers:
    """The first steps: as many tasks at a time as the provider allows calls."""

    def __init__(
        self,
        claims: RunClaims,
        make_checker: MakeChecker,
        claim: Claim,
        provider: Provider,
        symbol_of: SymbolOf,
        budget: RowBudget,
        committer: PageCommitter,
    ) -> None:
        self.failed = 0
        self.stopped_by: ProviderError | None = None
        self._failed_in_a_row = 0
        self._claims = claims
        self._make_checker = make_checker
        self._claim = claim
        self._provider = provider
        self._symbol_of = symbol_of
        self._budget = budget
        self._committer = committer

    async def run(self, tasks: Iterator[OpenTask]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._provider.limits.calls_at_once):
                    group.create_task(self._work(tasks))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        self._committer.complete()

    async def _work(self, tasks: Iterator[OpenTask]) -> None:
        for task in tasks:
            try:
                await self._fetch(task)
                self._failed_in_a_row = 0
            except ProviderError as error:
                await self._note_failure(task, error)
            except SymbolNotFoundError:
                continue  # deleted meanwhile, and its tasks with it
            if self.stopped_by is not None:
                return

    async def _fetch(self, task: OpenTask) -> None:
        # A run takes hours: a symbol can be renamed meanwhile, and its ticker given to another one.
        symbol = await self._symbol_of(task.symbol_id)
        checker = await self._make_checker(self._claim, task, symbol, self._provider)
        request = BarsRequest(symbol, task.timeframe, task.left)
        async with aclosing(self._provider.fetch_bars(request)) as pages:
            async for page in pages:
                await self._budget.take(len(page.frame))
                self._committer.put(task.timeframe, await checker.check(page))

    async def _note_failure(self, task: OpenTask, error: ProviderError) -> None:
        log.warning(
            "ingestion_task_failed",
            extra={
                "run": self._claim.run_id,
                "symbol": task.symbol,
                "timeframe": task.timeframe.value,
                "error": error.message,
            },
        )
        if isinstance(error, (ProviderLimitError, ProviderKeyError)):
            # The next task would hear the same; this one stays as it is, to be gone on with.
            self.stopped_by = error
            return
        self.failed += 1
        await self._claims.fail_task(self._claim, task.task, error.message, error.retry_after_seconds)
        self._failed_in_a_row += isinstance(error, ProviderUnavailableError)
        if self._failed_in_a_row >= _MOST_FAILURES_IN_A_ROW:
            self.stopped_by = error
