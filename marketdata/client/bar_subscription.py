"""A subscription that outlives its connections."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Self

from bifrost.marketdata.v1.bar_subscription_pb2 import SubscribeBarsRequest
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from marketdata.client.bar_stream import BarStream
from marketdata.client.methods import SUBSCRIBE_BARS
from marketdata.client.retry import Attempts
from marketdata.client.transport import Answers, Transport
from marketdata.domain.bars import BarFlag, BarFrame
from marketdata.domain.subscription import (
    BarsChange,
    CaughtUp,
    Change,
    RangeChange,
    RangeReason,
    Subscribed,
)
from marketdata.errors import (
    InternalError,
    LogAheadError,
    LogGenerationError,
    LogTrimmedError,
    ServiceError,
    ServiceUnavailableError,
)
from marketdata.wire.enums import TIMEFRAME_FROM_PROTO
from marketdata.wire.subscription_events import ReceivedEvent, decode_event

# What the service cannot resume: all that is stored has to be read again.
_LOST: Final = (LogTrimmedError, LogGenerationError, LogAheadError)
_DERIVED: Final = int(BarFlag.DERIVED)

ReadRange = Callable[[RangeChange, int], BarStream]


class SubscriptionState(Enum):
    """How a subscription is doing."""

    SUBSCRIBED = "subscribed"
    """The service has begun to tell what is missing."""
    LIVE = "live"
    """All up to now was told."""
    INTERRUPTED = "interrupted"
    """The connection, or the service, is gone; it is resumed without a loss."""
    LOST = "lost"
    """It cannot be resumed, and begins anew."""


@dataclass(frozen=True, slots=True, eq=False)
class SubscriptionUpdate:
    """Something that a subscriber is told.

    Attributes
    ----------
    change : BarsChange, RangeChange, ActionsChange, SymbolsChange, Subscribed, CaughtUp or Heartbeat
        What it is. Of bars, `frame.revision` over 0 is a bar that was another one before.
    seq : int
        Position in the change log.
    resume_token : str
        A later subscription goes on behind this update with it; empty where it cannot.
    """

    change: Change
    seq: int
    resume_token: str


OnState = Callable[[SubscriptionState, ServiceError | None], None]


class BarSubscription:
    """Updates as they come: ``async for update in subscription``; made by `MarketDataClient.subscribe`.

    It is resumed behind the last update wherever its connection breaks: none comes twice, none is left
    out. Bars that the change log does not hold one by one are read and told behind their `RangeChange`.
    Where the service cannot resume it (the token is too old, the database was restored), it begins
    anew: a `RangeChange` with reason LOST comes for each timeframe, then stored bars where `since` was
    given.
    It belongs to one task at a time, and goes on until it is left: by ``aclose``, or by ``async with``.
    """

    def __init__(
        self,
        transport: Transport,
        request: SubscribeBarsRequest,
        attempts: Attempts,
        timeout_seconds: float | None,
        read_range: ReadRange,
        on_state: OnState,
        since: Timestamp | None,
    ) -> None:
        self._transport = transport
        self._request = request
        self._attempts = attempts
        self._has_deadline = timeout_seconds is not None
        self._read_range = read_range
        self._on_state = on_state
        self._since = since
        self._answers: Answers[bytes] | None = None
        self._reading: tuple[BarStream, SubscriptionUpdate] | None = None
        # Told once the service has begun anew: whoever then reads what is stored misses nothing.
        self._was_lost = False
        self._ready: list[SubscriptionUpdate] = []
        self._last_token = request.resume_token
        self._is_closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SubscriptionUpdate:
        while not self._is_closed:
            if self._ready:
                return self._ready.pop(0)
            try:
                update = await self._next_read() if self._reading else await self._next_told()
            except _LOST as error:
                self._begin_again(error)
                continue
            except ServiceError as error:
                await self._interrupt(error)
                continue
            if update is not None:
                return update
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the subscription."""
        self._is_closed = True
        self._drop()
        if self._reading is not None:
            await self._reading[0].aclose()

    async def _next_told(self) -> SubscriptionUpdate | None:
        if self._answers is None:
            seconds = self._attempts.seconds_left() if self._has_deadline else None
            self._answers = self._transport.stream(SUBSCRIBE_BARS, self._request, seconds)
        data = await self._answers.read()
        if data is None:
            raise ServiceUnavailableError("the subscription was ended; subscribe again")
        received = _decode(data)
        self._attempts.brought_something()
        before, self._last_token = self._last_token, received.resume_token
        if received.resume_token:
            self._request.resume_token = received.resume_token
        change = received.change
        if change is None:
            return None
        self._tell_state(change)
        update = SubscriptionUpdate(change, received.seq, received.resume_token)
        if isinstance(change, Subscribed) and self._was_lost:
            self._was_lost = False
            self._ready = [update]
            return self._tell_lost(received.seq)
        if isinstance(change, RangeChange) and change.reason is RangeReason.MANY_BARS:
            # Whoever goes on behind it himself, goes on behind its bars only when they are told.
            update = SubscriptionUpdate(change, received.seq, before)
            self._reading = (self._read_range(change, received.seq), update)
        return update

    def _tell_lost(self, seq: int) -> SubscriptionUpdate:
        for proto in self._request.timeframes:
            timeframe = TIMEFRAME_FROM_PROTO[proto]
            start_us, end_us = timeframe.earliest_us, timeframe.latest_us
            change = RangeChange((), timeframe, start_us, end_us, RangeReason.LOST)
            self._ready.insert(0, SubscriptionUpdate(change, seq, ""))
        return self._ready.pop(0)

    async def _next_read(self) -> SubscriptionUpdate | None:
        """Read the next bars of a range that changed; None at its end."""
        assert self._reading is not None  # noqa: S101 -- the caller looked
        stream, told = self._reading
        assert isinstance(told.change, RangeChange)  # noqa: S101 -- nothing else is read
        try:
            frame = _stored_only(await anext(stream))
        except StopAsyncIteration:
            self._reading = None
            return None
        change = BarsChange((frame,), told.change.timeframe, is_stored=True)
        return SubscriptionUpdate(change, told.seq, told.resume_token) if len(frame) else None

    def _tell_state(self, change: Change) -> None:
        if isinstance(change, Subscribed):
            self._on_state(SubscriptionState.SUBSCRIBED, None)
        elif isinstance(change, CaughtUp):
            self._on_state(SubscriptionState.LIVE, None)

    async def _interrupt(self, error: ServiceError) -> None:
        if self._reading is not None:
            # The stream of a range has made its own attempts.
            self._reading = None
            raise error
        self._drop()
        wait = self._attempts.wait_before_next(error)
        self._on_state(SubscriptionState.INTERRUPTED, error)
        await self._transport.sleep(wait)

    def _begin_again(self, error: ServiceError) -> None:
        if self._request.WhichOneof("from") != "resume_token":
            raise error
        self._drop()
        self._on_state(SubscriptionState.LOST, error)
        self._was_lost, self._last_token = True, ""
        self._request.ClearField("resume_token")
        if self._since is not None:
            self._request.start_time.CopyFrom(self._since)

    def _drop(self) -> None:
        if self._answers is not None:
            self._answers.cancel()
            self._answers = None


def _stored_only(frame: BarFrame) -> BarFrame:
    """Leave out what a read derives from minutes: a subscription tells of stored bars."""
    return frame.take((frame.flags & _DERIVED) == 0)


def _decode(data: bytes) -> ReceivedEvent:
    try:
        return decode_event(data)
    except (DecodeError, ValueError, KeyError) as error:
        raise InternalError("the service sent what is no event of a subscription") from error
