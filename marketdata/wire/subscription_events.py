"""The events of SubscribeBars as a client reads them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from bifrost.marketdata.v1 import bar_subscription_pb2 as messages
from bifrost.marketdata.v1 import corporate_action_pb2

from marketdata.domain.corporate_action import CorporateAction
from marketdata.domain.subscription import (
    ActionsChange,
    BarsChange,
    CaughtUp,
    Change,
    Heartbeat,
    RangeChange,
    RangeReason,
    Subscribed,
    SymbolsChange,
)
from marketdata.errors import NotSupportedError
from marketdata.wire.bar_batch import PLAIN_ENCODING, decode_batch
from marketdata.wire.bar_subscription import REASON_TO_PROTO
from marketdata.wire.enums import ACTION_KIND_FROM_PROTO, TIMEFRAME_FROM_PROTO
from marketdata.wire.protobuf_format import LENGTH_DELIMITED, walk_fields

_EVENT: Final = messages.SubscribeBarsResponse.DESCRIPTOR.fields_by_name["event"].number
_BARS: Final = messages.BarEvent.DESCRIPTOR.fields_by_name["bars"].number
_REASONS: Final = {proto: reason for reason, proto in REASON_TO_PROTO.items()}


@dataclass(frozen=True, slots=True, eq=False)
class ReceivedEvent:
    """An event as it arrived; `change` is None for one that a later release added."""

    change: Change | None
    seq: int
    resume_token: str


def decode_event(data: bytes) -> ReceivedEvent:
    """Decode one response of SubscribeBars.

    Raises
    ------
    NotSupportedError
        The bars have an encoding that this release does not know: update the client.
    google.protobuf.message.DecodeError, ValueError, KeyError
        The bytes are no such response, or have a value that this release does not know.
    """
    small, batches = bytearray(), []
    for number, wire_type, _, start, end in walk_fields(memoryview(data)):
        if number != _EVENT or wire_type != LENGTH_DELIMITED:
            continue
        event = memoryview(data)[start:end]
        for own, own_type, own_start, value_start, own_end in walk_fields(event):
            if own == _BARS and own_type == LENGTH_DELIMITED:
                batches.append(event[value_start:own_end])
            else:
                small += event[own_start:own_end]
    message = messages.BarEvent.FromString(bytes(small))
    change = _bars(message, b"".join(batches)) if batches else _change(message)
    return ReceivedEvent(change, message.seq, message.resume_token)


def _bars(message: messages.BarEvent, batch: bytes) -> BarsChange:
    frame, small = decode_batch(batch)
    if small.encoding != PLAIN_ENCODING:
        raise NotSupportedError(f"the bars came in encoding {small.encoding}; a later client reads it")
    timeframe = TIMEFRAME_FROM_PROTO[small.timeframe]
    return BarsChange((frame,), timeframe, message.stored, message.conflated)


def _change(message: messages.BarEvent) -> Change | None:
    make = _MAKERS.get(message.WhichOneof("event") or "")
    return None if make is None else make(message)


def _actions(message: messages.BarEvent) -> ActionsChange:
    return ActionsChange(message.action.symbol, [_action(one) for one in message.action.actions])


def _known(symbols: Iterable[messages.SubscribedSymbol]) -> list[tuple[str, bool]]:
    ok = messages.SUBSCRIBED_SYMBOL_STATUS_OK
    return [(one.symbol, one.status == ok) for one in symbols]


def _range(message: messages.BarRangeChanged) -> RangeChange:
    return RangeChange(
        symbols=tuple(message.symbols),
        timeframe=TIMEFRAME_FROM_PROTO[message.timeframe],
        start_us=message.start_time.ToMicroseconds(),
        end_us=message.end_time.ToMicroseconds(),
        # A reason of a later release: whatever happened, the range is to be read again.
        reason=_REASONS.get(message.reason, RangeReason.MANY_BARS),
        description=message.description,
    )


def _action(proto: corporate_action_pb2.CorporateAction) -> CorporateAction:
    return CorporateAction(
        kind=ACTION_KIND_FROM_PROTO[proto.kind],
        ex_date=date.fromisoformat(proto.ex_date),
        split_ratio=proto.split_ratio if proto.HasField("split_ratio") else None,
        cash_amount=proto.cash_amount if proto.HasField("cash_amount") else None,
        currency=proto.currency,
        source=proto.source,
    )


# Those that are not here are of a later release.
_MAKERS: Final[Mapping[str, Callable[[messages.BarEvent], Change]]] = {
    "ack": lambda event: Subscribed(_known(event.ack.symbols)),
    "range_changed": lambda event: _range(event.range_changed),
    "action": _actions,
    "symbol_changed": lambda event: SymbolsChange(_known(event.symbol_changed.symbols)),
    "caught_up": lambda _: CaughtUp(),
    "heartbeat": lambda _: Heartbeat(),
}
