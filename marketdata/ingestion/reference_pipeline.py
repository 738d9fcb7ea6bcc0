"""fetch → compare → commit: one run that fetches facts of symbols, safe to interrupt at any moment."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import date

from marketdata.clock import Clock
from marketdata.domain.action_changes import ActionChanges
from marketdata.domain.company_changes import FactChanges
from marketdata.domain.corporate_action import CorporateAction
from marketdata.domain.ingestion_run import IngestionMode, OpenReference
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import session_date
from marketdata.errors import ProviderError, SymbolNotFoundError
from marketdata.ingestion.listing_check import ListingCheck
from marketdata.ingestion.pipeline import PipelineEnd, SymbolOf
from marketdata.ingestion.task_failures import TaskFailures
from marketdata.ingestion.ticker_requests import under
from marketdata.providers.protocol import Provider
from marketdata.storage.action_updates import ActionsAnswer, ActionUpdater
from marketdata.storage.companies import CompanyStore
from marketdata.storage.ingestion.claims import Claim, RunClaims
from marketdata.storage.ingestion.reference_notes import ReferenceNote, note_reference
from marketdata.storage.pools import Connection
from marketdata.storage.symbol_status import StatusKeeper

DoTask = Callable[[OpenReference], Awaitable[None]]


class ReferencePipeline:
    """Fetches and commits what is left of one run; a task is one call, or a few, about one symbol.

    Parameters
    ----------
    claims : RunClaims
        Notes tasks that fail.
    actions : ActionUpdater
        Stores corporate actions.
    companies : CompanyStore
        Stores facts of companies.
    statuses : StatusKeeper
        Notes which symbols are delisted.
    clock : Clock
        What is now.
    """

    def __init__(
        self,
        claims: RunClaims,
        actions: ActionUpdater,
        companies: CompanyStore,
        statuses: StatusKeeper,
        clock: Clock,
    ) -> None:
        self._claims = claims
        self._actions = actions
        self._companies = companies
        self._statuses = statuses
        self._clock = clock

    async def run(
        self,
        claim: Claim,
        provider: Provider,
        tasks: Sequence[OpenReference],
        symbol_of: SymbolOf,
    ) -> PipelineEnd:
        """Fetch what is left of the tasks; cancelled, it stops at once and what is committed stays.

        Raises
        ------
        LeaseLostError
            Another process has the run.
        ServiceError
            The database cannot be written; the run can go on later where it ended.
        """
        check = ListingCheck(self._statuses, claim, self._clock)
        if claim.mode is IngestionMode.COMPANY:
            await check.ask(provider, tasks, symbol_of)

        async def do(task: OpenReference) -> None:
            # A run takes hours: a symbol can be renamed meanwhile, and its ticker given to another one.
            symbol = await symbol_of(task.symbol_id)
            if claim.mode is IngestionMode.ACTIONS:
                await self._fetch_actions(claim, provider, task, symbol)
            else:
                remarks = await check.judge(task.symbol_id)
                await self._fetch_company(claim, provider, task, symbol, remarks)

        failures = TaskFailures(self._claims, claim)
        waiting = iter(tasks)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(provider.limits.calls_at_once):
                    group.create_task(_work(waiting, do, failures))
        except BaseExceptionGroup as errors:
            # The first one made the others end.
            raise errors.exceptions[0] from None
        return PipelineEnd(failures.failed, failures.stopped_by)

    async def _fetch_actions(
        self, claim: Claim, provider: Provider, task: OpenReference, symbol: Symbol
    ) -> None:
        asked_on = session_date(self._clock.now_us())
        asked = session_date(task.range.start_us), session_date(task.range.end_us)
        told = await self._ask_for_actions(provider, symbol, *asked)

        async def alongside(connection: Connection, changes: ActionChanges) -> None:
            note = ReferenceNote(
                fetched=sum(map(len, told.values())),
                accepted=len(changes.new),
                revised=len(changes.corrected),
                unchanged=changes.unchanged,
                outranked=changes.outranked,
                remarks=tuple(changes.remarks),
                # An empty answer may be a failure that looks like one: everything is asked for again.
                fetched_on=asked_on if any(told.values()) else None,
            )
            await note_reference(connection, claim, task, note)

        answer = ActionsAnswer(task.symbol_id, claim.provider, asked, told)
        await self._actions.update(answer, alongside)

    async def _ask_for_actions(
        self, provider: Provider, symbol: Symbol, start: date, end: date
    ) -> dict[str, Sequence[CorporateAction]]:
        told = {symbol.symbol: await provider.fetch_actions(symbol, start, end)}
        if not provider.capabilities.has_old_tickers:
            return told
        # An event that is listed under both is one, and is not to be added to itself.
        known = {(action.kind, action.ex_date) for action in told[symbol.symbol]}
        for former in await self._actions.former_tickers(symbol):
            # Only while it was its own: behind that it may be anybody's.
            since, until = max(start, former.start or start), min(end, former.end or end)
            if since < until:
                asked = under(symbol, former.symbol)
                found = await provider.fetch_actions(asked, since, until)
                told[former.symbol] = [a for a in found if (a.kind, a.ex_date) not in known]
        return told

    async def _fetch_company(
        self,
        claim: Claim,
        provider: Provider,
        task: OpenReference,
        symbol: Symbol,
        remarks: Sequence[str],
    ) -> None:
        told = await provider.fetch_company(symbol)
        today = session_date(self._clock.now_us())

        async def alongside(connection: Connection, changes: FactChanges) -> None:
            note = ReferenceNote(
                fetched=changes.told,
                accepted=len(changes.new),
                revised=len(changes.changed),
                unchanged=len(changes.unchanged),
                outranked=len(changes.kept),
                remarks=(*remarks, *changes.remarks),
                fetched_on=today,
            )
            await note_reference(connection, claim, task, note)

        await self._companies.store_facts(task.symbol_id, told, claim.provider, today, alongside)


async def _work(tasks: Iterator[OpenReference], do: DoTask, failures: TaskFailures) -> None:
    for task in tasks:
        try:
            await do(task)
            failures.note_success()
        except ProviderError as error:
            await failures.note(task.task, error, symbol=task.symbol)
        except SymbolNotFoundError:
            continue  # deleted meanwhile, and its tasks with it
        if failures.stopped_by is not None:
            return
