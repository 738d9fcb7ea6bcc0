"""The change log, read a page at a time: everything, in order, and what is not there is said."""

from itertools import pairwise
from typing import Final

import pytest

from marketdata.domain.log_position import LogPosition
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import DatabaseSetupError, LogAheadError, LogGenerationError, LogTrimmedError
from marketdata.storage.change_log import (
    MOST_INLINE_BARS,
    Change,
    ChangeKind,
    append_change,
    new_write_id,
)
from marketdata.storage.log_entries import LogEntry
from marketdata.storage.log_reader import LogReader, PageLimits, renew_generation
from tests.support.bars import MANUAL_FEED, Bar, bars_of, days, frame_of, series
from tests.support.log_history import History, committed_entries, problems
from tests.support.rows import changes, fetch
from tests.support.storage import Storage
from tests.support.symbols import create_symbols

GRANT: Final = "GRANT EXECUTE ON FUNCTION pg_control_system() TO market_data_service_user"
DAY: Final = Timeframe.DAY_1
MINUTE: Final = Timeframe.MINUTE_1
START_US: Final = days(20_000)


async def write_bars(storage: Storage, count: int, first: int = 0) -> None:
    """Make as many writes of a bar each."""
    for number in range(first, first + count):
        await storage.writer.commit_bars(frame_of([Bar("AAPL", START_US + days(number))]), DAY)


async def write_parts(storage: Storage, parts: int) -> None:
    """Make one write of many entries, as the deletion of a symbol does."""
    async with storage.pools.query() as connection, connection.transaction():
        gone = [Change(ChangeKind.DELETED, (f"S{part}",), reason="merged") for part in range(parts)]
        await append_change(connection, await new_write_id(connection), *gone)


async def read_all(reader: LogReader, after_seq: int = 0) -> list[list[LogEntry]]:
    """Read pages up to the head."""
    pages = []
    head_seq = (await reader.bounds()).head_seq
    while after_seq < head_seq:
        pages.append(list(await reader.page(after_seq)))
        after_seq = pages[-1][-1].seq
    return pages


async def test_page_given_every_kind_of_change_tells_what_the_log_holds(storage: Storage) -> None:
    """Each entry has all that was written of it; bars come decoded, with the names of their feeds."""
    await create_symbols(storage, "AAPL")
    bars = series("AAPL", DAY, START_US, 3)
    await storage.writer.commit_bars(frame_of(bars), DAY)
    revised = bars[1]._replace(close=10.5)
    await storage.writer.commit_bars(frame_of([revised]), DAY)
    await write_parts(storage, 2)
    (page,) = await read_all(LogReader(storage.pools))
    for entry, expected in zip(page, await changes(storage), strict=True):
        assert (entry.seq, entry.kind.value) == (expected.seq, expected.kind)
        assert entry.symbols == expected.symbols
        assert (entry.timeframe and entry.timeframe.value) == expected.timeframe
        assert (entry.start_us, entry.end_us) == expected.range_us
        assert (entry.accepted, entry.revised) == (expected.accepted, expected.revised)
        assert (bars_of(entry.bars) if entry.bars else None) == expected.bars
    assert [entry.reason for entry in page][-2:] == ["merged", "merged"]
    assert bars_of(page[2].bars) == [revised._replace(revision=1)]  # type: ignore[arg-type]
    assert page[2].bars is page[2].bars, "decoded once"
    assert page[2].bars.feeds[MANUAL_FEED] == "manual/upload"  # type: ignore[union-attr]
    assert [entry.has_bars_elsewhere for entry in page] == [False] * 5


async def test_page_given_bars_that_are_not_inline_says_so(storage: Storage) -> None:
    """Too many to stand in the entry: the reader learns their range and count, and where to look."""
    await storage.writer.commit_bars(
        frame_of(series("AAPL", MINUTE, START_US, MOST_INLINE_BARS + 1)), MINUTE
    )
    ((entry,),) = await read_all(LogReader(storage.pools))
    assert (entry.bars, entry.has_bars_elsewhere) == (None, True)
    assert entry.accepted == MOST_INLINE_BARS + 1


@pytest.mark.parametrize("entries", [1, 2, 3, 5, 100])
async def test_page_given_a_bound_of_entries_keeps_writes_whole(storage: Storage, entries: int) -> None:
    """No page is larger but one of a single write; no write is on two pages; none is left out."""
    for parts in (1, 3, 1, 1, 2, 4, 1):
        await write_parts(storage, parts)
    pages = await read_all(LogReader(storage.pools, PageLimits(entries=entries)))
    history = History(0)
    for page in pages:
        history.record(page)
        assert len(page) <= entries or len({entry.seq for entry in page}) == 1
    assert problems(history, await committed_entries(storage)) == []
    assert all(one[-1].seq < other[0].seq for one, other in pairwise(pages))


async def test_page_given_a_bound_of_bytes_is_no_larger(storage: Storage) -> None:
    """Large entries come on more pages; one that is larger than the bound comes alone."""
    for number in range(4):
        bars = series("AAPL", DAY, START_US + days(1_000 * number), 10 if number < 3 else 500)
        await storage.writer.commit_bars(frame_of(bars), DAY)
    (one,) = await LogReader(storage.pools, PageLimits(entries=1)).page(0)
    size = len(one.inline or b"")
    pages = await read_all(LogReader(storage.pools, PageLimits(size_bytes=2 * size)))
    assert [[entry.seq for entry in page] for page in pages] == [[1, 2], [3], [4]]


async def test_page_given_a_position_in_the_middle_begins_right_behind_it(storage: Storage) -> None:
    """From any position on exactly the rest comes."""
    for parts in (2, 1, 3, 1):
        await write_parts(storage, parts)
    committed = await committed_entries(storage)
    for after_seq in range(4):
        history = History(after_seq)
        for page in await read_all(LogReader(storage.pools), after_seq):
            history.record(page)
        assert problems(history, committed) == []


async def test_bounds_given_writes_tell_the_last_one(storage: Storage) -> None:
    """An empty log has a generation and no entry; then the head follows every write."""
    reader = LogReader(storage.pools)
    empty = await reader.bounds()
    assert (empty.oldest_seq, empty.head_seq) == (1, 0)
    await write_bars(storage, 3)
    bounds = await reader.bounds()
    assert (bounds.generation, bounds.oldest_seq, bounds.head_seq) == (empty.generation, 1, 3)
    assert bounds.committed_us >= empty.committed_us
    assert (await reader.page(2))[0].committed_us == bounds.committed_us


@pytest.mark.modes("plain", "apache", reason="a server that knows who connects")
async def test_bounds_given_a_function_that_was_revoked_says_what_to_grant(storage: Storage) -> None:
    """A hardened server: the message has the statement, and the statement is enough."""
    await fetch(storage, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    reader = LogReader(storage.pools)
    with pytest.raises(DatabaseSetupError, match="permission denied for function") as caught:
        await reader.bounds()
    await fetch(storage, GRANT)
    assert GRANT in str(caught.value)
    assert (await reader.bounds()).head_seq == 0


async def test_page_given_entries_that_are_gone_says_the_oldest_that_is_left(storage: Storage) -> None:
    """Whatever took them, a reader is never told of a log with a hole in it."""
    await write_bars(storage, 5)
    reader = LogReader(storage.pools)
    await fetch(
        storage,
        "DELETE FROM bar_change WHERE write_id IN (SELECT write_id FROM bar_write WHERE seq = 3)",
    )
    for after_seq in (0, 2):
        with pytest.raises(LogTrimmedError) as caught:
            await reader.page(after_seq)
        assert caught.value.metadata["seq"] == str(after_seq)
    assert caught.value.metadata["oldest_seq"] == "4"
    assert [entry.seq for entry in await reader.page(3)] == [4, 5]


async def test_admit_given_a_new_generation_refuses_positions_of_before(storage: Storage) -> None:
    """After a restore of files an operator says so, and what was read before is of another history."""
    await write_bars(storage, 3)
    reader = LogReader(storage.pools)
    before = await reader.bounds()
    assert (await renew_generation(storage.pools))[0] == before
    after = await reader.bounds()
    assert after.generation != before.generation
    assert (after.oldest_seq, after.head_seq) == (before.oldest_seq, before.head_seq)
    with pytest.raises(LogGenerationError, match="restored or replaced"):
        after.admit(before.head)
    after.admit(after.head)


async def test_admit_given_a_position_of_the_database_before_a_restore_refuses_it(
    storage: Storage,
) -> None:
    """A server that went back without anybody saying so has fewer entries than were read of it."""
    await write_bars(storage, 2)
    bounds = await LogReader(storage.pools).bounds()
    with pytest.raises(LogAheadError):
        bounds.admit(LogPosition(bounds.generation, 3))
