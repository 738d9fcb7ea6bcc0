"""One tailer a process: every consumer gets every entry once and in order, whatever is killed."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Final

import pytest

from marketdata.domain.log_position import LogPosition
from marketdata.domain.symbol import NewSymbol
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import (
    LogAheadError,
    LogGenerationError,
    LogTrimmedError,
    ServerDrainingError,
    SlowConsumerError,
)
from marketdata.storage.embedded import EmbeddedPostgres
from marketdata.storage.log_notifier import LogNotifier
from marketdata.storage.log_reader import LogReader, PageLimits, renew_generation
from marketdata.storage.migrate import migrate
from marketdata.storage.modes import StorageMode
from marketdata.storage.pools import Pools
from marketdata.storage.symbols import SymbolStore
from marketdata.streaming.consumer import LogConsumer
from tests.support.bars import Bar, days, frame_of
from tests.support.databases import running_server
from tests.support.embedded import kill
from tests.support.log_history import History, committed_entries, problems
from tests.support.rows import fetch
from tests.support.storage import TEST_LIMITS, Storage, opened_storage
from tests.support.tailing import LONG_SECONDS, tailed, tailing
from tests.support.unsteady_writers import REFUSE, WRITERS, Writer
from tests.support.waiting import until

DAY: Final = Timeframe.DAY_1
START_US: Final = days(20_000)
# Of all tests: no bar is written a second time, which would leave no entry.
_DAYS: Final = itertools.count()
MANY: Final = pytest.mark.modes("plain", "apache", reason="many transactions at once")
_END_TAILERS: Final = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
     WHERE application_name = 'marketdata-log' AND datname = current_database()
"""


async def write_bars(storage: Storage, count: int) -> None:
    """Make as many writes of a bar each, of days that have none yet."""
    for _ in range(count):
        await storage.writer.commit_bars(frame_of([Bar("AAPL", START_US + days(next(_DAYS)))]), DAY)


async def read_until(consumer: LogConsumer, seq: int) -> History:
    """Read up to a seq; fail when it does not come."""
    history = History(consumer.position.seq)
    async with asyncio.timeout(20):
        while history.last_seq < seq:
            history.record(await consumer.read())
    return history


async def position_of(storage: Storage, seq: int) -> LogPosition:
    """Give the position behind a seq in the log as it is now."""
    return LogPosition((await LogReader(storage.pools).bounds()).generation, seq)


@MANY
async def test_read_given_writers_that_roll_back_and_tailers_that_die_gets_exactly_the_committed(
    storage: Storage,
) -> None:
    """Tailers are cancelled and their backends ended again and again: no entry is lost or doubled."""
    await fetch(storage, REFUSE)
    generation = (await LogReader(storage.pools).bounds()).generation
    histories = [History(0) for _ in range(6)]
    writers = [Writer(storage, number) for number in range(WRITERS)]
    ended_backends = 0

    async def disturb() -> None:
        nonlocal ended_backends
        dice = random.Random(7)  # noqa: S311 -- the same in every run
        while True:
            await asyncio.sleep(dice.expovariate(1 / 0.01))
            if dice.random() < 0.5:
                await dice.choice(processes).restart()
            else:
                ((count,),) = await fetch(storage, _END_TAILERS)
                ended_backends += count

    async with tailing(storage, 2) as processes, asyncio.timeout(90), asyncio.TaskGroup() as group:
        disturbing = group.create_task(disturb())
        consuming = [
            group.create_task(processes[number % 2].consume(history, generation))
            for number, history in enumerate(histories)
        ]
        async with asyncio.TaskGroup() as writing:
            for writer in writers:
                writing.create_task(writer.run())

        async def nobody_was_left_in_peace() -> bool:
            # Otherwise this test proves little.
            return ended_backends > 3 and all(process.restarts > 3 for process in processes)

        await until(nobody_was_left_in_peace)
        disturbing.cancel()
        await asyncio.wait([disturbing])
        # One may have been killed and not started again.
        for process in processes:
            await process.restart()
        committed = await committed_entries(storage)

        async def all_came() -> bool:
            return all(history.last_seq == committed[-1][0] for history in histories)

        await until(all_came, 30.0)
        for task in consuming:
            task.cancel()
    assert [problems(history, committed) for history in histories] == [[]] * len(histories)


@MANY
async def test_attach_given_any_moment_and_any_position_gets_exactly_what_is_behind_it(
    storage: Storage,
) -> None:
    """Stored entries, then those to come, without a seam: while writers are at it, on small pages."""
    dice = random.Random(11)  # noqa: S311 -- the same in every run
    histories: list[History] = []
    last = 240

    async def consume(
        tailer_attach: Callable[[LogPosition], Awaitable[LogConsumer]], wait: int
    ) -> None:
        async def has_come() -> bool:
            return (await LogReader(storage.pools).bounds()).head_seq >= wait

        await until(has_come, 30.0)
        position = await position_of(storage, dice.randint(0, wait))
        async with await tailer_attach(position) as consumer:
            histories.append(await read_until(consumer, last))

    async with tailed(storage, limits=PageLimits(entries=7)) as tailer, asyncio.TaskGroup() as group:
        for number in range(24):
            group.create_task(consume(tailer.attach, number * 9))
        await write_bars(storage, last)
    committed = await committed_entries(storage)
    assert len(histories) == 24
    assert [problems(history, committed) for history in histories] == [[]] * 24


async def test_read_given_no_notification_gets_it_by_the_poll(storage: Storage) -> None:
    """Nobody tells: whoever looks by himself finds it all the same."""
    async with tailed(storage) as tailer, await tailer.attach() as consumer:
        await write_bars(storage, 3)
        history = await read_until(consumer, 3)
    assert problems(history, await committed_entries(storage)) == []


async def test_read_given_a_notification_does_not_wait_for_the_poll(storage: Storage) -> None:
    """The process that wrote tells after COMMIT; the reader looks at once."""
    notifier = LogNotifier(storage.address)
    async with (
        Pools(storage.address, TEST_LIMITS, notifier.wake) as pools,
        notifier.running(),
        tailed(storage, LONG_SECONDS) as tailer,
        await tailer.attach() as consumer,
    ):
        # Live, so that nothing but the tailer brings what comes.
        waiting = asyncio.create_task(read_until(consumer, 1))
        await until(lambda: _is(consumer.is_live))
        await SymbolStore(pools).create(NewSymbol("AAPL"))
        history = await waiting
    assert history.keys == [(1, 0)]


async def _is(value: object) -> bool:
    return bool(value)


async def test_attach_given_a_seq_that_the_tailer_has_not_seen_yet_gets_only_what_is_behind_it(
    storage: Storage,
) -> None:
    """Who wrote knows the seq of the answer before the tailer has looked."""
    async with tailed(storage, LONG_SECONDS) as tailer:
        await until(lambda: _is(tailer.position))
        await write_bars(storage, 3)
        async with await tailer.attach(await position_of(storage, 2)) as consumer:
            reading = asyncio.create_task(read_until(consumer, 3))
            await until(lambda: _is(consumer.has_joined))
            assert tailer.position == await position_of(storage, 0)
            await fetch(storage, "NOTIFY bar_log")
            assert (await reading).keys == [(3, 0)]


async def test_read_given_a_slow_consumer_ends_it_alone_and_tells_where_to_go_on(
    storage: Storage,
) -> None:
    """What waits is bounded in bytes; others are not held up; from the seq on nothing is missing."""
    async with tailed(storage, limits=PageLimits(entries=1)) as tailer:
        slow = await tailer.attach(most_bytes=4_000)
        quick = await tailer.attach()
        await write_bars(storage, 2)
        first = await read_until(slow, 2)
        reading = asyncio.create_task(read_until(quick, 22))
        await until(lambda: _is(slow.is_live))
        largest = 0
        for _ in range(20):
            await write_bars(storage, 1)
            largest = max(largest, slow.waiting_bytes)
        assert problems(await reading, await committed_entries(storage)) == []
        assert 0 < largest <= 4_000
        with pytest.raises(SlowConsumerError, match="behind seq 2, and read faster") as caught:
            await slow.read()
        assert slow.waiting_bytes == 0
        assert caught.value.metadata["seq"] == "2"
        again = await tailer.attach(LogPosition.from_token(caught.value.metadata["position"]))
        rest = await read_until(again, 22)
    assert problems(History(0, first.keys + rest.keys), await committed_entries(storage)) == []


async def test_read_given_more_than_may_wait_before_it_has_caught_up_goes_on(storage: Storage) -> None:
    """Whoever still reads what was stored is not too slow: what could not wait is read as well."""
    await write_bars(storage, 5)
    async with (
        tailed(storage, limits=PageLimits(entries=1)) as tailer,
        await tailer.attach(await position_of(storage, 0), most_bytes=1) as consumer,
    ):
        history = History(0)
        history.record(await consumer.read())
        assert (consumer.has_joined, consumer.is_live) == (True, False)
        await write_bars(storage, 3)
        await until(lambda: _is(not consumer.has_joined))
        history.keys += (await read_until(consumer, 8)).keys
    assert problems(history, await committed_entries(storage)) == []


async def test_read_given_an_entry_larger_than_the_bound_gets_it(storage: Storage) -> None:
    """A consumer that keeps up is not ended for what a single write holds."""
    async with tailed(storage) as tailer, await tailer.attach(most_bytes=1) as consumer:
        for seq in (1, 2, 3):
            await write_bars(storage, 1)
            assert (await read_until(consumer, seq)).last_seq == seq


async def test_read_given_a_cancelled_wait_loses_nothing(storage: Storage) -> None:
    """A caller with a deadline of its own asks again."""
    async with tailed(storage) as tailer, await tailer.attach() as consumer:
        history = History(0)
        for seq in range(1, 6):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0):
                    history.record(await consumer.read())
            await write_bars(storage, 1)
            while history.last_seq < seq:
                history.record(await consumer.read())
    assert problems(history, await committed_entries(storage)) == []


async def test_attach_given_positions_that_the_log_does_not_have_says_why(storage: Storage) -> None:
    """Trimmed, of another generation, ahead: each has an error of its own."""
    await write_bars(storage, 5)
    await fetch(storage, "UPDATE bar_log SET oldest_seq = 4")
    async with tailed(storage) as tailer:
        for position, error in (
            (await position_of(storage, 2), LogTrimmedError),
            (await position_of(storage, 6), LogAheadError),
            (LogPosition("0" * 16, 4), LogGenerationError),
        ):
            with pytest.raises(error):
                await tailer.attach(position)
        async with await tailer.attach(await position_of(storage, 3)) as consumer:
            assert (await read_until(consumer, 5)).keys == [(4, 0), (5, 0)]


async def renew(storage: Storage) -> None:
    """Begin another history."""
    await renew_generation(storage.pools)


async def go_back(storage: Storage) -> None:
    """Lose the last writes, as a restore of files does that nobody tells of."""
    await fetch(
        storage, "DELETE FROM bar_change WHERE write_id IN (SELECT max(write_id) FROM bar_write)"
    )
    await fetch(storage, "DELETE FROM bar_write WHERE seq = (SELECT seq FROM bar_log_head)")
    await fetch(storage, "UPDATE bar_log_head SET seq = seq - 1")


async def trim_and_write(storage: Storage) -> None:
    """Trim what the tailer has not read yet: the database was away for longer than entries are kept."""
    async with storage.owner.connection() as connection, connection.transaction():
        await connection.execute("UPDATE bar_log_head SET seq = seq + 5")
        await connection.execute("UPDATE bar_log SET oldest_seq = (SELECT seq FROM bar_log_head)")


@pytest.mark.parametrize(
    ("change", "error"),
    [(renew, LogGenerationError), (go_back, LogAheadError), (trim_and_write, LogTrimmedError)],
)
async def test_read_given_a_log_that_is_another_one_ends_with_its_error(
    storage: Storage, change: Callable[[Storage], Awaitable[None]], error: type[Exception]
) -> None:
    """Consumers hear of it wherever they are; the tailer goes on with those who begin anew."""
    await write_bars(storage, 3)
    async with tailed(storage) as tailer:
        live, idle = await tailer.attach(), await tailer.attach()
        reading = asyncio.create_task(live.read())
        await until(lambda: _is(live.is_live))
        await change(storage)
        with pytest.raises(error):
            async with asyncio.timeout(20):
                await reading
        with pytest.raises(error):
            await idle.read()
        async with await tailer.attach() as anew:
            await write_bars(storage, 1)
            ((head_seq,),) = await fetch(storage, "SELECT seq FROM bar_log_head")
            assert (await read_until(anew, head_seq)).keys == [(head_seq, 0)]


async def test_read_given_a_tailer_that_ends_says_so(storage: Storage) -> None:
    """A service that shuts down ends its consumers, also those that still read what is stored."""
    await write_bars(storage, 2)
    async with tailed(storage) as tailer:
        live, stored = await tailer.attach(), await tailer.attach(await position_of(storage, 0))
        reading = asyncio.create_task(live.read())
        await until(lambda: _is(live.is_live))
    for ended in (reading, stored.read()):
        with pytest.raises(ServerDrainingError):
            await ended
    assert stored.position.seq == 0


async def test_tailer_given_no_consumer_follows_the_head_and_keeps_nothing(storage: Storage) -> None:
    """Nobody reads: entries are not fetched, and who comes next begins at the end."""
    async with tailed(storage) as tailer:
        await write_bars(storage, 3)
        await until(lambda: _is(tailer.position and tailer.position.seq == 3))
        async with await tailer.attach() as consumer:
            assert consumer.position.seq == 3
            await write_bars(storage, 1)
            assert (await read_until(consumer, 4)).keys == [(4, 0)]


@pytest.fixture
async def own_server() -> AsyncIterator[EmbeddedPostgres]:
    """Run a server that the test may kill."""
    with running_server(in_memory=True) as server:
        assert server.address is not None
        await migrate(server.address, StorageMode.PLAIN)
        yield server


async def test_read_given_a_database_that_was_killed_and_started_again_goes_on(
    own_server: EmbeddedPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    """Away for a while, perhaps on another port: the tailer finds it, and no consumer missed any."""
    address = own_server.address
    assert address is not None
    async with (
        # Soon told that there is no connection, as a service is that knows its database to be down.
        opened_storage(
            lambda: own_server.address or address, replace(TEST_LIMITS, timeout_seconds=0.5)
        ) as storage,
        tailed(storage) as tailer,
        await tailer.attach() as consumer,
    ):
        history = History(0)
        for killing in range(1, 4):
            await write_bars(storage, 2)
            history.keys += (await read_until(consumer, 2 * killing)).keys
            async with await tailer.attach(await position_of(storage, 0)) as behind:
                await asyncio.to_thread(kill, own_server)
                caplog.clear()
                late = asyncio.create_task(read_until(behind, 2 * killing))
                await until(lambda: _is("log_consumer_waits" in caplog.text))
                await asyncio.to_thread(own_server.restart_if_dead)
                assert problems(await late, await committed_entries(storage)) == []
        await write_bars(storage, 1)
        history.keys += (await read_until(consumer, 7)).keys
        assert problems(history, await committed_entries(storage)) == []
