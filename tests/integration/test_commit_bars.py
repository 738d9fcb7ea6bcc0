"""The write path against a slow oracle: counts, revisions, ranks, the newest bars, the change log."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from marketdata.domain.bars import BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.commit import FEW_BARS, MOST_BARS_A_COMMIT, CommitResult
from marketdata.storage.copy_in import MOST_BARS_A_SAVEPOINT
from tests.support.bar_oracle import BarOracle
from tests.support.bars import MANUAL_FEED, SAMPLE_FEED, Bar, days, frame_of, key_order, series
from tests.support.rows import TABLES, changes, fetch, latest_bars, stored_bars
from tests.support.storage import Storage

DAY: Final = Timeframe.DAY_1
START_US: Final = days(20_000)
RANKS: Final = {MANUAL_FEED: 1000, SAMPLE_FEED: 10, 103: 100, 104: 100}
# Few values, so that batches repeat, change and outrank what earlier ones stored. Twelve days meet a
# partition's bound (day 20,010 from the epoch).
PRICES = st.sampled_from([10.0, 10.5, 11.0])
SIZES = st.sampled_from([None, 0.0, -0.0, 100.0])
BARS = st.builds(
    Bar,
    symbol=st.sampled_from(["A", "BB", "CCC.D"]),
    time_us=st.integers(0, 11).map(lambda day: START_US + days(day)),
    open=PRICES,
    high=st.just(12.0),
    low=st.just(9.0),
    close=PRICES,
    volume=SIZES,
    vwap=st.sampled_from([None, 10.25]),
    trade_count=st.sampled_from([-1, 7]),
    feed=st.sampled_from(sorted(RANKS)),
    flags=st.sampled_from([1, 3]),
    revision=st.just(7),  # ignored: what is stored decides
)
HISTORIES = st.lists(st.lists(BARS, max_size=15, unique_by=lambda bar: bar.key), min_size=1, max_size=5)

_DAY_BARS: Final = 1_440
_AS_THEY_LIE: Final = sql.SQL("SELECT tableoid, symbol, time FROM {} ORDER BY tableoid, ctid").format(
    sql.Identifier(TABLES[Timeframe.MINUTE_1])
)


async def commit_all(storage: Storage, bars: Sequence[Bar], timeframe: Timeframe = DAY) -> CommitResult:
    """Commit bars in the order given."""
    return await storage.writer.commit_bars(frame_of(bars), timeframe)


@pytest.mark.usefixtures("any_path")
@given(history=HISTORIES)
@settings(max_examples=60)
async def test_commit_bars_given_random_histories_does_as_the_oracle(
    storage: Storage, history: list[list[Bar]]
) -> None:
    """Counts, table, newest bars and change log are those of the oracle, on both paths."""
    await fetch(storage, "TRUNCATE market_stock_hist_bars_day_ts, bar_latest")
    await add_feeds(storage)
    oracle = BarOracle(RANKS)
    for batch in history:
        expected = oracle.commit(batch)
        result = await commit_all(storage, batch)
        assert expected.counts_fit(result), (expected, result)
        logged = await changes(storage, result.seq - 1) if result.seq else []
        assert [key_order(change.bars or []) for change in logged] == [expected.changed] * bool(logged)
    assert await stored_bars(storage, DAY) == oracle.stored()
    assert await latest_bars(storage, DAY) == oracle.newest()


async def add_feeds(storage: Storage) -> None:
    """Add two more feeds of one rank, with ids of their own."""
    await fetch(
        storage,
        """
        INSERT INTO market_feed (feed_id, provider, feed, rank) OVERRIDING SYSTEM VALUE
        VALUES (103, 'test', 'one', 100), (104, 'test', 'other', 100) ON CONFLICT DO NOTHING
        """,
    )


@pytest.mark.usefixtures("any_path")
async def test_commit_bars_given_the_same_bars_again_changes_nothing(storage: Storage) -> None:
    """The second time is all unchanged, has no seq and leaves no row anywhere."""
    bars = series("AAPL", DAY, START_US, 40) + series("MSFT", DAY, START_US, 40)
    assert await commit_all(storage, bars) == CommitResult(accepted=80, seq=1)
    before = await write_state(storage)
    assert await commit_all(storage, bars) == CommitResult(unchanged=80)
    assert await write_state(storage) == before


async def write_state(storage: Storage) -> list[object]:
    """Read everything by which a write would show, down to the versions of the rows."""
    versions = sql.SQL("SELECT xmin::text, ctid::text, t::text FROM {} AS t ORDER BY ctid")
    tables = (TABLES[DAY], "bar_latest", "bar_write", "bar_change", "bar_log_head")
    return [await fetch(storage, versions.format(sql.Identifier(table))) for table in tables]


async def test_commit_bars_given_both_paths_stores_the_same(storage: Storage) -> None:
    """6,000 bars at once and in many small parts end in the same rows."""
    first = series("AAPL", DAY, days(0), 3_000) + series("MSFT", DAY, days(0), 3_000)
    again = [bar._replace(close=9.5) for bar in first[::2]] + first[1::2]
    for part in (first, again):
        assert len(part) > FEW_BARS
        await commit_all(storage, part)
    at_once = await stored_bars(storage, DAY), await latest_bars(storage, DAY)
    await fetch(storage, "TRUNCATE market_stock_hist_bars_day_ts, bar_latest")
    for start in range(0, 12_000, FEW_BARS):
        await commit_all(storage, (first + again)[start : start + FEW_BARS])
    assert at_once == (await stored_bars(storage, DAY), await latest_bars(storage, DAY))
    assert sum(bar.revision for bar in at_once[0]) == 3_000


async def test_commit_bars_given_each_column_changed_counts_a_revision(storage: Storage) -> None:
    """A difference in any column that a caller gives is a revision; the numbers count up."""
    bar = Bar("AAPL", START_US, vwap=10.5, trade_count=3, feed=SAMPLE_FEED)
    await commit_all(storage, [bar])
    changed: dict[str, float | None] = {
        "open": 10.1, "high": 12.5, "low": 8.5, "close": 10.9, "volume": None, "vwap": None,
        "trade_count": -1, "flags": 3, "feed": MANUAL_FEED,
    }  # fmt: skip
    for revision, (column, value) in enumerate(changed.items(), 1):
        bar = bar._replace(**{column: value}, revision=revision)  # type: ignore[arg-type]
        assert await commit_all(storage, [bar]) == CommitResult(revised=1, seq=revision + 1)
        assert await stored_bars(storage, DAY) == [bar]


async def test_commit_bars_given_a_lower_ranked_feed_keeps_what_stands(storage: Storage) -> None:
    """It fills gaps only; the bars that it may not replace are counted as outranked."""
    manual = series("AAPL", DAY, START_US, 2)
    await commit_all(storage, manual)
    sample = [bar._replace(close=10.2, feed=SAMPLE_FEED) for bar in series("AAPL", DAY, START_US, 3)]
    assert await commit_all(storage, sample) == CommitResult(accepted=1, outranked=2, seq=2)
    assert await stored_bars(storage, DAY) == [*manual, sample[2]]


async def test_commit_bars_given_only_outranked_bars_has_no_seq(storage: Storage) -> None:
    """Where nothing changed the change log has no row."""
    manual = series("AAPL", DAY, START_US, 2)
    await commit_all(storage, manual)
    result = await commit_all(storage, [bar._replace(feed=SAMPLE_FEED) for bar in manual])
    assert result == CommitResult(outranked=2)
    assert len(await changes(storage)) == 1


async def test_commit_bars_given_a_higher_ranked_feed_replaces(storage: Storage) -> None:
    """Also where the numbers are the same: reads tell the feed of every bar."""
    bar = Bar("AAPL", START_US, feed=SAMPLE_FEED)
    await commit_all(storage, [bar])
    better = bar._replace(feed=MANUAL_FEED)
    assert await commit_all(storage, [better]) == CommitResult(revised=1, seq=2)
    assert await stored_bars(storage, DAY) == [better._replace(revision=1)]


async def test_commit_bars_given_older_bars_keeps_the_latest(storage: Storage) -> None:
    """A backfill of older days leaves the newest bar alone; a revision of that day does not."""
    newest = Bar("AAPL", START_US + days(50))
    await commit_all(storage, [newest])
    await commit_all(storage, series("AAPL", DAY, START_US, 40))
    assert await latest_bars(storage, DAY) == [newest]
    await commit_all(storage, [newest._replace(close=10.0)])
    assert await latest_bars(storage, DAY) == [newest._replace(close=10.0, revision=1)]


async def test_commit_bars_given_three_timeframes_keeps_them_apart(storage: Storage) -> None:
    """Each timeframe has its table and its own newest bar."""
    for timeframe in (Timeframe.MINUTE_1, Timeframe.HOUR_1, DAY):
        bar = Bar("AAPL", START_US, close=10 + timeframe.duration_us / days(1))
        assert (await commit_all(storage, [bar], timeframe)).accepted == 1
        assert await stored_bars(storage, timeframe) == await latest_bars(storage, timeframe) == [bar]


@pytest.mark.usefixtures("any_path")
async def test_commit_bars_given_unsorted_bars_of_many_symbols_stores_each(storage: Storage) -> None:
    """The order of rows and of the dictionary is no matter, nor is a symbol without bars."""
    bars = [
        bar for symbol in ("MSFT", "A", "BRK.B", "AAPL") for bar in series(symbol, DAY, START_US, 30)
    ]
    order = np.random.default_rng(5).permutation(len(bars))
    frame = frame_of([bars[position] for position in order])
    frame = replace(frame, symbols=(*frame.symbols, "UNUSED"))
    assert (await storage.writer.commit_bars(frame, DAY)).accepted == len(bars)
    assert await stored_bars(storage, DAY) == key_order(bars)


async def test_commit_bars_given_more_than_a_savepoint_stores_each_in_its_order(
    storage: Storage,
) -> None:
    """Partitions take turns in COPY, and savepoints end anywhere; the bars of each lie in order."""
    bars = [
        bar
        for symbol in ("A", "BB")
        for bar in series(symbol, Timeframe.MINUTE_1, START_US, 18 * _DAY_BARS + 100)
    ]
    result = await commit_all(storage, bars, Timeframe.MINUTE_1)
    assert (result.accepted, len(bars) > MOST_BARS_A_SAVEPOINT) == (len(bars), True)
    assert await stored_bars(storage, Timeframe.MINUTE_1) == bars
    rows = await fetch(storage, _AS_THEY_LIE)
    assert rows == sorted(rows)


async def test_commit_bars_given_missing_sizes_stores_them_as_missing(storage: Storage) -> None:
    """NaN volume and vwap and a trade count of -1 come back so, and are the same the second time."""
    bars = [
        Bar("AAPL", START_US, volume=None, vwap=None, trade_count=-1),
        Bar("AAPL", START_US + days(1), volume=0.0, vwap=10.5, trade_count=0),
    ]
    await commit_all(storage, bars)
    assert await stored_bars(storage, DAY) == bars
    assert (await commit_all(storage, bars)).unchanged == 2


async def test_commit_bars_given_no_bars_does_nothing(storage: Storage) -> None:
    """An empty frame is an empty answer."""
    assert await storage.writer.commit_bars(BarFrame.empty(("AAPL",)), DAY) == CommitResult()


@pytest.mark.parametrize("places", [(0, 0), (0, 1, 0)], ids=["adjacent", "apart"])
async def test_commit_bars_given_a_bar_twice_raises_value_error(
    storage: Storage, places: tuple[int, ...]
) -> None:
    """Two bars of a symbol and time in one batch are a defect of the caller: nothing is stored."""
    bars = [Bar("AAPL", START_US + days(place), close=10 + n) for n, place in enumerate(places)]
    with pytest.raises(ValueError, match="two bars of the same symbol and time"):
        await commit_all(storage, bars)
    assert await stored_bars(storage, DAY) == []


async def test_commit_bars_given_a_symbol_twice_in_the_dictionary_raises_value_error(
    storage: Storage,
) -> None:
    """The same text under two indices could hide a duplicate."""
    frame = replace(frame_of([Bar("A", START_US), Bar("B", START_US)]), symbols=("A", "A"))
    with pytest.raises(ValueError, match="a symbol twice"):
        await storage.writer.commit_bars(frame, DAY)


@pytest.mark.usefixtures("any_path")
async def test_commit_bars_given_an_unknown_feed_raises_value_error(storage: Storage) -> None:
    """No bar is left out in silence: nothing of the batch is stored."""
    bars = [Bar("AAPL", START_US), Bar("AAPL", START_US + days(1), feed=99)]
    with pytest.raises(ValueError, match="a feed that market_feed does not have"):
        await commit_all(storage, bars)
    assert await stored_bars(storage, DAY) == []
    assert (await commit_all(storage, bars[:1])).accepted == 1


async def test_commit_bars_given_too_many_bars_raises_value_error(storage: Storage) -> None:
    """The time of one transaction under its locks is bounded."""
    frame = BarFrame(("AAPL",), np.arange(MOST_BARS_A_COMMIT + 1, dtype=np.int64))
    with pytest.raises(ValueError, match="250001 bars in one commit; the most is 250000"):
        await storage.writer.commit_bars(frame, DAY)
