"""IngestionService."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

import grpc
from bifrost.marketdata.v1 import ingestion_service_pb2 as messages
from bifrost.marketdata.v1 import live_feed_pb2
from bifrost.marketdata.v1.ingestion_service_pb2_grpc import IngestionServiceServicer

from marketdata.domain.ingestion_run import IngestionRun
from marketdata.domain.provider import ProviderDescription
from marketdata.ingestion.run_starter import RunStarter
from marketdata.ingestion.target_checker import TargetChecker
from marketdata.servicers.ingestion_targets import IngestionTargetCalls
from marketdata.servicers.quarantine import QuarantineCalls
from marketdata.storage.ingestion.feed_leases import FeedReader
from marketdata.storage.ingestion.runs import RunStore
from marketdata.storage.ingestion.targets import TargetStore
from marketdata.storage.quarantine import QuarantineReader
from marketdata.storage.quarantine_decisions import QuarantineDecider
from marketdata.wire.ingestion_requests import (
    parse_list_runs,
    parse_run_id,
    parse_start_ingestion,
    run_position,
)
from marketdata.wire.ingestion_runs import to_proto_provider, to_proto_run
from marketdata.wire.live_feeds import to_proto_live_feed
from marketdata.wire.page_token import encode_page_token

Context = grpc.aio.ServicerContext[Any, Any]

# A person sees it move; a watcher costs a small read twice a second.
_WATCH_SECONDS: Final = 0.5


class IngestionServicer(QuarantineCalls, IngestionTargetCalls, IngestionServiceServicer):
    """Serves providers, runs, live feeds, the quarantine and targets.

    Parameters
    ----------
    runs : RunStore
        Where runs are kept.
    starter : RunStarter
        Starts them.
    describe : callable
        Lists the providers.
    on_cancelled : callable
        Told when somebody asked a run to end.
    quarantine, decider : QuarantineReader, QuarantineDecider
        List quarantined bars, and decide of them.
    targets, target_checker : TargetStore, TargetChecker
        Keep targets, and check new ones.
    feeds : FeedReader
        Lists live feeds.
    """

    def __init__(
        self,
        runs: RunStore,
        starter: RunStarter,
        describe: Callable[[], Sequence[ProviderDescription]],
        on_cancelled: Callable[[], None],
        quarantine: QuarantineReader,
        decider: QuarantineDecider,
        targets: TargetStore,
        target_checker: TargetChecker,
        feeds: FeedReader,
    ) -> None:
        QuarantineCalls.__init__(self, quarantine, decider)
        IngestionTargetCalls.__init__(self, targets, target_checker)
        self._runs = runs
        self._starter = starter
        self._describe = describe
        self._on_cancelled = on_cancelled
        self._feeds = feeds

    async def ListProviders(  # noqa: N802
        self,
        request: messages.ListProvidersRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> messages.ListProvidersResponse:
        """List the providers; see the contract."""
        providers = [to_proto_provider(provider) for provider in self._describe()]
        return messages.ListProvidersResponse(providers=providers)

    async def ListLiveFeeds(  # noqa: N802
        self,
        request: live_feed_pb2.ListLiveFeedsRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> live_feed_pb2.ListLiveFeedsResponse:
        """List live feeds; see the contract."""
        feeds = [to_proto_live_feed(status) for status in await self._feeds.list_all()]
        return live_feed_pb2.ListLiveFeedsResponse(feeds=feeds)

    async def StartIngestion(  # noqa: N802
        self,
        request: messages.StartIngestionRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.StartIngestionResponse:
        """Start a run; see the contract."""
        run = await self._starter.start(parse_start_ingestion(request))
        return messages.StartIngestionResponse(run=to_proto_run(run))

    async def GetIngestionRun(  # noqa: N802
        self,
        request: messages.GetIngestionRunRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.GetIngestionRunResponse:
        """Return one run; see the contract."""
        run = await self._runs.get(parse_run_id(request))
        return messages.GetIngestionRunResponse(run=to_proto_run(run))

    async def ListIngestionRuns(  # noqa: N802
        self,
        request: messages.ListIngestionRunsRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.ListIngestionRunsResponse:
        """Return a page of runs; see the contract."""
        asked = parse_list_runs(request)
        # One more than the page takes tells whether there is another page.
        found = await self._runs.list_page(
            asked.before, asked.page_size + 1, asked.state, asked.provider
        )
        page = found[: asked.page_size]
        token = encode_page_token(request, run_position(page[-1])) if len(found) > len(page) else ""
        return messages.ListIngestionRunsResponse(
            runs=[to_proto_run(run) for run in page], next_page_token=token
        )

    async def WatchIngestionRun(  # type: ignore[override] # noqa: N802 -- writes, as BarsServicer.StreamBars
        self, request: messages.WatchIngestionRunRequest, context: Context
    ) -> None:
        """Send a run whenever it has changed; see the contract."""
        async for run in self._changes(parse_run_id(request)):
            await context.write(messages.WatchIngestionRunResponse(run=to_proto_run(run)))

    async def CancelIngestionRun(  # noqa: N802
        self,
        request: messages.CancelIngestionRunRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.CancelIngestionRunResponse:
        """Ask a run to end; see the contract."""
        run = await self._runs.cancel(parse_run_id(request))
        self._on_cancelled()
        return messages.CancelIngestionRunResponse(run=to_proto_run(run))

    async def _changes(self, run_id: int) -> AsyncIterator[IngestionRun]:
        while True:
            # Read from the database, since another process may execute it. While it runs, the time left
            # and the rate change with every look.
            run = await self._runs.get(run_id)
            yield run
            if run.state.is_over:
                return
            await asyncio.sleep(_WATCH_SECONDS)
