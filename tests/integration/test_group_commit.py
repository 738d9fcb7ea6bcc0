"""Small writes that come at the same time: one transaction, and an answer for each."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import pytest

from marketdata.domain.timeframe import Timeframe
from marketdata.errors import WriteConflictError
from marketdata.storage.commit import CommitResult
from marketdata.storage.pools import Connection
from marketdata.storage.stripes import lock_stripes, stripes
from tests.support.bars import MANUAL_FEED, SAMPLE_FEED, Bar, days, frame_of
from tests.support.rows import changes, fetch, stored_bars
from tests.support.storage import Storage
from tests.support.waiting import until

pytestmark = pytest.mark.modes("plain", "apache", reason="many transactions at once")

DAY: Final = Timeframe.DAY_1
FIRST: Final = days(20_000)
SYMBOLS: Final = tuple(f"S{number:02}" for number in range(16))
_WAITING: Final = "SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


def bar(symbol: str, close: float = 11.0, feed: int = MANUAL_FEED) -> Bar:
    """Make a day's bar."""
    return Bar(symbol, FIRST, 10.0, 50.0, 1.0, close, feed=feed)


async def commit_all(storage: Storage, *writes: Sequence[Bar]) -> list[CommitResult | BaseException]:
    """Send writes at the same time."""
    commits = [storage.writer.commit_bars(frame_of(bars), DAY) for bars in writes]
    return await asyncio.gather(*commits, return_exceptions=True)


@asynccontextmanager
async def held(storage: Storage, symbol: str) -> AsyncIterator[None]:
    """Hold the stripe of a symbol, as a writer that stands still."""
    async with storage.owner.connection() as connection, connection.transaction():
        await lock_stripes(connection, [symbol], DAY)
        yield


async def test_commit_given_many_at_once_shares_transactions_and_answers_each(storage: Storage) -> None:
    """All are there, every answer is about its own bars, and there are fewer entries than writes."""
    results = await commit_all(storage, *([bar(symbol)] for symbol in SYMBOLS))
    assert all(isinstance(one, CommitResult) and one.accepted == 1 for one in results)
    assert [one.symbol for one in await stored_bars(storage, DAY)] == list(SYMBOLS)
    entries = await changes(storage)
    assert len(entries) < len(SYMBOLS)
    by_seq = {entry.seq: entry.symbols for entry in entries}
    for symbol, result in zip(SYMBOLS, results, strict=True):
        assert isinstance(result, CommitResult)
        assert symbol in by_seq[result.seq]
    assert sorted(one for entry in entries for one in entry.symbols) == list(SYMBOLS)


async def test_commit_given_every_class_in_a_group_counts_each_callers_own(storage: Storage) -> None:
    """New, replaced, the same and outranked bars beside each other; who changed nothing has no seq."""
    await storage.writer.commit_bars(frame_of([bar(s) for s in ("B", "C", "D")]), DAY)
    results = await commit_all(
        storage,
        [bar("Z")],  # goes alone, and is under way when the others come
        [bar("A"), bar("B", 12.0)],
        [bar("C")],
        [bar("D", 13.0, SAMPLE_FEED)],
        [bar("E"), bar("F")],
    )
    counts = [
        (one.accepted, one.revised, one.unchanged, one.outranked, one.seq > 0)
        for one in results
        if isinstance(one, CommitResult)
    ]
    assert counts == [
        (1, 0, 0, 0, True),
        (1, 1, 0, 0, True),
        (0, 0, 1, 0, False),
        (0, 0, 0, 1, False),
        (2, 0, 0, 0, True),
    ]


async def test_commit_given_a_check_that_fails_refuses_its_caller_alone(storage: Storage) -> None:
    """The others of its group are stored."""

    async def refuse(_: Connection) -> None:
        raise WriteConflictError("renamed meanwhile")

    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(storage.writer.commit_bars(frame_of([bar(symbol)]), DAY))
            for symbol in SYMBOLS
        ]
        refused = storage.writer.commit_bars(frame_of([bar("NO")]), DAY, refuse)
        with pytest.raises(WriteConflictError, match="renamed meanwhile"):
            await refused
    assert [task.result().accepted for task in tasks] == [1] * len(SYMBOLS)
    assert [one.symbol for one in await stored_bars(storage, DAY)] == list(SYMBOLS)


async def test_commit_given_a_symbol_that_another_writer_holds_delays_no_other(
    storage: Storage,
) -> None:
    """Who needs its stripe waits by himself; the rest of the group is answered meanwhile."""
    symbol = SYMBOLS[0]
    others = [one for one in SYMBOLS if stripes([one]) != stripes([symbol])]
    async with asyncio.TaskGroup() as group, held(storage, symbol):
        waiting = group.create_task(storage.writer.commit_bars(frame_of([bar(symbol)]), DAY))

        async def waits() -> bool:
            return await fetch(storage, _WAITING) == [(1,)]

        await until(waits)
        late = group.create_task(storage.writer.commit_bars(frame_of([bar(symbol, 12.0)]), DAY))
        results = await commit_all(storage, *([bar(one)] for one in others))
        assert [isinstance(one, CommitResult) for one in results] == [True] * len(others)
        assert not waiting.done()
        assert not late.done()
    found = {waiting.result().revised, late.result().revised}
    assert found == {0, 1}


async def test_commit_given_the_same_symbol_from_many_stores_every_write(storage: Storage) -> None:
    """They take turns: each write has a seq of its own, and the last revision counts all."""
    closes = [11.0 + number for number in range(8)]
    results = await commit_all(storage, *([bar("A", close)] for close in closes))
    seqs = {one.seq for one in results if isinstance(one, CommitResult)}
    assert len(seqs) == len(closes)
    (stored,) = await stored_bars(storage, DAY)
    assert stored.revision == len(closes) - 1


async def test_commit_given_a_defect_in_a_group_tells_its_caller_alone(storage: Storage) -> None:
    """A feed that does not exist: the others are stored."""
    results = await commit_all(storage, [bar("A")], [bar("B")], [bar("C", feed=999)], [bar("D")])
    assert [type(one) for one in results] == [CommitResult, CommitResult, ValueError, CommitResult]
    assert [one.symbol for one in await stored_bars(storage, DAY)] == ["A", "B", "D"]
