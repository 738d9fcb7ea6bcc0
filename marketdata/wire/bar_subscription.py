"""SubscribeBars on the wire: the request checked, events encoded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bifrost.marketdata.v1 import bar_pb2, timeframe_pb2
from bifrost.marketdata.v1 import bar_subscription_pb2 as messages

from marketdata.domain.adjustment import Adjustment
from marketdata.domain.subscription import (
    ALL_SYMBOLS,
    ActionsChange,
    BarsChange,
    CaughtUp,
    Heartbeat,
    RangeChange,
    RangeReason,
    ResumePoint,
    SlowReaderPolicy,
    SubscriptionEvent,
    SubscriptionFilter,
    SymbolsChange,
)
from marketdata.domain.timeframe import Timeframe
from marketdata.wire.bar_batch import encode_batch
from marketdata.wire.bars_requests import check_symbols
from marketdata.wire.corporate_actions import to_proto_action
from marketdata.wire.enums import TIMEFRAME_FROM_PROTO, TIMEFRAME_TO_PROTO
from marketdata.wire.protobuf_format import embed
from marketdata.wire.resume_token import TokenSigner
from marketdata.wire.times import parse_time, to_timestamp
from marketdata.wire.violations import Violations

DEFAULT_HEARTBEAT_SECONDS: Final = 15
MOST_HEARTBEAT_SECONDS: Final = 300

POLICY_TO_PROTO: Final = {
    SlowReaderPolicy.DISCONNECT: messages.SLOW_READER_POLICY_DISCONNECT,
    SlowReaderPolicy.CONFLATE: messages.SLOW_READER_POLICY_CONFLATE,
}
POLICY_FROM_PROTO: Final = {
    messages.SLOW_READER_POLICY_UNSPECIFIED: SlowReaderPolicy.DISCONNECT,
    **{proto: domain for domain, proto in POLICY_TO_PROTO.items()},
}
REASON_TO_PROTO: Final = {
    RangeReason.MANY_BARS: messages.RANGE_CHANGE_REASON_MANY_BARS,
    RangeReason.DELETED: messages.RANGE_CHANGE_REASON_DELETED,
    RangeReason.RETENTION: messages.RANGE_CHANGE_REASON_RETENTION,
}
_BARS_NUMBER: Final = messages.BarEvent.DESCRIPTOR.fields_by_name["bars"].number
_EVENT_NUMBER: Final = messages.SubscribeBarsResponse.DESCRIPTOR.fields_by_name["event"].number


@dataclass(frozen=True, slots=True)
class SubscribeRequest:
    """SubscribeBars.

    Attributes
    ----------
    wanted : SubscriptionFilter
        What it is about.
    start_us : int or None
        Stored bars from then on come first, Unix microseconds.
    resume : ResumePoint or None
        Where to go on.
    policy : SlowReaderPolicy
        For a subscriber that is too slow.
    heartbeat_seconds : int
        Silence after which a heartbeat comes.
    """

    wanted: SubscriptionFilter
    start_us: int | None
    resume: ResumePoint | None
    policy: SlowReaderPolicy
    heartbeat_seconds: int


def parse_subscribe_bars(
    request: messages.SubscribeBarsRequest, signer: TokenSigner
) -> SubscribeRequest:
    """Check a SubscribeBarsRequest.

    Raises
    ------
    InvalidRequestError, NotSupportedError
        With every violation.
    """
    violations = Violations()
    takes_all = list(request.symbols) == [ALL_SYMBOLS]
    if not takes_all:
        _check_named(request.symbols, violations)
    wanted = SubscriptionFilter(
        symbols=() if takes_all else tuple(request.symbols),
        timeframes=_parse_timeframes(request.timeframes, violations),
    )
    start_us = resume = None
    if request.WhichOneof("from") == "start_time":
        start_us = parse_time("start_time", request.start_time, violations)
        if takes_all:
            problem = "cannot be with * yet; name the symbols, or leave it out to begin now"
            violations.not_supported("start_time", problem)
    elif request.WhichOneof("from") == "resume_token":
        # A filter that is wrong has no tokens: one problem is said once.
        noted = violations if not violations.are_any else Violations()
        resume = signer.read(request.resume_token, wanted, noted)
    policy = _parse_policy(request.slow_reader_policy, violations)
    heartbeat_seconds = _parse_heartbeat(request.heartbeat_seconds, violations)
    violations.raise_any()
    return SubscribeRequest(wanted, start_us, resume, policy, heartbeat_seconds)


def encode_ack(
    asked: SubscribeRequest, known: Sequence[tuple[str, bool]], seq: int, token: str
) -> bytes:
    """Encode the first event.

    Parameters
    ----------
    known : sequence of (str, bool)
        The symbols, each with whether it names something.
    seq : int
        Behind which the subscription begins.
    token : str
        Resumes there.
    """
    ack = messages.SubscriptionAck(
        symbols=_to_symbols(known),
        slow_reader_policy=POLICY_TO_PROTO[asked.policy],
        heartbeat_seconds=asked.heartbeat_seconds,
        adjustment=bar_pb2.ADJUSTMENT_RAW,
    )
    return _encode(messages.BarEvent(resume_token=token, seq=seq, ack=ack))


def encode_event(event: SubscriptionEvent, token: str) -> bytes:
    """Encode an event; `token` resumes behind it."""
    change = event.change
    message = messages.BarEvent(resume_token=token, seq=event.seq)
    if isinstance(change, BarsChange):
        message.stored, message.conflated = change.is_stored, change.is_conflated
        batch = encode_batch(change.frame, change.timeframe, Adjustment.RAW)
        return embed(_EVENT_NUMBER, message.SerializeToString() + embed(_BARS_NUMBER, batch))
    if isinstance(change, RangeChange):
        message.range_changed.CopyFrom(_to_range(change))
    elif isinstance(change, ActionsChange):
        message.action.symbol = change.symbol
        message.action.actions.extend(map(to_proto_action, change.actions))
    elif isinstance(change, SymbolsChange):
        message.symbol_changed.symbols.extend(_to_symbols(change.known))
    elif isinstance(change, CaughtUp):
        message.caught_up.SetInParent()
    elif isinstance(change, Heartbeat):
        message.heartbeat.SetInParent()
    return _encode(message)


def _encode(event: messages.BarEvent) -> bytes:
    return messages.SubscribeBarsResponse(event=event).SerializeToString()


def _to_range(change: RangeChange) -> messages.BarRangeChanged:
    return messages.BarRangeChanged(
        symbols=change.symbols,
        timeframe=TIMEFRAME_TO_PROTO[change.timeframe],
        start_time=to_timestamp(change.start_us),
        end_time=to_timestamp(change.end_us),
        reason=REASON_TO_PROTO[change.reason],
        description=change.description,
    )


def _to_symbols(known: Sequence[tuple[str, bool]]) -> list[messages.SubscribedSymbol]:
    status = {
        True: messages.SUBSCRIBED_SYMBOL_STATUS_OK,
        False: messages.SUBSCRIBED_SYMBOL_STATUS_UNKNOWN,
    }
    return [messages.SubscribedSymbol(symbol=symbol, status=status[ok]) for symbol, ok in known]


def _check_named(symbols: Sequence[str], violations: Violations) -> None:
    if ALL_SYMBOLS in symbols:
        position = list(symbols).index(ALL_SYMBOLS)
        problem = "stands beside other symbols; send * alone for all of them"
        violations.add(f"symbols[{position}]", "NOT_ALONE", problem)
        return
    check_symbols(symbols, violations)


def _parse_timeframes(
    timeframes: Sequence[timeframe_pb2.Timeframe.ValueType], violations: Violations
) -> frozenset[Timeframe]:
    labels = ", ".join(timeframe.value for timeframe in Timeframe if timeframe.is_stored)
    if not timeframes:
        violations.add("timeframes", "REQUIRED", f"is empty; send some of {labels}")
    if len(timeframes) > len(Timeframe):
        problem = f"has {len(timeframes)} entries; send each timeframe once"
        violations.add("timeframes", "TOO_MANY", problem)
        return frozenset()
    found: dict[Timeframe, int] = {}
    for position, proto in enumerate(timeframes):
        field, timeframe = f"timeframes[{position}]", TIMEFRAME_FROM_PROTO.get(proto)
        if timeframe is None:
            problem = f"{proto} is no timeframe; send one of {labels}"
            violations.add(field, "UNKNOWN_TIMEFRAME", problem)
        elif not timeframe.is_stored:
            problem = (
                f"{timeframe.value} bars are derived on read and cannot be subscribed to yet; "
                "subscribe to 1m and read them when it tells of changes"
            )
            violations.not_supported(field, problem)
        elif found.setdefault(timeframe, position) != position:
            problem = f"repeats timeframes[{found[timeframe]}]; send each timeframe once"
            violations.add(field, "DUPLICATE", problem)
    return frozenset(found)


def _parse_policy(
    policy: messages.SlowReaderPolicy.ValueType, violations: Violations
) -> SlowReaderPolicy:
    if policy not in POLICY_FROM_PROTO:
        problem = f"{policy} is no policy; leave it out for SLOW_READER_POLICY_DISCONNECT"
        violations.add("slow_reader_policy", "UNKNOWN_POLICY", problem)
    return POLICY_FROM_PROTO.get(policy, SlowReaderPolicy.DISCONNECT)


def _parse_heartbeat(seconds: int, violations: Violations) -> int:
    if not 0 <= seconds <= MOST_HEARTBEAT_SECONDS:
        problem = f"is not 1 to {MOST_HEARTBEAT_SECONDS}; leave it out for {DEFAULT_HEARTBEAT_SECONDS}"
        violations.add("heartbeat_seconds", "OUT_OF_BOUNDS", problem)
    return seconds or DEFAULT_HEARTBEAT_SECONDS
