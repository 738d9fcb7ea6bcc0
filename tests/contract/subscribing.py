"""Subscriptions as tests make them, over the generated stub."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc
import numpy as np
from bifrost.marketdata.v1 import bar_subscription_pb2 as messages

from marketdata.domain.bars import PRICE_COLUMNS, BarColumn, BarFlag, BarFrame, full_columns
from marketdata.domain.feed import DEFAULT_FEED
from marketdata.domain.timeframe import Timeframe
from marketdata.wire.enums import TIMEFRAME_FROM_PROTO
from tests.contract.requests import DAY, MINUTE_US, OPEN_US, stamp_us
from tests.contract.service import Service
from tests.support.subscription_history import Connection, SubscriptionHistory, record

# A call that hangs fails its test.
WAIT_SECONDS: Final = 20.0
_EARLIEST_US: Final = Timeframe.DAY_1.earliest_us


def subscribe(*symbols: str, **changes: Any) -> messages.SubscribeBarsRequest:
    """Make a good request for days of some symbols but for `changes`."""
    fields: dict[str, Any] = {"symbols": symbols, "timeframes": [DAY]}
    return messages.SubscribeBarsRequest(**(fields | changes))


def flat_minutes(count: int, first: int = 0, price: float = 10.0) -> BarFrame:
    """Make minutes of AAPL in a row, all at one price, from so many behind the first open on."""
    flat = np.full(count, price)
    given = {
        BarColumn.TIME: OPEN_US + (first + np.arange(count, dtype=np.int64)) * MINUTE_US,
        **dict.fromkeys((*PRICE_COLUMNS, BarColumn.VOLUME), flat),
        BarColumn.FLAGS: np.full(count, BarFlag.FINAL, np.int16),
    }
    return BarFrame(("AAPL",), **full_columns(count, given), feeds={0: DEFAULT_FEED})


class Told:
    """The events of one call, one after the other."""

    def __init__(self, call: Any) -> None:
        self.call = call

    async def next(self) -> messages.BarEvent:
        """Wait for the next event."""
        async with asyncio.timeout(WAIT_SECONDS):
            response = await self.call.read()
        assert response is not grpc.aio.EOF, "the call ended"
        event: messages.BarEvent = response.event
        return event

    async def next_of(self, *kinds: str) -> messages.BarEvent:
        """Wait for the next event of some kinds; others are dropped."""
        while True:
            event = await self.next()
            if event.WhichOneof("event") in kinds:
                return event

    async def until_live(self) -> list[messages.BarEvent]:
        """Read up to `caught_up`, and return all before it."""
        events: list[messages.BarEvent] = []
        while True:
            event = await self.next()
            if event.HasField("caught_up"):
                return events
            events.append(event)


@asynccontextmanager
async def subscribed(service: Service, request: messages.SubscribeBarsRequest) -> AsyncIterator[Told]:
    """Call SubscribeBars, and end the call at the end."""
    call = service.bars.SubscribeBars(request)
    try:
        yield Told(call)
    finally:
        call.cancel()


class Recorder:
    """A subscriber who writes down what he is told, whose connection breaks, and who resumes.

    Parameters
    ----------
    services : sequence of Service
        Replicas over one database: each call goes to one of them.
    symbols, timeframes
        What it subscribes to; no symbols: all.
    seed : int
        Of when it breaks.
    from_start : bool
        Whether it begins with all bars that are stored.
    """

    def __init__(
        self,
        services: Sequence[Service],
        symbols: Sequence[str],
        timeframes: Sequence[Any],
        seed: int,
        *,
        from_start: bool = False,
    ) -> None:
        self._services = services
        self._dice = random.Random(seed)  # noqa: S311 -- the same in every run
        self._request = messages.SubscribeBarsRequest(
            symbols=symbols or ["*"], timeframes=timeframes, heartbeat_seconds=1
        )
        if from_start:
            self._request.start_time.CopyFrom(stamp_us(_EARLIEST_US))
        self._last: messages.BarEvent | None = None
        self.history = SubscriptionHistory(
            frozenset(symbols), frozenset(TIMEFRAME_FROM_PROTO[proto] for proto in timeframes)
        )

    async def run(self, is_done: Callable[["Recorder"], bool]) -> None:
        """Record until it is done; break after some events each time."""
        while not is_done(self):
            await self._call_once(self._dice.randint(1, 12), is_done)

    @property
    def last_seq(self) -> int:
        """The seq of the last event."""
        return self._last.seq if self._last else -1

    async def _call_once(self, events: int, is_done: Callable[["Recorder"], bool]) -> None:
        connection = Connection()
        if self._last is not None:
            self._request.resume_token = self._last.resume_token
            connection.resumed_seq = self._last.seq
        self.history.connections.append(connection)
        async with subscribed(self._dice.choice(self._services), self._request) as told:
            ack = await told.next()
            assert ack.HasField("ack")
            if self._last is None:
                self.history.after_seq = ack.seq
            connection.told.append(record(ack))
            while events > 0 and not is_done(self):
                event = await told.next()
                connection.told.append(record(event))
                # Stored bars have no token: they are read to their end.
                if event.resume_token:
                    self._last = event
                    events -= 1
