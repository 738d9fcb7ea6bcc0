"""Quarantined bars released through the one write path, and dropped."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any, Final

import numpy as np
import pytest

from marketdata.clock import ManualClock
from marketdata.domain.bars import BarFrame
from marketdata.domain.quality import JudgedBars, QualityRule
from marketdata.domain.quality.rules import bits_of
from marketdata.domain.quarantine import (
    Decision,
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
from marketdata.storage.intake import BarIntake, IntakeResult
from marketdata.storage.quarantine_decisions import QuarantineDecider
from tests.support.bars import NAN, days, frame_of
from tests.support.quality import minutes
from tests.support.quarantined import (
    ANY,
    FEEDS,
    NOT_FINITE,
    NOW,
    SCALE,
    SPIKE,
    bar,
    decider,
    ids,
    judged,
    listed,
    put,
)
from tests.support.rows import changes, stored_bars
from tests.support.storage import Storage
from tests.support.symbols import create_symbols

DAY: Final = Timeframe.DAY_1


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


class _LateIntake(BarIntake):
    """A way in before which something happens."""

    def __init__(self, storage: Storage, meanwhile: Any) -> None:
        super().__init__(storage.pools, storage.writer)
        self._meanwhile = meanwhile

    async def store(
        self,
        frame: BarFrame,
        timeframe: Timeframe,
        alongside: Alongside | None = None,
        meant: Mapping[str, int] | None = None,
    ) -> IntakeResult:
        await self._meanwhile()
        return await super().store(frame, timeframe, alongside, meant)


async def test_release_given_a_symbol_deleted_meanwhile_releases_nothing(storage: Storage) -> None:
    """The write path leaves bars of unknown symbols out: none of them may count as released."""
    await create_symbols(storage, "A", "B")
    await put(storage.pools, judged(bar("A"), bar("B")))
    known = await ids(storage)

    async def delete() -> None:
        await storage.symbol_deleter.delete("B", force=False)

    late = _LateIntake(storage, delete)
    with pytest.raises(WriteConflictError, match="renamed or deleted"):
        await QuarantineDecider(storage.pools, late, NOW).release(known)
    assert await stored_bars(storage, DAY) == []
    assert {one.state for one in await listed(storage)} == {QuarantineState.OPEN}


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
