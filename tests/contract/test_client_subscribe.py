"""Subscriptions of the client: they outlive connections, servers and the change log."""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import date
from typing import Final

import numpy as np
import pytest

from marketdata.client import (
    BarFrame,
    BarsChange,
    BarSubscription,
    CaughtUp,
    MarketDataClient,
    NewSymbol,
    RangeChange,
    RangeReason,
    RetryPolicy,
    Subscribed,
    SubscriptionState,
    SubscriptionUpdate,
    SyncMarketDataClient,
)
from marketdata.errors import (
    InvalidRequestError,
    LogTrimmedError,
    ServiceError,
    ServiceUnavailableError,
)
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.log_reader import renew_generation
from tests.contract.requests import MINUTE, MINUTE_US, OPEN_US, TUESDAY_US, add_bars, add_symbols
from tests.contract.service import Service
from tests.support.bars import days
from tests.support.databases import connected
from tests.support.tcp_proxy import BreakingProxy, breaking_proxy

PATIENT: Final = RetryPolicy(most_attempts=20, first_wait_seconds=0.001, longest_wait_seconds=0.05)
FIRST_DAY: Final = date(2024, 1, 2)


class States:
    """Remembers what a subscription tells of itself."""

    def __init__(self) -> None:
        self.states: list[SubscriptionState] = []
        self.errors: list[ServiceError] = []

    def __call__(self, state: SubscriptionState, error: ServiceError | None) -> None:
        """Be told."""
        self.states.append(state)
        if error is not None:
            self.errors.append(error)


async def next_bars(subscription: BarSubscription) -> SubscriptionUpdate:
    """Wait for the next bars."""
    async with asyncio.timeout(20):
        async for update in subscription:
            if isinstance(update.change, BarsChange):
                return update
    raise AssertionError("the subscription ended")


async def until_live(subscription: BarSubscription) -> list[SubscriptionUpdate]:
    """Read until all was told."""
    found = []
    async with asyncio.timeout(20):
        async for update in subscription:
            found.append(update)
            if isinstance(update.change, CaughtUp):
                return found
    raise AssertionError("the subscription ended")


def times_of(update: SubscriptionUpdate) -> list[int]:
    """List the times of an update's bars."""
    assert isinstance(update.change, BarsChange)
    times: list[int] = update.change.frame.time_us.tolist()
    return times


@pytest.fixture
async def proxy(following: Service) -> AsyncIterator[BreakingProxy]:
    """Give a proxy in front of a service that has a symbol."""
    await add_symbols(following, "AAPL")
    async with breaking_proxy(following.address) as running:
        yield running


async def test_subscribe_given_connections_that_break_tells_every_change_once(
    following: Service, proxy: BreakingProxy
) -> None:
    """It resumes behind the last update, wherever the connection was cut, and says so."""
    states = States()
    # Within answers of about 400 bytes, again and again.
    proxy.cut_after(*range(700, 3_000, 130))
    async with MarketDataClient(proxy.address, retries=PATIENT) as client:
        subscription = client.subscribe("AAPL", "1d", since=FIRST_DAY, on_state=states)
        async with subscription:
            await until_live(subscription)
            told = []
            for day in range(40):
                await add_bars(following, [TUESDAY_US + days(day)])
                told += times_of(await next_bars(subscription))
    assert told == [TUESDAY_US + days(day) for day in range(40)]
    assert proxy.connections > 5
    assert states.states[:2] == [SubscriptionState.SUBSCRIBED, SubscriptionState.LIVE]
    assert SubscriptionState.INTERRUPTED in states.states
    assert all(isinstance(error, ServiceUnavailableError) for error in states.errors)


async def test_subscribe_given_since_tells_stored_bars_then_revisions(following: Service) -> None:
    """Stored bars are marked, and so is what replaces one of them."""
    await add_symbols(following, "AAPL")
    await add_bars(following, [TUESDAY_US])
    async with MarketDataClient(following.address) as client:
        async with client.subscribe(["AAPL"], ["1d"], since=FIRST_DAY) as subscription:
            known, stored, live = await until_live(subscription)
            assert known.change == Subscribed([("AAPL", True)])
            assert isinstance(stored.change, BarsChange)
            assert stored.change.is_stored
            seq = await add_bars(following, [TUESDAY_US], volume=[7.0])
            update = await next_bars(subscription)
            assert isinstance(update.change, BarsChange)
            assert (update.seq, update.change.is_stored) == (seq, False)
            assert update.change.frame.revision.tolist() == [1]
        token = live.resume_token
        async with client.subscribe("AAPL", "1d", resume_token=token) as subscription:
            assert (await next_bars(subscription)).seq == seq


async def test_subscribe_given_token_of_a_read_goes_on_behind_it(following: Service) -> None:
    """Years in bulk, then what changes: nothing lies between."""
    await add_symbols(following, "AAPL", "IBM")
    await add_bars(following, [TUESDAY_US])
    async with MarketDataClient(following.address) as client:
        read = await client.bars(["AAPL", "IBM"], "1d", order="time_symbol")
        seq = await add_bars(following, [TUESDAY_US + days(1)])
        token = read.applied.resume_token
        async with client.subscribe(["AAPL", "IBM"], "1d", resume_token=token) as subscription:
            update = await next_bars(subscription)
        derived = await client.bars("AAPL", "5m")
    assert (update.seq, times_of(update)) == (seq, [TUESDAY_US + days(1)])
    assert read.time_us.tolist() == [TUESDAY_US]
    assert derived.applied.resume_token == ""


async def test_subscribe_given_history_that_is_another_begins_anew_and_says_so(
    following: Service, proxy: BreakingProxy
) -> None:
    """After a restore it tells that all may differ, then what is stored, and goes on."""
    states = States()
    await add_bars(following, [TUESDAY_US])
    async with MarketDataClient(proxy.address, retries=PATIENT) as client:
        subscription = client.subscribe("AAPL", "1d", since=FIRST_DAY, on_state=states)
        async with subscription:
            await until_live(subscription)
            await renew_generation(following.stores.pools)
            # The tailer notices, and ends all who read the other history.
            lost, known, stored, _ = await until_live(subscription)
            assert isinstance(lost.change, RangeChange)
            assert lost.change.reason is RangeReason.LOST
            assert isinstance(known.change, Subscribed)
            assert times_of(stored) == [TUESDAY_US]
            seq = await add_bars(following, [TUESDAY_US + days(1)])
            assert (await next_bars(subscription)).seq == seq
    assert SubscriptionState.LOST in states.states
    assert states.states[-1] is SubscriptionState.LIVE


async def test_subscribe_given_token_that_is_too_old_begins_anew_and_says_so(
    following: Service, database: ServerAddress
) -> None:
    """What was trimmed cannot be told one by one: all may differ, then what is stored, if asked for."""
    await add_symbols(following, "AAPL")
    states = States()
    async with MarketDataClient(following.address) as client:
        async with client.subscribe("AAPL", "1d") as subscription:
            old = (await until_live(subscription))[-1].resume_token
        for day in range(3):
            seq = await add_bars(following, [TUESDAY_US + days(day)])
        with connected(database) as connection:
            connection.execute("UPDATE bar_log SET oldest_seq = %s", [seq])
        again = client.subscribe("AAPL", "1d", since=FIRST_DAY, resume_token=old, on_state=states)
        async with again:
            lost, _, stored, _ = await until_live(again)
            assert isinstance(lost.change, RangeChange)
            assert (lost.change.reason, lost.seq) == (RangeReason.LOST, seq)
            assert times_of(stored) == [TUESDAY_US + days(day) for day in range(3)]
        async with client.subscribe("AAPL", "1d", resume_token=old) as again:
            lost, known, _ = await until_live(again)
            assert isinstance(lost.change, RangeChange)
            assert isinstance(known.change, Subscribed)
    assert states.states[0] is SubscriptionState.LOST
    assert isinstance(states.errors[0], LogTrimmedError)


async def test_subscribe_given_too_many_bars_for_the_log_reads_them(following: Service) -> None:
    """A range that is told instead of its bars is read, as it was right then."""
    n = 20_000
    async with MarketDataClient(following.address) as client:
        await client.create_symbol(NewSymbol("AAPL"))
        close = np.full(n, 10.0)
        frame = BarFrame(
            symbols=("AAPL",),
            time_us=OPEN_US + np.arange(n, dtype=np.int64) * MINUTE_US,
            open=close,
            high=close,
            low=close,
            close=close,
        )
        async with client.subscribe("AAPL", "1m") as subscription:
            before = (await until_live(subscription))[-1]
            await client.upload_bars([frame], "1m")
            async with asyncio.timeout(20):
                told = await anext(subscription)
            assert isinstance(told.change, RangeChange)
            # Whoever stops here gets it again.
            assert told.resume_token == before.resume_token
            times: list[int] = []
            while len(times) < n:
                times += times_of(await next_bars(subscription))
            assert times == frame.time_us.tolist()
            seq = await add_bars(following, [OPEN_US - MINUTE_US], MINUTE)
            assert (await next_bars(subscription)).seq == seq


async def test_subscribe_given_bad_request_raises_every_violation(following: Service) -> None:
    """What would be refused again is not tried again."""
    async with MarketDataClient(following.address) as client:
        with pytest.raises(InvalidRequestError) as caught:
            await anext(client.subscribe(["aapl"], [], heartbeat_seconds=-1))
    fields = {violation.field for violation in caught.value.violations}
    assert fields == {"symbols[0]", "timeframes", "heartbeat_seconds"}


async def test_subscribe_given_service_that_stays_away_is_given_up() -> None:
    """Attempts are bounded: nobody waits for ever for what is not there."""
    few = RetryPolicy(most_attempts=3, first_wait_seconds=0.001)
    async with MarketDataClient("127.0.0.1:9", retries=few) as client:
        with pytest.raises(ServiceUnavailableError):
            await anext(client.subscribe("AAPL", "1d"))


async def test_subscribe_given_sync_client_tells_the_same(following: Service) -> None:
    """The other face is the same implementation, in a thread without an event loop."""
    await add_symbols(following, "AAPL")
    await add_bars(following, [TUESDAY_US])
    is_live, found = threading.Event(), []

    def follow() -> None:
        with (
            SyncMarketDataClient(following.address) as client,
            client.subscribe("AAPL", "1d", since=FIRST_DAY) as subscription,
        ):
            for update in subscription:
                if isinstance(update.change, BarsChange):
                    found.append(update.seq)
                elif isinstance(update.change, CaughtUp):
                    is_live.set()
                if len(found) == 2:
                    return

    thread = asyncio.create_task(asyncio.to_thread(follow))
    await asyncio.to_thread(is_live.wait, 20)
    seq = await add_bars(following, [TUESDAY_US + days(1)])
    async with asyncio.timeout(20):
        await thread
    assert found[-1] == seq
