"""Subscriptions over real servers, held to their guarantees: writers write and connections break."""

import asyncio
from dataclasses import replace
from typing import Final

import numpy as np
import pytest

from marketdata.domain.timeframe import Timeframe
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.log_reader import LogReader
from tests.contract.requests import DAY, HOUR, TUESDAY_US, add_symbols
from tests.contract.service import Service, serving
from tests.contract.subscribing import Recorder
from tests.support.bars import MANUAL_FEED, Bar, days, frame_of
from tests.support.subscription_history import committed_versions
from tests.support.validators.subscriptions import problems

SYMBOLS: Final = tuple(f"S{number}" for number in range(8))
WRITERS: Final = 6
WRITES: Final = 25
MANY: Final = pytest.mark.modes("plain", "apache", reason="many transactions at once")


async def write(service: Service, seed: int) -> None:
    """Store and revise bars of some symbols again and again."""
    rng = np.random.default_rng(seed)
    for number in range(WRITES):
        timeframe = Timeframe.HOUR_1 if rng.random() < 0.2 else Timeframe.DAY_1
        symbols = rng.choice(SYMBOLS, rng.integers(1, 5), replace=False).tolist()
        bars = [
            Bar(symbol, TUESDAY_US + days(int(rng.integers(6))), volume=float(rng.integers(10**9)))
            for symbol in symbols
        ]
        frame = replace(frame_of(bars), feeds={MANUAL_FEED: "manual/upload"})
        await service.stores.intake.store(frame, timeframe)
        if number % 3 == 0:
            await asyncio.sleep(float(rng.exponential(0.004)))


@MANY
async def test_subscribe_given_writers_and_connections_that_break_tells_exactly_the_committed(
    database: ServerAddress,
) -> None:
    """Ordered, unique, complete, resumable at any replica, bookmarked, seamless."""
    async with (
        serving(lambda: database, follows_log=True) as one,
        serving(lambda: database, follows_log=True) as other,
    ):
        await add_symbols(one, *SYMBOLS)
        await write(one, 100)
        both = [one, other]
        recorders = [
            Recorder(both, (), [DAY, HOUR], 1),
            Recorder(both, SYMBOLS[:2], [DAY], 2),
            Recorder(both, SYMBOLS[2:3], [DAY, HOUR], 3, from_start=True),
            Recorder(both, SYMBOLS, [HOUR, DAY], 4, from_start=True),
            Recorder(both, SYMBOLS[:5], [DAY], 5, from_start=True),
        ]
        head = asyncio.get_running_loop().create_future()

        def has_all(recorder: Recorder) -> bool:
            return head.done() and recorder.last_seq >= head.result()

        async with asyncio.timeout(90), asyncio.TaskGroup() as group:
            for recorder in recorders:
                group.create_task(recorder.run(has_all))
            async with asyncio.TaskGroup() as writing:
                for seed in range(WRITERS):
                    writing.create_task(write(both[seed % 2], seed))
            reader = LogReader(one.stores.pools)
            head.set_result((await reader.bounds()).head_seq)
        committed = await committed_versions(reader)
    found = [
        problems(recorder.history, committed, from_start=number >= 2)
        for number, recorder in enumerate(recorders)
    ]
    assert found == [[]] * len(recorders)
    # Otherwise this proves little.
    assert all(len(recorder.history.connections) > 3 for recorder in recorders)
    assert all(len(recorder.history.changes) > 3 for recorder in recorders)
