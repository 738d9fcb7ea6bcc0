"""A stream of bars that is taken up again at its position when it is interrupted."""

from dataclasses import replace
from typing import Final, Self

from bifrost.marketdata.v1.bars_service_pb2 import (
    StreamBarsHeader,
    StreamBarsPosition,
    StreamBarsRequest,
    StreamBarsTrailer,
)
from google.protobuf.message import DecodeError

from marketdata.client.answers import AppliedRead
from marketdata.client.bar_messages import from_header
from marketdata.client.methods import STREAM_BARS
from marketdata.client.position import StreamPosition
from marketdata.client.retry import Attempts
from marketdata.client.transport import Answers, Transport
from marketdata.domain.bar_order import BarOrder
from marketdata.domain.bars import BarFrame
from marketdata.errors import (
    InternalError,
    ServiceError,
    ServiceUnavailableError,
    SymbolNotFoundError,
)
from marketdata.wire.stream_parts import StreamPart, decode_stream_part

# Symbols that an error's text names; there can be 5,000.
_MOST_NAMED_SYMBOLS: Final = 10


class BarStream:
    """Bars as they arrive: ``async for frame in stream``; made by `MarketDataClient.stream_bars`.

    An interrupted stream goes on behind the last bar that was given out: no bar comes twice, none is
    left out. Where it is given up, asking again goes on there too. It belongs to one task at a time.
    A stream that is left before its end is ended by ``aclose``, or by ``async with``.
    """

    def __init__(
        self,
        transport: Transport,
        request: StreamBarsRequest,
        order: BarOrder,
        attempts: Attempts,
        *,
        copy: bool = True,
    ) -> None:
        self._transport = transport
        self._request = request
        self._attempts = attempts
        self._copy = copy
        self._position = StreamPosition(request.symbols, order)
        self._answers: Answers[bytes] | None = None
        self._received = 0
        self._is_complete = False
        self._last_seq = 0
        self._applied: AppliedRead | None = None

    @property
    def applied(self) -> AppliedRead | None:
        """What the service applied; None until the first answer has arrived."""
        return self._applied

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> BarFrame:
        while not self._is_complete:
            try:
                frame = await self._next_frame()
            except ServiceError as error:
                self._drop()
                await self._transport.sleep(self._attempts.wait_before_next(error))
                continue
            if frame is not None and len(frame):
                return frame
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the stream, whatever has not arrived; the service stops reading at once."""
        self._is_complete = True
        self._drop()

    async def _next_frame(self) -> BarFrame | None:
        if self._answers is None:
            self._answers = self._open()
        data = await self._answers.read()
        if data is None:
            raise ServiceUnavailableError("the stream ended early; send the call again")
        part = _decode(data, copy=self._copy)
        if isinstance(part, BarFrame):
            self._received += len(part)
            self._attempts.brought_something()
            return self._position.advance(part)
        if isinstance(part, StreamBarsTrailer):
            await self._finish(part)
        elif part is not None:
            self._begin(part)
        return None

    def _open(self) -> Answers[bytes]:
        last = self._position.last
        if last is not None:
            self._request.resume_after.CopyFrom(
                StreamBarsPosition(symbol=last.symbol, time_us=last.time_us)
            )
        self._received = 0
        return self._transport.stream(STREAM_BARS, self._request, self._attempts.seconds_left())

    def _begin(self, header: StreamBarsHeader) -> None:
        seq = header.snapshot_seq
        if self._applied is not None:
            if seq != self._last_seq:
                self._applied = replace(self._applied, snapshots=self._applied.snapshots + 1)
            self._last_seq = seq
            return
        unknown = list(header.unresolved_symbols)
        if len(unknown) == len(self._request.symbols):
            raise _none_known(unknown)
        self._applied, self._last_seq = from_header(header), seq
        # "Now" is another time when the stream is taken up again.
        if header.start_time.ToMicroseconds() < header.end_time.ToMicroseconds():
            self._request.start_time.CopyFrom(header.start_time)
            self._request.end_time.CopyFrom(header.end_time)

    async def _finish(self, trailer: StreamBarsTrailer) -> None:
        if not trailer.complete or trailer.rows != self._received or self._applied is None:
            raise ServiceUnavailableError(
                f"the stream ended with {self._received} of {trailer.rows} bars; send the call again"
            )
        self._is_complete = True
        answers, self._answers = self._answers, None
        try:
            if answers is not None:
                await answers.read()
        except ServiceError:
            return  # every bar is here, whatever became of the connection

    def _drop(self) -> None:
        if self._answers is not None:
            self._answers.cancel()
            self._answers = None


def _decode(data: bytes, *, copy: bool) -> StreamPart | None:
    try:
        return decode_stream_part(data, copy=copy)
    except (DecodeError, ValueError) as error:
        raise InternalError("the service sent what is no part of a stream of bars") from error


def _none_known(symbols: list[str]) -> SymbolNotFoundError:
    named = ", ".join(symbols[:_MOST_NAMED_SYMBOLS])
    more = len(symbols) - _MOST_NAMED_SYMBOLS
    rest = f" and {more} more" if more > 0 else ""
    return SymbolNotFoundError(f"{named}{rest}: no such symbol is known")
