"""Quarantined bars on the wire: requests checked, answers made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from bifrost.marketdata.v1 import quarantine_pb2

from marketdata.domain.quality.rules import QualityRule, Severity
from marketdata.domain.quarantine import (
    Decision,
    QuarantinedBar,
    QuarantineFilter,
    QuarantineState,
    Refusal,
    Release,
)
from marketdata.wire.bars_requests import check_symbol, parse_timeframe
from marketdata.wire.enums import TIMEFRAME_TO_PROTO
from marketdata.wire.page_token import encode_page_token, parse_page_size, parse_page_token
from marketdata.wire.times import to_timestamp
from marketdata.wire.violations import Violations

MOST_IDS: Final = 1_000
MOST_OF_A_FILTER: Final = 10_000
MOST_REASON_CHARACTERS: Final = 200
_DEFAULT_LIMIT: Final = 1_000
# A person reads a few; a program asks for fewer bars.
_MOST_REFUSALS: Final = 100
_ID_BYTES: Final = 8

SEVERITY_TO_PROTO: Final = {
    Severity.INVALID: quarantine_pb2.QUARANTINE_SEVERITY_INVALID,
    Severity.REJECT: quarantine_pb2.QUARANTINE_SEVERITY_REJECT,
    Severity.FLAG: quarantine_pb2.QUARANTINE_SEVERITY_FLAG,
}
SEVERITY_FROM_PROTO: Final = {proto: domain for domain, proto in SEVERITY_TO_PROTO.items()}
STATE_TO_PROTO: Final = {
    QuarantineState.OPEN: quarantine_pb2.QUARANTINE_STATE_OPEN,
    QuarantineState.RELEASED: quarantine_pb2.QUARANTINE_STATE_RELEASED,
    QuarantineState.DROPPED: quarantine_pb2.QUARANTINE_STATE_DROPPED,
}
STATE_FROM_PROTO: Final = {proto: domain for domain, proto in STATE_TO_PROTO.items()}

DecisionMessage = (
    quarantine_pb2.ReleaseQuarantinedBarsRequest | quarantine_pb2.DropQuarantinedBarsRequest
)


@dataclass(frozen=True, slots=True)
class ListRequest:
    """ListQuarantinedBars: which, from which one on backwards (None: the newest), and how many."""

    wanted: QuarantineFilter
    before: int | None
    page_size: int


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """Bars to decide of: numbers or a filter, how many of the filter, and why."""

    chosen: tuple[int, ...] | QuarantineFilter
    limit: int
    reason: str


def parse_list_quarantined(request: quarantine_pb2.ListQuarantinedBarsRequest) -> ListRequest:
    """Check a ListQuarantinedBarsRequest.

    Raises
    ------
    InvalidRequestError, NotSupportedError
        With every violation.
    """
    violations = Violations()
    wanted = _parse_filter(request.filter, violations)
    page_size = parse_page_size(request.page_size, violations)
    position = parse_page_token(request, violations)
    violations.raise_any()
    return ListRequest(wanted, int.from_bytes(position, "big") if position else None, page_size)


def to_list_response(
    request: quarantine_pb2.ListQuarantinedBarsRequest,
    asked: ListRequest,
    found: Sequence[QuarantinedBar],
) -> quarantine_pb2.ListQuarantinedBarsResponse:
    """Make the answer of bars: one more than the page takes where there is another page."""
    page = found[: asked.page_size]
    response = quarantine_pb2.ListQuarantinedBarsResponse(bars=[to_proto_quarantined(b) for b in page])
    if len(found) > len(page):
        position = page[-1].quarantine_id.to_bytes(_ID_BYTES, "big")
        response.next_page_token = encode_page_token(request, position)
    return response


def parse_decision(request: DecisionMessage) -> DecisionRequest:
    """Check a request to release or drop.

    Raises
    ------
    InvalidRequestError, NotSupportedError
        With every violation.
    """
    violations = Violations()
    _check_reason(request, violations)
    _check_limit(request.limit, violations)
    if request.quarantine_ids and request.HasField("filter"):
        problem = "is set beside quarantine_ids; name the bars, or say which"
        violations.add("filter", "AMBIGUOUS", problem)
    _check_ids(request.quarantine_ids, violations)
    wanted = _parse_filter(request.filter, violations)
    if not request.quarantine_ids:
        _check_chosen(wanted, violations)
    violations.raise_any()
    return DecisionRequest(
        chosen=tuple(request.quarantine_ids) or wanted,
        limit=request.limit or _DEFAULT_LIMIT,
        reason=request.reason,
    )


def to_release_response(release: Release) -> quarantine_pb2.ReleaseQuarantinedBarsResponse:
    """Make the answer of what became of bars that were to be released."""
    return quarantine_pb2.ReleaseQuarantinedBarsResponse(
        released_count=release.decided,
        unchanged_count=release.unchanged,
        accepted_count=release.accepted,
        revised_count=release.revised,
        same_count=release.same,
        outranked_count=release.outranked,
        refused_count=len(release.refused),
        refusals=_refusals(release.refused),
        has_more=release.has_more,
    )


def to_drop_response(decision: Decision) -> quarantine_pb2.DropQuarantinedBarsResponse:
    """Make the answer of what became of bars that were to be dropped."""
    return quarantine_pb2.DropQuarantinedBarsResponse(
        dropped_count=decision.decided,
        unchanged_count=decision.unchanged,
        refused_count=len(decision.refused),
        refusals=_refusals(decision.refused),
        has_more=decision.has_more,
    )


def to_proto_quarantined(bar: QuarantinedBar) -> quarantine_pb2.QuarantinedBar:
    """Turn a quarantined bar into its message."""
    message = quarantine_pb2.QuarantinedBar(
        quarantine_id=bar.quarantine_id,
        run_id=bar.run_id or 0,
        provider=bar.provider,
        feed=bar.feed,
        symbol=bar.symbol,
        timeframe=TIMEFRAME_TO_PROTO[bar.timeframe],
        time=to_timestamp(bar.time_us),
        open=bar.open,
        high=bar.high,
        low=bar.low,
        close=bar.close,
        volume=bar.volume,
        vwap=bar.vwap,
        trade_count=bar.trade_count,
        rules=[rule.name for rule in bar.rules],
        severity=SEVERITY_TO_PROTO[bar.severity],
        detail=bar.detail,
        remedies=[rule.description for rule in bar.rules],
        state=STATE_TO_PROTO[bar.state],
        reason=bar.reason,
        quarantine_time=to_timestamp(bar.quarantined_us),
    )
    if bar.decided_us is not None:
        message.decide_time.CopyFrom(to_timestamp(bar.decided_us))
    return message


def _parse_filter(message: quarantine_pb2.QuarantineFilter, violations: Violations) -> QuarantineFilter:
    if message.symbol:
        check_symbol("filter.symbol", message.symbol, violations)
    if message.rule and message.rule not in QualityRule.__members__:
        problem = f"there is no such rule; there are {', '.join(QualityRule.__members__)}"
        violations.add("filter.rule", "UNKNOWN_RULE", problem)
    if message.run_id < 0:
        problem = "is not the number of a run; ListIngestionRuns lists them"
        violations.add("filter.run_id", "INVALID", problem)
    if message.state and message.state not in STATE_FROM_PROTO:
        problem = f"{message.state} is no state; leave it out for all"
        violations.add("filter.state", "UNKNOWN_STATE", problem)
    if message.severity and message.severity not in SEVERITY_FROM_PROTO:
        problem = f"{message.severity} is no severity; leave it out for all"
        violations.add("filter.severity", "UNKNOWN_SEVERITY", problem)
    timeframe = None
    if message.timeframe:
        timeframe = parse_timeframe("filter.timeframe", message.timeframe, violations)
    return QuarantineFilter(
        symbol=message.symbol or None,
        timeframe=timeframe,
        rule=QualityRule.__members__.get(message.rule),
        run_id=message.run_id or None,
        state=STATE_FROM_PROTO.get(message.state),
        severity=SEVERITY_FROM_PROTO.get(message.severity),
    )


def _check_chosen(wanted: QuarantineFilter, violations: Violations) -> None:
    if wanted.state not in (None, QuarantineState.OPEN):
        problem = "is not OPEN; name bars that were decided of by their quarantine_ids"
        violations.add("filter.state", "NOT_OPEN", problem)
    elif replace(wanted, state=None) == QuarantineFilter():
        problem = "has no field set, and there are no quarantine_ids; say which bars"
        violations.add("filter", "REQUIRED", problem)


def _check_ids(ids: Sequence[int], violations: Violations) -> None:
    if len(ids) > MOST_IDS:
        problem = f"has {len(ids)} entries; the most is {MOST_IDS}: send them in parts, or a filter"
        violations.add("quarantine_ids", "TOO_MANY", problem)
        return
    seen: dict[int, int] = {}
    for position, number in enumerate(ids):
        field = f"quarantine_ids[{position}]"
        if number < 1:
            problem = "is not the number of a bar; ListQuarantinedBars lists them"
            violations.add(field, "INVALID", problem)
        elif (first := seen.setdefault(number, position)) != position:
            problem = f"repeats quarantine_ids[{first}]; send each once"
            violations.add(field, "DUPLICATE", problem)


def _check_limit(limit: int, violations: Violations) -> None:
    if limit < 0:
        violations.add("limit", "NEGATIVE", f"is negative; leave it out for {_DEFAULT_LIMIT:,}")
    elif limit > MOST_OF_A_FILTER:
        problem = f"is more than {MOST_OF_A_FILTER:,}; send the request again while there are more"
        violations.add("limit", "TOO_MANY", problem)


def _check_reason(request: DecisionMessage, violations: Violations) -> None:
    is_drop = isinstance(request, quarantine_pb2.DropQuarantinedBarsRequest)
    if is_drop and not request.reason:
        violations.add("reason", "REQUIRED", "is empty; say why, for those who look at it later")
    if len(request.reason) > MOST_REASON_CHARACTERS or not request.reason.isprintable():
        problem = f"is not at most {MOST_REASON_CHARACTERS} printable characters"
        violations.add("reason", "MALFORMED", problem)


def _refusals(refused: Mapping[int, Refusal]) -> list[quarantine_pb2.QuarantineRefusal]:
    return [
        quarantine_pb2.QuarantineRefusal(
            quarantine_id=number, reason=refusal.name, description=refusal.value
        )
        for number, refusal in islice(refused.items(), _MOST_REFUSALS)
    ]
