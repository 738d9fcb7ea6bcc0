"""Subscribers that do not read: ended or conflated, and nobody else waits for them."""

import asyncio
from dataclasses import replace
from typing import Any, Final

import grpc
import numpy as np
import pytest
from bifrost.marketdata.v1 import bar_subscription_pb2 as messages

from marketdata.domain.bars import BarFrame
from marketdata.domain.symbol import NewSymbol
from marketdata.domain.timeframe import Timeframe
from marketdata.rpc.admission import _Class
from marketdata.streaming.hub import SubscriptionLimits
from tests.contract.refusals import to_refusal
from tests.contract.requests import DAY, MINUTE, OPEN_US
from tests.contract.service import Service
from tests.contract.subscribing import Told, flat_minutes, subscribe, subscribed
from tests.support.bars import days
from tests.support.waiting import until

# More than what gRPC itself keeps for a client that reads nothing, some megabytes.
WRITES: Final = 30
BARS: Final = 5_000
SMALL: Final = SubscriptionLimits(log_bytes=1_000_000, mailbox_bytes=500_000)


def minutes(number: int) -> BarFrame:
    """Make many minutes of a symbol, which are others for each number."""
    return flat_minutes(BARS, number * BARS, 10.0 + number)


async def write(service: Service) -> int:
    """Store far more than a stalled subscriber may let wait; return the last seq."""
    seq = 0
    for number in range(WRITES):
        result = await service.stores.intake.store(minutes(number), Timeframe.MINUTE_1)
        seq = result.committed.seq
    return seq


@pytest.fixture
async def small(following: Service) -> Service:
    """Give a service whose subscribers may let little wait."""
    following.hub.limits = SMALL
    await following.stores.symbols.create(NewSymbol("AAPL"))
    return following


def request(**changes: Any) -> messages.SubscribeBarsRequest:
    """Subscribe to minutes and days."""
    return subscribe("AAPL", timeframes=[MINUTE, DAY], **changes)


async def take_all(told: Told) -> int:
    """Read all bars that are written, and count them."""
    count = 0
    while count < WRITES * BARS:
        count += len((await told.next_of("bars")).bars.time_us)
    return count


async def ended(told: Told) -> list[Any]:
    """Read what is left of a call, then how it ended."""
    read: list[Any] = []
    try:
        while True:
            read.append(await told.next())
    except grpc.aio.AioRpcError as error:
        return [*read, to_refusal(error)]


async def test_stalled_subscriber_given_too_much_waits_is_ended_and_loses_nothing(
    small: Service,
) -> None:
    """RESOURCE_EXHAUSTED with a token behind what arrived; a reader beside it gets all at once."""
    async with subscribed(small, request()) as stalled, subscribed(small, request()) as quick:
        assert await stalled.until_live()
        await quick.until_live()
        reading = asyncio.create_task(take_all(quick))
        last = await write(small)
        assert await reading == WRITES * BARS

        async def only_one_is_left() -> bool:
            # Nothing of it is left, though it still reads nothing.
            places = small.admission._running[_Class.SUBSCRIPTION]
            return len(small.stores.tailer._consumers) == places == 1

        await until(only_one_is_left)
        *read, refusal = await ended(stalled)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_CONSUMER")
    assert "faster" in refusal.message
    got = [t for event in read if event.HasField("bars") for t in event.bars.time_us]
    assert 0 < len(got) < WRITES * BARS
    async with subscribed(small, request(resume_token=read[-1].resume_token)) as resumed:
        while True:
            event = await resumed.next()
            got += event.bars.time_us
            if event.HasField("bars") and event.seq == last:
                break
    assert got == [t for number in range(WRITES) for t in minutes(number).time_us.tolist()]
    # Whoever keeps no tokens has that of the refusal: behind what surely arrived.
    async with subscribed(small, request(resume_token=refusal.metadata["resume_token"])) as resumed:
        assert (await resumed.next()).seq <= read[-1].seq


async def test_stalled_subscriber_given_one_message_that_is_not_read_is_ended_in_time(
    small: Service,
) -> None:
    """Where what waits would still fit, time is the bound."""
    small.hub.limits = replace(SMALL, log_bytes=1 << 30, stalled_seconds=0.3)
    async with subscribed(small, request()) as stalled:
        await stalled.until_live()
        await write(small)

        async def is_gone() -> bool:
            return not small.stores.tailer._consumers

        await until(is_gone)
        *_, refusal = await ended(stalled)
    assert refusal.reason == "SLOW_CONSUMER"
    assert "seconds" in refusal.message


async def test_stalled_subscriber_given_conflate_gets_the_latest_bars_marked(small: Service) -> None:
    """What waited is one bar of each timeframe; it goes on from there, and its token with it."""
    policy = messages.SLOW_READER_POLICY_CONFLATE
    async with subscribed(small, request(slow_reader_policy=policy)) as stalled:
        await stalled.until_live()
        day = replace(
            minutes(0).take(slice(0, 1)), time_us=np.array([OPEN_US - OPEN_US % days(1)], np.int64)
        )
        await small.stores.intake.store(day, Timeframe.DAY_1)
        last = await write(small)
        events: list[messages.BarEvent] = []
        while not events or events[-1].seq < last:
            events.append(await stalled.next())
        conflated = [event for event in events if event.conflated]
        assert conflated
        assert all(len(event.bars.time_us) == 1 for event in conflated)
        told = [event.bars for event in events if event.bars.timeframe == MINUTE]
        assert told[-1].time_us[-1] == int(minutes(WRITES - 1).time_us[-1])
        assert events[-1].resume_token
        revised = replace(minutes(0), close=np.full(BARS, 9.0), low=np.full(BARS, 9.0))
        result = await small.stores.intake.store(revised.take(slice(0, 2)), Timeframe.MINUTE_1)
        event = await stalled.next_of("bars")
        assert (event.seq, event.conflated, len(event.bars.time_us)) == (
            result.committed.seq,
            False,
            2,
        )
