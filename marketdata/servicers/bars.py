"""BarsService."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import grpc
from bifrost.marketdata.v1 import bars_service_pb2 as messages
from bifrost.marketdata.v1.bars_service_pb2_grpc import BarsServiceServicer

from marketdata.clock import Clock
from marketdata.domain.bar_query import BarPosition, BarQuery
from marketdata.domain.bar_selection import select_good_bars
from marketdata.domain.bars import BarFrame
from marketdata.domain.provider import ProviderDescription
from marketdata.errors import InvalidRequestError, StreamStalledError
from marketdata.servicers.bar_subscriptions import SubscriptionCalls
from marketdata.servicers.token_signers import TokenSigners
from marketdata.storage.adjustments import UnadjustedAction
from marketdata.storage.bar_reader import BarReader, BarSnapshot
from marketdata.storage.coverage import CoverageReader
from marketdata.storage.deletion import BarDeleter
from marketdata.storage.intake import BarIntake
from marketdata.storage.latest import LatestBarReader
from marketdata.storage.latest_as_of import PastLatestBarReader
from marketdata.storage.revisions import RevisionReader
from marketdata.storage.statistics import StatisticsReader
from marketdata.streaming.hub import SubscriptionHub
from marketdata.wire.bars_requests import page_position, parse_list_bars, parse_stream_bars
from marketdata.wire.bars_responses import (
    encode_stream_batch,
    encode_stream_header,
    encode_stream_trailer,
    to_list_response,
    to_proto_bars,
    to_proto_row,
)
from marketdata.wire.bars_upkeep import (
    parse_delete_bars,
    parse_get_bar_statistics,
    to_proto_statistics,
    to_rejected_bars,
)
from marketdata.wire.coverage import parse_get_bar_coverage, to_coverage_response
from marketdata.wire.create_bars import (
    MOST_UPLOADED_BARS,
    parse_create_bars,
    parse_written_batch,
)
from marketdata.wire.latest_bars import (
    parse_batch_get_latest_bars,
    parse_get_latest_bar,
    to_batch_response,
)
from marketdata.wire.page_token import encode_page_token
from marketdata.wire.revisions import parse_list_bar_revisions, to_revisions_response
from marketdata.wire.times import to_timestamp

Context = grpc.aio.ServicerContext[Any, Any]


class BarsServicer(SubscriptionCalls, BarsServiceServicer):  # type: ignore[misc] # coroutines that write
    """Serves bars.

    Parameters
    ----------
    reader : BarReader
        Reads pages and snapshots.
    latest : LatestBarReader
        Reads the newest bars.
    coverage : CoverageReader
        Tells what is missing.
    revisions : RevisionReader
        Lists versions of bars.
    statistics : StatisticsReader
        Counts bars.
    intake : BarIntake
        Stores bars.
    deleter : BarDeleter
        Deletes bars.
    providers : callable
        Describes all providers: how far back they reach.
    hub : SubscriptionHub
        Begins subscriptions.
    signers : TokenSigners
        Sign what resumes them.
    clock : Clock
        Says what has ended.
    """

    def __init__(
        self,
        reader: BarReader,
        latest: LatestBarReader,
        coverage: CoverageReader,
        revisions: RevisionReader,
        statistics: StatisticsReader,
        intake: BarIntake,
        deleter: BarDeleter,
        providers: Callable[[], Sequence[ProviderDescription]],
        hub: SubscriptionHub,
        signers: TokenSigners,
        clock: Clock,
    ) -> None:
        super().__init__(hub, signers)
        self._reader = reader
        self._latest = latest
        self._past_latest = PastLatestBarReader(reader)
        self._coverage = coverage
        self._revisions = revisions
        self._statistics = statistics
        self._intake = intake
        self._deleter = deleter
        self._providers = providers
        self._clock = clock

    async def GetLatestBar(  # noqa: N802
        self,
        request: messages.GetLatestBarRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.GetLatestBarResponse:
        """Return the newest final bar; see the contract."""
        now_us = self._clock.now_us()
        asked = parse_get_latest_bar(request, now_us)
        symbol, timeframe = asked.symbols[0], asked.timeframe
        if asked.as_of is None:
            bar = await self._latest.read_one(symbol, timeframe, now_us)
            return messages.GetLatestBarResponse(bar=to_proto_row(bar))
        bar, seq = await self._past_latest.read_one(symbol, timeframe, asked.as_of, now_us)
        return messages.GetLatestBarResponse(bar=to_proto_row(bar), as_of_seq=seq)

    async def BatchGetLatestBars(  # noqa: N802
        self,
        request: messages.BatchGetLatestBarsRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.BatchGetLatestBarsResponse:
        """Return the newest final bars of many symbols; see the contract."""
        now_us = self._clock.now_us()
        asked = parse_batch_get_latest_bars(request, now_us)
        if asked.as_of is None:
            seq, latest = 0, await self._latest.read_many(asked.symbols, asked.timeframe)
        else:
            latest, seq = await self._past_latest.read_many(
                asked.symbols, asked.timeframe, asked.as_of, now_us
            )
        bars = [to_proto_row(bar) for bar in latest.bars]
        return to_batch_response(request.symbols, bars, latest.without_bars, seq)

    async def ListBars(  # noqa: N802
        self,
        request: messages.ListBarsRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.ListBarsResponse:
        """Return a page of bars; see the contract."""
        now_us = self._clock.now_us()
        asked = parse_list_bars(request, now_us)
        # One more than the page takes tells whether there is another page.
        page = await self._reader.read_page(asked.query, asked.page_size + 1)
        bars = to_proto_bars(page.frame, asked.query.timeframe, page.resolved.currency)
        token = ""
        if len(bars) > asked.page_size:
            last_us = int(page.frame.time_us[asked.page_size - 1])
            token = encode_page_token(request, page_position(last_us))
        return to_list_response(
            bars[: asked.page_size],
            token,
            asked.query,
            page.source,
            _unadjusted(page.unadjusted),
            page.seq,
            now_us,
        )

    async def StreamBars(  # type: ignore[override] # noqa: N802 -- a coroutine that writes: a generator's cleanup may run late
        self, request: messages.StreamBarsRequest, context: Context
    ) -> None:
        """Stream bars as columns; see the contract."""
        now_us = self._clock.now_us()
        query = parse_stream_bars(request, now_us)
        rows, position = 0, query.resume_after
        async with self._reader.snapshot(query) as snapshot:
            token = await self._resume_token(query.symbols, query.timeframe, snapshot.seq)
            await context.write(_encode_header(query, snapshot, now_us, token))
            encode = partial(_encode_block, query)
            async with aclosing(snapshot.blocks(encode)) as blocks:
                try:
                    async for block in blocks:
                        await context.write(block.data)
                        rows += block.rows
                        position = block.last
                except StreamStalledError as error:
                    if position is not None:
                        error.metadata["resume_symbol"] = position.symbol
                        error.metadata["resume_time_us"] = str(position.time_us)
                    raise
        await context.write(encode_stream_trailer(rows))

    async def CreateBars(  # noqa: N802
        self,
        request: messages.CreateBarsRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.CreateBarsResponse:
        """Store bars; see the contract."""
        frame, timeframe = parse_create_bars(request, self._clock.now_us())
        result = await self._intake.store(frame, timeframe)
        return messages.CreateBarsResponse(
            accepted=result.committed.accepted,
            unchanged=result.committed.unchanged,
            revised=result.committed.revised,
            outranked=result.committed.outranked,
            rejected=sum(result.rejected.values()),
            rejected_symbols=[
                messages.RejectedSymbol(symbol=symbol, reason="SYMBOL_NOT_FOUND", bars=bars)
                for symbol, bars in result.rejected.items()
            ],
            seq=result.committed.seq,
        )

    async def UploadBars(  # type: ignore[override] # noqa: N802 -- a coroutine that writes
        self, requests: AsyncIterator[messages.UploadBarsRequest], context: Context
    ) -> None:
        """Store batches of bars, each answered after its COMMIT; see the contract."""
        number = 0
        async for request in requests:
            await context.write(await self._store_batch(number, request))
            number += 1

    async def _store_batch(
        self, number: int, request: messages.UploadBarsRequest
    ) -> messages.UploadBarsResponse:
        try:
            frame, timeframe = parse_written_batch(request.batch, MOST_UPLOADED_BARS)
            selection = select_good_bars(frame, timeframe, self._clock.now_us())
            result = await self._intake.store(selection.good, timeframe)
        except InvalidRequestError as error:
            error.metadata["batch_number"] = str(number)
            raise
        broken = len(frame) - len(selection.good)
        return messages.UploadBarsResponse(
            batch_number=number,
            accepted=result.committed.accepted,
            unchanged=result.committed.unchanged,
            revised=result.committed.revised,
            outranked=result.committed.outranked,
            rejected=broken + sum(result.rejected.values()),
            rejected_bars=to_rejected_bars(selection.broken, result.rejected),
            seq=result.committed.seq,
        )

    async def DeleteBars(  # noqa: N802
        self,
        request: messages.DeleteBarsRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.DeleteBarsResponse:
        """Delete bars in a range; see the contract."""
        asked = parse_delete_bars(request, self._clock.now_us())
        result = await self._deleter.delete(asked.symbol, asked.timeframe, asked.range, asked.reason)
        return messages.DeleteBarsResponse(deleted=result.deleted, seq=result.seq)

    async def GetBarCoverage(  # noqa: N802
        self,
        request: messages.GetBarCoverageRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.GetBarCoverageResponse:
        """Tell what is there and what is missing; see the contract."""
        now_us = self._clock.now_us()
        asked = parse_get_bar_coverage(request, now_us)
        found, seq = await self._coverage.read(
            asked.symbol,
            asked.timeframe,
            asked.start_us,
            asked.end_us,
            now_us,
            with_sessions=asked.with_sessions,
            as_of=asked.as_of,
            providers=self._providers(),
            split_us=asked.behind_us,
        )
        return to_coverage_response(request, asked, found, seq)

    async def ListBarRevisions(  # noqa: N802
        self,
        request: messages.ListBarRevisionsRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.ListBarRevisionsResponse:
        """List versions of bars that were revised or deleted; see the contract."""
        asked = parse_list_bar_revisions(request, self._clock.now_us())
        # One more than the page takes tells whether there is another page.
        versions, earliest_seq = await self._revisions.list_page(
            asked.symbol, asked.timeframe, asked.range, asked.after, asked.page_size + 1
        )
        return to_revisions_response(request, asked, versions, earliest_seq)

    async def GetBarStatistics(  # noqa: N802
        self,
        request: messages.GetBarStatisticsRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.GetBarStatisticsResponse:
        """Count what is stored; see the contract."""
        symbol = parse_get_bar_statistics(request)
        reader = self._statistics
        now_us = self._clock.now_us()
        found = await (reader.of_symbol(symbol) if symbol else reader.of_all())
        return messages.GetBarStatisticsResponse(
            timeframes=[to_proto_statistics(line) for line in found], read_time=to_timestamp(now_us)
        )


@dataclass(frozen=True, slots=True)
class _EncodedBlock:
    rows: int
    last: BarPosition
    data: bytes


def _encode_block(query: BarQuery, frame: BarFrame) -> _EncodedBlock:
    index = int(frame.symbol_index[-1]) if len(frame.symbol_index) else 0
    return _EncodedBlock(
        rows=len(frame),
        last=BarPosition(frame.symbols[index], int(frame.time_us[-1])),
        data=encode_stream_batch(frame, query.timeframe, query.adjustment),
    )


def _encode_header(query: BarQuery, snapshot: BarSnapshot, now_us: int, token: str) -> bytes:
    return encode_stream_header(
        query,
        snapshot.source,
        snapshot.unresolved,
        _unadjusted(snapshot.unadjusted),
        snapshot.seq,
        now_us,
        token,
    )


def _unadjusted(actions: Iterable[UnadjustedAction]) -> list[tuple[str, date, str]]:
    return [(action.symbol, action.ex_date, action.reason) for action in actions]
