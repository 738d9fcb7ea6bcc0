"""Starts runs: what was asked for is checked against what is known, planned, and queued."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from marketdata.clock import Clock
from marketdata.domain.ingestion_run import (
    IngestionMode,
    IngestionRun,
    PlannedReference,
    PlannedTask,
    RunRequest,
)
from marketdata.domain.provider import ProviderDescription
from marketdata.domain.range_sets import hull
from marketdata.domain.slot_runs import LeftOver
from marketdata.domain.symbol import Symbol
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import FieldViolation, InvalidRequestError
from marketdata.ingestion.planner import History, plan_left, plan_tasks
from marketdata.ingestion.reference_planner import (
    longest_waiting_first,
    plan_actions,
    plan_company,
)
from marketdata.providers.protocol import Capabilities, Provider
from marketdata.storage.ingestion.runs import RunStore

# A status has room for some dozens; the rest is counted by its error.
_MOST_UNKNOWN = 50


class RunStarter:
    """Starts runs.

    Parameters
    ----------
    runs : RunStore
        Where they are queued.
    provider_of : callable
        Finds a provider by its name; raises `InvalidRequestError` for one that does not exist, and
        `ProviderNotReadyError` for one that lacks a setting.
    describe : callable
        Describes a provider, also one that is not ready; None where there is none of that name.
    clock : Clock
        What is now.
    on_started : callable
        Told of every call, so that the run is begun at once.
    """

    def __init__(
        self,
        runs: RunStore,
        provider_of: Callable[[str], Provider],
        describe: Callable[[str], ProviderDescription | None],
        clock: Clock,
        on_started: Callable[[], None],
    ) -> None:
        self._runs = runs
        self._provider_of = provider_of
        self._describe = describe
        self._clock = clock
        self._on_started = on_started

    def serving(self, providers: Sequence[str], timeframe: Timeframe) -> list[ProviderDescription]:
        """Describe those of some providers that have a timeframe, in their order, each once."""
        return [each for each in self.described(providers) if timeframe in each.feeds]

    def described(self, providers: Sequence[str]) -> list[ProviderDescription]:
        """Describe those of some providers that there are, in their order, each once."""
        described = [self._describe(name) for name in providers]
        return list({each.name: each for each in described if each}.values())

    async def start(self, request: RunRequest, trailing_us: int | None = None) -> IngestionRun:
        """Queue a run; the same request again answers the same run.

        Parameters
        ----------
        trailing_us : int or None
            See `plan_tasks`.

        Raises
        ------
        InvalidRequestError
            With every violation: an unknown provider, unknown symbols, timeframes that the provider
            does not have, facts that it does not tell.
        ProviderNotReadyError, RequestIdReusedError
            See their classes.
        """
        capabilities = self._provider_of(request.provider).capabilities
        # Some have a second name: ``iex`` is whoever has its prints.
        request = replace(request, provider=capabilities.name)
        known = await self._runs.find(request)
        if known is not None:
            return known
        identities = await self._runs.identities(request.symbols)
        _refuse_unserved(request, capabilities, identities)
        chosen = _distinct(request, identities)
        if request.mode.is_reference:
            run = await self._runs.start(request, await self._plan_reference(request, chosen))
        else:
            tasks = await self._plan(request, chosen, capabilities.history, trailing_us)
            run = await self._runs.start(request, tasks)
        self._on_started()
        return run

    async def start_instead(
        self, request: RunRequest, of: ProviderDescription, provider: str, trailing_us: int | None
    ) -> IngestionRun:
        """Queue, under the same `request_id`, what one provider would be asked for, of another one.

        Parameters
        ----------
        request : RunRequest
            To the provider that cannot be asked; of one timeframe.
        of : ProviderDescription
            That provider.
        provider : str
            Who is asked instead.
        trailing_us : int or None
            See `plan_tasks`.

        Raises
        ------
        ProviderNotReadyError
            The other one cannot be asked either.
        RequestIdReusedError
            Somebody else has started that run.
        """
        identities = await self._runs.identities(request.symbols)
        chosen = _distinct(request, identities)
        planned = await self._plan(request, chosen, of.history, trailing_us)
        left = [LeftOver(task.symbol, task.symbol_id, (task.range,)) for task in planned]
        (timeframe,) = request.timeframes
        run = await self.start_left(request.request_id, provider, timeframe, left, trailing_us)
        if run is not None:
            return run
        # It has answered all of that before: a run without tasks says so.
        run = await self._runs.start(replace(request, provider=provider), [])
        self._on_started()
        return run

    async def start_left(
        self,
        request_id: str,
        provider: str,
        timeframe: Timeframe,
        left: Sequence[LeftOver],
        trailing_us: int | None = None,
    ) -> IngestionRun | None:
        """Queue a run for what is left of another; None where this provider has nothing of it.

        Parameters
        ----------
        left : sequence of LeftOver
            Of which symbols what is left: the others are not asked for.
        trailing_us : int or None
            See `plan_left`.

        Raises
        ------
        ProviderNotReadyError
            The provider lacks a setting.
        RequestIdReusedError
            Somebody else has started that run.
        """
        capabilities = self._provider_of(provider).capabilities
        ids = [each.symbol_id for each in left]
        tasks = plan_left(
            left,
            timeframe,
            await self._runs.fetched(capabilities.name, ids, (timeframe,)),
            capabilities.history,
            self._clock.now_us(),
            await self._runs.kept_from((timeframe,)),
            trailing_us,
        )
        if not tasks:
            return None
        span = hull([task.range for task in tasks])
        symbols = tuple(dict.fromkeys(task.symbol for task in tasks))
        run = await self._runs.start(
            RunRequest(
                request_id,
                IngestionMode.BACKFILL,
                capabilities.name,
                symbols,
                (timeframe,),
                span.start_us,
                span.end_us,
            ),
            tasks,
        )
        self._on_started()
        return run

    async def _plan(
        self,
        request: RunRequest,
        symbols: Sequence[Symbol],
        history: History,
        trailing_us: int | None,
    ) -> list[PlannedTask]:
        ids = [symbol.symbol_id for symbol in symbols]
        return plan_tasks(
            request,
            symbols,
            await self._runs.fetched(request.provider, ids, request.timeframes),
            history,
            self._clock.now_us(),
            await self._runs.kept_from(request.timeframes),
            trailing_us,
        )

    async def _plan_reference(
        self, request: RunRequest, symbols: Sequence[Symbol]
    ) -> list[PlannedReference]:
        ids = [symbol.symbol_id for symbol in symbols]
        fetched_on = await self._runs.references_fetched(request.provider, request.mode, ids)
        waiting = longest_waiting_first(symbols, fetched_on)
        if request.mode is IngestionMode.COMPANY:
            return plan_company(waiting, self._clock.now_us())
        return plan_actions(waiting, {} if request.refetches else fetched_on, self._clock.now_us())


def _distinct(request: RunRequest, identities: Mapping[str, Symbol]) -> list[Symbol]:
    """List the identities of a request's symbols: two tickers of one are one series."""
    found = {symbol.symbol_id: symbol for symbol in map(identities.__getitem__, request.symbols)}
    return list(found.values())


def _refuse_unserved(
    request: RunRequest, capabilities: Capabilities, identities: Mapping[str, Symbol]
) -> None:
    labels = ", ".join(timeframe.value for timeframe in capabilities.feeds)
    violations = _refuse_mode(request, capabilities)
    violations += [
        FieldViolation(
            f"timeframes[{position}]",
            "NOT_OF_PROVIDER",
            f"{capabilities.name} has no {timeframe.value} bars; it has {labels}",
        )
        for position, timeframe in enumerate(request.timeframes)
        if timeframe not in capabilities.feeds
    ]
    unknown = [
        FieldViolation(
            f"symbols[{position}]",
            "SYMBOL_NOT_FOUND",
            f"{symbol} is not known; CreateSymbol adds it, or leave it out",
        )
        for position, symbol in enumerate(request.symbols)
        if symbol not in identities
    ]
    if violations or unknown:
        raise InvalidRequestError(violations=violations + unknown[:_MOST_UNKNOWN])


def _refuse_mode(request: RunRequest, capabilities: Capabilities) -> list[FieldViolation]:
    told = {
        IngestionMode.ACTIONS: (capabilities.has_actions, "corporate actions", "has_actions"),
        IngestionMode.COMPANY: (capabilities.has_company, "facts of companies", "has_company"),
    }
    is_told, what, field = told.get(request.mode, (True, "", ""))
    if is_told:
        return []
    problem = (
        f"{capabilities.name} tells no {what}; name another provider: ListProviders has those with "
        f"{field}"
    )
    return [FieldViolation("mode", "NOT_OF_PROVIDER", problem)]
