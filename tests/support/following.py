"""A live feed that a test plays, followed over a test's storage."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

import numpy as np

from marketdata.domain.bars import BarFrame
from marketdata.domain.live_feed import FeedState, FeedStatus
from marketdata.domain.symbol import Symbol
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ProviderError
from marketdata.ingestion.live_catch_up import RunCatchUp
from marketdata.ingestion.live_follower import FollowerTimes, LiveFollower, MakeSession
from marketdata.ingestion.live_session import LiveSession
from marketdata.providers.live import FeedBars, FeedDown, FeedEvent, FeedUp
from marketdata.storage.ingestion.feed_leases import FeedClaim, FeedLeases, FeedReader
from tests.support.ingesting import LEASE_SECONDS, Ingesting, ingesting
from tests.support.rows import stored_bars
from tests.support.scripted_provider import FEED, ScriptedProvider
from tests.support.sessions import local_us, walk
from tests.support.storage import Storage
from tests.support.symbols import create_symbols
from tests.support.waiting import until

MINUTE_US: Final = 60_000_000
_SOON_SECONDS: Final = 0.05
SYMBOLS: Final = ("A", "B")
#: The open of a session, and an hour later, which is now.
OPEN_US: Final = local_us("2024-06-28 09:30")
NOW_US: Final = OPEN_US + 60 * MINUTE_US


@dataclass
class PlayedFeed:
    """Tells what a test puts into it; each follower has its own stream.

    Attributes
    ----------
    wanted : tuple of str
        The symbols that it is to be followed for.
    heard : list of Queue
        What each stream is told.
    """

    name: str = FEED
    wanted: tuple[str, ...] = SYMBOLS
    heard: list["asyncio.Queue[FeedEvent | ProviderError]"] = field(default_factory=list)

    async def events(self, symbols: Sequence[Symbol]) -> AsyncGenerator[FeedEvent, None]:
        """Tell what is put."""
        queue: asyncio.Queue[FeedEvent | ProviderError] = asyncio.Queue()
        queue.put_nowait(FeedUp(tuple(symbol.symbol for symbol in symbols)))
        self.heard.append(queue)
        while True:
            event = await queue.get()
            if isinstance(event, ProviderError):
                raise event
            yield event

    def tell(self, event: FeedEvent | ProviderError, stream: int = -1) -> None:
        """Tell something to one of the streams that were opened."""
        self.heard[stream].put_nowait(event)

    def tell_bars(self, frame: BarFrame, stream: int = -1) -> None:
        """Tell bars of the feed."""
        told = replace(frame, feed=np.zeros(len(frame), np.int16), feeds={0: self.name})
        self.tell(FeedBars(told), stream)

    def break_off(self) -> None:
        """Be down, and up again at once."""
        self.tell(FeedDown("it hung up", 0.0))
        self.tell(FeedUp(SYMBOLS))


@dataclass(frozen=True, slots=True)
class Following:
    """A follower with what it works on."""

    storage: Storage
    one: Ingesting
    feed: PlayedFeed
    leases: FeedLeases
    make_session: MakeSession
    follower: LiveFollower

    async def status(self) -> FeedStatus:
        """Tell how the feed is."""
        (status,) = await FeedReader(self.storage.pools).list_all()
        return status

    async def is_live(self) -> None:
        """Wait until bars are stored as they come."""

        async def live() -> bool:
            found = await FeedReader(self.storage.pools).list_all()
            return bool(found) and found[0].state is FeedState.LIVE

        await until(live)

    async def holds(self, *minutes: int, symbol: str = "A") -> None:
        """Wait until exactly these minutes behind the open are stored of a symbol."""
        wanted = [OPEN_US + minute * MINUTE_US for minute in minutes]

        async def equal() -> bool:
            return await self.times(symbol) == wanted

        await until(equal)

    async def times(self, symbol: str = "A") -> list[int]:
        """List the times that are stored of a symbol, Unix microseconds."""
        rows = await stored_bars(self.storage, Timeframe.MINUTE_1)
        return [bar.time_us for bar in rows if bar.symbol == symbol]


def minutes(first: int, last: int, symbol: str = "A", seed: int = 7) -> BarFrame:
    """Make the bars of some minutes behind the open, both included; the same minute is the same bar."""
    times_us = OPEN_US + np.arange(0, last + 1, dtype=np.int64) * MINUTE_US
    return walk(times_us, seed, symbol).take(slice(first, last + 1))


async def played(storage: Storage, provider: ScriptedProvider | None = None) -> Following:
    """Put a follower together over a provider that has the first ten minutes of the session."""
    await create_symbols(storage, *SYMBOLS)
    bars = {(symbol, Timeframe.MINUTE_1): minutes(0, 9, symbol) for symbol in SYMBOLS}
    one = ingesting(storage, provider or ScriptedProvider(bars), NOW_US)
    return another(storage, one, PlayedFeed(), "test/1")


def another(storage: Storage, one: Ingesting, feed: PlayedFeed, owner: str) -> Following:
    """Put another follower together, as another process has it."""
    leases = FeedLeases(storage.pools, owner, timedelta(seconds=LEASE_SECONDS))
    catch_up = RunCatchUp(one.ingestion.runs, one.ingestion.starter)

    def make(claim: FeedClaim) -> LiveSession:
        return LiveSession(feed, claim, leases, storage.intake, catch_up, one.clock, _SOON_SECONDS)

    async def symbols_of() -> list[Symbol]:
        return list((await one.ingestion.runs.identities(feed.wanted)).values())

    times = FollowerTimes(LEASE_SECONDS / 3, _SOON_SECONDS, symbols_seconds=_SOON_SECONDS)
    follower = LiveFollower(feed, leases, make, symbols_of, times)
    return Following(storage, one, feed, leases, make, follower)


@asynccontextmanager
async def following(given: Following) -> AsyncIterator[Following]:
    """Follow, and execute runs."""
    async with given.one.ingestion.executor.running(), given.follower.running():
        yield given
