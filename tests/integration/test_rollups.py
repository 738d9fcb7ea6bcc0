"""Roll-ups: answers from them are those from minutes, bit by bit, at any moment."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import psycopg
import pytest

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarFlag
from marketdata.domain.calendar import SessionHours
from marketdata.domain.symbol import SymbolUpdate
from marketdata.domain.time_range import TimeRange, to_unix_us
from marketdata.errors import BarNotFoundError, DatabaseUnavailableError, SymbolHasBarsError
from marketdata.storage.rollups import RollUpKeeper
from tests.support.markets import FEEDS, MARKETS, Market
from tests.support.reads import read_in_bulk
from tests.support.rolled_up import (
    DAY,
    HOUR,
    KINDS,
    MINUTE,
    always,
    answers,
    assert_true,
    bits,
    counted,
    create,
    dirty,
    drop_minutes,
    fill,
    roll,
    truth,
)
from tests.support.rows import fetch
from tests.support.sessions import LONG_AFTER_US, local_us, walk
from tests.support.storage import Storage
from tests.support.waiting import until

SYDNEY: Final = next(market for market in MARKETS if market.symbol == "SPRING")
FUTURE: Final = next(market for market in MARKETS if market.symbol == "FUTURE")
MARK_ALL: Final = """
    INSERT INTO rollup_dirty SELECT DISTINCT symbol, (time AT TIME ZONE 'UTC')::date
      FROM market_stock_hist_bars_min_ts ON CONFLICT DO NOTHING
"""


@pytest.mark.parametrize("market", MARKETS, ids=lambda market: market.symbol)
async def test_read_given_rolled_up_minutes_answers_as_before(storage: Storage, market: Market) -> None:
    """From minutes, from roll-ups, and from roll-ups whose minutes were dropped: the same bits."""
    minutes = await fill(storage, market)
    before = await answers(storage, market.symbol)
    for timeframe, hours in KINDS:
        whole = before[f"{timeframe.value} {hours.value} all"]
        assert whole == truth(minutes, market.calendar, timeframe, hours)
    result = await roll(storage)
    assert await dirty(storage) == []
    assert result.hour_bars > result.day_bars > 0
    assert await answers(storage, market.symbol) == before
    await drop_minutes(storage)
    assert await answers(storage, market.symbol) == before
    assert any(before.values())


@pytest.mark.usefixtures("any_path")
async def test_read_given_a_revision_after_rolling_up_shows_it_at_once(storage: Storage) -> None:
    """Revised, new and deleted minutes are in the next answer, and in the next roll-ups."""
    market = SYDNEY
    minutes = await fill(storage, market)
    await roll(storage)
    rows = np.arange(0, len(minutes), 311)
    changed = minutes.take(rows)
    changed = replace(changed, close=changed.close + 0.25, high=changed.high + 1)
    await storage.intake.store(changed, MINUTE)
    assert await dirty(storage) != []
    await assert_true(storage, market)
    gone = TimeRange(int(minutes.time_us[900]), int(minutes.time_us[2_000]))
    await storage.deleter.delete(market.symbol, MINUTE, gone, "wrong")
    await assert_true(storage, market)
    await roll(storage)
    assert await dirty(storage) == []
    await assert_true(storage, market)


async def test_read_given_all_minutes_deleted_after_rolling_up_answers_nothing(
    storage: Storage,
) -> None:
    """What a deletion took is not answered from roll-ups, before and after the next run."""
    minutes = await fill(storage, SYDNEY)
    await roll(storage)
    await storage.deleter.delete(SYDNEY.symbol, MINUTE, always(MINUTE), "wrong")
    assert len(minutes) > 0
    for _ in range(2):
        assert not any((await answers(storage, SYDNEY.symbol)).values())
        await roll(storage)
    assert await counted(storage) == (0, 0)


@pytest.mark.usefixtures("any_path")
async def test_roller_given_a_late_minute_in_a_dropped_range_changes_nothing(storage: Storage) -> None:
    """Of a session whose minutes are gone in part nothing is made anew, whatever comes late."""
    minutes = await fill(storage, FUTURE)
    await roll(storage)
    before = await answers(storage, FUTURE.symbol)
    # Midnight UTC lies within a session of Chicago: that one keeps the roll-up of its whole.
    first_kept = to_unix_us(datetime(2024, 3, 12, tzinfo=UTC))
    await fetch(storage, "SELECT bar_retention_record('min', '2024-03-12T00:00:00Z')")
    await fetch(
        storage, "DELETE FROM market_stock_hist_bars_min_ts WHERE time < '2024-03-12T00:00:00Z'"
    )
    assert await answers(storage, FUTURE.symbol) == before
    early = minutes.take(np.flatnonzero(minutes.time_us < first_kept)[-400::7])
    await storage.intake.store(replace(early, close=early.close + 0.01), MINUTE)
    assert await dirty(storage) == []
    await roll(storage)
    assert await answers(storage, FUTURE.symbol) == before
    # A minute of the same session, but of a day that is kept, is marked; its day bar stays as it was.
    later = minutes.take(np.flatnonzero(minutes.time_us >= first_kept)[:1])
    await storage.intake.store(replace(later, high=later.high + 50), MINUTE)
    days_before = before["1d regular all"]
    for _ in range(2):
        after = await answers(storage, FUTURE.symbol)
        assert after["1d regular all"] == days_before
        assert sum(a != b for a, b in zip(after["1h all all"], before["1h all all"], strict=True)) == 1
        await roll(storage)


async def test_roller_given_a_session_under_way_leaves_it_for_later(storage: Storage) -> None:
    """Nothing is rolled up before all bars of a day have ended; the answer comes from minutes."""
    await fill(storage, FUTURE)
    # Between the close of one session and the next: the UTC day before is over, its last session not.
    now_us = local_us("2024-03-12 19:30", FUTURE.time_zone)
    result = await RollUpKeeper(storage.pools).run_once(now_us)
    assert result.waiting > 0
    newest = await fetch(storage, "SELECT max(time) < '2024-03-12' FROM bar_rollup_hour")
    assert newest == [(True,)]
    query = BarQuery((FUTURE.symbol,), HOUR, always(HOUR), now_us=now_us, session=SessionHours.ALL)
    rolled = bits((await read_in_bulk(storage, query)).frames)
    await fetch(storage, "TRUNCATE bar_rollup_hour, bar_rollup_day")
    await fetch(storage, MARK_ALL)
    assert bits((await read_in_bulk(storage, query)).frames) == rolled
    # Asked as of a moment before the roller ran, no bar of later is final.
    await roll(storage)
    assert bits((await read_in_bulk(storage, query)).frames) == rolled


@pytest.mark.modes("plain", "apache", reason="many transactions at once")
async def test_roller_given_its_connection_breaks_half_way_leaves_no_trace(storage: Storage) -> None:
    """Killed between the hours and the days of a batch, the batch is as it was, for the next run."""
    await fill(storage, SYDNEY)
    before, marked = await answers(storage, SYDNEY.symbol), await dirty(storage)
    address = storage.address().connection_parameters()
    async with await psycopg.AsyncConnection.connect(**address) as blocker:  # type: ignore[arg-type]
        await blocker.execute("LOCK TABLE bar_rollup_day IN EXCLUSIVE MODE")
        running = asyncio.create_task(roll(storage, most_days=100))
        await until(lambda: end_waiting(blocker))
        with pytest.raises(DatabaseUnavailableError):
            await running
    assert await dirty(storage) == marked
    assert await counted(storage) == (0, 0)
    await roll(storage)
    assert await dirty(storage) == []
    assert await answers(storage, SYDNEY.symbol) == before


async def test_read_given_a_providers_bar_prefers_it_to_the_roll_up(storage: Storage) -> None:
    """A provider's hour or day wins over the one made from minutes, ready or not (rule 8)."""
    await fill(storage, SYDNEY)
    await roll(storage)
    for timeframe in (HOUR, DAY):
        query = BarQuery((SYDNEY.symbol,), timeframe, always(timeframe))
        (made,) = (await read_in_bulk(storage, query)).frames
        official = walk(made.time_us[1:2], symbol=SYDNEY.symbol, feed=np.zeros(1, np.int16))
        await storage.intake.store(replace(official, feeds=FEEDS), timeframe)
        (answer,) = (await read_in_bulk(storage, query)).frames
        assert answer.time_us.tolist() == made.time_us.tolist()
        assert answer.close[1] == official.close[0]
        is_derived = (answer.flags & BarFlag.DERIVED) != 0
        assert is_derived.tolist() == [place != 1 for place in range(len(answer))]


async def test_latest_bar_given_dropped_minutes_is_the_newest_roll_up(storage: Storage) -> None:
    """A symbol that has only roll-ups left has a latest hour and a latest day, and no latest minute."""
    await fill(storage, SYDNEY)
    newest = {t: await storage.latest.read_one(SYDNEY.symbol, t, LONG_AFTER_US) for t in (HOUR, DAY)}
    await roll(storage)
    await drop_minutes(storage)
    for timeframe, bar in newest.items():
        newest_left = await storage.latest.read_one(SYDNEY.symbol, timeframe, LONG_AFTER_US)
        assert repr(newest_left) == repr(bar)  # NaN is not equal to itself
    with pytest.raises(BarNotFoundError):
        await storage.latest.read_one(SYDNEY.symbol, MINUTE, LONG_AFTER_US)


async def test_roller_given_minutes_of_nobody_clears_their_marks(storage: Storage) -> None:
    """A ticker that names nothing has no calendar: its minutes make nothing, and lose their marks."""
    minutes = SYDNEY.minutes()
    feeds = await fetch(storage, "SELECT feed_id FROM market_feed WHERE provider = 'manual'")
    feed = np.full(len(minutes), feeds[0][0], np.int16)
    await storage.writer.commit_bars(replace(minutes, symbols=("NOBODY",), feed=feed), MINUTE)
    assert await dirty(storage) != []
    await roll(storage)
    assert await dirty(storage) == []
    assert await counted(storage) == (0, 0)


async def test_delete_symbol_given_only_roll_ups_is_refused_and_forced(storage: Storage) -> None:
    """What still answers is not lost by a slip; deleted, it is not the next holder's of the ticker."""
    await fill(storage, SYDNEY)
    await roll(storage)
    await drop_minutes(storage)
    with pytest.raises(SymbolHasBarsError, match="1h, 1d"):
        await storage.symbol_deleter.delete(SYDNEY.symbol, force=False)
    await storage.symbol_deleter.delete(SYDNEY.symbol, force=True)
    assert await counted(storage) == (0, 0)


async def test_read_given_another_calendar_makes_bars_by_it(storage: Storage) -> None:
    """A symbol that was said to trade elsewhere has other sessions at once, and in its roll-ups."""
    minutes = await fill(storage, SYDNEY)
    await roll(storage)
    await storage.symbols.update(SYDNEY.symbol, SymbolUpdate({"calendar": "24/7"}))
    wanted = truth(minutes, "24/7", DAY, SessionHours.REGULAR)
    query = BarQuery((SYDNEY.symbol,), DAY, always(DAY), session=SessionHours.ALL)
    # Which minutes are extended was told when they were stored, by the former calendar.
    await fetch(storage, "UPDATE market_stock_hist_bars_min_ts SET flags = 1")
    for _ in range(2):
        assert bits((await read_in_bulk(storage, query)).frames) == wanted
        await roll(storage)


@pytest.mark.modes("plain", "apache", reason="many transactions at once")
async def test_roller_given_writers_beside_it_fits_what_they_left(storage: Storage) -> None:
    """In whatever order bars are written, deleted and rolled up, roll-ups fit at the end."""
    markets = [SYDNEY, FUTURE, MARKETS[0]]
    for market in markets:
        await create(storage, market)
    random = np.random.default_rng(11)

    async def write(market: Market, seed: int) -> None:
        minutes = market.minutes(seed)
        for _ in range(6):
            first = int(random.integers(len(minutes)))
            size = int(random.choice([1, 40, 2_000]))
            part = minutes.take(np.arange(first, min(len(minutes), first + size)))
            await storage.intake.store(part, MINUTE)
            if random.random() < 0.4:
                start = int(part.time_us[0])
                within = TimeRange(start, start + int(random.integers(1, 3 * 86_400)) * 1_000_000)
                await storage.deleter.delete(market.symbol, MINUTE, within, "test")

    writers = [asyncio.create_task(write(m, seed)) for m in markets for seed in (1, 2, 3)]
    runs = 0
    while not all(writer.done() for writer in writers):
        await asyncio.gather(roll(storage, 2), roll(storage, 7))
        runs += 1
    await asyncio.gather(*writers)
    assert runs > 1
    for market in markets:
        await assert_true(storage, market)
    await roll(storage)
    assert await dirty(storage) == []
    for market in markets:
        await assert_true(storage, market)


async def end_waiting(blocker: psycopg.AsyncConnection[Any]) -> bool:
    """End the session that waits for a lock; tell whether there was one."""
    cursor = await blocker.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return bool(await cursor.fetchall())
