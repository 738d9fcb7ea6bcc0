"""The typed client of the market-data service."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final, Self

import grpc
from bifrost.marketdata.v1 import bars_service_pb2, symbol_service_pb2
from bifrost.marketdata.v1.bars_service_pb2_grpc import BarsServiceStub
from bifrost.marketdata.v1.symbol_service_pb2_grpc import SymbolServiceStub

from marketdata.client.calls import translated
from marketdata.domain.bar_merge import merge_frames
from marketdata.domain.bars import ALL_COLUMNS, BarColumn, BarFrame
from marketdata.domain.symbol import NewSymbol, Symbol
from marketdata.domain.time_range import to_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ServiceUnavailableError, SymbolNotFoundError
from marketdata.wire.enums import COLUMN_TO_PROTO, TIMEFRAME_TO_PROTO
from marketdata.wire.stream_parts import StreamPart, decode_stream_part
from marketdata.wire.symbols import from_proto_symbol, to_proto_new_symbol
from marketdata.wire.times import to_timestamp

DEFAULT_ADDRESS: Final = "127.0.0.1:8001"
# Long enough for thirteen years of many symbols; a call can give its own.
DEFAULT_TIMEOUT_SECONDS: Final = 60.0

_STREAM_BARS: Final = "/bifrost.marketdata.v1.BarsService/StreamBars"
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)


class MarketDataClient:
    """Calls the service; an async context manager that closes its channel.

    Parameters
    ----------
    address : str
        ``host:port`` of the service.
    timeout_seconds : float
        Deadline of each call.

    Raises
    ------
    ServiceError
        From every method: the class of the error tree that the service raised.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        self._timeout_seconds = timeout_seconds
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        self._symbols = SymbolServiceStub(self._channel)
        self._bars = BarsServiceStub(self._channel)
        # Without a deserializer the bytes come as they are, and each column is copied only once.
        self._stream_bars: Any = self._channel.unary_stream(
            _STREAM_BARS,
            request_serializer=bars_service_pb2.StreamBarsRequest.SerializeToString,
        )

    async def __aenter__(self) -> Self:
        """Return the client; it connects at the first call."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the channel."""
        await self._channel.close()

    async def get_symbol(self, symbol: str) -> Symbol:
        """Get one symbol by its present or former ticker."""
        request = symbol_service_pb2.GetSymbolRequest(symbol=symbol)
        with translated():
            response = await self._symbols.GetSymbol(request, timeout=self._timeout_seconds)
        return from_proto_symbol(response.symbol)

    async def list_symbols(self) -> AsyncIterator[Symbol]:
        """Yield all symbols by ticker, page by page."""
        request = symbol_service_pb2.ListSymbolsRequest(page_size=1_000)
        while True:
            with translated():
                page = await self._symbols.ListSymbols(request, timeout=self._timeout_seconds)
            for symbol in page.symbols:
                yield from_proto_symbol(symbol)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def create_symbol(self, new: NewSymbol) -> Symbol:
        """Create a symbol; return it as stored."""
        request = symbol_service_pb2.CreateSymbolRequest(symbol=to_proto_new_symbol(new))
        with translated():
            response = await self._symbols.CreateSymbol(request, timeout=self._timeout_seconds)
        return from_proto_symbol(response.symbol)

    async def bars(
        self,
        symbols: str | Sequence[str],
        timeframe: Timeframe | str,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        limit: int | None = None,
        columns: Iterable[BarColumn] = ALL_COLUMNS,
    ) -> BarFrame:
        """Read bars as columns, raw, times ascending within each symbol.

        Parameters
        ----------
        symbols : str or sequence of str
            Tickers; the answer's symbols come in this order. Unknown ones among several are left
            out.
        timeframe : Timeframe or str
            ``1m``, ``1h`` or ``1d``.
        start, end : datetime, optional
            Aware; half-open ``[start, end)``. Default: all that is stored, up to now.
        limit : int, optional
            Only the last so many bars of each symbol.
        columns : iterable of BarColumn
            What to read; times always come.

        Returns
        -------
        BarFrame
            `feed` is a key into `feeds`; columns that were not asked for have length 0.

        Raises
        ------
        SymbolNotFoundError
            None of the symbols is known.
        ServiceUnavailableError
            The stream ended before its trailer.
        """
        tickers = (symbols,) if isinstance(symbols, str) else tuple(symbols)
        request = _stream_request(tickers, Timeframe(timeframe), start, end, limit, columns)
        frames = [BarFrame.empty(tickers)]
        is_complete = False
        async with aclosing(self._stream(request)) as parts:
            async for part in parts:
                if isinstance(part, BarFrame):
                    frames.append(part)
                elif isinstance(part, bars_service_pb2.StreamBarsTrailer):
                    is_complete = part.complete
                elif list(part.unresolved_symbols) == list(tickers):
                    raise SymbolNotFoundError(f"{', '.join(tickers)}: no such symbol is known")
        if not is_complete:
            raise ServiceUnavailableError("the stream ended early; send the call again")
        return merge_frames(frames[1:] or frames)

    async def _stream(self, request: bars_service_pb2.StreamBarsRequest) -> AsyncGenerator[StreamPart]:
        call = self._stream_bars(request, timeout=self._timeout_seconds)
        try:
            with translated():
                async for data in call:
                    part = decode_stream_part(data)
                    if part is not None:
                        yield part
        finally:
            call.cancel()  # a reader that left early must not leave the server sending


def _stream_request(
    tickers: Sequence[str],
    timeframe: Timeframe,
    start: datetime | None,
    end: datetime | None,
    limit: int | None,
    columns: Iterable[BarColumn],
) -> bars_service_pb2.StreamBarsRequest:
    wanted = frozenset(columns)
    asked = [proto for column, proto in COLUMN_TO_PROTO.items() if column in wanted]
    return bars_service_pb2.StreamBarsRequest(
        symbols=tickers,
        timeframe=TIMEFRAME_TO_PROTO[timeframe],
        start_time=to_timestamp(to_unix_us(start)) if start else None,
        end_time=to_timestamp(to_unix_us(end)) if end else None,
        limit=limit or 0,
        columns=[] if wanted >= ALL_COLUMNS else asked,
    )
