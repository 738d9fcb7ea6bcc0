"""Bars in the quarantine: how tests put them there."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from marketdata.clock import ManualClock
from marketdata.domain.quality import JudgedBars, QualityRule
from marketdata.domain.quality.rules import bits_of
from marketdata.domain.quarantine import QuarantinedBar, QuarantineFilter
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.pools import Pools
from marketdata.storage.quarantine import QuarantineReader, append_quarantined
from marketdata.storage.quarantine_decisions import QuarantineDecider
from tests.support.bars import Bar, days, frame_of
from tests.support.storage import Storage

FEEDS: Final = {0: "sample/eod", 1: "manual/upload"}
ANY: Final = QuarantineFilter()
NOW: Final = ManualClock(days(20_000))
SCALE: Final = (QualityRule.SCALE_100X,)
SPIKE: Final = (QualityRule.SPIKE,)
NOT_FINITE: Final = (QualityRule.NOT_FINITE, QualityRule.STALE_REPEAT)


def bar(symbol: str = "A", day: float = 1, **values: Any) -> Bar:
    """Make a bar of a feed that `FEEDS` names."""
    return Bar(symbol, days(day), **{"feed": 0, "vwap": 10.5, **values})


def judged(
    *bars: Bar, rules: Sequence[QualityRule] = SCALE, detail: str = "closes at 100"
) -> JudgedBars:
    """Say of some bars that they break rules; their feeds are keys into `FEEDS`."""
    frame = replace(frame_of(bars), feeds=FEEDS)
    return JudgedBars(frame, np.full(len(bars), bits_of(rules)), (detail,) * len(bars))


async def put(
    pools: Pools, *found: JudgedBars, timeframe: Timeframe = Timeframe.DAY_1, run_id: int | None = None
) -> None:
    """Put rows into the quarantine, in one transaction."""
    async with pools.query() as connection, connection.transaction():
        for one in found:
            await append_quarantined(connection, one, timeframe, provider="sample", run_id=run_id)


async def listed(storage: Storage, wanted: QuarantineFilter = ANY) -> list[QuarantinedBar]:
    """List everything, the last found first."""
    return await QuarantineReader(storage.pools).list_page(wanted, None, 1_000)


async def ids(storage: Storage, wanted: QuarantineFilter = ANY) -> list[int]:
    """List the numbers, in the order in which rows were found."""
    return [bar.quarantine_id for bar in await listed(storage, wanted)][::-1]


def decider(storage: Storage, clock: ManualClock = NOW) -> QuarantineDecider:
    """Decide of bars of this database, long after they ended."""
    return QuarantineDecider(storage.pools, storage.intake, clock)
