"""Follows a live feed for this process: alone among all processes, again and again."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from marketdata.domain.symbol import Symbol
from marketdata.errors import MarketDataError, ProviderKeyError, ServiceError
from marketdata.ingestion.live_session import LiveSession
from marketdata.providers.live import LiveFeed
from marketdata.storage.ingestion.claims import LeaseLostError
from marketdata.storage.ingestion.feed_leases import FeedClaim, FeedLeases

log = logging.getLogger(__name__)

SymbolsOf = Callable[[], Awaitable[Sequence[Symbol]]]
MakeSession = Callable[[FeedClaim], LiveSession]

# Only an operator can mend a key; meanwhile the account is left alone.
_REFUSED_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class FollowerTimes:
    """When a follower looks and says that it lives.

    Attributes
    ----------
    renew_seconds : float
        How often it keeps the feed; well below the lease.
    retry_seconds : float
        Before it tries again to get a feed that another process has, or after a failure.
    symbols_seconds : float
        How often it looks whether other symbols are to be followed.
    """

    renew_seconds: float
    retry_seconds: float
    symbols_seconds: float = 30.0


class LiveFollower:
    """Follows one feed whenever no other process does.

    Parameters
    ----------
    feed : LiveFeed
        What is followed.
    leases : FeedLeases
        Who follows it.
    make_session : callable
        Makes what follows it under a claim.
    symbols_of : callable
        Tells which symbols are to be followed at present; none: the feed is left to others.
    times : FollowerTimes
        How often it looks.
    """

    def __init__(
        self,
        feed: LiveFeed,
        leases: FeedLeases,
        make_session: MakeSession,
        symbols_of: SymbolsOf,
        times: FollowerTimes,
    ) -> None:
        self._feed = feed
        self._leases = leases
        self._make_session = make_session
        self._symbols_of = symbols_of
        self._times = times

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the feed as a context; at its end it is left to others at once."""
        following = asyncio.create_task(self._follow(), name=f"follow-{self._feed.name}")
        try:
            yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            seconds = self._times.retry_seconds
            try:
                symbols = await self._symbols_of()
                claim = await self._leases.claim(self._feed.name) if symbols else None
                if claim is not None:
                    seconds = await self._follow_under(claim, symbols)
            except ServiceError as error:
                facts = {"feed": self._feed.name, "error": error.message}
                log.warning("feed_follower_failed", extra=facts)
            except Exception:
                # A defect must not end it for the life of the process.
                log.exception("feed_follower_defect", extra={"feed": self._feed.name})
            await asyncio.sleep(seconds)

    async def _follow_under(self, claim: FeedClaim, symbols: Sequence[Symbol]) -> float:
        """Follow the feed until something ends it; return after how long to try again, in seconds."""
        log.info("feed_claimed", extra={"feed": claim.feed, "epoch": claim.epoch})
        problem = "its process has ended"
        try:
            await self._attend(claim, symbols)
            problem = "it begins anew, with other symbols"
        except LeaseLostError:
            log.warning("feed_lost", extra={"feed": claim.feed, "epoch": claim.epoch})
            return self._times.retry_seconds
        except ProviderKeyError as error:
            problem = error.message
            log.error("feed_refused", extra={"feed": claim.feed, "error": problem})  # noqa: TRY400 -- no defect
            return _REFUSED_SECONDS
        except ServiceError as error:
            problem = error.message
            raise
        finally:
            # Without it the lease runs out by itself, only later.
            with contextlib.suppress(MarketDataError):
                await self._leases.release(claim, problem)
        return 0.0

    async def _attend(self, claim: FeedClaim, symbols: Sequence[Symbol]) -> None:
        """Keep the feed while it is followed; return when other symbols are to be followed."""
        session = self._make_session(claim)
        work = asyncio.create_task(session.run(symbols), name=f"feed-{claim.feed}-{claim.epoch}")
        loop = asyncio.get_running_loop()
        look_at = loop.time() + self._times.symbols_seconds
        try:
            while True:
                await asyncio.wait([work], timeout=self._times.renew_seconds)
                if work.done():
                    work.result()
                    return
                await self._renew(claim)
                if loop.time() >= look_at:
                    look_at = loop.time() + self._times.symbols_seconds
                    if list(await self._symbols_of()) != list(symbols):
                        return
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _renew(self, claim: FeedClaim) -> None:
        try:
            await self._leases.renew(claim)
        except ServiceError as error:
            # A commit would fail as well, and is what ends the session; one lost renewal is no harm.
            facts = {"feed": claim.feed, "error": error.message}
            log.warning("feed_renewal_failed", extra=facts)
