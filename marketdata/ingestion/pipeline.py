"""fetch → parse → quality → commit: one run, in bounded memory, safe to interrupt at any moment."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from marketdata.domain.ingestion_run import OpenTask
from marketdata.domain.symbol import Symbol, TickerSegment
from marketdata.errors import ProviderError, SymbolNotFoundError
from marketdata.ingestion.checked_page import MakeChecker
from marketdata.ingestion.committer import PageCommitter
from marketdata.ingestion.row_budget import RowBudget
from marketdata.ingestion.task_failures import TaskFailures
from marketdata.ingestion.ticker_requests import TickersOf, requests_of, under_latest
from marketdata.providers.protocol import Provider
from marketdata.storage.ingestion.claims import Claim, RunClaims
from marketdata.storage.intake import BarIntake

SymbolOf = Callable[[int], Awaitable[Symbol]]

# A transaction of so many bars takes some 150 ms, and one savepoint.
_MOST_BARS_A_COMMIT: Final = 50_000
# Three pages of the largest size, 100 bytes a bar: one is committed, two wait. Each call that is under
# way holds another page until there is room for it.
_MOST_BARS_UNDER_WAY: Final = 150_000


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
        tickers_of: TickersOf,
    ) -> PipelineEnd:
        """Fetch what is left of the tasks; cancelled, it stops at once and what is committed stays.

        Parameters
        ----------
        tasks : sequence of OpenTask
            In the order in which they are begun.
        symbol_of : callable
            Tells what the symbol of a task is at present, by symbol_id; raises `SymbolNotFoundError`
            where it was deleted, and its tasks with it.
        tickers_of : callable
            Tells what a symbol was called when, for providers that have bars under the ticker of then.

        Raises
        ------
        LeaseLostError
            Another process has the run.
        ServiceError
            The database cannot be written; the run can go on later where it ended.
        """
        budget = RowBudget(_MOST_BARS_UNDER_WAY)
        committer = PageCommitter(self._intake, self._claims, claim, budget, _MOST_BARS_A_COMMIT)
        failures = TaskFailures(self._claims, claim)
        fetchers = _Fetchers(
            failures, self._make_checker, claim, provider, symbol_of, tickers_of, budget, committer
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(committer.run(), name=f"commit-run-{claim.run_id}")
                group.create_task(fetchers.run(iter(tasks)), name=f"fetch-run-{claim.run_id}")
        except BaseExceptionGroup as errors:
            # The first one made the others end.
            raise errors.exceptions[0] from None
        return PipelineEnd(failures.failed, failures.stopped_by)


class _Fetchers:
    """The first steps: as many tasks at a time as the provider allows calls."""

    def __init__(
        self,
        failures: TaskFailures,
        make_checker: MakeChecker,
        claim: Claim,
        provider: Provider,
        symbol_of: SymbolOf,
        tickers_of: TickersOf,
        budget: RowBudget,
        committer: PageCommitter,
    ) -> None:
        self._failures = failures
        self._make_checker = make_checker
        self._claim = claim
        self._provider = provider
        self._symbol_of = symbol_of
        self._tickers_of = tickers_of
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
                self._failures.note_success()
            except ProviderError as error:
                about = {"symbol": task.symbol, "timeframe": task.timeframe.value}
                await self._failures.note(task.task, error, **about)
            except SymbolNotFoundError:
                continue  # deleted meanwhile, and its tasks with it
            if self._failures.stopped_by is not None:
                return

    async def _fetch(self, task: OpenTask) -> None:
        # A run takes hours: a symbol can be renamed meanwhile, and its ticker given to another one.
        symbol = await self._symbol_of(task.symbol_id)
        checker = await self._make_checker(self._claim, task, symbol, self._provider)
        tickers = await self._tickers(symbol, task)
        for request in requests_of(task, symbol, tickers):
            async with aclosing(self._provider.fetch_bars(request)) as pages:
                async for page in pages:
                    await self._budget.take(len(page.frame))
                    checked = await checker.check(under_latest(page, symbol))
                    self._committer.put(task.timeframe, checked)

    async def _tickers(self, symbol: Symbol, task: OpenTask) -> Sequence[TickerSegment]:
        if symbol.valid_from is None or not self._provider.capabilities.has_old_tickers:
            return ()
        return await self._tickers_of(symbol, task.timeframe)
