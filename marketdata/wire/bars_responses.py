"""Answers of BarsService that read: rows for people, and the parts of a stream."""

import math
from collections.abc import Iterable
from datetime import date
from typing import Final

from bifrost.marketdata.v1 import bar_pb2, bars_service_pb2

from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bar_row import BarRow, bar_row
from marketdata.domain.bars import MISSING_TRADE_COUNT, BarFlag, BarFrame
from marketdata.domain.time_range import session_date
from marketdata.domain.timeframe import Timeframe
from marketdata.wire.bar_batch import encode_batch
from marketdata.wire.enums import (
    ADJUSTMENT_TO_PROTO,
    ORDER_TO_PROTO,
    SESSION_TO_PROTO,
    TIMEFRAME_TO_PROTO,
)
from marketdata.wire.protobuf_format import embed
from marketdata.wire.times import to_timestamp

# As plain numbers: an operation of an IntFlag makes an object.
_FINAL: Final = int(BarFlag.FINAL)
_DERIVED: Final = int(BarFlag.DERIVED)
_BATCH_NUMBER: Final = bars_service_pb2.StreamBarsResponse.DESCRIPTOR.fields_by_name["batch"].number


def to_proto_bars(frame: BarFrame, timeframe: Timeframe, currency: str) -> list[bar_pb2.Bar]:
    """Turn a page of one symbol's bars into rows; all columns present.

    It loops per bar: a page has 1,000 at the most, and is read by a person.
    """
    return [to_proto_row(bar_row(frame, row, timeframe, currency)) for row in range(len(frame))]


def to_proto_row(row: BarRow) -> bar_pb2.Bar:
    """Turn one bar into a message."""
    bar = bar_pb2.Bar(
        symbol=row.symbol,
        timeframe=TIMEFRAME_TO_PROTO[row.timeframe],
        time=to_timestamp(row.time_us),
        open=row.open,
        high=row.high,
        low=row.low,
        close=row.close,
        volume=row.volume,
        currency=row.currency,
        feed=row.feed,
        is_final=bool(row.flags & _FINAL),
        revision=row.revision,
        derived=bool(row.flags & _DERIVED),
    )
    if row.timeframe is Timeframe.DAY_1:
        bar.session_date = session_date(row.time_us).isoformat()
    if not math.isnan(row.vwap):
        bar.vwap = row.vwap
    if row.trade_count != MISSING_TRADE_COUNT:
        bar.trade_count = row.trade_count
    return bar


def encode_stream_header(
    query: BarQuery,
    source: Timeframe,
    unresolved: tuple[str, ...],
    unadjusted: Iterable[tuple[str, date, str]],
    seq: int,
    read_time_us: int,
    resume_token: str,
) -> bytes:
    """Encode the first message of a stream.

    Parameters
    ----------
    query : BarQuery
        As it is applied.
    source : Timeframe
        Of the stored bars that the answer is made from.
    unresolved : tuple of str
        Symbols that name nothing known.
    unadjusted : iterable of (symbol, ex-date, reason)
        Corporate actions that could not be applied.
    seq : int
        Position of the snapshot in the change log.
    read_time_us : int
        When the snapshot was taken, Unix microseconds.
    resume_token : str
        Of a subscription behind it; empty where there can be none.
    """
    header = bars_service_pb2.StreamBarsHeader(
        timeframe=TIMEFRAME_TO_PROTO[query.timeframe],
        source_timeframe=TIMEFRAME_TO_PROTO[source],
        adjustment=ADJUSTMENT_TO_PROTO[query.adjustment],
        order=ORDER_TO_PROTO[query.descending, query.by_time],
        session=SESSION_TO_PROTO[query.session],
        unadjusted_actions=to_proto_unadjusted(unadjusted),
        start_time=to_timestamp(query.range.start_us),
        end_time=to_timestamp(query.range.end_us),
        unresolved_symbols=unresolved,
        read_time=to_timestamp(read_time_us),
        snapshot_seq=seq,
        resume_token=resume_token,
    )
    return bars_service_pb2.StreamBarsResponse(header=header).SerializeToString()


def encode_stream_batch(frame: BarFrame, timeframe: Timeframe, adjustment: Adjustment) -> bytes:
    """Encode some bars of a stream, columns as they stand in memory."""
    return embed(_BATCH_NUMBER, encode_batch(frame, timeframe, adjustment))


def encode_stream_trailer(rows: int) -> bytes:
    """Encode the last message of a stream that sent its whole range."""
    trailer = bars_service_pb2.StreamBarsTrailer(rows=rows, complete=True)
    return bars_service_pb2.StreamBarsResponse(trailer=trailer).SerializeToString()


def to_proto_unadjusted(
    unadjusted: Iterable[tuple[str, date, str]],
) -> list[bars_service_pb2.UnadjustedAction]:
    """List corporate actions that could not be applied: symbol, ex-date, reason."""
    return [
        bars_service_pb2.UnadjustedAction(symbol=symbol, ex_date=ex_date.isoformat(), reason=reason)
        for symbol, ex_date, reason in unadjusted
    ]


def to_list_response(
    bars: list[bar_pb2.Bar],
    next_page_token: str,
    query: BarQuery,
    source: Timeframe,
    unadjusted: Iterable[tuple[str, date, str]],
    seq: int,
    read_time_us: int,
) -> bars_service_pb2.ListBarsResponse:
    """Make the answer of ListBars; parameters as `encode_stream_header`."""
    return bars_service_pb2.ListBarsResponse(
        bars=bars,
        next_page_token=next_page_token,
        adjustment=ADJUSTMENT_TO_PROTO[query.adjustment],
        source_timeframe=TIMEFRAME_TO_PROTO[source],
        session=SESSION_TO_PROTO[query.session],
        unadjusted_actions=to_proto_unadjusted(unadjusted),
        as_of_seq=seq,
        read_time=to_timestamp(read_time_us),
    )
