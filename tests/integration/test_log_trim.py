"""The change log trimmed: by age, in small steps, never what is needed; the oldest entry is known."""

import asyncio
from datetime import timedelta
from typing import Final

import pytest

from marketdata.clock import SystemClock
from marketdata.domain.log_position import LogPosition
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import LogTrimmedError
from marketdata.storage import log_trim
from marketdata.storage.change_log import Change, ChangeKind, append_change, new_write_id
from marketdata.storage.log_reader import LogReader, PageLimits
from marketdata.storage.log_trim import LogTrimmer, TrimResult
from marketdata.storage.maintenance import Maintenance, Upkeep
from tests.support.bars import Bar, days, frame_of
from tests.support.log_history import History, committed_entries, problems
from tests.support.rows import fetch
from tests.support.storage import Storage
from tests.support.waiting import until

WEEK: Final = timedelta(days=7)
# Entries, writes, the oldest seq: what is there, and what is said of it.
_LOOK: Final = """
    SELECT count(DISTINCT seq), min(seq), (SELECT count(*) FROM bar_write),
           (SELECT oldest_seq FROM bar_log)
      FROM bar_change JOIN bar_write USING (write_id)
"""


async def write(storage: Storage, count: int, parts: int = 2) -> None:
    """Make as many writes of some entries each."""
    for _ in range(count):
        async with storage.pools.query() as connection, connection.transaction():
            gone = [Change(ChangeKind.DELETED, (f"S{part}",)) for part in range(parts)]
            await append_change(connection, await new_write_id(connection), *gone)


async def grow_old(storage: Storage, up_to_seq: int) -> None:
    """Let the writes up to a seq be of ten days ago."""
    await fetch(
        storage,
        "UPDATE bar_write SET committed_at = committed_at - interval '10 days' WHERE seq <= %s",
        [up_to_seq],
    )


async def test_run_once_given_old_entries_deletes_these_and_keeps_their_writes(
    storage: Storage,
) -> None:
    """From the oldest on, as far as they are too old; which write had which seq stays known."""
    await write(storage, 9)
    await grow_old(storage, 4)
    trimmer = LogTrimmer(storage.pools, WEEK)
    assert await trimmer.run_once() == TrimResult(entries=8, oldest_seq=5)
    assert await fetch(storage, _LOOK) == [(5, 5, 9, 5)]
    assert await trimmer.run_once() == TrimResult(entries=0, oldest_seq=5)
    reader = LogReader(storage.pools)
    bounds = await reader.bounds()
    with pytest.raises(LogTrimmedError, match="the oldest that is left is 5"):
        bounds.admit(LogPosition(bounds.generation, 3))
    bounds.admit(LogPosition(bounds.generation, 4))
    history = History(4)
    history.record(await reader.page(4))
    assert problems(history, await committed_entries(storage)) == []


@pytest.mark.parametrize("head_seq", [2**15 - 10, 2**31 - 10])
async def test_run_once_given_seqs_beyond_the_small_integers_goes_on(
    storage: Storage, head_seq: int
) -> None:
    """A log grows for years: pages and trimming pass the bounds of PostgreSQL's smaller numbers."""
    await fetch(storage, "UPDATE bar_log_head SET seq = %s", [head_seq])
    await fetch(storage, "UPDATE bar_log SET oldest_seq = %s::bigint + 1", [head_seq])
    await write(storage, 20)
    history, reader = History(head_seq), LogReader(storage.pools, PageLimits(entries=6))
    while history.last_seq < head_seq + 20:
        history.record(await reader.page(history.last_seq))
    assert problems(history, await committed_entries(storage)) == []
    for old in range(1, 20):
        await grow_old(storage, head_seq + old)
        result = await LogTrimmer(storage.pools, WEEK).run_once()
        assert result == TrimResult(entries=2, oldest_seq=head_seq + old + 1)


async def test_run_once_given_only_old_entries_keeps_the_last(storage: Storage) -> None:
    """A log that nobody wrote to for long still has its head."""
    await write(storage, 3)
    await grow_old(storage, 3)
    assert await LogTrimmer(storage.pools, WEEK).run_once() == TrimResult(entries=4, oldest_seq=3)
    assert await fetch(storage, _LOOK) == [(1, 3, 3, 3)]


async def test_run_once_given_an_empty_log_does_nothing(storage: Storage) -> None:
    """A service that has just been set up is tended as well."""
    assert await LogTrimmer(storage.pools, WEEK).run_once() == TrimResult(entries=0, oldest_seq=1)


async def test_run_once_given_no_age_keeps_all(storage: Storage) -> None:
    """Zero is for ever."""
    await write(storage, 3)
    await grow_old(storage, 3)
    assert await LogTrimmer(storage.pools, timedelta()).run_once() == TrimResult(0, 1)
    assert await fetch(storage, _LOOK) == [(3, 1, 3, 1)]


async def test_run_once_given_a_seq_that_is_needed_keeps_from_there_on(storage: Storage) -> None:
    """Whoever needs entries from a seq on has them, whatever their age."""
    await write(storage, 6)
    await grow_old(storage, 5)
    needed: int | None = 3

    async def keep_from_seq() -> int | None:
        return needed

    trimmer = LogTrimmer(storage.pools, WEEK, keep_from_seq)
    assert await trimmer.run_once() == TrimResult(entries=4, oldest_seq=3)
    assert await trimmer.run_once() == TrimResult(entries=0, oldest_seq=3)
    needed = None
    assert await trimmer.run_once() == TrimResult(entries=6, oldest_seq=6)


async def test_run_once_given_more_than_a_batch_deletes_all_in_steps(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much there is: no step is larger than its bound, and no old entry stays."""
    monkeypatch.setattr(log_trim, "_BATCH", 3)
    await fetch(
        storage,
        """
        CREATE FUNCTION refuse_many() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF (SELECT count(*) FROM gone) > 6 THEN RAISE 'too many at once'; END IF;
            RETURN NULL;
        END
        $$;
        CREATE TRIGGER refuse_many AFTER DELETE ON bar_change REFERENCING OLD TABLE AS gone
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_many();
        """,
    )
    await write(storage, 11)
    await grow_old(storage, 10)
    assert await LogTrimmer(storage.pools, WEEK).run_once() == TrimResult(entries=20, oldest_seq=11)
    assert await fetch(storage, _LOOK) == [(1, 11, 11, 11)]


@pytest.mark.modes("plain", "apache", reason="many transactions at once")
async def test_run_once_given_writers_readers_and_another_trimmer_leaves_no_hole(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader gets all behind its position, or hears that it was trimmed: never a part of it."""
    monkeypatch.setattr(log_trim, "_BATCH", 2)
    await write(storage, 60)
    await grow_old(storage, 50)
    committed = await committed_entries(storage)
    reader = LogReader(storage.pools)
    trimmed = 0

    async def read(after_seq: int) -> None:
        nonlocal trimmed
        history = History(after_seq)
        try:
            while history.last_seq < 60:
                history.record(await reader.page(history.last_seq))
        except LogTrimmedError as error:
            trimmed += 1
            oldest = int(error.metadata["oldest_seq"])
            assert oldest > history.last_seq + 1
            return
        known = [key for key in committed if key[0] <= 60]
        assert problems(History(after_seq, [k for k in history.keys if k[0] <= 60]), known) == []

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(LogTrimmer(storage.pools, WEEK).run_once())
        group.create_task(write(storage, 20))
        for after_seq in range(0, 60, 2):
            group.create_task(read(after_seq))
    assert await fetch(storage, _LOOK) == [(30, 51, 80, 51)]
    for after_seq in (0, 49):
        await read(after_seq)
    assert trimmed >= 1


@pytest.mark.modes("plain", "apache", reason="two transactions at once")
async def test_run_once_given_another_trimmer_at_work_waits_for_it(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest seq never goes back, whoever is the slower one."""
    monkeypatch.setattr(log_trim, "_BATCH", 2)
    await write(storage, 9)
    await grow_old(storage, 6)
    async with storage.owner.connection() as other, other.transaction():
        await other.execute("UPDATE bar_log SET oldest_seq = oldest_seq")
        trimming = asyncio.create_task(LogTrimmer(storage.pools, WEEK).run_once())

        async def it_waits() -> bool:
            return bool(await fetch(storage, "SELECT 1 FROM pg_locks WHERE NOT granted"))

        await until(it_waits)
        await other.execute(
            "DELETE FROM bar_change USING bar_write AS write"
            " WHERE write.write_id = bar_change.write_id AND seq <= 6"
        )
        await other.execute("UPDATE bar_log SET oldest_seq = 7")
    assert await trimming == TrimResult(entries=0, oldest_seq=7)
    assert await fetch(storage, _LOOK) == [(3, 7, 9, 7)]


async def test_maintenance_given_a_trimmer_trims(storage: Storage) -> None:
    """The service does it by itself, with the rest of what tables need now and then."""
    await storage.writer.commit_bars(frame_of([Bar("AAPL", days(20_000))]), Timeframe.DAY_1)
    await write(storage, 2)
    await grow_old(storage, 2)
    upkeep = Upkeep(storage.pools, SystemClock(), {"change log": LogTrimmer(storage.pools, WEEK)})
    done = await Maintenance(storage.pools, upkeep.steps()).run_once()
    assert done[-1] == "change log"
    assert await fetch(storage, _LOOK) == [(1, 3, 3, 3)]
