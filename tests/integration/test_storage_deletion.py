"""Bars deleted: what is left, what the newest then is, what the log says."""

import itertools
from dataclasses import replace
from datetime import date
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata.domain.time_range import TimeRange, session_label_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import SymbolNotFoundError
from marketdata.storage.deletion import DeletionResult
from tests.support.bar_oracle import BarOracle
from tests.support.bars import MANUAL_FEED, Bar, days, frame_of, series
from tests.support.rows import changes, fetch, latest_bars, stored_bars
from tests.support.storage import Storage
from tests.support.symbols import create_renamed, create_symbols

DAY: Final = Timeframe.DAY_1
START_US: Final = days(20_000)
# Either the days to store a bar on, or the range of days to delete.
STEPS = st.one_of(
    st.sets(st.integers(0, 40), min_size=1, max_size=8),
    st.tuples(st.integers(0, 41), st.integers(0, 41)),
)


def within(first: int, last: int) -> TimeRange:
    """Make a range of days from the first that is stored."""
    return TimeRange(START_US + days(first), START_US + days(last))


@given(steps=st.lists(STEPS, max_size=8))
@settings(max_examples=60)
async def test_delete_given_random_histories_keeps_the_latest(
    storage: Storage, steps: list[set[int] | tuple[int, int]]
) -> None:
    """What is left and the newest of it are the oracle's, however writes and deletions take turns."""
    await fetch(storage, "TRUNCATE market_stock_hist_bars_day_ts, bar_latest, market_symbol CASCADE")
    await create_symbols(storage, "A", "B")
    oracle = BarOracle({MANUAL_FEED: 1000})
    prices = itertools.count(1)
    for step in steps:
        if isinstance(step, set):
            bars = [
                Bar(symbol, START_US + days(day), volume=float(next(prices)))
                for symbol, day in itertools.product("AB", sorted(step))
            ]
            oracle.commit(bars)
            await storage.writer.commit_bars(frame_of(bars), DAY)
        else:
            asked = within(min(step), max(step))
            gone = oracle.select("A", asked.start_us, asked.end_us, limit=None, descending=False)
            for bar in gone:
                del oracle.bars[bar.key]
            result = await storage.deleter.delete("A", DAY, asked, "a test")
            assert (result.deleted, result.seq > 0) == (len(gone), bool(gone))
    assert await stored_bars(storage, DAY) == oracle.stored()
    assert await latest_bars(storage, DAY) == oracle.newest()


async def test_delete_given_bars_logs_the_range_and_the_reason(storage: Storage) -> None:
    """A reader of the log learns what is no longer there, and why."""
    await create_symbols(storage, "A")
    await storage.writer.commit_bars(frame_of(series("A", DAY, START_US, 10)), DAY)
    asked = within(3, 7)
    assert await storage.deleter.delete("A", DAY, asked, "bad ticks") == DeletionResult(4, 3)
    (change,) = await changes(storage, after_seq=2)
    assert (change.kind, change.symbols, change.timeframe) == ("deleted", ("A",), "1d")
    assert change.range_us == (asked.start_us, asked.end_us)
    assert await fetch(storage, "SELECT reason FROM bar_change ORDER BY write_id DESC LIMIT 1") == [
        ("bad ticks",)
    ]


async def test_delete_given_nothing_to_delete_changes_nothing(storage: Storage) -> None:
    """The second time there is no entry."""
    await create_symbols(storage, "A")
    await storage.writer.commit_bars(frame_of(series("A", DAY, START_US, 3)), DAY)
    assert (await storage.deleter.delete("A", DAY, within(0, 3), "")).deleted == 3
    assert await storage.deleter.delete("A", DAY, within(0, 3), "") == DeletionResult(0, 0)
    assert len(await changes(storage)) == 3
    assert await latest_bars(storage, DAY) == []


async def test_delete_given_a_bar_written_again_begins_at_revision_0(storage: Storage) -> None:
    """A deleted bar leaves no trace in what is stored afterwards."""
    await create_symbols(storage, "A")
    bar = Bar("A", START_US)
    for volume in (1.0, 2.0):
        await storage.writer.commit_bars(frame_of([bar._replace(volume=volume)]), DAY)
    await storage.deleter.delete("A", DAY, within(0, 1), "")
    assert (await storage.writer.commit_bars(frame_of([bar]), DAY)).accepted == 1
    assert await stored_bars(storage, DAY) == [bar]


async def test_delete_given_a_rename_deletes_under_both_tickers_only_its_own(storage: Storage) -> None:
    """The series asked for goes, also what FB was before; the later FB's bars stay."""
    renamed, reused = date(2022, 6, 9), date(2023, 7, 3)
    await create_renamed(storage, [("FB", None, renamed), ("META", renamed, None)])
    await create_renamed(storage, [("FB", reused, None)])
    renamed_us = session_label_us(renamed)
    own = [Bar("FB", renamed_us - days(1)), Bar("META", renamed_us)]
    others = Bar("FB", session_label_us(reused))
    await storage.writer.commit_bars(frame_of([*own, others]), DAY)
    everything = TimeRange(DAY.earliest_us, DAY.latest_us)
    assert (await storage.deleter.delete("META", DAY, everything, "")).deleted == 2
    assert await stored_bars(storage, DAY) == [others]
    assert await latest_bars(storage, DAY) == [others]


async def test_delete_given_other_timeframes_leaves_them(storage: Storage) -> None:
    """Each timeframe is deleted by itself."""
    await create_symbols(storage, "A")
    bar = Bar("A", START_US)
    for timeframe in (DAY, Timeframe.HOUR_1):
        await storage.writer.commit_bars(frame_of([bar]), timeframe)
    await storage.deleter.delete("A", DAY, within(0, 1), "")
    assert await stored_bars(storage, Timeframe.HOUR_1) == [bar]
    assert await latest_bars(storage, Timeframe.HOUR_1) == [bar]


async def test_delete_given_an_unknown_symbol_raises_symbol_not_found(storage: Storage) -> None:
    """A typing error is not an empty deletion."""
    with pytest.raises(SymbolNotFoundError):
        await storage.deleter.delete("NOPE", DAY, within(0, 1), "")


async def test_of_all_given_bars_counts_tables(storage: Storage) -> None:
    """Symbols, ends and partitions exactly, rows as PostgreSQL estimates them."""
    await create_symbols(storage, "A", "B")
    bars = series("A", DAY, START_US, 40) + series("B", DAY, START_US + days(5), 3)
    await storage.writer.commit_bars(frame_of(bars), DAY)
    await fetch(storage, "ANALYZE market_stock_hist_bars_day_ts")
    (day,) = await storage.statistics.of_all()
    assert (day.timeframe, day.rows, day.symbols, day.partitions) == (DAY, 43, 2, 2)
    assert (day.first_us, day.last_us) == (START_US, START_US + days(39))
    assert day.size_bytes > 0


async def test_of_symbol_given_bars_counts_them_exactly(storage: Storage) -> None:
    """By timeframe, over all tickers that the identity had."""
    renamed_us = START_US + days(2)
    renamed = date.fromordinal(date(1970, 1, 1).toordinal() + renamed_us // days(1))
    await create_renamed(storage, [("OLD", None, renamed), ("NEW", renamed, None)])
    bars = [*series("OLD", DAY, START_US, 2), *series("NEW", DAY, renamed_us, 3)]
    await storage.writer.commit_bars(frame_of(bars), DAY)
    (day,) = await storage.statistics.of_symbol("NEW")
    expected = replace(day, rows=5, symbols=1, first_us=START_US, last_us=START_US + days(4))
    assert day == expected
    with pytest.raises(SymbolNotFoundError):
        await storage.statistics.of_symbol("NOPE")


async def test_of_all_given_no_bars_is_empty(storage: Storage) -> None:
    """A new database has nothing to count."""
    assert await storage.statistics.of_all() == []
