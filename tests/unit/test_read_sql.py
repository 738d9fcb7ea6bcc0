"""The texts of COPY statements: which symbols share one, what each is bounded by."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.bar_query import BarPosition, BarQuery
from marketdata.domain.bars import ALL_COLUMNS, BarColumn
from marketdata.domain.calendar import SessionHours
from marketdata.domain.symbol import ResolvedSymbol, TickerSegment
from marketdata.domain.time_range import TimeRange, from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.read_sql import BarStatement, bar_statements
from tests.support.bars import days

DAY: Final = Timeframe.DAY_1
ALWAYS: Final = TimeRange(DAY.earliest_us, DAY.latest_us)
# What a shared statement may have to sort.
MOST_SORTED: Final = 16_384


def resolved(symbol: str, *segments: tuple[str, int, int]) -> ResolvedSymbol:
    """Make a symbol with its tickers in ranges of days; without any, its own ticker always."""
    found = [
        TickerSegment(ticker, TimeRange(days(start), days(end))) for ticker, start, end in segments
    ]
    return ResolvedSymbol(symbol, 1, "USD", tuple(found) or (TickerSegment(symbol, ALWAYS),))


def query(
    start_day: int = 0,
    end_day: int = 100,
    *,
    limit: int | None = None,
    descending: bool = False,
    columns: frozenset[BarColumn] = ALL_COLUMNS,
) -> BarQuery:
    """Ask for daily bars; the symbols are those of `resolved`."""
    within = TimeRange(days(start_day), days(end_day))
    return BarQuery(("unused",), DAY, within, limit, descending, columns)


def statements_of(
    query: BarQuery, symbols: Sequence[ResolvedSymbol], count: int | None = None
) -> list[BarStatement]:
    """Compose all statements of a query."""
    return list(bar_statements(query, symbols, count))


def texts(statements: Iterable[BarStatement]) -> list[str]:
    """Compose the statements, with white space as single blanks."""
    return [" ".join(statement.text.as_string(None).split()) for statement in statements]


def literal(day: int) -> str:
    """Write midnight of a day as the statements do."""
    return f"'{from_unix_us(days(day))}'::timestamptz"


def test_bar_statements_given_one_symbol_reads_it_alone() -> None:
    """Columns without the symbol, of one table, within both bounds, by time."""
    (statement,) = statements_of(query(columns=frozenset({BarColumn.CLOSE})), [resolved("AAPL")])
    assert statement.symbols == ("AAPL",)
    (text,) = texts([statement])
    assert text == (
        "COPY (SELECT string_agg(timestamptz_send(\"time\"), ''::bytea), "
        "string_agg(float8send(\"close\"), ''::bytea) FROM ( "
        'SELECT "time", "close" FROM "market_stock_hist_bars_day_ts" AS stored '
        "WHERE symbol = 'AAPL' AND time >= '1970-01-01 00:00:00+00:00'::timestamptz "
        "AND time < '1970-04-11 00:00:00+00:00'::timestamptz "
        "ORDER BY time ASC LIMIT NULL) AS bar HAVING count(*) > 0) TO STDOUT (FORMAT binary)"
    )


def test_bar_statements_given_a_symbol_that_needs_quotes_quotes_it() -> None:
    """Texts come in as literals: no symbol can leave its quotes."""
    (text,) = texts(statements_of(query(), [resolved("X'; DROP TABLE market_symbol; --")]))
    assert "symbol = 'X''; DROP TABLE market_symbol; --' AND" in text


def test_bar_statements_given_limit_and_count_takes_last_then_first() -> None:
    """`limit` is the last bars of the range; `count` the first of the answer in its order."""
    (text,) = texts(statements_of(query(limit=7), [resolved("AAPL")], 3))
    assert "ORDER BY time DESC LIMIT 7) AS last ORDER BY time ASC LIMIT 3)" in text


def test_bar_statements_given_descending_orders_the_answer_so() -> None:
    """Newest first, alone and shared."""
    alone = statements_of(query(descending=True), [resolved("A")])
    shared = statements_of(query(descending=True), [resolved("A"), resolved("B")])
    assert "ORDER BY time DESC LIMIT NULL)" in texts(alone)[0]
    assert "ORDER BY symbol_index, time DESC)" in texts(shared)[0]


def test_bar_statements_given_short_ranges_shares_a_statement() -> None:
    """As many symbols as may be sorted together, each row with its symbol's index."""
    symbols = [resolved(f"S{number}") for number in range(400)]
    shared = list(statements_of(query(0, 100), symbols))
    assert [len(statement.symbols) for statement in shared] == [163, 163, 74]
    assert "SELECT segment.symbol_index, bar.* FROM" in texts(shared)[0]
    assert f"(0, 'S163' COLLATE \"C\", {literal(0)}, {literal(100)})" in texts(shared)[1]


def test_bar_statements_given_a_limit_shares_by_the_limit() -> None:
    """The last few bars of a long range are few bars."""
    symbols = [resolved(f"S{number}") for number in range(400)]
    assert len(list(statements_of(query(-10_000, 20_000, limit=5), symbols))) == 1


def test_bar_statements_given_long_ranges_reads_each_alone() -> None:
    """A shared statement sorts before its first row leaves: long series do not wait for each other."""
    symbols = [resolved("A"), resolved("B")]
    statements = statements_of(query(-10_000, 20_000), symbols)
    assert [*dict.fromkeys(statement.symbols for statement in statements)] == [("A",), ("B",)]
    assert not any("symbol_index" in text for text in texts(statements))


def test_bar_statements_given_a_rename_within_the_range_joins_both_tickers() -> None:
    """One series under the name asked for; its last bars are those of both tickers together."""
    meta = resolved("META", ("FB", -20_000, 50), ("META", 50, 40_000))
    (statement,) = statements_of(query(limit=10), [meta])
    assert statement.symbols == ("META",)
    (text,) = texts([statement])
    both = text[: text.index("LIMIT 10) AS last")]
    fb = f"symbol = 'FB' AND time >= {literal(0)} AND time < {literal(50)}"
    assert f"{fb} ORDER BY time DESC) UNION ALL" in both
    new = f"symbol = 'META' AND time >= {literal(50)} AND time < {literal(100)}"
    assert f"{new} ORDER BY time DESC) ORDER BY time DESC" in both


def test_bar_statements_given_a_rename_outside_of_the_range_reads_one_ticker() -> None:
    """A ticker that was not the symbol's within the range is not looked at."""
    meta = resolved("META", ("FB", -20_000, 50), ("META", 50, 40_000))
    assert "'META'" not in texts(statements_of(query(0, 50), [meta]))[0]
    assert "'FB'" not in texts(statements_of(query(50, 100), [meta]))[0]


def test_bar_statements_given_a_rename_among_others_keeps_the_order_asked() -> None:
    """The answer goes symbol by symbol, whatever is shared."""
    renamed = resolved("META", ("FB", -20_000, 50), ("META", 50, 40_000))
    symbols = [resolved("A"), resolved("B"), renamed, resolved("C"), resolved("D")]
    statements = statements_of(query(), symbols)
    assert [statement.symbols for statement in statements] == [("A", "B"), ("META",), ("C", "D")]


def test_bar_statements_given_no_bar_possible_asks_nothing() -> None:
    """An empty range, and a symbol that has no ticker within it."""
    assert list(statements_of(query(5, 5), [resolved("A"), resolved("B")])) == []
    assert list(statements_of(query(0, 10), [resolved("NEW", ("NEW", 10, 20))])) == []
    assert statements_of(query(), []) == []


def test_bar_statements_given_order_by_time_cuts_the_range_into_windows() -> None:
    """Each window is read whole and sorted, newest window first where newest comes first."""
    symbols = [resolved("A"), resolved("B")]
    asked = replace(query(-10_000, 10_000), by_time=True)
    ascending = texts(statements_of(asked, symbols))
    descending = texts(statements_of(replace(asked, descending=True), symbols))
    first, middle, last = literal(-10_000), literal(-10_000 + MOST_SORTED // 2), literal(10_000)
    bounds = [re.findall(r"AND time >= ('[^']*'::\w+) AND time < ('[^']*'::\w+)", t) for t in ascending]
    assert bounds[0] == [(first, middle)]
    assert bounds[-1][0][1] == last
    assert all("ORDER BY time ASC, symbol_index)" in text for text in ascending)
    assert [text.replace("ASC", "DESC") for text in ascending[::-1]] == descending


def test_bar_statements_given_order_by_time_of_one_symbol_walks_its_key() -> None:
    """One symbol's order by symbol is its order by time: nothing is cut or sorted."""
    asked = query(-10_000, 10_000)
    by_time = statements_of(replace(asked, by_time=True), [resolved("A")])
    assert texts(by_time) == texts(statements_of(asked, [resolved("A")]))


def test_bar_statements_given_a_position_begins_behind_it() -> None:
    """Symbols before it are left out, its own is read on, those behind it are read whole."""
    symbols = [resolved(name) for name in "ABCD"]
    asked = replace(query(), resume_after=BarPosition("B", days(40)))
    statements = statements_of(asked, symbols)
    assert [statement.symbols for statement in statements] == [("B",), ("C", "D")]
    behind, whole = texts(statements)
    assert f"AS answer WHERE time > {literal(40)} ORDER BY time" in behind
    assert literal(40) not in whole


def test_bar_statements_given_a_position_outside_of_the_range_reads_nothing_there() -> None:
    """A symbol that has no ticker within the range has no bars to go on with."""
    renamed = resolved("NEW", ("NEW", 500, 600))
    asked = replace(query(), resume_after=BarPosition("NEW", days(550)))
    statements = statements_of(asked, [renamed, resolved("Z")])
    assert [statement.symbols for statement in statements] == [("Z",)]


@pytest.mark.parametrize(
    ("session", "condition"),
    [(SessionHours.REGULAR, "flags & 4 = 0"), (SessionHours.EXTENDED, "flags & 4 <> 0"),
     (SessionHours.ALL, None)],
)  # fmt: skip
def test_bar_statements_given_a_session_reads_only_its_bars(
    session: SessionHours, condition: str | None
) -> None:
    """Within the innermost query, so that a limit counts bars of the session; days have none."""
    minute = Timeframe.MINUTE_1
    symbol = ResolvedSymbol(
        "A", 1, "USD", (TickerSegment("A", TimeRange(minute.earliest_us, minute.latest_us)),)
    )
    within = TimeRange(days(10_000), days(10_001))
    asked = BarQuery(("A",), minute, within, limit=5, session=session)
    for symbols in ([symbol], [symbol, replace(symbol, symbol="B")]):
        (text,) = texts(statements_of(asked, symbols))
        assert ("flags" in text.split("FROM")[-1]) == (condition is not None)
        assert condition is None or f"AND {condition} ORDER BY time DESC LIMIT 5" in text
    (daily,) = texts(statements_of(replace(query(), session=session), [resolved("A")]))
    assert "flags &" not in daily


@pytest.mark.parametrize("timeframe", [t for t in Timeframe if t.is_stored])
def test_bar_statements_given_timeframe_reads_its_table(timeframe: Timeframe) -> None:
    """Minute, hour and day bars stand in tables of their own."""
    asked = BarQuery(("A",), timeframe, TimeRange(days(10_000), days(10_001)))
    label = {"1m": "min", "1h": "hour", "1d": "day"}[timeframe.value]
    everything = TickerSegment("A", TimeRange(timeframe.earliest_us, timeframe.latest_us))
    (text,) = texts(statements_of(asked, [ResolvedSymbol("A", 1, "USD", (everything,))]))
    assert re.findall(r'FROM "(\w+)"', text) == [f"market_stock_hist_bars_{label}_ts"]


@given(
    renames=st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=60),
    length=st.integers(1, 30_000),
    limit=st.one_of(st.none(), st.integers(1, 20_000)),
    descending=st.booleans(),
)
def test_bar_statements_given_any_query_reads_each_symbol_once_within_bounds(
    renames: list[int], length: int, limit: int | None, *, descending: bool
) -> None:
    """No symbol is left out or read twice, the order is kept, and both bounds stand at every table."""
    asked = query(0, length, limit=limit, descending=descending)
    symbols = [
        resolved(f"S{n}", *[(f"T{n}.{part}", part * 5, part * 5 + 5) for part in range(parts)])
        for n, parts in enumerate(renames)
    ]
    statements = statements_of(asked, symbols)
    # One that stands alone is read window by window.
    named = [symbol for statement in statements for symbol in statement.symbols]
    assert [symbol for symbol, _ in groupby(named)] == [symbol.symbol for symbol in symbols]
    for statement, text in zip(statements, texts(statements), strict=True):
        assert len(statement.symbols) * min(length, limit or length) <= max(MOST_SORTED, length)
        tables = text.count('FROM "market_stock_hist_bars_day_ts" AS stored WHERE symbol =')
        assert tables == text.count('"market_stock_hist_bars_day_ts"')
        assert len(re.findall(r"time >= '[^']*'::timestamptz AND time < '", text)) == tables
