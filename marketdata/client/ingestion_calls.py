"""The calls of IngestionService about providers and runs."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from bifrost.marketdata.v1 import ingestion_service_pb2 as messages

from marketdata.client import methods
from marketdata.client.caller import Caller
from marketdata.client.ingestion_answers import RunStatus
from marketdata.client.ingestion_messages import from_provider, from_run, start_ingestion_request
from marketdata.client.times import Moment
from marketdata.domain.ingestion_run import IngestionMode, RunState
from marketdata.domain.provider import ProviderDescription
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ServiceError
from marketdata.wire.ingestion_requests import STATE_TO_PROTO

_PAGE_SIZE: Final = 1_000


class IngestionCalls(Caller):
    """Providers, and the runs that fetch bars from them."""

    async def list_providers(
        self, *, timeout_seconds: float | None = None
    ) -> Sequence[ProviderDescription]:
        """List the providers, with what each can do and what it lacks."""
        request = messages.ListProvidersRequest()
        response = await self._call(methods.LIST_PROVIDERS, request, timeout_seconds)
        return [from_provider(provider) for provider in response.providers]

    async def start_ingestion(
        self,
        mode: IngestionMode,
        provider: str,
        symbols: Sequence[str],
        timeframes: Sequence[Timeframe | str] = (),
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        refetches: bool = False,
        request_id: str | None = None,
        timeout_seconds: float | None = None,
    ) -> RunStatus:
        """Start a run; return it at once, as it is then.

        Parameters
        ----------
        mode : IngestionMode
            BATCH brings up to now; BACKFILL fills a range; ACTIONS asks for corporate actions,
            COMPANY for facts of companies.
        provider : str
            Its name, as `list_providers` has it.
        symbols : sequence of str
            1 to 5,000 tickers, known ones, without repeats.
        timeframes : sequence of Timeframe or str
            Stored ones that the provider has: ``1m``, ``1h``, ``1d``. None in ACTIONS and COMPANY,
            which have no range either.
        start, end : datetime or date, optional
            Half-open ``[start, end)``. BACKFILL needs a start; the default end is now. In a BATCH the
            start is for symbols of which nothing was fetched yet.
        refetches : bool
            Whether to fetch again what was fetched already.
        request_id : str, optional
            Starts a run once, however often it is sent. Default: one of its own a call.
        timeout_seconds : float, optional
            Deadline.

        Raises
        ------
        InvalidRequestError
            With every violation: unknown symbols among them.
        ProviderNotReadyError
            The provider lacks a setting; the message names it.
        RequestIdReusedError
            Another request had that id.
        """
        request = start_ingestion_request(
            mode, provider, symbols, timeframes, start, end, request_id, refetches=refetches
        )
        response = await self._call(methods.START_INGESTION, request, timeout_seconds)
        return from_run(response.run)

    async def get_ingestion_run(
        self, run_id: int, *, timeout_seconds: float | None = None
    ) -> RunStatus:
        """Get one run, with its first troubles.

        Raises
        ------
        RunNotFoundError
            There is no such run.
        """
        request = messages.GetIngestionRunRequest(run_id=run_id)
        response = await self._call(methods.GET_INGESTION_RUN, request, timeout_seconds)
        return from_run(response.run)

    async def list_ingestion_runs(
        self,
        *,
        state: RunState | None = None,
        provider: str = "",
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[RunStatus]:
        """Yield runs, the newest first, page by page, without their troubles.

        Parameters
        ----------
        state : RunState, optional
            Only runs in this state.
        provider : str
            Only runs of this provider. Empty: of all.
        timeout_seconds : float, optional
            Deadline of each page.
        """
        request = messages.ListIngestionRunsRequest(provider=provider, page_size=_PAGE_SIZE)
        if state is not None:
            request.state = STATE_TO_PROTO[state]
        while True:
            page = await self._call(methods.LIST_INGESTION_RUNS, request, timeout_seconds)
            for run in page.runs:
                yield from_run(run)
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    async def watch_ingestion_run(
        self, run_id: int, *, timeout_seconds: float | None = None
    ) -> AsyncIterator[RunStatus]:
        """Yield a run as it is, then whenever it has changed, until it is over.

        Where the service goes away meanwhile, it is asked again: the run goes on when it is back.

        Parameters
        ----------
        timeout_seconds : float, optional
            Deadline of all of it. Default: none.

        Raises
        ------
        RunNotFoundError
            There is no such run.
        """
        request = messages.WatchIngestionRunRequest(run_id=run_id)
        attempts = self._attempts(timeout_seconds)
        is_over = False
        while not is_over:
            answers = self._transport.stream(
                methods.WATCH_INGESTION_RUN, request, attempts.seconds_left()
            )
            try:
                while not is_over and (answer := await answers.read()) is not None:
                    attempts.brought_something()
                    run = from_run(answer.run)
                    is_over = run.state.is_over
                    yield run
            except ServiceError as error:
                await self._transport.sleep(attempts.wait_before_next(error))
            finally:
                answers.cancel()

    async def cancel_ingestion_run(
        self, run_id: int, *, timeout_seconds: float | None = None
    ) -> RunStatus:
        """Ask a run to end; what it has fetched stays. It is over soon after.

        Raises
        ------
        RunNotFoundError
            There is no such run.
        """
        request = messages.CancelIngestionRunRequest(run_id=run_id)
        response = await self._call(methods.CANCEL_INGESTION_RUN, request, timeout_seconds)
        return from_run(response.run)
