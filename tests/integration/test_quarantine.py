"""The quarantine: rows put into it once, and listed."""

from dataclasses import replace
from itertools import chain
from typing import Final

import numpy as np
import pytest

from marketdata.domain.quality import QualityRule, Severity
from marketdata.domain.quarantine import (
    QuarantineFilter,
    QuarantineState,
)
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.quarantine import QuarantineReader, append_quarantined
from tests.support.bars import NAN, days
from tests.support.quality import judge, minutes
from tests.support.quarantined import (
    ANY,
    NOT_FINITE,
    SCALE,
    SPIKE,
    bar,
    decider,
    ids,
    judged,
    listed,
    put,
)
from tests.support.storage import Storage
from tests.support.symbols import create_symbols

DAY: Final = Timeframe.DAY_1


async def test_append_given_rows_lists_them_as_given(storage: Storage) -> None:
    """Every column, NaN and infinity too, with rules, severity and detail."""
    odd = bar(close=NAN, high=float("inf"), volume=None, vwap=None, trade_count=7, feed=1)
    await put(storage.pools, judged(odd, rules=NOT_FINITE, detail="close nan"), run_id=5)
    (found,) = await listed(storage)
    assert np.isnan([found.close, found.volume, found.vwap]).all()
    assert (found.open, found.high, found.low, found.trade_count) == (10.0, float("inf"), 9.0, 7)
    assert (found.symbol, found.timeframe, found.time_us) == ("A", DAY, days(1))
    assert (found.provider, found.feed, found.run_id) == ("sample", "manual/upload", 5)
    assert (found.rules, found.severity) == (NOT_FINITE, Severity.INVALID)
    assert (found.detail, found.state, found.reason) == ("close nan", QuarantineState.OPEN, "")
    assert found.decided_us is None
    assert found.quarantined_us > 0


async def test_append_given_no_rows_does_nothing(storage: Storage) -> None:
    """A page without a fault has nothing to keep."""
    frame = minutes()
    await put(storage.pools, judge(frame).rejected, timeframe=Timeframe.MINUTE_1)
    assert await listed(storage) == []


async def test_append_given_a_page_of_a_provider_keeps_what_the_report_says(storage: Storage) -> None:
    """From check to row: times out of all bounds and long texts, too."""
    frame = minutes()
    time_us = frame.time_us.copy()
    time_us[:2] = (np.iinfo(np.int64).max, np.iinfo(np.int64).min)
    close = frame.close.copy()
    close[9] *= 100
    report = judge(replace(frame, time_us=time_us, close=close, high=np.maximum(frame.high, close)))
    await put(storage.pools, report.rejected, timeframe=Timeframe.MINUTE_1)
    found = (await listed(storage))[::-1]
    assert [bar.rules[0].name for bar in found] == [
        "TIME_OUT_OF_BOUNDS",
        "SCALE_100X",
        "TIME_OUT_OF_BOUNDS",
    ]
    assert found[0].detail == "time_us -9223372036854775808"
    assert (found[0].time_us, found[2].time_us) == (DAY.earliest_us, DAY.latest_us)


async def test_append_given_the_same_row_again_keeps_it_once(storage: Storage) -> None:
    """Within a page, between pages and between runs; another value or feed is another row."""
    row = bar(volume=None)
    await put(storage.pools, judged(row, row), judged(row), run_id=1)
    await put(storage.pools, judged(row), run_id=2)
    assert [found.run_id for found in await listed(storage)] == [1]
    await put(storage.pools, judged(bar(volume=1.0)), judged(bar(volume=None, feed=1)))
    assert len(await listed(storage)) == 3


async def test_append_given_other_rules_brings_a_waiting_row_up_to_date(storage: Storage) -> None:
    """What was strange beside some neighbours is rejected beside others."""
    await put(storage.pools, judged(bar(), rules=SPIKE))
    await put(storage.pools, judged(bar(), rules=SCALE, detail="closes at 0.01"))
    (found,) = await listed(storage)
    assert (found.rules, found.severity, found.detail) == (SCALE, Severity.REJECT, "closes at 0.01")


async def test_append_given_a_decided_row_again_leaves_it_decided(storage: Storage) -> None:
    """A person is not asked twice."""
    await create_symbols(storage, "A")
    await put(storage.pools, judged(bar(day=1), bar(day=2)))
    first, second = await ids(storage)
    await decider(storage).drop([first], "wrong")
    await decider(storage).release([second], "right")
    before = await listed(storage)
    await put(storage.pools, judged(bar(day=1), bar(day=2), rules=NOT_FINITE))
    assert await listed(storage) == before
    assert {found.state for found in before} == {QuarantineState.DROPPED, QuarantineState.RELEASED}


async def test_append_given_a_transaction_that_fails_keeps_nothing(storage: Storage) -> None:
    """Rows are there with the bars of their page, or not at all."""

    async def fail() -> None:
        async with storage.pools.query() as connection, connection.transaction():
            await append_quarantined(connection, judged(bar()), DAY, provider="sample")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await listed(storage) == []


async def test_list_given_filters_finds_what_they_say(storage: Storage) -> None:
    """Each by itself, and all together."""
    await put(storage.pools, judged(bar("A")), judged(bar("B"), rules=SPIKE), run_id=1)
    await put(storage.pools, judged(bar("A"), rules=NOT_FINITE), timeframe=Timeframe.HOUR_1, run_id=2)
    scale, spike, not_finite = await ids(storage)
    await decider(storage).drop([not_finite], "no bar")
    wanted = {
        QuarantineFilter(symbol="A"): [scale, not_finite],
        QuarantineFilter(timeframe=DAY): [scale, spike],
        QuarantineFilter(rule=QualityRule.STALE_REPEAT): [not_finite],
        QuarantineFilter(run_id=1): [scale, spike],
        QuarantineFilter(state=QuarantineState.OPEN): [scale, spike],
        QuarantineFilter(severity=Severity.FLAG): [spike],
        QuarantineFilter("A", DAY, QualityRule.SCALE_100X, 1, QuarantineState.OPEN, Severity.REJECT): [
            scale
        ],
        QuarantineFilter("B", DAY, QualityRule.SCALE_100X): [],
    }
    assert {one: await ids(storage, one) for one in wanted} == wanted


async def test_list_given_pages_returns_every_row_once(storage: Storage) -> None:
    """Newest first, from behind the last row of the page before."""
    await put(storage.pools, judged(*(bar(day=number) for number in range(1, 8))))
    reader = QuarantineReader(storage.pools)
    pages: list[list[int]] = []
    before = None
    while page := await reader.list_page(ANY, before, 3):
        pages.append([found.quarantine_id for found in page])
        before = page[-1].quarantine_id
    assert [len(page) for page in pages] == [3, 3, 1]
    assert list(chain(*pages)) == (await ids(storage))[::-1]
