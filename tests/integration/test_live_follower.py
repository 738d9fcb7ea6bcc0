"""A live feed followed into the database: nothing missed, nothing twice, by one process at a time."""

import asyncio
from dataclasses import replace
from typing import Final

import numpy as np
import pytest

from marketdata.domain.bars import BarFlag
from marketdata.domain.live_feed import FeedState
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ProviderKeyError, ProviderUnavailableError
from marketdata.storage.ingestion.claims import LeaseLostError
from tests.support.following import (
    MINUTE_US,
    OPEN_US,
    SYMBOLS,
    Following,
    PlayedFeed,
    another,
    following,
    minutes,
    played,
)
from tests.support.rows import fetch, stored_bars
from tests.support.storage import Storage
from tests.support.waiting import until

pytestmark = pytest.mark.modes("plain", reason="needs connections of its own, whatever the mode")

_PAUSE_SECONDS: Final = 0.05


async def opened(feed: PlayedFeed, count: int) -> bool:
    """Tell whether the feed was followed so often."""
    return len(feed.heard) == count


async def test_follower_given_a_feed_fetches_what_was_before_and_stores_what_comes(
    storage: Storage,
) -> None:
    """The first ten minutes come from the provider, the next from the feed."""
    async with following(await played(storage)) as live:
        await live.is_live()
        await live.holds(*range(10))
        live.feed.tell_bars(minutes(10, 10))
        live.feed.tell_bars(minutes(10, 11, "B"))
        await live.holds(*range(11))
        await live.holds(*range(12), symbol="B")
        assert (await live.status()).complete_until_us == OPEN_US + 11 * MINUTE_US


async def test_follower_given_bars_while_it_catches_up_stores_them_behind(storage: Storage) -> None:
    """What the feed tells early waits; nothing is stored out of order."""
    given = await played(storage)
    gate = asyncio.Event()

    async def wait(*_: object) -> None:
        await gate.wait()

    given.one.provider.before_page = wait
    async with following(given) as live:
        await until(lambda: opened(live.feed, 1))
        live.feed.tell_bars(minutes(10, 10))
        await asyncio.sleep(_PAUSE_SECONDS)
        assert await live.times() == []
        gate.set()
        await live.holds(*range(11))


async def test_follower_given_a_break_fetches_what_it_missed(storage: Storage) -> None:
    """Bars that were made while the feed was down are there when it is live again."""
    async with following(await played(storage)) as live:
        await live.is_live()
        live.feed.tell_bars(minutes(10, 10))
        await live.holds(*range(11))
        live.one.provider.bars = {(s, Timeframe.MINUTE_1): minutes(0, 14, s) for s in SYMBOLS}
        live.feed.break_off()
        live.feed.tell_bars(minutes(15, 15))
        await live.holds(*range(16))
        asked = live.one.provider.requests[-1].range
        assert asked.start_us == OPEN_US + 5 * MINUTE_US


async def test_follower_given_a_revision_stores_it_as_one(storage: Storage) -> None:
    """The later of two bars of a minute stands, with its revision."""
    async with following(await played(storage)) as live:
        await live.is_live()
        await live.holds(*range(10))
        bar = minutes(10, 10)
        live.feed.tell_bars(bar)
        await live.holds(*range(11))
        live.feed.tell_bars(replace(bar, volume=bar.volume + 100))

        async def is_revised() -> bool:
            rows = await stored_bars(storage, Timeframe.MINUTE_1)
            return [b.revision for b in rows if b.symbol == "A"][-1:] == [1]

        await until(is_revised)


async def test_follower_given_bars_that_break_rules_keeps_them_aside(storage: Storage) -> None:
    """A bad bar is in the quarantine, under its feed's provider; the good ones beside it are stored."""
    async with following(await played(storage)) as live:
        await live.is_live()
        bad = minutes(10, 11)
        live.feed.tell_bars(replace(bad, high=np.where([True, False], 1.0, bad.high)))
        await live.holds(*range(10), 11)
        rows = await fetch(storage, "SELECT provider, symbol, rules FROM bar_quarantine")
        assert [(row[0], row[1]) for row in rows] == [("alpaca", "A")]


async def test_follower_given_symbols_that_nobody_asked_for_leaves_them_out(storage: Storage) -> None:
    """A feed that tells more than it was asked does no harm."""
    async with following(await played(storage)) as live:
        await live.is_live()
        live.feed.tell_bars(minutes(10, 10, "X"))
        live.feed.tell_bars(minutes(10, 10))
        await live.holds(*range(11))


async def test_follower_given_a_forming_minute_waits_for_its_end(storage: Storage) -> None:
    """A minute that is not over by this machine's clock is not stored as final."""
    async with following(await played(storage)) as live:
        await live.is_live()
        live.feed.tell_bars(minutes(10, 61))
        await live.holds(*range(60))
        rows = await stored_bars(storage, Timeframe.MINUTE_1)
        assert all(bar.flags & BarFlag.FINAL for bar in rows)


async def test_follower_given_two_processes_is_one_of_them(storage: Storage) -> None:
    """The second one follows when the first one ends, and goes on from where it was."""
    first = await played(storage)
    second = another(storage, first.one, first.feed, "test/2")
    async with following(first):
        await first.is_live()
        async with second.follower.running():
            await asyncio.sleep(_PAUSE_SECONDS)
            assert len(first.feed.heard) == 1
            assert (await first.status()).owner == "test/1"
            first.feed.tell_bars(minutes(10, 10))
            await first.holds(*range(11))
    async with first.one.ingestion.executor.running(), second.follower.running():
        await until(lambda: opened(first.feed, 2))
        await second.is_live()
        assert (await second.status()).owner == "test/2"
        assert (await second.status()).epoch == 2
        assert first.one.provider.requests[-1].range.start_us == OPEN_US + 5 * MINUTE_US


async def test_session_given_a_feed_that_another_took_over_changes_nothing(storage: Storage) -> None:
    """A process that was stopped beyond its lease cannot write any more."""
    late = await played(storage)
    claim = await late.leases.claim(late.feed.name)
    assert claim is not None
    symbols = list((await late.one.ingestion.runs.identities(SYMBOLS)).values())
    async with late.one.ingestion.executor.running():
        # Nobody keeps the claim of this session, as where its process stands still.
        session = asyncio.create_task(late.make_session(claim).run(symbols))
        await late.is_live()
        await until(lambda: another_claims(late))
        late.feed.tell_bars(minutes(10, 10))
        with pytest.raises(LeaseLostError):
            await session
    assert await late.times() == [OPEN_US + minute * MINUTE_US for minute in range(10)]
    with pytest.raises(LeaseLostError):
        await late.leases.renew(claim)


async def another_claims(late: Following) -> bool:
    """Try to take the feed as another process, whose clock is the database's too."""
    other = another(late.storage, late.one, late.feed, "test/2")
    return await other.leases.claim(late.feed.name) is not None


async def test_follower_given_a_provider_that_fails_stores_what_comes_and_says_what_is_missing(
    storage: Storage,
) -> None:
    """The mark of completeness stays where it was until what is missing was fetched at last."""
    given = await played(storage)
    given.one.provider.fails = dict.fromkeys(SYMBOLS, ProviderUnavailableError("is down"))
    async with following(given) as live:
        await live.is_live()
        live.feed.tell_bars(minutes(10, 10))
        await live.holds(10)
        status = await live.status()
        assert status.state is FeedState.LIVE
        assert "bars of before are missing" in status.problem
        assert status.complete_until_us is None
        given.one.provider.fails = {}

        async def is_mended() -> bool:
            return (await live.status()).problem == ""

        await until(is_mended)
        await live.holds(*range(11))
        live.feed.tell_bars(minutes(11, 11))
        await live.holds(*range(12))
        assert (await live.status()).complete_until_us == OPEN_US + 11 * MINUTE_US


async def test_follower_given_a_refused_key_says_so(storage: Storage) -> None:
    """An operator finds why nothing comes."""
    async with following(await played(storage)) as live:
        await live.is_live()
        live.feed.tell(ProviderKeyError("refuses the key (402: auth failed)"))

        async def is_told() -> bool:
            return (await live.status()).problem == "refuses the key (402: auth failed)"

        await until(is_told)
        assert (await live.status()).is_followed is False


async def test_follower_given_targets_that_change_follows_the_other_symbols(storage: Storage) -> None:
    """The subscription begins anew; what lies between is fetched."""
    given = await played(storage)
    given.feed.wanted = ("A",)
    async with following(given) as live:
        await live.is_live()
        given.feed.wanted = SYMBOLS
        await until(lambda: opened(live.feed, 2))
        live.feed.tell_bars(minutes(10, 10, "B"))
        await live.holds(*range(11), symbol="B")
