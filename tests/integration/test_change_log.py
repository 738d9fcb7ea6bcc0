"""What a commit leaves in the change log: which bars, within which range, in which order."""

from typing import Final

import pytest

from marketdata.domain.timeframe import Timeframe
from marketdata.storage import change_log
from marketdata.storage.change_log import (
    MOST_INLINE_BARS,
    MOST_INLINE_BYTES,
    Change,
    ChangeKind,
    append_change,
    head,
    new_write_id,
)
from marketdata.storage.commit import CommitResult
from tests.support.bars import MANUAL_FEED, SAMPLE_FEED, Bar, days, frame_of, series
from tests.support.rows import LoggedChange, changes, fetch
from tests.support.storage import Storage

DAY: Final = Timeframe.DAY_1
MINUTE: Final = Timeframe.MINUTE_1
START_US: Final = days(20_000)


@pytest.mark.usefixtures("any_path")
async def test_append_given_a_commit_holds_exactly_its_changed_bars(storage: Storage) -> None:
    """New and replaced bars with their revisions; not the same ones, not the outranked."""
    old = series("AAPL", DAY, START_US, 3) + series("MSFT", DAY, START_US, 3)
    await storage.writer.commit_bars(frame_of(old), DAY)
    changed = [old[1]._replace(close=10.2), Bar("AAPL", START_US + days(9)), Bar("ZZZ", START_US)]
    outranked = old[5]._replace(close=10.2, feed=SAMPLE_FEED)
    batch = [outranked, *changed, old[0]]
    result = await storage.writer.commit_bars(frame_of(batch), DAY)
    assert result == CommitResult(accepted=2, revised=1, unchanged=1, outranked=1, seq=2)
    assert await changes(storage, after_seq=1) == [
        LoggedChange(
            seq=2,
            kind="bars",
            symbols=("AAPL", "ZZZ"),
            timeframe="1d",
            range_us=(START_US, START_US + days(10)),
            accepted=2,
            revised=1,
            bars=[changed[0]._replace(revision=1), *changed[1:]],
        )
    ]


@pytest.mark.usefixtures("any_path")
async def test_append_given_missing_numbers_holds_them_as_missing(storage: Storage) -> None:
    """NaN goes through the log as through the table; the range of a minute bar is a minute."""
    bar = Bar("AAPL", START_US, volume=None, vwap=None, trade_count=-1, feed=SAMPLE_FEED, flags=3)
    await storage.writer.commit_bars(frame_of([bar]), MINUTE)
    (change,) = await changes(storage)
    assert change.bars == [bar]
    assert change.range_us == (START_US, START_US + 60_000_000)


@pytest.mark.usefixtures("any_path")
async def test_append_given_a_symbol_without_bars_does_not_name_it(storage: Storage) -> None:
    """A batch's dictionary may have more symbols than its bars: only those changed."""
    frame = frame_of([Bar("A", START_US), Bar("B", START_US), Bar("C", START_US)])
    await storage.writer.commit_bars(frame.take(frame.symbol_index != 1), DAY)
    (change,) = await changes(storage)
    assert change.symbols == ("A", "C")
    assert [bar.symbol for bar in change.bars or []] == ["A", "C"]


@pytest.mark.parametrize("count", [MOST_INLINE_BARS, MOST_INLINE_BARS + 1])
async def test_append_given_very_many_bars_leaves_them_out(storage: Storage, count: int) -> None:
    """Past the bound tailers read the table: the entry says the range and the counts only."""
    bars = series("AAPL", MINUTE, START_US, count)
    await storage.writer.commit_bars(frame_of(bars), MINUTE)
    (change,) = await changes(storage)
    assert change.accepted == count
    assert change.range_us == (START_US, START_US + count * 60_000_000)
    assert change.bars == (bars if count == MOST_INLINE_BARS else None)


async def test_append_given_very_many_bytes_leaves_the_bars_out(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever bound is met first counts: columns that are added later make rows wider."""
    monkeypatch.setattr(change_log, "MOST_INLINE_BYTES", MOST_INLINE_BYTES // 16_384 * 100)
    for count in (90, 110):
        await storage.writer.commit_bars(frame_of(series("AAPL", DAY, days(count * 10), count)), DAY)
    assert [change.bars is None for change in await changes(storage)] == [False, True]


async def test_append_given_a_small_revision_of_a_large_commit_holds_only_that(
    storage: Storage,
) -> None:
    """The bound is on the bars that changed, not on those that were sent."""
    bars = series("AAPL", MINUTE, START_US, MOST_INLINE_BARS + 10)
    await storage.writer.commit_bars(frame_of(bars), MINUTE)
    revised = bars[777]._replace(close=9.5)
    await storage.writer.commit_bars(frame_of([*bars[:777], revised, *bars[778:]]), MINUTE)
    (change,) = await changes(storage, after_seq=1)
    assert change.bars == [revised._replace(revision=1)]
    assert change.range_us == (revised.time_us, revised.time_us + 60_000_000)


async def test_append_given_commits_in_a_row_numbers_them_in_order(storage: Storage) -> None:
    """Seq is 1, 2, 3 …, the head has the last, and committed_at never goes back."""
    for number in range(5):
        bar = Bar("AAPL", START_US + days(number), feed=MANUAL_FEED)
        assert (await storage.writer.commit_bars(frame_of([bar]), DAY)).seq == number + 1
    rows = await fetch(storage, "SELECT seq, committed_at FROM bar_write ORDER BY write_id")
    assert [seq for seq, _ in rows] == [1, 2, 3, 4, 5]
    assert [at for _, at in rows] == sorted(at for _, at in rows)
    async with storage.pools.query() as connection:
        seq, committed_us = await head(connection)
    assert (seq, committed_us) == (5, round(rows[-1][1].timestamp() * 1_000_000))


async def test_append_given_a_clock_that_goes_back_keeps_committed_at_in_order(
    storage: Storage,
) -> None:
    """A time of the log resolves to one seq, whatever the machine's clock does."""
    await fetch(storage, "UPDATE bar_log_head SET committed_at = now() + interval '1 hour'")
    for number in range(2):
        await storage.writer.commit_bars(frame_of([Bar("AAPL", START_US + days(number))]), DAY)
    rows = await fetch(
        storage,
        """
        SELECT bar_write.committed_at = head.committed_at, head.committed_at > now()
          FROM bar_write, bar_log_head AS head
        """,
    )
    assert rows == [(True, True)] * 2


async def test_append_given_a_rollback_leaves_nothing(storage: Storage) -> None:
    """Neither a row nor a number is used up by a transaction that did not commit."""
    async with storage.pools.query() as connection, connection.transaction(force_rollback=True):
        change = Change(kind=ChangeKind.SYMBOL, symbols=("AAPL",))
        await append_change(connection, await new_write_id(connection), change)
    assert await changes(storage) == []
    assert (await storage.writer.commit_bars(frame_of([Bar("A", START_US)]), DAY)).seq == 1


async def test_append_given_a_change_without_a_range_stores_nulls(storage: Storage) -> None:
    """What concerns no bars has neither timeframe nor range."""
    async with storage.pools.query() as connection, connection.transaction():
        change = Change(kind=ChangeKind.ACTION, symbols=("AAPL",), accepted=3)
        await append_change(connection, await new_write_id(connection), change)
    assert await changes(storage) == [
        LoggedChange(1, "action", ("AAPL",), None, (None, None), 3, 0, None)
    ]
