"""Messages about the quarantine: requests made of domain values, answers turned into them."""

from collections.abc import Iterable

from bifrost.marketdata.v1 import quarantine_pb2

from marketdata.client.enums import known
from marketdata.client.quarantine_answers import (
    BarsDropped,
    BarsReleased,
    QuarantinedBar,
    RefusedDecision,
)
from marketdata.client.times import decode_moment
from marketdata.domain.quarantine import QuarantineFilter
from marketdata.wire.enums import TIMEFRAME_FROM_PROTO, TIMEFRAME_TO_PROTO
from marketdata.wire.quarantine import (
    SEVERITY_FROM_PROTO,
    SEVERITY_TO_PROTO,
    STATE_FROM_PROTO,
    STATE_TO_PROTO,
)


def to_filter(wanted: QuarantineFilter) -> quarantine_pb2.QuarantineFilter:
    """Turn a filter into its message."""
    message = quarantine_pb2.QuarantineFilter(symbol=wanted.symbol or "", run_id=wanted.run_id or 0)
    if wanted.timeframe is not None:
        message.timeframe = TIMEFRAME_TO_PROTO[wanted.timeframe]
    if wanted.rule is not None:
        message.rule = wanted.rule.name
    if wanted.state is not None:
        message.state = STATE_TO_PROTO[wanted.state]
    if wanted.severity is not None:
        message.severity = SEVERITY_TO_PROTO[wanted.severity]
    return message


def from_quarantined(message: quarantine_pb2.QuarantinedBar) -> QuarantinedBar:
    """Turn a quarantined bar's message into its answer."""
    return QuarantinedBar(
        quarantine_id=message.quarantine_id,
        run_id=message.run_id or None,
        provider=message.provider,
        feed=message.feed,
        symbol=message.symbol,
        timeframe=known(TIMEFRAME_FROM_PROTO, message.timeframe, "timeframe"),
        time=decode_moment(message.time),
        open=message.open,
        high=message.high,
        low=message.low,
        close=message.close,
        volume=message.volume,
        vwap=message.vwap,
        trade_count=message.trade_count,
        rules=tuple(message.rules),
        remedies=tuple(message.remedies),
        severity=known(SEVERITY_FROM_PROTO, message.severity, "severity"),
        detail=message.detail,
        state=known(STATE_FROM_PROTO, message.state, "state"),
        reason=message.reason,
        found=decode_moment(message.quarantine_time),
        decided=decode_moment(message.decide_time) if message.HasField("decide_time") else None,
    )


def from_release(message: quarantine_pb2.ReleaseQuarantinedBarsResponse) -> BarsReleased:
    """Turn the answer of a release into what became of the bars."""
    return BarsReleased(
        released=message.released_count,
        unchanged=message.unchanged_count,
        accepted=message.accepted_count,
        revised=message.revised_count,
        same=message.same_count,
        outranked=message.outranked_count,
        refused=message.refused_count,
        refusals=_refusals(message.refusals),
        has_more=message.has_more,
    )


def from_drop(message: quarantine_pb2.DropQuarantinedBarsResponse) -> BarsDropped:
    """Turn the answer of a drop into what became of the bars."""
    return BarsDropped(
        dropped=message.dropped_count,
        unchanged=message.unchanged_count,
        refused=message.refused_count,
        refusals=_refusals(message.refusals),
        has_more=message.has_more,
    )


def _refusals(
    refusals: Iterable[quarantine_pb2.QuarantineRefusal],
) -> tuple[RefusedDecision, ...]:
    return tuple(RefusedDecision(one.quarantine_id, one.reason, one.description) for one in refusals)
