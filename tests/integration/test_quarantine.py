"""The quarantine: rows put into it once, listed, released through the one write path, dropped."""

from dataclasses import replace
from datetime import date
from itertools import chain
from typing import Any, Final

import numpy as np
import pytest

from marketdata.clock import ManualClock
from marketdata.domain.bars import BarFrame
from marketdata.domain.quality import JudgedBars, QualityRule, Severity
from marketdata.domain.quality.rules import bits_of
from marketdata.domain.quarantine import (
    Decision,
    QuarantinedBar,
    QuarantineFilter,
    QuarantineState,
    Refusal,
    Release,
)
from marketdata.domain.symbol import SymbolUpdate
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import WriteConflictError
from marketdata.storage.commit import Alongside, BarWriter, CommitResult
from marketdata.storage.commit_few import Check
from marketdata.storage.intake import BarIntake
from marketdata.storage.quarantine import QuarantineReader, append_quarantined
from marketdata.storage.quarantine_decisions import QuarantineDecider
from tests.support.bars import NAN, days, frame_of
from tests.support.quality import judge, minutes
from tests.support.quarantined import FEEDS, NOT_FINITE, SCALE, SPIKE, bar, judged, put
from tests.support.rows import changes, stored_bars
from tests.support.storage import Storage
from tests.support.symbols import create_symbols

DAY: Final = Timeframe.DAY_1
NOW: Final = ManualClock(days(20_000))
ANY: Final = QuarantineFilter()


async def listed(storage: Storage, wanted: QuarantineFilter = ANY) -> list[QuarantinedBar]:
    """List everything, the last found first."""
    return await QuarantineReader(storage.pools).list_page(wanted, None, 1_000)


async def ids(storage: Storage, wanted: QuarantineFilter = ANY) -> list[int]:
    """List the numbers, in the order in which rows were found."""
    return [bar.quarantine_id for bar in await listed(storage, wanted)][::-1]


def decider(storage: Storage, clock: ManualClock = NOW) -> QuarantineDecider:
    """Decide of bars of this database."""
    return QuarantineDecider(storage.pools, storage.intake, clock)


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


async def test_release_given_rejected_rows_stores_them_as_one_write(storage: Storage) -> None:
    """They are bars as any other: with an entry in the change log."""
    await create_symbols(storage, "A", "B")
    await put(storage.pools, judged(bar("A", 1), bar("B", 1), bar("A", 2)))
    known = await ids(storage)
    log = len(await changes(storage))
    result = await decider(storage).release(known, "the price did move so")
    assert result == Release(3, 0, {}, accepted=3)
    assert [one.key for one in await stored_bars(storage, DAY)] == [
        ("A", days(1)), ("A", days(2)), ("B", days(1)),
    ]  # fmt: skip
    assert len(await changes(storage)) == log + 1
    found = await listed(storage)
    assert {(one.state, one.reason) for one in found} == {
        (QuarantineState.RELEASED, "the price did move so")
    }
    assert all(one.decided_us is not None for one in found)


async def test_release_given_the_same_again_changes_nothing(storage: Storage) -> None:
    """The call can be repeated."""
    await create_symbols(storage, "A")
    await put(storage.pools, judged(bar()))
    await decider(storage).release(await ids(storage), "once")
    before = (await listed(storage), await stored_bars(storage, DAY), await changes(storage))
    assert await decider(storage).release(await ids(storage), "twice") == Release(0, 1, {})
    assert (await listed(storage), await stored_bars(storage, DAY), await changes(storage)) == before


async def test_release_given_rows_that_cannot_be_stored_refuses_each_with_its_reason(
    storage: Storage,
) -> None:
    """The others are stored."""
    await create_symbols(storage, "A")
    clock = ManualClock(days(10))
    await put(storage.pools, judged(bar(day=1), bar(day=10), bar("X", 1), bar(day=1, close=11.5)))
    await put(storage.pools, judged(bar(day=2, close=NAN), rules=NOT_FINITE))
    good, again, forming, unknown, invalid = await ids(storage)
    result = await decider(storage, clock).release([*await ids(storage), 10**12], "")
    assert result.decided == result.accepted == 1
    assert result.refused == {
        10**12: Refusal.NOT_FOUND,
        forming: Refusal.FORMING,
        unknown: Refusal.UNKNOWN_SYMBOL,
        again: Refusal.SAME_BAR,
        invalid: Refusal.INVALID,
    }
    assert [one.key for one in await stored_bars(storage, DAY)] == [("A", days(1))]
    assert await ids(storage, QuarantineFilter(state=QuarantineState.RELEASED)) == [good]


async def test_release_given_flagged_rows_notes_that_they_were_seen(storage: Storage) -> None:
    """They are stored already; nothing is written."""
    await put(storage.pools, judged(bar(), rules=SPIKE))
    log = len(await changes(storage))
    assert await decider(storage).release(await ids(storage)) == Release(1, 0, {})
    assert len(await changes(storage)) == log
    assert (await listed(storage))[0].state is QuarantineState.RELEASED


async def test_release_given_a_dropped_row_by_its_number_stores_it(storage: Storage) -> None:
    """A person may think again."""
    await create_symbols(storage, "A")
    await put(storage.pools, judged(bar()))
    await decider(storage).drop(await ids(storage), "wrong")
    assert (await decider(storage).release(ANY)).decided == 0
    assert (await decider(storage).release(await ids(storage), "right")).accepted == 1


async def test_release_given_another_value_of_a_stored_bar_revises_it(storage: Storage) -> None:
    """The second of two rows of one time replaces the first; a better feed's bar stays."""
    await create_symbols(storage, "A")
    first = replace(frame_of([bar(close=11.0)]), feeds=FEEDS)
    await storage.intake.store(first, DAY)
    await put(storage.pools, judged(bar(close=10.5), rules=(QualityRule.DUPLICATE_TIME,)))
    result = await decider(storage).release(await ids(storage))
    assert (result.revised, result.accepted) == (1, 0)
    assert [one.close for one in await stored_bars(storage, DAY)] == [10.5]


async def test_release_given_a_filter_takes_the_oldest_up_to_its_limit(storage: Storage) -> None:
    """What can never be stored is left out; the rest is told."""
    await create_symbols(storage, "A")
    await put(storage.pools, judged(bar(day=9, close=NAN), rules=NOT_FINITE))
    await put(storage.pools, judged(*(bar(day=number) for number in range(1, 6))))
    _, *waiting = await ids(storage)
    wanted = QuarantineFilter(symbol="A")
    first = await decider(storage).release(wanted, "", limit=3)
    assert (first.decided, first.has_more, first.refused) == (3, True, {})
    assert await ids(storage, QuarantineFilter(state=QuarantineState.RELEASED)) == waiting[:3]
    second = await decider(storage).release(wanted, "", limit=3)
    assert (second.decided, second.has_more) == (2, False)


async def test_release_given_minutes_outside_of_regular_hours_marks_them(storage: Storage) -> None:
    """They take the one write path, which tells the hours by the calendar."""
    await create_symbols(storage, "A")
    early = minutes("2024-03-04 09:00", "2024-03-04 09:02", symbol="A")
    rows = JudgedBars(replace(early, feeds=FEEDS), np.full(2, bits_of(SCALE)), ("", ""))
    await put(storage.pools, rows, timeframe=Timeframe.MINUTE_1)
    assert (await decider(storage).release(await ids(storage))).accepted == 2
    stored = await stored_bars(storage, Timeframe.MINUTE_1)
    assert [one.flags for one in stored] == [5, 5]


class _Interrupted(BarWriter):
    """A writer beside which something happens before the bars are committed."""

    def __init__(self, storage: Storage, meanwhile: Any) -> None:
        super().__init__(storage.pools, storage.partitions)
        self._meanwhile = meanwhile

    async def commit_bars(
        self,
        frame: BarFrame,
        timeframe: Timeframe,
        check: Check | None = None,
        alongside: Alongside | None = None,
    ) -> CommitResult:
        await self._meanwhile()
        return await super().commit_bars(frame, timeframe, check, alongside)


async def test_release_given_a_decision_meanwhile_stores_nothing(storage: Storage) -> None:
    """Two people decide of the same bar: the second one is told."""
    await create_symbols(storage, "A")
    await put(storage.pools, judged(bar()))
    known = await ids(storage)

    async def drop() -> None:
        await decider(storage).drop(known, "wrong")

    intake = BarIntake(storage.pools, _Interrupted(storage, drop))
    with pytest.raises(WriteConflictError, match="somebody else"):
        await QuarantineDecider(storage.pools, intake, NOW).release(known)
    assert await stored_bars(storage, DAY) == []
    assert (await listed(storage))[0].state is QuarantineState.DROPPED


async def test_release_given_a_failure_at_the_end_neither_stores_nor_releases(storage: Storage) -> None:
    """Bars and note are one transaction: a crash between them loses nothing."""
    await create_symbols(storage, "A")
    await put(storage.pools, judged(bar()))
    known = await ids(storage)

    async def rename() -> None:
        update = SymbolUpdate({"symbol": "B"}, date(2020, 1, 1))
        await storage.symbols.update("A", update)

    intake = BarIntake(storage.pools, _Interrupted(storage, rename))
    with pytest.raises(WriteConflictError, match="renamed or deleted"):
        await QuarantineDecider(storage.pools, intake, NOW).release(known)
    assert await stored_bars(storage, DAY) == []
    assert (await listed(storage))[0].state is QuarantineState.OPEN
    assert (await decider(storage).release(known)).accepted == 1


async def test_drop_given_rows_notes_it_and_stores_nothing(storage: Storage) -> None:
    """By number or by filter; invalid ones, too. Again, it changes nothing."""
    await create_symbols(storage, "A")
    await put(storage.pools, judged(bar(day=1)), judged(bar(day=2, close=NAN), rules=NOT_FINITE))
    known = await ids(storage)
    assert await decider(storage).drop(known[:1], "pence") == Decision(1, 0, {})
    assert await decider(storage).drop(QuarantineFilter(symbol="A"), "no price") == Decision(1, 0, {})
    assert await decider(storage).drop(known, "again") == Decision(0, 2, {})
    assert [one.reason for one in await listed(storage)] == ["no price", "pence"]
    assert await stored_bars(storage, DAY) == []


async def test_drop_given_stored_bars_refuses_them(storage: Storage) -> None:
    """To drop what is stored would say that it is not."""
    await create_symbols(storage, "A")
    await put(storage.pools, judged(bar(day=1), rules=SPIKE), judged(bar(day=2)))
    flagged, released = await ids(storage)
    await decider(storage).release([released])
    result = await decider(storage).drop([flagged, released, 10**12], "wrong")
    assert result == Decision(
        0,
        0,
        {10**12: Refusal.NOT_FOUND, flagged: Refusal.STORED, released: Refusal.ALREADY_RELEASED},
    )
    assert await decider(storage).drop(ANY, "wrong") == Decision(0, 0, {})
