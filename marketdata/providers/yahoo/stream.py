"""Yahoo's stream: prices followed through breaks, and made into minutes here."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from marketdata.clock import Clock
from marketdata.domain.bars import MISSING_TRADE_COUNT, BarFrame
from marketdata.domain.minute_builder import BuilderTimes, MinuteBuilder
from marketdata.domain.partial_minutes import MINUTE_US
from marketdata.domain.reconnect import Reconnect
from marketdata.domain.symbol import Symbol
from marketdata.providers.http.socket import Socket, SocketBounds, open_socket
from marketdata.providers.live import FeedBars, FeedEvent, FeedUp
from marketdata.providers.live_connections import FEED_RECONNECT, follow_connections
from marketdata.providers.yahoo.spelling import yahoo_spelling
from marketdata.providers.yahoo.ticks import Tick, TickCounter, parse_tick, subscription

FEED: Final = "yahoo/stream"
_PATH: Final = "/?version=2"


@dataclass(frozen=True, slots=True)
class StreamTimes:
    """How long things take.

    Attributes
    ----------
    subscribe_seconds : float
        How often Yahoo is told that somebody is there.
    look_seconds : float
        How often it is looked whether a minute is over.
    reconnect : Reconnect
        Before the stream is tried again.
    """

    subscribe_seconds: float = 15.0
    look_seconds: float = 0.5
    reconnect: Reconnect = FEED_RECONNECT


class YahooStream:
    """Follows prices, and tells minutes.

    Parameters
    ----------
    address : str
        ``https://host`` of the stream.
    clock : Clock
        When minutes are over.
    times, settle, bounds
        How long things take, and what a connection may.
    """

    def __init__(
        self,
        address: str,
        clock: Clock,
        times: StreamTimes | None = None,
        settle: BuilderTimes | None = None,
        bounds: SocketBounds | None = None,
    ) -> None:
        self._address = address
        self._clock = clock
        self._times = times or StreamTimes()
        self._settle = settle or BuilderTimes()
        self._bounds = bounds or SocketBounds()

    @property
    def name(self) -> str:
        """The feed that bars are stored under."""
        return FEED

    async def events(self, symbols: Sequence[Symbol]) -> AsyncGenerator[FeedEvent, None]:
        """Follow the feed; see `LiveFeed.events`."""
        spelled = {yahoo_spelling(symbol): symbol.symbol for symbol in symbols}
        # There is no key.
        connections = follow_connections(lambda: self._connection(spelled), self._times.reconnect, str)
        async with aclosing(connections) as events:
            async for event in events:
                yield event

    async def _connection(self, spelled: Mapping[str, str]) -> AsyncGenerator[FeedEvent, None]:
        """Follow one connection to its end, which is an error."""
        async with open_socket(self._address, _PATH, self._bounds) as socket:
            await socket.send(subscription(list(spelled)))
            # The minute that is under way was missed in part: it comes with what was before.
            now_us = self._clock.now_us()
            whole_from_us = now_us - now_us % MINUTE_US + MINUTE_US
            yield FeedUp(tuple(spelled.values()))
            builder, counter = MinuteBuilder(FEED, self._settle), TickCounter()
            ticks: list[Tick] = []
            reading = asyncio.create_task(_read(socket, ticks), name="yahoo-stream")
            asking = asyncio.create_task(self._ask(socket, spelled), name="yahoo-subscribe")
            try:
                while True:
                    await asyncio.wait({reading, asking}, timeout=self._times.look_seconds)
                    taken, ticks[:] = list(ticks), []
                    now_us = self._clock.now_us()
                    builder.add(counter.trades(taken), now_us)
                    bars = builder.final_bars(now_us)
                    bars = bars.take(bars.time_us >= whole_from_us)
                    if len(bars):
                        yield FeedBars(_told(bars, spelled))
                    for task in (reading, asking):
                        if task.done():
                            task.result()
            finally:
                reading.cancel()
                asking.cancel()
                await asyncio.gather(reading, asking, return_exceptions=True)

    async def _ask(self, socket: Socket, spelled: Mapping[str, str]) -> None:
        while True:
            await asyncio.sleep(self._times.subscribe_seconds)
            await socket.send(subscription(list(spelled)))


async def _read(socket: Socket, ticks: list[Tick]) -> None:
    while True:
        tick = parse_tick(await socket.receive())
        if tick is not None:
            ticks.append(tick)


def _told(frame: BarFrame, spelled: Mapping[str, str]) -> BarFrame:
    """Return the bars under this service's tickers, without what prices now and then cannot tell."""
    return replace(
        frame,
        symbols=tuple(spelled.get(theirs, theirs) for theirs in frame.symbols),
        vwap=np.full(len(frame), np.nan),
        trade_count=np.full(len(frame), MISSING_TRADE_COUNT, np.int64),
    )
