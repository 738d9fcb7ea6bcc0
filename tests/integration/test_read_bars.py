"""Reads against an oracle: ranges, limits, directions, columns, symbols, one snapshot."""

from dataclasses import replace
from datetime import date
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata.domain.bar_query import BarPosition, BarQuery
from marketdata.domain.bars import ALL_COLUMNS, BarColumn, BarFrame
from marketdata.domain.time_range import TimeRange, session_label_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import SymbolNotFoundError
from marketdata.storage import read_sql
from marketdata.storage.read_sql import FIRST_WINDOW_BARS
from marketdata.storage.read_steps import BLOCK_ROWS
from tests.support.bar_oracle import BarOracle
from tests.support.bars import MANUAL_FEED, SAMPLE_FEED, Bar, bars_of, days, frame_of, series
from tests.support.reads import read_in_bulk
from tests.support.storage import Storage
from tests.support.symbols import create_renamed, create_symbols

DAY: Final = Timeframe.DAY_1
MINUTE: Final = Timeframe.MINUTE_1
EVERYTHING: Final = TimeRange(DAY.earliest_us, DAY.latest_us)
FEEDS: Final = {MANUAL_FEED: "manual/upload", SAMPLE_FEED: "sample/eod"}
RENAMED: Final = date(2022, 6, 9)
RENAMED_US: Final = session_label_us(RENAMED)
# Around the rename, over three partitions.
FIRST_DAY: Final = RENAMED_US // days(1) - 40
LAST_DAY: Final = FIRST_DAY + 80
SYMBOLS: Final = ("A", "BB", "CCC.D", "NONE", "META", "UNKNOWN")
POSITIONS = st.builds(
    BarPosition,
    symbol=st.sampled_from(SYMBOLS[:-1]),
    time_us=st.integers(FIRST_DAY - 2, LAST_DAY + 2).map(days),
)
QUERIES = st.builds(
    BarQuery,
    symbols=st.lists(st.sampled_from(SYMBOLS), min_size=1, unique=True).map(tuple),
    timeframe=st.just(DAY),
    range=st.tuples(
        st.integers(FIRST_DAY - 2, LAST_DAY + 2), st.integers(FIRST_DAY - 2, LAST_DAY + 2)
    ).map(lambda bounds: TimeRange(days(min(bounds)), days(max(bounds)))),
    limit=st.one_of(st.none(), st.integers(1, 30)),
    descending=st.booleans(),
    columns=st.frozensets(st.sampled_from(BarColumn)),
    by_time=st.booleans(),
    resume_after=st.one_of(st.none(), POSITIONS),
)


def daily(*symbols: str, limit: int | None = None, descending: bool = False) -> BarQuery:
    """Ask for all daily bars of some symbols."""
    return BarQuery(symbols, DAY, EVERYTHING, limit, descending)


@pytest.fixture
async def oracle(storage: Storage) -> BarOracle:
    """Store random bars of symbols with many, few and no bars, and of META, once FB."""
    rng = np.random.default_rng(7)
    oracle = BarOracle({MANUAL_FEED: 1000, SAMPLE_FEED: 10})
    await create_symbols(storage, "A", "BB", "CCC.D", "NONE")
    await create_renamed(storage, [("FB", None, RENAMED), ("META", RENAMED, None)])
    for symbol, density in (("A", 1.0), ("BB", 0.5), ("CCC.D", 0.1), ("FB", 0.7), ("META", 0.7)):
        for day in range(FIRST_DAY, LAST_DAY):
            was_quoted = symbol not in {"FB", "META"} or (symbol == "FB") == (days(day) < RENAMED_US)
            if was_quoted and rng.random() < density:
                volume = (None, 0.0, 5.5)[rng.integers(3)]
                feed = (MANUAL_FEED, SAMPLE_FEED)[rng.integers(2)]
                price = 10 + rng.random()
                oracle.commit([Bar(symbol, days(day), open=price, volume=volume, feed=feed)])
    await storage.writer.commit_bars(frame_of(oracle.stored()), DAY)
    return oracle


def of_symbol(oracle: BarOracle, symbol: str, query: BarQuery) -> list[Bar]:
    """List what a query must answer of one symbol, in the order asked for."""
    tickers = {"META": ("FB", "META")}.get(symbol, (symbol,))
    whole = [
        bar
        for ticker in tickers
        for bar in oracle.select(
            ticker, query.range.start_us, query.range.end_us, limit=None, descending=False
        )
    ]
    last = whole[-query.limit :] if query.limit else whole
    return last[::-1] if query.descending else last


def expected(oracle: BarOracle, query: BarQuery) -> list[tuple[str, Bar]]:
    """List what a query must answer, each bar under the symbol that was asked for."""
    answer = [(symbol, bar) for symbol in query.symbols for bar in of_symbol(oracle, symbol, query)]
    sign = -1 if query.descending else 1

    def place(symbol: str, time_us: int) -> tuple[int, int]:
        index = query.symbols.index(symbol)
        return (sign * time_us, index) if query.by_time else (index, sign * time_us)

    answer.sort(key=lambda row: place(row[0], row[1].time_us))
    resume = query.resume_after
    if resume is None or resume.symbol not in query.symbols:
        return answer
    last = place(resume.symbol, resume.time_us)
    return [(symbol, bar) for symbol, bar in answer if place(symbol, bar.time_us) > last]


def values(bars: list[Bar], columns: frozenset[BarColumn]) -> list[tuple[object, ...]]:
    """Reduce bars to the columns asked for, with the names of feeds: keys are each answer's own."""
    names = [column.value for column in BarColumn if column in columns | {BarColumn.TIME}]
    named = [{**bar._asdict(), "feed": FEEDS[bar.feed]} for bar in bars]
    return [tuple(bar[name] for name in names) for bar in named]


def frame_values(frame: BarFrame, columns: frozenset[BarColumn]) -> list[tuple[object, ...]]:
    """Read a frame's rows of the columns asked for; the others must be absent."""
    wanted = [column for column in BarColumn if column in columns | {BarColumn.TIME}]
    assert all(len(frame.column(column)) == 0 for column in ALL_COLUMNS - frozenset(wanted))
    rows = []
    for row in zip(*(frame.column(column).tolist() for column in wanted), strict=True):
        known = dict(zip(wanted, row, strict=True))
        if BarColumn.FEED in known:
            known[BarColumn.FEED] = frame.feeds[known[BarColumn.FEED]]
        rows.append(tuple(None if value != value else value for value in known.values()))  # noqa: PLR0124
    return rows


@pytest.mark.parametrize("most_sorted", [16_384, 150, 1], ids=["shared", "in groups", "alone"])
@given(query=QUERIES)
@settings(max_examples=60)
async def test_snapshot_given_any_query_answers_as_the_oracle(
    storage: Storage,
    oracle: BarOracle,
    monkeypatch: pytest.MonkeyPatch,
    most_sorted: int,
    query: BarQuery,
) -> None:
    """The same answer in either order, whether a statement reads one symbol or many."""
    if query.resume_after is not None and query.resume_after.symbol not in query.symbols:
        query = replace(query, resume_after=None)
    monkeypatch.setattr(read_sql, "_MOST_SORTED_BARS", most_sorted)
    answer = await read_in_bulk(storage, query)
    assert answer.unresolved == tuple(s for s in query.symbols if s == "UNKNOWN")
    assert answer.seq == 5
    wanted = expected(oracle, query)
    assert answer.rows() == [(symbol, bar.time_us) for symbol, bar in wanted]
    assert [row for frame in answer.frames for row in frame_values(frame, query.columns)] == [
        row for _, bar in wanted for row in values([bar], query.columns)
    ]


@pytest.mark.usefixtures("oracle")
@pytest.mark.parametrize("by_time", [False, True], ids=["by symbol", "by time"])
@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
async def test_snapshot_given_the_last_bar_received_goes_on_behind_it(
    storage: Storage, *, by_time: bool, descending: bool
) -> None:
    """A stream that broke anywhere is resumed without a bar twice and without one left out."""
    query = replace(daily("A", "META", "BB", descending=descending, limit=9), by_time=by_time)
    rows = (await read_in_bulk(storage, query)).rows()
    assert len(rows) == 27
    for place, (symbol, time_us) in enumerate(rows):
        resumed = replace(query, resume_after=BarPosition(symbol, time_us))
        assert (await read_in_bulk(storage, resumed)).rows() == rows[place + 1 :]


@given(query=QUERIES, symbol=st.sampled_from(SYMBOLS[:-1]), count=st.integers(1, 90))
@settings(max_examples=100)
async def test_read_page_given_any_query_answers_as_the_oracle(
    storage: Storage, oracle: BarOracle, query: BarQuery, symbol: str, count: int
) -> None:
    """The first bars of the answer in the order asked for."""
    query = replace(query, symbols=(symbol,), resume_after=None)
    page = await storage.reader.read_page(query, count)
    assert page.frame.symbols == (symbol,)
    assert page.resolved.symbol == symbol
    first = of_symbol(oracle, symbol, query)[:count]
    if len(page.frame):
        assert frame_values(page.frame, query.columns) == values(first, query.columns)
    assert len(page.frame) == len(first)


async def test_read_page_given_an_unknown_symbol_raises_symbol_not_found(storage: Storage) -> None:
    """The one symbol of a page is not just left out."""
    with pytest.raises(SymbolNotFoundError, match="NOPE is not known"):
        await storage.reader.read_page(daily("NOPE"), 5)


async def test_read_page_given_bars_names_their_feeds(storage: Storage) -> None:
    """Keys of the feed column are readable with the frame alone."""
    await create_symbols(storage, "A")
    await storage.writer.commit_bars(frame_of([Bar("A", days(1), feed=2)]), DAY)
    page = await storage.reader.read_page(daily("A"), 5)
    assert frame_values(page.frame, ALL_COLUMNS) == values([Bar("A", days(1), feed=2)], ALL_COLUMNS)


async def test_snapshot_given_a_former_ticker_reads_the_same_series(
    storage: Storage, oracle: BarOracle
) -> None:
    """FB finds META: one series over the rename, under the name that was asked for."""
    by_new = await read_in_bulk(storage, daily("META"))
    by_old = await read_in_bulk(storage, daily("FB"))
    times = [bar.time_us for bar in oracle.stored() if bar.symbol in {"FB", "META"}]
    assert by_new.rows() == [("META", time_us) for time_us in sorted(times)]
    assert by_old.rows() == [("FB", time_us) for time_us in sorted(times)]


@pytest.mark.parametrize("limit", [None, 70])
async def test_snapshot_given_a_reused_ticker_never_joins(
    storage: Storage, oracle: BarOracle, limit: int | None
) -> None:
    """Bars of FB after its reuse are another company's: neither series has a bar of the other."""
    await create_renamed(storage, [("FB", date(2022, 7, 1), None)])
    reused_us = session_label_us(date(2022, 7, 1))
    # A stray bar between the two holders belongs to nobody.
    stray = Bar("FB", reused_us - days(5), open=11.0)
    newer = [*series("FB", DAY, reused_us, 5), stray]
    await storage.writer.commit_bars(frame_of(newer), DAY)
    answer = await read_in_bulk(storage, daily("META", "FB", limit=limit))
    old = [bar.time_us for bar in oracle.stored() if bar.symbol in {"FB", "META"}]
    assert answer.rows() == [("META", time_us) for time_us in sorted(old)][-(limit or 99) :] + [
        ("FB", reused_us + days(number)) for number in range(5)
    ]


async def test_resolve_given_intraday_bars_hands_over_at_local_midnight(storage: Storage) -> None:
    """A ticker changes hands between sessions: at midnight of the venue, at the label for days."""
    tokyo = {"time_zone": "Asia/Tokyo", "calendar": "XTKS", "currency": "JPY"}
    await create_renamed(storage, [("OLD", None, RENAMED), ("NEW", RENAMED, None)], **tokyo)
    for timeframe, hours in ((DAY, 0), (MINUTE, -9), (Timeframe.HOUR_1, -9)):
        found = (await storage.symbols.resolve(["NEW"], timeframe))["NEW"]
        assert found.currency == "JPY"
        bound_us = RENAMED_US + hours * 3_600_000_000
        assert [(s.ticker, s.range) for s in found.segments] == [
            ("OLD", TimeRange(timeframe.earliest_us, bound_us)),
            ("NEW", TimeRange(bound_us, timeframe.latest_us)),
        ]


async def test_snapshot_given_a_long_series_starts_with_a_small_block(storage: Storage) -> None:
    """The first block leaves early; later ones are large; every bar comes once and in order."""
    await create_symbols(storage, "A")
    bars = series("A", MINUTE, days(20_000), 40_000)
    await storage.writer.commit_bars(frame_of(bars), MINUTE)
    within = TimeRange(days(20_000), days(20_100))
    answer = await read_in_bulk(storage, BarQuery(("A",), MINUTE, within))
    first, *others = [len(frame) for frame in answer.frames]
    # The market of these bars never closes: a window has four times the bars of a stock.
    assert first <= 4 * FIRST_WINDOW_BARS
    assert first < max(others) <= BLOCK_ROWS
    times_us = np.concatenate([frame.time_us for frame in answer.frames])
    assert np.array_equal(times_us, days(20_000) + np.arange(40_000) * MINUTE.duration_us)
    assert bars_of(answer.frames[-1]) == bars[-len(answer.frames[-1]) :]


@pytest.mark.modes("plain", "apache", reason="two transactions at once")
async def test_snapshot_given_commits_during_a_read_leaves_them_out(storage: Storage) -> None:
    """All of an answer is of the moment that its seq names, also what is read much later."""
    await create_symbols(storage, "A", "B")
    bars = series("A", DAY, days(10_000), 20) + series("B", DAY, days(10_000), 20)
    await storage.writer.commit_bars(frame_of(bars), DAY)
    async with storage.reader.snapshot(daily("A", "B")) as snapshot:
        late = [
            bars[3]._replace(close=10.7),
            Bar("B", days(10_500)),  # in a partition that is new
            Bar("B", days(10_021)),
        ]
        assert (await storage.writer.commit_bars(frame_of(late), DAY)).seq == snapshot.seq + 1
        read = [bar async for frame in snapshot.blocks(bars_of) for bar in frame]
    assert read == bars
    after = await read_in_bulk(storage, daily("A", "B"))
    assert after.seq == snapshot.seq + 1
    assert len(after.rows()) == 42


async def test_snapshot_given_a_commit_before_it_has_it(storage: Storage) -> None:
    """Who got a seq from a commit reads that commit: a snapshot is never behind an answer."""
    await create_symbols(storage, "A")
    for number in range(10):
        result = await storage.writer.commit_bars(frame_of([Bar("A", days(number))]), DAY)
        answer = await read_in_bulk(storage, daily("A"))
        assert answer.seq == result.seq
        assert len(answer.rows()) == number + 1


async def test_snapshot_given_only_unknown_symbols_is_empty(storage: Storage) -> None:
    """Nothing to read is an empty answer."""
    answer = await read_in_bulk(storage, daily("X", "Y"))
    assert (answer.unresolved, answer.frames) == (("X", "Y"), [])
