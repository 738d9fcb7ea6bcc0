"""Retention: nothing without a confirmation, the oldest first, and never under a reader."""

import asyncio
from contextlib import aclosing
from typing import Final

import pytest
from psycopg import errors as pg

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.calendar_span import CalendarSpan
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.errors import StorageSettingError
from marketdata.storage.bar_storage import BarStorage
from marketdata.storage.partition_counts import PartitionCount, count_rows, has_changed
from marketdata.storage.pools import Connection
from marketdata.storage.retention import BackOff, DroppedPartition, Retention, RetentionResult
from tests.support.bars import Bar, frame_of
from tests.support.kept import BARS_A_DAY, midnight_us, store_minutes
from tests.support.reads import read_in_bulk
from tests.support.rows import changes, fetch, stored_bars
from tests.support.storage import Storage
from tests.support.waiting import until

MINUTE: Final = Timeframe.MINUTE_1
WEEK: Final = CalendarSpan(days=7)
HOUR: Final = Timeframe.HOUR_1
QUARTER: Final = CalendarSpan(days=90)
ALL: Final = BarQuery(("A",), MINUTE, TimeRange(midnight_us(40), midnight_us(-1)))
IMPATIENT: Final = BackOff(attempts=2, first_seconds=0.01, most_seconds=0.01)
TWO_AT_ONCE: Final = pytest.mark.modes("plain", "apache", reason="two transactions at once")
COUNTING: Final = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'bar_log_head'::regclass"
HELD: Final = "SELECT locktype, mode FROM pg_locks WHERE pid = %s AND granted"


async def confirmed(storage: Storage) -> Retention:
    """Keep a week of minutes, confirmed."""
    settings = BarStorage(storage.pools)
    await settings.change(MINUTE, keep=WEEK)
    await settings.confirm_retention(MINUTE, WEEK)
    return Retention(storage.pools, back_off=IMPATIENT)


async def test_find_old_given_old_partitions_lists_them_and_changes_nothing(storage: Storage) -> None:
    """A dry run: those that are older than what is kept, oldest first, with their range and size."""
    await store_minutes(storage, "A", 20, 9, 2)
    await BarStorage(storage.pools).change(MINUTE, keep=WEEK)
    old = await Retention(storage.pools).find_old(MINUTE)
    assert [part.range for part in old] == [
        TimeRange(midnight_us(ago), midnight_us(ago - 1)) for ago in (20, 9)
    ]
    assert all(part.size_bytes > 0 and part.rows >= 0 and not part.is_compressed for part in old)
    assert len(await stored_bars(storage, MINUTE)) == 3 * BARS_A_DAY


async def test_apply_given_no_confirmation_drops_nothing(storage: Storage) -> None:
    """What nobody confirmed is refused, with the command that does."""
    await store_minutes(storage, "A", 20)
    await BarStorage(storage.pools).change(MINUTE, keep=WEEK)
    with pytest.raises(StorageSettingError, match="1m bars is not confirmed; marketdata"):
        await Retention(storage.pools).apply(MINUTE, "because")
    assert len(await stored_bars(storage, MINUTE)) == BARS_A_DAY


async def test_apply_given_old_partitions_drops_them_oldest_first(storage: Storage) -> None:
    """Bars, bounds and the change log agree; what is kept stays as it is."""
    await store_minutes(storage, "A", 20, 9, 2)
    await store_minutes(storage, "B", 20)
    before = (await changes(storage))[-1].seq
    told: list[DroppedPartition] = []
    result = await (await confirmed(storage)).apply(MINUTE, "older than 7d", told.append)
    assert result.left == 0
    assert list(result.dropped) == told
    assert [(part.range.start_us, part.rows) for part in told] == [
        (midnight_us(20), 2 * BARS_A_DAY), (midnight_us(9), BARS_A_DAY),
    ]  # fmt: skip
    entries = await changes(storage, before)
    logged = [(entry.kind, entry.timeframe, entry.range_us) for entry in entries]
    assert logged == [("retention", "1m", (midnight_us(ago), midnight_us(ago - 1))) for ago in (20, 9)]
    assert await fetch(storage, "SELECT DISTINCT reason FROM bar_change WHERE kind = 'retention'") == [
        ("older than 7d",)
    ]
    assert len(await stored_bars(storage, MINUTE)) == BARS_A_DAY
    # What is told of each symbol's bounds follows: B has none left.
    bounds = "SELECT symbol, (extract(epoch FROM first_time) * 1000000)::bigint FROM bar_latest"
    assert await fetch(storage, bounds) == [("A", midnight_us(8))]
    answer = await read_in_bulk(storage, ALL)
    assert next(time_us for _, time_us in answer.rows()) == midnight_us(2)


async def test_apply_given_it_is_done_does_nothing(storage: Storage) -> None:
    """A second run finds nothing, and the log has no entry of it."""
    await store_minutes(storage, "A", 20)
    retention = await confirmed(storage)
    await retention.apply(MINUTE, "")
    entries = len(await changes(storage))
    assert await retention.apply(MINUTE, "") == RetentionResult()
    assert len(await changes(storage)) == entries


async def test_apply_given_before_drop_fails_drops_nothing(storage: Storage) -> None:
    """What has to be made of the bars first is made first, and told which bars."""
    await store_minutes(storage, "A", 20)
    await confirmed(storage)
    asked: list[tuple[Timeframe, int]] = []

    async def fail(timeframe: Timeframe, until_us: int) -> None:
        asked.append((timeframe, until_us))
        raise RuntimeError("no room for roll-ups")

    with pytest.raises(RuntimeError, match="no room"):
        await Retention(storage.pools, fail).apply(MINUTE, "")
    assert asked == [(MINUTE, midnight_us(19))]
    assert len(await stored_bars(storage, MINUTE)) == BARS_A_DAY


async def test_apply_given_minutes_that_come_between_prepares_again(storage: Storage) -> None:
    """Bars that were written after the roll-ups were made are rolled up before they go."""
    await store_minutes(storage, "A", 20)
    await fetch(storage, "DELETE FROM rollup_dirty")
    await confirmed(storage)
    calls = 0

    async def write_once(_timeframe: Timeframe, _until_us: int) -> None:
        nonlocal calls
        calls += 1

    class Between(Retention):
        """Another writer is faster than the drop, once."""

        async def _drop_one(
            self, timeframe: Timeframe, time_range: TimeRange, reason: str
        ) -> DroppedPartition | None:
            if calls == 0:
                await store_minutes(storage, "B", 20)
            return await super()._drop_one(timeframe, time_range, reason)

    result = await Between(storage.pools, write_once, IMPATIENT).apply(MINUTE, "")
    assert result.rows == 2 * BARS_A_DAY


async def test_apply_given_bars_that_come_after_the_count_counts_again(storage: Storage) -> None:
    """What is told of a drop is what was dropped, though it was counted before anybody had to wait."""
    first, second = (Bar("A", midnight_us(200) + hour * HOUR.duration_us) for hour in (0, 1))
    await storage.writer.commit_bars(frame_of([first]), HOUR)
    settings = BarStorage(storage.pools)
    await settings.change(HOUR, keep=QUARTER)
    await settings.confirm_retention(HOUR, QUARTER)
    counts: list[int] = []

    class Late(Retention):
        """A writer stores another bar as soon as the first one is counted."""

        async def _count(
            self, connection: Connection, timeframe: Timeframe, time_range: TimeRange
        ) -> PartitionCount:
            counted = await super()._count(connection, timeframe, time_range)
            counts.append(counted.rows)
            await storage.writer.commit_bars(frame_of([second]), HOUR)
            return counted

    result = await Late(storage.pools, back_off=IMPATIENT).apply(HOUR, "")
    assert (counts, result.rows, len(result.dropped)) == ([1, 2], 2, 1)


async def test_has_changed_given_writes_since_the_count_tells_those_of_the_partition(
    storage: Storage,
) -> None:
    """Bars stored in it, bars deleted from it, and a log that does not reach back to the count."""
    await store_minutes(storage, "A", 20, 2)
    day = TimeRange(midnight_us(20), midnight_us(19))

    async def changes_it(count: PartitionCount) -> bool:
        async with storage.pools.query() as connection:
            return await has_changed(connection, count)

    async def counted() -> PartitionCount:
        async with storage.pools.query() as connection:
            return await count_rows(connection, MINUTE, day)

    first = await counted()
    assert first.rows == BARS_A_DAY
    await storage.writer.commit_bars(frame_of([Bar("A", midnight_us(2), close=9.5)]), MINUTE)
    await storage.writer.commit_bars(frame_of([Bar("A", midnight_us(20))]), HOUR)
    assert not await changes_it(first)
    await storage.writer.commit_bars(frame_of([Bar("A", day.end_us - 1_000_000)]), MINUTE)
    assert await changes_it(first)
    second = await counted()
    await storage.deleter.delete("A", MINUTE, day, "bad")
    assert await changes_it(second)
    third = await counted()
    assert (second.rows, third.rows) == (BARS_A_DAY + 1, 0)
    await fetch(storage, "UPDATE bar_log SET oldest_seq = %s", [third.seq + 1])
    assert not await changes_it(third)
    await fetch(storage, "UPDATE bar_log SET oldest_seq = %s", [third.seq + 2])
    assert await changes_it(third)


@TWO_AT_ONCE
async def test_apply_given_a_count_under_way_keeps_nobody_waiting(storage: Storage) -> None:
    """While rows are counted the session holds no lock that a writer or a reader could wait for."""
    await store_minutes(storage, "A", 20)
    retention = await confirmed(storage)
    async with storage.owner.connection() as other:
        async with other.transaction():
            # What the count reads beside the rows: it is kept in its middle.
            await other.execute("LOCK TABLE bar_log_head IN ACCESS EXCLUSIVE MODE")
            applying = asyncio.create_task(retention.apply(MINUTE, ""))

            async def is_counting() -> bool:
                return bool(await fetch(storage, COUNTING))

            await until(is_counting)
            held = await fetch(storage, HELD, [(await fetch(storage, COUNTING))[0][0]])
        assert (await applying).rows == BARS_A_DAY
    assert {mode for kind, mode in held if kind == "relation"} == {"AccessShareLock"}
    assert "advisory" not in {kind for kind, _ in held}


@TWO_AT_ONCE
async def test_apply_given_an_open_stream_waits_and_reports_what_is_left(storage: Storage) -> None:
    """A stream that has its snapshot gets every bar of it: the drop waits (55P03), and goes later."""
    await store_minutes(storage, "A", 20, 19, 2)
    retention = await confirmed(storage)
    async with storage.reader.snapshot(ALL) as snapshot:
        result = await retention.apply(MINUTE, "")
        assert (result.dropped, result.left) == ((), 2)
        async with storage.owner.connection() as other, other.transaction():
            await other.execute("SET LOCAL lock_timeout = '50ms'")
            with pytest.raises(pg.LockNotAvailable):
                await other.execute(
                    "LOCK TABLE ONLY market_stock_hist_bars_min_ts IN ACCESS EXCLUSIVE MODE"
                )
        async with aclosing(snapshot.blocks(len)) as blocks:
            assert sum([count async for count in blocks]) == 3 * BARS_A_DAY
    assert len((await retention.apply(MINUTE, "")).dropped) == 2


@TWO_AT_ONCE
async def test_apply_given_a_writer_under_way_waits_for_it(storage: Storage) -> None:
    """A writer's stripe keeps the drop away, whatever the writer has touched so far."""
    await store_minutes(storage, "A", 20)
    retention = await confirmed(storage)
    async with storage.pools.query() as writer, writer.transaction():
        await writer.execute("SELECT pg_advisory_xact_lock(%s, 63)", [0x42410001])
        assert (await retention.apply(MINUTE, "")).left == 1
    assert (await retention.apply(MINUTE, "")).rows == BARS_A_DAY


@TWO_AT_ONCE
async def test_apply_given_several_at_once_drops_each_once(storage: Storage) -> None:
    """Two processes, or a command beside the service, are in nobody's way."""
    await store_minutes(storage, "A", 20, 19, 18, 2)
    await confirmed(storage)
    patient = Retention(storage.pools, back_off=BackOff(attempts=500, first_seconds=0.01))
    results = await asyncio.gather(*(patient.apply(MINUTE, "") for _ in range(3)))
    starts = [part.range.start_us for result in results for part in result.dropped]
    assert sorted(starts) == [midnight_us(ago) for ago in (20, 19, 18)]


async def test_apply_given_a_cancellation_between_partitions_keeps_the_rest(storage: Storage) -> None:
    """What is dropped is dropped, what is not is whole."""
    await store_minutes(storage, "A", 20, 19, 18)
    retention = await confirmed(storage)
    task: asyncio.Task[object]

    def stop(_: DroppedPartition) -> None:
        task.cancel()

    task = asyncio.create_task(retention.apply(MINUTE, "", stop))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(await stored_bars(storage, MINUTE)) == 2 * BARS_A_DAY
    assert len(await retention.find_old(MINUTE)) == 2


async def test_change_given_a_shorter_keep_withdraws_the_confirmation(storage: Storage) -> None:
    """What was confirmed is not what would be dropped now; a longer one drops less, and stays."""
    settings = BarStorage(storage.pools)
    month = CalendarSpan(months=1)
    await settings.confirm_retention(MINUTE, (await settings.get(MINUTE)).keep)
    assert (await settings.change(MINUTE, keep=CalendarSpan(months=12))).is_confirmed
    assert not (await settings.change(MINUTE, keep=month)).is_confirmed
    with pytest.raises(StorageSettingError, match="not kept for 1y any more"):
        await settings.confirm_retention(MINUTE, CalendarSpan(months=12))
    await settings.confirm_retention(MINUTE, month)
    assert await settings.withdraw_retention(MINUTE)
    assert not await settings.withdraw_retention(MINUTE)


async def test_change_given_some_settings_leaves_the_others(storage: Storage) -> None:
    """What is not given stays; the other tables stay too."""
    settings = BarStorage(storage.pools)
    before = await settings.of_all()
    changed = await settings.change(MINUTE, interval=CalendarSpan(days=7), compress_after=WEEK)
    assert (changed.interval_days, changed.compress_after) == (7, WEEK)
    assert changed.keep == before[0].keep == CalendarSpan(months=6)
    assert (await settings.of_all())[1:] == before[1:]


async def test_change_given_values_out_of_bounds_names_each_and_changes_nothing(
    storage: Storage,
) -> None:
    """The floor of retention guards what is in use from a slip of the keyboard."""
    settings = BarStorage(storage.pools)
    before = await settings.of_all()
    with pytest.raises(StorageSettingError, match=r"interval 1mo: .*; keep 6d: the least .* is 7d"):
        await settings.change(MINUTE, interval=CalendarSpan(months=1), keep=CalendarSpan(days=6))
    assert await settings.of_all() == before


def test_midnights_given_days_are_apart() -> None:
    """What these tests count from."""
    assert midnight_us(0) - midnight_us(1) == MICROSECONDS_PER_DAY
