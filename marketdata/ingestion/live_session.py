"""One process follows one feed: what was missed is fetched, then bars are stored as they come."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Final

import numpy as np

from marketdata.clock import Clock
from marketdata.domain.bar_merge import merge_frames
from marketdata.domain.bars import BarFrame
from marketdata.domain.live_feed import FeedState
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.ingestion.live_quality import LiveReport, judge_live
from marketdata.providers.live import FeedBars, FeedDown, FeedUp, LiveFeed
from marketdata.storage.commit import CommitResult
from marketdata.storage.ingestion.feed_leases import FeedClaim, FeedLeases, note_complete
from marketdata.storage.intake import BarIntake
from marketdata.storage.pools import Connection
from marketdata.storage.quarantine import append_quarantined

log = logging.getLogger(__name__)

#: Fetches the minutes of symbols from a time on, Unix microseconds; None: as far back as a batch does.
#: Tells why some were not fetched; empty: all were.
CatchUp = Callable[[FeedClaim, Sequence[str], int | None], Awaitable[str]]

# Messages that may wait while earlier bars are fetched or stored. Past it nothing is read from the
# feed, which then hangs up: what it would have told is fetched when it is up again.
_MOST_WAITING: Final = 2_000
#: Before it is tried again to fetch what was missed.
RETRY_SECONDS: Final = 60.0
# Bars of a transaction, where more wait.
_MOST_BARS_A_COMMIT: Final = 50_000


class LiveSession:
    """Follows a feed for as long as its claim is held.

    Parameters
    ----------
    feed : LiveFeed
        What is followed.
    claim : FeedClaim
        By which this process follows it.
    leases : FeedLeases
        Where it says how the feed is.
    intake : BarIntake
        Commits bars.
    catch_up : callable
        Fetches what the feed does not tell: what was before it was up.
    clock : Clock
        What is now.
    retry_seconds : float
        Before it is tried again to fetch what was missed.
    """

    def __init__(
        self,
        feed: LiveFeed,
        claim: FeedClaim,
        leases: FeedLeases,
        intake: BarIntake,
        catch_up: CatchUp,
        clock: Clock,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._feed = feed
        self._claim = claim
        self._leases = leases
        self._intake = intake
        self._catch_up = catch_up
        self._clock = clock
        self._retry_seconds = retry_seconds
        self._waiting: asyncio.Queue[BarFrame] = asyncio.Queue(_MOST_WAITING)
        self._is_live = asyncio.Event()
        self._complete_until_us = claim.complete_until_us
        # Whether all bars before those that come are stored.
        self._is_complete = False

    async def run(self, symbols: Sequence[Symbol]) -> None:
        """Follow the feed until cancelled.

        Raises
        ------
        ProviderKeyError
            It refuses the key or what was asked.
        LeaseLostError
            Another process has the feed.
        ServiceError
            The database cannot be written; what is missing then is fetched by whoever is next.
        """
        known = {symbol.symbol: symbol for symbol in symbols}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(symbols, group), name=f"read-{self._claim.feed}")
                group.create_task(self._store(known), name=f"store-{self._claim.feed}")
        except BaseExceptionGroup as failures:
            # The first one made the others end.
            raise failures.exceptions[0] from None

    async def _read(self, symbols: Sequence[Symbol], group: asyncio.TaskGroup) -> None:
        catching: asyncio.Task[None] | None = None
        async with aclosing(self._feed.events(symbols)) as events:
            async for event in events:
                match event:
                    case FeedUp():
                        self._is_live.clear()
                        self._is_complete = False
                        catching = group.create_task(self._go_live(event))
                    case FeedBars():
                        await self._waiting.put(event.frame)
                    case FeedDown():
                        await _ended(catching)
                        await self._note_down(event)

    async def _go_live(self, up: FeedUp) -> None:
        """Fetch what was made before the feed was up, and let its bars be stored behind it."""
        facts = {"feed": self._claim.feed, "symbols": len(up.symbols), "refused": len(up.refused)}
        log.info("feed_up", extra=facts)
        if up.refused:
            log.warning("feed_refused_symbols", extra={**facts, "first": ", ".join(up.refused[:20])})
        await self._leases.report(self._claim, FeedState.CATCHING_UP)
        while True:
            problem = await self._catch_up(self._claim, up.symbols, self._complete_until_us)
            # What comes is stored in any case: a provider can tell what is new and fail what is old.
            await self._leases.report(self._claim, FeedState.LIVE, problem)
            self._is_complete = not problem
            self._is_live.set()
            if not problem:
                log.info("feed_live", extra=facts)
                return
            log.warning("feed_incomplete", extra={**facts, "error": problem})
            await asyncio.sleep(self._retry_seconds)

    async def _note_down(self, down: FeedDown) -> None:
        log.warning("feed_down", extra={"feed": self._claim.feed, "error": down.problem})
        await self._leases.report(self._claim, FeedState.DOWN, down.problem)

    async def _store(self, symbols: Mapping[str, Symbol]) -> None:
        while True:
            await self._is_live.wait()
            frames = [await self._waiting.get()]
            # Waited for it, perhaps, while the feed broke off: then it waits for the next catching up.
            await self._is_live.wait()
            rows = len(frames[0])
            while not self._waiting.empty() and rows < _MOST_BARS_A_COMMIT:
                frames.append(self._waiting.get_nowait())
                rows += len(frames[-1])
            merged = merge_frames(frames)
            is_known = np.array([ticker in symbols for ticker in merged.symbols], np.bool_)
            asked = merged.take(is_known[merged.row_symbol_index()])
            await self._commit(judge_live(asked, symbols, self._clock.now_us()), symbols)

    async def _commit(self, report: LiveReport, symbols: Mapping[str, Symbol]) -> None:
        accepted = report.accepted
        if not len(accepted) and not report.rejected:
            return
        # A bar of a later minute comes when all of the earlier ones are out.
        newest_us = int(accepted.time_us.max()) if len(accepted) else 0
        complete_until_us = self._complete_until_us
        if self._is_complete and len(accepted):
            complete_until_us = max(newest_us, complete_until_us or 0)

        async def alongside(connection: Connection, result: CommitResult) -> None:
            del result
            await note_complete(connection, self._claim, complete_until_us)
            for judged in report.rejected:
                provider = self._claim.feed.partition("/")[0]
                await append_quarantined(connection, judged, Timeframe.MINUTE_1, provider=provider)

        meant = (
            {ticker: symbols[ticker].symbol_id for ticker in accepted.symbols} if len(accepted) else {}
        )
        result = await self._intake.store(accepted, Timeframe.MINUTE_1, alongside, meant)
        self._complete_until_us = complete_until_us
        log.debug(
            "feed_bars_stored",
            extra={
                "feed": self._claim.feed,
                "bars": result.committed.accepted + result.committed.revised,
                "rejected": sum(map(len, report.rejected)),
                "newest": from_unix_us(newest_us).isoformat(),
            },
        )


async def _ended(task: "asyncio.Task[None] | None") -> None:
    if task is not None and not task.done():
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
