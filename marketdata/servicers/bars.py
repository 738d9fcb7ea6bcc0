"""BarsService."""

from contextlib import aclosing
from functools import partial
from typing import Any

import grpc
from bifrost.marketdata.v1 import bars_service_pb2 as messages
from bifrost.marketdata.v1.bars_service_pb2_grpc import BarsServiceServicer

from marketdata.clock import Clock
from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bars import BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_reader import BarReader
from marketdata.storage.intake import BarIntake
from marketdata.storage.latest import LatestBars
from marketdata.wire.bars_requests import (
    page_position,
    parse_get_latest_bar,
    parse_list_bars,
    parse_stream_bars,
)
from marketdata.wire.bars_responses import (
    encode_stream_batch,
    encode_stream_header,
    encode_stream_trailer,
    to_list_response,
    to_proto_bars,
)
from marketdata.wire.create_bars import parse_create_bars
from marketdata.wire.page_token import encode_page_token

Context = grpc.aio.ServicerContext[Any, Any]


class BarsServicer(BarsServiceServicer):
    """Serves bars.

    Parameters
    ----------
    reader : BarReader
        Reads pages and snapshots.
    latest : LatestBars
        Reads the newest bars.
    intake : BarIntake
        Stores bars.
    clock : Clock
        Says what has ended.
    """

    def __init__(self, reader: BarReader, latest: LatestBars, intake: BarIntake, clock: Clock) -> None:
        self._reader = reader
        self._latest = latest
        self._intake = intake
        self._clock = clock

    async def GetLatestBar(  # noqa: N802
        self,
        request: messages.GetLatestBarRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.GetLatestBarResponse:
        """Return the newest final bar; see the contract."""
        asked = parse_get_latest_bar(request)
        page = await self._latest.read(asked.symbol, asked.timeframe)
        bars = to_proto_bars(page.frame, page.timeframe, page.resolved.currency)
        return messages.GetLatestBarResponse(bar=bars[0])

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
        bars = to_proto_bars(page.frame, page.timeframe, page.resolved.currency)
        token = ""
        if len(bars) > asked.page_size:
            last_us = int(page.frame.time_us[asked.page_size - 1])
            token = encode_page_token(request, page_position(last_us))
        return to_list_response(bars[: asked.page_size], token, page.timeframe, now_us)

    async def StreamBars(  # type: ignore[override] # noqa: N802 -- a coroutine that writes: a generator's cleanup may run late
        self, request: messages.StreamBarsRequest, context: Context
    ) -> None:
        """Stream bars as columns; see the contract."""
        now_us = self._clock.now_us()
        query = parse_stream_bars(request, now_us)
        rows = 0
        async with self._reader.snapshot(query) as snapshot:
            header = encode_stream_header(query, snapshot.unresolved, snapshot.seq, now_us)
            await context.write(header)
            encode = partial(_count_and_encode, query.timeframe)
            async with aclosing(snapshot.blocks(encode)) as blocks:
                async for count, batch in blocks:
                    await context.write(batch)
                    rows += count
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


def _count_and_encode(timeframe: Timeframe, frame: BarFrame) -> tuple[int, bytes]:
    return len(frame), encode_stream_batch(frame, timeframe, Adjustment.RAW)
