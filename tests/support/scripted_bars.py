"""A service that streams rows, and fails where a test says."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from bifrost.marketdata.v1 import bars_service_pb2

from marketdata.client import BarOrder
from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bars import BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ServiceError
from marketdata.wire.bars_responses import encode_stream_batch
from marketdata.wire.times import to_timestamp
from tests.support.fake_transport import Script, cut

Row = tuple[str, int]
Request = bars_service_pb2.StreamBarsRequest

SYMBOLS: Final = ("IBM", "AAPL", "BRK.B")
MINUTE_US: Final = 60_000_000
NOW_US: Final = 1_000 * MINUTE_US


def frame_of(rows: Sequence[Row]) -> BarFrame:
    """Make a frame with a dictionary of its own; prices follow from time and symbol."""
    symbols = tuple(dict.fromkeys(symbol for symbol, _ in rows))
    index = [symbols.index(symbol) for symbol, _ in rows]
    time_us = np.array([time_us for _, time_us in rows], np.int64)
    close = time_us / MINUTE_US + np.array([SYMBOLS.index(symbol) for symbol, _ in rows]) * 1_000.0
    is_single = len(symbols) == 1
    return BarFrame(
        symbols=symbols,
        time_us=time_us,
        close=close,
        symbol_index=np.empty(0, np.int32) if is_single else np.array(index, np.int32),
    )


def rows_of(frame: BarFrame) -> list[Row]:
    """List symbol and time of every bar."""
    symbols = [frame.symbols[i] for i in frame.row_symbol_index()]
    return list(zip(symbols, frame.time_us.tolist(), strict=True))


def in_order(rows: Sequence[Row], order: BarOrder) -> list[Row]:
    """Sort rows as the contract defines the order."""
    sign = -1 if order.is_descending else 1

    def key(row: Row) -> tuple[int, int]:
        rank, time = SYMBOLS.index(row[0]), sign * row[1]
        return (time, rank) if order.is_by_time else (rank, time)

    return sorted(rows, key=key)


@dataclass
class ScriptedService:
    """Streams rows, each time until the next of its failures.

    Attributes
    ----------
    rows : list of (str, int)
        Of the whole answer, in order.
    failures : iterator of (int, ServiceError or None)
        After how many batches an attempt fails; without an error it ends without its trailer.
    resumes : bool
        Whether it knows `resume_after`; a service of an earlier release begins again.
    sizes : list of int
        Of the batches.
    seqs : iterator of int
        Of the snapshots.
    """

    rows: list[Row]
    failures: Iterator[tuple[int, ServiceError | None]] = field(default_factory=lambda: iter(()))
    resumes: bool = True
    sizes: list[int] = field(default_factory=lambda: [2, 3] * 100)
    seqs: Iterator[int] = field(default_factory=lambda: iter([7] * 1_000))
    unresolved: tuple[str, ...] = ()
    requests: list[Request] = field(default_factory=list)
    missing_rows: int = 0

    def __call__(self, request: Request) -> Script:
        """Answer a request."""
        self.requests.append(Request.FromString(request.SerializeToString()))
        rows = self.rows
        if self.resumes and request.HasField("resume_after"):
            last = request.resume_after
            rows = rows[rows.index((last.symbol, last.time_us)) + 1 :]
        failure = next(self.failures, None)
        yield self._header(request)
        for number, part in enumerate(cut(rows, self.sizes)):
            if failure is not None and number == failure[0]:
                yield failure[1]
                return
            yield encode_stream_batch(frame_of(part), Timeframe.MINUTE_1, Adjustment.RAW)
        if failure is not None:
            yield failure[1]
            return
        trailer = bars_service_pb2.StreamBarsTrailer(rows=len(rows) + self.missing_rows, complete=True)
        yield bars_service_pb2.StreamBarsResponse(trailer=trailer).SerializeToString()

    def _header(self, request: Request) -> bytes:
        header = bars_service_pb2.StreamBarsHeader(
            timeframe=request.timeframe,
            source_timeframe=request.timeframe,
            adjustment=request.adjustment,
            order=request.order,
            start_time=to_timestamp(0),
            end_time=to_timestamp(NOW_US),
            unresolved_symbols=self.unresolved,
            snapshot_seq=next(self.seqs),
        )
        return bars_service_pb2.StreamBarsResponse(header=header).SerializeToString()
