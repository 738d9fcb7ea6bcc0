"""Messages of BarsService: requests made of domain values, answers turned into them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from bifrost.marketdata.v1 import bar_pb2, bars_service_pb2, timeframe_pb2

from marketdata.client.answers import (
    AppliedRead,
    Bar,
    BarPage,
    BarsCreated,
    BarVersion,
    CoverageGap,
    LatestBar,
    TimeframeStatistics,
    UnadjustedAction,
)
from marketdata.client.enums import (
    BAR_ORDER_FROM_PROTO,
    BAR_ORDER_TO_PROTO,
    GAP_REASON_FROM_PROTO,
    known,
)
from marketdata.client.times import AsOfPoint, Moment, decode_moment, encode_as_of, encode_moment
from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bar_order import BarOrder
from marketdata.domain.bars import BarColumn
from marketdata.domain.calendar import SessionHours
from marketdata.domain.coverage import SessionCounts
from marketdata.domain.timeframe import Timeframe
from marketdata.wire.enums import (
    ADJUSTMENT_FROM_PROTO,
    ADJUSTMENT_TO_PROTO,
    COLUMN_TO_PROTO,
    SESSION_FROM_PROTO,
    SESSION_TO_PROTO,
    TIMEFRAME_FROM_PROTO,
    TIMEFRAME_TO_PROTO,
)


@dataclass(frozen=True, slots=True)
class BarsAsked:
    """What a caller asks of the stored bars, as enums whether given so or by their labels.

    Raises
    ------
    ValueError
        A label that is none.
    """

    timeframe: Timeframe
    start: Moment | None
    end: Moment | None
    adjustment: Adjustment
    session: SessionHours
    order: BarOrder
    as_of: AsOfPoint | None

    @classmethod
    def parse(
        cls,
        timeframe: Timeframe | str,
        start: Moment | None,
        end: Moment | None,
        adjustment: Adjustment | str,
        session: SessionHours | str,
        order: BarOrder | str,
        as_of: AsOfPoint | None,
    ) -> "BarsAsked":
        """Read the arguments of a call."""
        return cls(
            timeframe=Timeframe(timeframe),
            start=start,
            end=end,
            adjustment=Adjustment(adjustment),
            session=SessionHours(session),
            order=BarOrder(order),
            as_of=as_of,
        )


def ordered_columns(columns: Iterable[BarColumn | str]) -> tuple[BarColumn, ...]:
    """Order columns as frames have them, the time always among them.

    Raises
    ------
    ValueError
        A name that is none of a column.
    """
    wanted = {BarColumn(column) for column in columns} | {BarColumn.TIME}
    return tuple(column for column in BarColumn if column in wanted)


def stream_bars_request(
    symbols: Sequence[str],
    asked: BarsAsked,
    columns: tuple[BarColumn, ...],
    limit: int | None,
) -> bars_service_pb2.StreamBarsRequest:
    """Make a StreamBarsRequest."""
    wanted = [COLUMN_TO_PROTO[c] for c in columns if c in COLUMN_TO_PROTO]
    # No column means all, so those who want only the times get the smallest beside them.
    wanted = wanted or [COLUMN_TO_PROTO[BarColumn.FLAGS]]
    return bars_service_pb2.StreamBarsRequest(
        symbols=symbols,
        timeframe=TIMEFRAME_TO_PROTO[asked.timeframe],
        start_time=encode_moment("start", asked.start),
        end_time=encode_moment("end", asked.end),
        limit=limit or 0,
        order=BAR_ORDER_TO_PROTO[asked.order],
        adjustment=ADJUSTMENT_TO_PROTO[asked.adjustment],
        columns=[] if len(wanted) == len(COLUMN_TO_PROTO) else wanted,
        session=SESSION_TO_PROTO[asked.session],
        as_of=encode_as_of(asked.as_of),
    )


def list_bars_request(
    symbol: str, asked: BarsAsked, page_size: int, page_token: str
) -> bars_service_pb2.ListBarsRequest:
    """Make a ListBarsRequest."""
    return bars_service_pb2.ListBarsRequest(
        symbol=symbol,
        timeframe=TIMEFRAME_TO_PROTO[asked.timeframe],
        start_time=encode_moment("start", asked.start),
        end_time=encode_moment("end", asked.end),
        order=BAR_ORDER_TO_PROTO[asked.order],
        adjustment=ADJUSTMENT_TO_PROTO[asked.adjustment],
        session=SESSION_TO_PROTO[asked.session],
        as_of=encode_as_of(asked.as_of),
        page_size=page_size,
        page_token=page_token,
    )


def from_header(header: bars_service_pb2.StreamBarsHeader) -> AppliedRead:
    """Turn the header of a stream into what was applied.

    Raises
    ------
    NotSupportedError
        It names something of a later release.
    """
    return AppliedRead(
        timeframe=_timeframe(header.timeframe),
        source_timeframe=_timeframe(header.source_timeframe),
        adjustment=known(ADJUSTMENT_FROM_PROTO, header.adjustment, "adjustment"),
        session=known(SESSION_FROM_PROTO, header.session, "session"),
        order=known(BAR_ORDER_FROM_PROTO, header.order, "order"),
        start=decode_moment(header.start_time),
        end=decode_moment(header.end_time),
        unresolved_symbols=tuple(header.unresolved_symbols),
        unadjusted_actions=_unadjusted(header.unadjusted_actions),
        read_time=decode_moment(header.read_time),
        snapshot_seq=header.snapshot_seq,
        resume_token=header.resume_token,
    )


def from_page(response: bars_service_pb2.ListBarsResponse) -> BarPage:
    """Turn the answer of ListBars into a page."""
    return BarPage(
        bars=tuple(from_bar(bar) for bar in response.bars),
        next_page_token=response.next_page_token,
        adjustment=known(ADJUSTMENT_FROM_PROTO, response.adjustment, "adjustment"),
        session=known(SESSION_FROM_PROTO, response.session, "session"),
        source_timeframe=_timeframe(response.source_timeframe),
        unadjusted_actions=_unadjusted(response.unadjusted_actions),
        read_time=decode_moment(response.read_time),
        as_of_seq=response.as_of_seq,
    )


def from_bar(bar: bar_pb2.Bar) -> Bar:
    """Turn a row into a bar."""
    return Bar(
        symbol=bar.symbol,
        timeframe=_timeframe(bar.timeframe),
        time=decode_moment(bar.time),
        session_date=date.fromisoformat(bar.session_date) if bar.session_date else None,
        open=bar.open,
        high=bar.high,
        low=bar.low,
        close=bar.close,
        volume=bar.volume,
        vwap=bar.vwap if bar.HasField("vwap") else None,
        trade_count=bar.trade_count if bar.HasField("trade_count") else None,
        currency=bar.currency,
        feed=bar.feed,
        is_final=bar.is_final,
        revision=bar.revision,
        is_derived=bar.derived,
    )


def from_version(version: bars_service_pb2.BarVersion) -> BarVersion:
    """Turn the message of a version into it."""
    return BarVersion(
        bar=from_bar(version.bar),
        seq=version.seq,
        known_time=decode_moment(version.known_time) if version.HasField("known_time") else None,
        superseded_seq=version.superseded_seq,
        superseded_time=(
            decode_moment(version.superseded_time) if version.HasField("superseded_time") else None
        ),
        is_deleted=version.deleted,
    )


def from_latest(entry: bars_service_pb2.LatestBar) -> LatestBar:
    """Turn one symbol's entry of BatchGetLatestBars into it."""
    bar = from_bar(entry.bar) if entry.HasField("bar") else None
    return LatestBar(entry.symbol, bar, entry.reason)


def from_created(response: bars_service_pb2.CreateBarsResponse) -> BarsCreated:
    """Turn the answer of CreateBars into its counts."""
    return BarsCreated(
        accepted=response.accepted,
        unchanged=response.unchanged,
        revised=response.revised,
        outranked=response.outranked,
        rejected=response.rejected,
        rejected_symbols={r.symbol: (r.reason, r.bars) for r in response.rejected_symbols},
        seq=response.seq,
    )


def from_gap(gap: bars_service_pb2.BarGap) -> CoverageGap:
    """Turn the message of a gap into it."""
    return CoverageGap(
        start=decode_moment(gap.start_time),
        end=decode_moment(gap.end_time),
        missing_count=gap.missing_count,
        reason=known(GAP_REASON_FROM_PROTO, gap.reason, "gap reason"),
        provider=gap.provider,
        retry=decode_moment(gap.retry_time) if gap.HasField("retry_time") else None,
        message=gap.message,
    )


def from_sessions(sessions: bars_service_pb2.SessionCounts) -> SessionCounts:
    """Turn the columns of sessions into arrays."""
    # A service of an earlier release tells no more than the first three columns.
    untold = [0] * len(sessions.session_us)
    return SessionCounts(
        label_us=np.array(sessions.session_us, np.int64),
        present=np.array(sessions.present_count, np.int64),
        expected=np.array(sessions.expected_count, np.int64),
        quarantined=np.array(sessions.quarantined_count or untold, np.int64),
        derived=np.array(sessions.derived_count or untold, np.int64),
        reason=np.array([_session_reason(reason) for reason in sessions.reason] or untold, np.int8),
    )


def _session_reason(reason: bars_service_pb2.GapReason.ValueType) -> int:
    if reason == bars_service_pb2.GAP_REASON_UNSPECIFIED:
        return 0
    return known(GAP_REASON_FROM_PROTO, reason, "gap reason")


def from_statistics(line: bars_service_pb2.TimeframeStatistics) -> TimeframeStatistics:
    """Turn the line of a timeframe into it."""
    return TimeframeStatistics(
        timeframe=_timeframe(line.timeframe),
        rows=line.rows,
        symbols=line.symbols,
        first=decode_moment(line.first_time),
        last=decode_moment(line.last_time),
        size_bytes=line.size_bytes,
        partitions=line.partitions,
        rows_estimated=line.rows_estimated,
        compressed_partitions=line.compressed_partitions,
        bytes_before_compression=line.bytes_before_compression,
        bytes_after_compression=line.bytes_after_compression,
    )


def _timeframe(proto: timeframe_pb2.Timeframe.ValueType) -> Timeframe:
    return known(TIMEFRAME_FROM_PROTO, proto, "timeframe")


def _unadjusted(
    actions: Iterable[bars_service_pb2.UnadjustedAction],
) -> tuple[UnadjustedAction, ...]:
    return tuple(
        UnadjustedAction(action.symbol, date.fromisoformat(action.ex_date), action.reason)
        for action in actions
    )
