"""What is kept of superseded versions, what is answered from it, and what is refused."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Final

import pytest

from marketdata.domain.adjustment import Adjustment
from marketdata.domain.as_of import AsOf
from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bar_version import VersionPosition
from marketdata.domain.bars import BarColumn
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.symbol import NewSymbol, SymbolUpdate
from marketdata.domain.time_range import TimeRange, session_label_us, to_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import AsOfAheadError, AsOfTooEarlyError, BarNotFoundError, BarsDroppedError
from marketdata.storage.coverage import CoverageReader
from marketdata.storage.latest_as_of import PastLatestBarReader
from marketdata.storage.retention import Retention
from marketdata.storage.revisions import RevisionReader
from marketdata.storage.version_trim import VersionTrimmer, VersionTrimResult
from tests.support.bars import Bar, bars_of, days, frame_of
from tests.support.reads import read_in_bulk
from tests.support.rows import fetch
from tests.support.storage import Storage

DAY: Final = Timeframe.DAY_1
FIRST: Final = session_label_us(date(2024, 1, 2))
WEEK: Final = timedelta(days=7)
ALWAYS: Final = TimeRange(DAY.earliest_us, DAY.latest_us)
QUERY: Final = BarQuery(("A",), DAY, ALWAYS)


async def store(storage: Storage, *closes: float, symbol: str = "A", first_us: int = FIRST) -> int:
    """Store days from `first_us` on with these closes; return the seq."""
    bars = [
        Bar(symbol, first_us + days(number), 10.0, 50.0, 1.0, close)
        for number, close in enumerate(closes)
    ]
    return (await storage.writer.commit_bars(frame_of(bars), DAY)).seq


async def closes(storage: Storage, query: BarQuery, seq: int) -> list[float]:
    """Read the closes as of a seq."""
    answer = await read_in_bulk(storage, replace(query, as_of=AsOf(seq=seq)))
    assert answer.seq == seq
    return [bar.close for frame in answer.frames for bar in bars_of(frame)]


@pytest.mark.parametrize("path", ["few", "many"])
async def test_read_given_revisions_and_a_deletion_answers_each_seq(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Along both ways of writing; before the first write nothing was known."""
    if path == "many":
        monkeypatch.setattr("marketdata.storage.commit.FEW_BARS", 0)
    await storage.symbols.create(NewSymbol("A"))
    first = await store(storage, 10, 11, 12)
    second = await store(storage, 10, 21)
    deleted = (await storage.deleter.delete("A", DAY, TimeRange(FIRST, FIRST + days(2)), "a test")).seq
    again = await store(storage, 30)
    found = [await closes(storage, QUERY, seq) for seq in (first - 1, first, second, deleted, again)]
    assert found == [[], [10, 11, 12], [10, 21, 12], [12], [30, 12]]
    newest = replace(QUERY, limit=1, columns=frozenset({BarColumn.TIME, BarColumn.CLOSE}))
    answer = await read_in_bulk(storage, replace(newest, as_of=AsOf(seq=second)))
    assert [frame.close.tolist() for frame in answer.frames] == [[12]]


async def test_read_given_a_time_answers_what_was_committed_by_then(storage: Storage) -> None:
    """A time stands for the greatest seq that was committed by it; the answer says which."""
    await storage.symbols.create(NewSymbol("A"))
    first, second = await store(storage, 10), await store(storage, 11)
    rows = await fetch(storage, "SELECT committed_at FROM bar_write WHERE seq = %s", [second])
    at_us = to_unix_us(rows[0][0])
    for time_us, seq, close in ((at_us, second, 11), (at_us - 1, first, 10)):
        answer = await read_in_bulk(storage, replace(QUERY, as_of=AsOf(time_us=time_us)))
        assert (answer.seq, answer.frames[0].close.tolist()) == (seq, [close])


async def test_read_given_a_later_split_adjusts_only_as_of_later(storage: Storage) -> None:
    """A corporate action counts from the seq on with which it came, whatever its ex-date."""
    await storage.symbols.create(NewSymbol("A"))
    before = await store(storage, 10, 10, 10)
    split = CorporateAction(CorporateActionKind.SPLIT, date(2024, 1, 3), split_ratio=2.0)
    after = (await storage.actions.add("A", [split])).seq
    adjusted = replace(QUERY, adjustment=Adjustment.SPLIT)
    assert await closes(storage, adjusted, before) == [10, 10, 10]
    assert await closes(storage, adjusted, after) == [5, 10, 10]


async def test_read_given_renamed_and_deleted_symbol_follows_the_tickers_of_then(
    storage: Storage,
) -> None:
    """Each ticker names what it named; a deleted symbol is there as of before."""
    await storage.symbols.create(NewSymbol("A"))
    as_a = await store(storage, 10)
    await storage.symbols.update("A", SymbolUpdate({"symbol": "B"}, date(2024, 1, 10)))
    as_b = await store(storage, 20, symbol="B", first_us=session_label_us(date(2024, 1, 10)))
    await storage.symbol_deleter.delete("B", force=True)
    by_b = replace(QUERY, symbols=("B",))
    assert await closes(storage, QUERY, as_a) == [10]
    assert await closes(storage, by_b, as_a) == []
    assert await closes(storage, by_b, as_b) == [10, 20]
    assert (await read_in_bulk(storage, replace(by_b, as_of=AsOf(seq=as_a)))).unresolved == ("B",)
    assert (await read_in_bulk(storage, by_b)).unresolved == ("B",)


async def test_latest_given_a_seq_answers_the_newest_of_then(storage: Storage) -> None:
    """One symbol and many; without a bar by then it is the same error as always."""
    await storage.symbols.create(NewSymbol("A"))
    created = 1
    first, second = await store(storage, 10), await store(storage, 10, 11)
    latest = PastLatestBarReader(storage.reader)
    for seq, close in ((first, 10), (second, 11)):
        as_of = AsOf(seq=seq)
        for timeframe in (None, DAY):
            bar, read_seq = await latest.read_one("A", timeframe, as_of, ALWAYS.end_us)
            assert (bar.close, bar.timeframe, read_seq) == (close, DAY, seq)
        many, read_seq = await latest.read_many(["A", "B"], None, as_of, ALWAYS.end_us)
        assert ([bar.close for bar in many.bars], many.without_bars) == ([close], frozenset())
        assert read_seq == seq
    with pytest.raises(BarNotFoundError):
        await latest.read_one("A", None, AsOf(seq=created), ALWAYS.end_us)
    none, _ = await latest.read_many(["A", "B"], DAY, AsOf(seq=created), ALWAYS.end_us)
    assert (none.bars, none.without_bars) == ((), {"A"})


async def test_coverage_given_a_seq_counts_what_was_known(storage: Storage) -> None:
    """A backfilled gap is a gap as of before."""
    await storage.symbols.create(NewSymbol("A"))
    await store(storage, 10)
    with_gap = await store(storage, 12, first_us=FIRST + days(2))
    filled = await store(storage, 10, 11, 12)
    reader = CoverageReader(storage.reader)
    for seq, count, gaps in ((with_gap, 2, 1), (filled, 3, 0)):
        found, read_seq = await reader.read("A", DAY, None, None, ALWAYS.end_us, as_of=AsOf(seq=seq))
        assert (found.count, len(found.gaps), read_seq) == (count, gaps, seq)
    # What had not ended then was not expected then.
    later_us = FIRST + days(1_200)
    then, _ = await reader.read("A", DAY, FIRST, later_us, later_us, as_of=AsOf(seq=filled))
    now, _ = await reader.read("A", DAY, FIRST, later_us, later_us)
    assert then.expected < now.expected


async def test_read_given_a_seq_that_is_ahead_says_which_is_newest(storage: Storage) -> None:
    """Of another store, or of this one before a restore."""
    await storage.symbols.create(NewSymbol("A"))
    seq = await store(storage, 10)
    with pytest.raises(AsOfAheadError, match=f"whose newest is {seq}") as caught:
        await closes(storage, QUERY, seq + 1)
    assert caught.value.metadata == {"newest_seq": str(seq)}


async def test_trim_given_old_versions_moves_the_horizon_and_refuses_what_lies_before(
    storage: Storage,
) -> None:
    """What is answered stays the same; the rest is refused, and says the earliest."""
    await storage.symbols.create(NewSymbol("A"))
    for close in (10, 11, 12, 13):
        last = await store(storage, close)
    await storage.symbols.update("A", SymbolUpdate({"name": "other"}))
    await fetch(
        storage,
        "UPDATE bar_write SET committed_at = committed_at - interval '10 days' WHERE seq < %s",
        [last],
    )
    horizon = last - 1
    trimmer = VersionTrimmer(storage.pools, WEEK)
    assert await trimmer.run_once() == VersionTrimResult(versions=2, horizon_seq=horizon)
    assert await trimmer.run_once() == VersionTrimResult(versions=0, horizon_seq=horizon)
    assert await closes(storage, QUERY, horizon) == [12]
    assert await closes(storage, QUERY, last) == [13]
    for as_of in (AsOf(seq=horizon - 1), AsOf(time_us=FIRST)):
        with pytest.raises(AsOfTooEarlyError, match=f"the earliest is seq {horizon}") as caught:
            await read_in_bulk(storage, replace(QUERY, as_of=as_of))
        assert caught.value.metadata["earliest_seq"] == str(horizon)


async def test_trim_given_no_age_keeps_everything(storage: Storage) -> None:
    """The default: versions stay for ever."""
    await storage.symbols.create(NewSymbol("A"))
    seq = await store(storage, 10)
    await store(storage, 11)
    await fetch(storage, "UPDATE bar_write SET committed_at = committed_at - interval '10 years'")
    assert await VersionTrimmer(storage.pools, timedelta()).run_once() == VersionTrimResult(0, 0)
    assert await closes(storage, QUERY, seq) == [10]


async def test_read_given_dropped_bars_refuses_only_as_of_when_they_were_known(
    storage: Storage,
) -> None:
    """Before the drop the answer would miss bars; later, and behind them, it is whole."""
    await storage.symbols.create(NewSymbol("A"))
    old = session_label_us(date(2005, 1, 3))
    seq = await store(storage, 5, first_us=old)
    recent = session_label_us(date.today() - timedelta(days=30))  # noqa: DTZ011 -- a label
    seq = await store(storage, 6, first_us=recent)
    await fetch(storage, "UPDATE bar_storage SET keep_confirmed_at = now() WHERE which = 'day'")
    await Retention(storage.pools).apply(DAY, "a test")
    with pytest.raises(BarsDroppedError, match="ask from 2005-") as caught:
        await closes(storage, QUERY, seq)
    assert caught.value.metadata["earliest_seq"] == str(seq + 1)
    assert await closes(storage, replace(QUERY, range=TimeRange(recent, DAY.latest_us)), seq) == [6]
    assert await closes(storage, QUERY, seq + 1) == [6]


async def test_list_revisions_given_changes_tells_every_version_and_its_time(storage: Storage) -> None:
    """What each said, since when until when; a bar that was never changed is left out."""
    await storage.symbols.create(NewSymbol("A"))
    first = await store(storage, 10, 11)
    second = await store(storage, 20)
    deleted = (await storage.deleter.delete("A", DAY, TimeRange(FIRST, FIRST + 1), "a test")).seq
    again = await store(storage, 30)
    reader = RevisionReader(storage.pools)
    versions, earliest = await reader.list_page("A", DAY, ALWAYS, None, 10)
    found = [(v.bar.close, v.seq, v.superseded_seq, v.is_deleted) for v in versions]
    assert found == [
        (10, first, second, False),
        (20, second, deleted, True),
        (30, again, 0, False),
    ]
    assert earliest == 0
    assert [v.bar.time_us for v in versions] == [FIRST] * 3
    assert versions[0].superseded_us == versions[1].known_us
    assert versions[2].superseded_us is None
    rest, _ = await reader.list_page("A", DAY, ALWAYS, VersionPosition(FIRST, first), 1)
    assert [v.bar.close for v in rest] == [20]
