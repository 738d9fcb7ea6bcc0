"""COPY statements that read stored bars, composed from literals: COPY takes no parameters.

A statement answers one row of whole columns: see `column_values`.

Every statement carries both bounds of time, so that the planner visits only their partitions. A long
range of one symbol is read window by window along the primary key (symbol, time), without a sort; a
window is about as long as a block. Short ranges of many symbols share a statement, since one a symbol
would cost a round trip each; an answer by time is cut into windows of time that share one each.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from psycopg import sql

from marketdata.domain.bar_query import BarPosition, BarQuery
from marketdata.domain.bars import BarColumn, BarFlag
from marketdata.domain.calendar import SessionHours
from marketdata.domain.symbol import ResolvedSymbol, TickerSegment
from marketdata.domain.time_range import TimeRange, from_unix_us
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.storage.bar_rows import SQL_NAMES
from marketdata.storage.bar_tables import rollup_table
from marketdata.storage.column_values import column_values
from marketdata.storage.known_rows import known_bars

# The first window is short for latency; later ones are so long that what a statement costs vanishes.
FIRST_WINDOW_BARS: Final = 2_048
WINDOW_BARS: Final = 16_384
# What a liquid stock has. A window of a market that never closes has up to four times as many bars.
_BARS_A_DAY: Final = {Timeframe.MINUTE_1: 390, Timeframe.HOUR_1: 7, Timeframe.DAY_1: 1}
# A shared statement sorts its rows: so few that it is not felt.
_MOST_SORTED_BARS: Final = 16_384

# No bar, no row. The values come in the order of the inner query: nothing between the two reorders.
_COPY: Final = sql.SQL(
    "COPY (SELECT {values} FROM ({query}) AS bar HAVING count(*) > 0) TO STDOUT (FORMAT binary)"
)
_SEGMENT: Final = sql.SQL("""
    SELECT {columns} FROM {table} AS stored
     WHERE symbol = {ticker} AND time >= {start} AND time < {end}{session}""")
_LAST: Final = sql.SQL("SELECT * FROM ({query} ORDER BY time DESC LIMIT {limit}) AS last")
_BEHIND: Final = sql.SQL("SELECT * FROM ({query}) AS answer WHERE time {behind} {time}")
_SHARED: Final = sql.SQL("""
    SELECT segment.symbol_index, bar.* FROM (VALUES {segments})
        AS segment (symbol_index, ticker, range_start, range_end)
     CROSS JOIN LATERAL (
        SELECT {columns} FROM {table} AS stored
         WHERE symbol = segment.ticker AND time >= segment.range_start
           AND time < segment.range_end AND time >= {start} AND time < {end}{session}
         ORDER BY time DESC LIMIT {limit}) AS bar
     WHERE {behind}
     ORDER BY {order}""")
# The last bars of a symbol whose ticker changed are the last of all its segments'.
_SHARED_LAST: Final = sql.SQL("""
    SELECT symbol_index, {columns} FROM (
        SELECT segment.symbol_index, bar.*,
               row_number() OVER (PARTITION BY segment.symbol_index ORDER BY bar.time DESC) AS age
          FROM (VALUES {segments}) AS segment (symbol_index, ticker, range_start, range_end)
         CROSS JOIN LATERAL (
            SELECT {columns} FROM {table} AS stored
             WHERE symbol = segment.ticker AND time >= segment.range_start
               AND time < segment.range_end AND time >= {start} AND time < {end}{session}
             ORDER BY time DESC LIMIT {limit}) AS bar) AS answer
     WHERE age <= {limit} AND ({behind})
     ORDER BY {order}""")
_SESSION: Final = {
    SessionHours.REGULAR: sql.SQL(" AND flags & {} = 0").format(int(BarFlag.EXTENDED_SESSION)),
    SessionHours.EXTENDED: sql.SQL(" AND flags & {} <> 0").format(int(BarFlag.EXTENDED_SESSION)),
}

_Placed = tuple[str, TickerSegment]


@dataclass(frozen=True, slots=True)
class BarStatement:
    """One COPY of a read.

    Attributes
    ----------
    text : sql.Composed
        The statement.
    symbols : tuple of str
        Whose bars its rows are.
    many : bool
        Whether the first column is an index into `symbols`.
    """

    text: sql.Composed
    symbols: tuple[str, ...]
    many: bool


def bar_statements(
    query: BarQuery, resolved: Sequence[ResolvedSymbol], count: int | None = None
) -> Iterator[BarStatement]:
    """Compose the statements that answer `query` from stored bars, in the order of the answer.

    Parameters
    ----------
    query : BarQuery
        What is asked, of a timeframe that is stored; `symbols` is taken from `resolved`.
    resolved : sequence of ResolvedSymbol
        The symbols to read, in order.
    count : int, optional
        Only the first so many bars of each statement of one symbol, in the order asked for.
    """
    if query.by_time and len(resolved) > 1:
        return _by_time(query, resolved)
    return _by_symbol(query, resolved, count)


def _by_symbol(
    query: BarQuery, resolved: Sequence[ResolvedSymbol], count: int | None
) -> Iterator[BarStatement]:
    resume = query.resume_after
    names = [symbol.symbol for symbol in resolved]
    if resume is not None and resume.symbol in names:
        first, *resolved = resolved[names.index(resume.symbol) :]
        if _clip(first, query.range):
            yield from _alone(query, first, count)
        query = replace(query, resume_after=None)
    for group in _groups(query, resolved):
        if len(group) == 1:
            yield from _alone(query, group[0], count)
        else:
            yield _shared(query, [(s.symbol, _clip(s, query.range)[0]) for s in group])


def _alone(query: BarQuery, symbol: ResolvedSymbol, count: int | None) -> Iterator[BarStatement]:
    if query.limit is not None or count is not None:
        yield _single(query, symbol, count)
        return
    segments = _clip(symbol, query.range)
    held = TimeRange(segments[0].range.start_us, segments[-1].range.end_us)
    if query.resume_after is not None:
        held = held.intersect(_around(query.resume_after, held, descending=query.descending))
    for window in _block_windows(held, query.timeframe, newest_first=query.descending):
        within = replace(query, range=window)
        if _clip(symbol, window):
            yield _single(within, symbol, count)


def _block_windows(held: TimeRange, timeframe: Timeframe, *, newest_first: bool) -> Iterator[TimeRange]:
    """Cut a range at midnights, so that no partition is opened twice."""
    start, end = held.start_us, held.end_us
    bars = FIRST_WINDOW_BARS
    while start < end:
        width = bars // _BARS_A_DAY[timeframe] * MICROSECONDS_PER_DAY
        if newest_first:
            cut = max(start, -(-(end - width) // MICROSECONDS_PER_DAY) * MICROSECONDS_PER_DAY)
            yield TimeRange(cut, end)
            end = cut
        else:
            cut = min(end, (start + width) // MICROSECONDS_PER_DAY * MICROSECONDS_PER_DAY)
            yield TimeRange(start, cut)
            start = cut
        bars = WINDOW_BARS


def _around(position: BarPosition, held: TimeRange, *, descending: bool) -> TimeRange:
    """Tell where the bars behind a position can be."""
    if descending:
        return TimeRange(min(held.start_us, position.time_us), position.time_us)
    return TimeRange(position.time_us, max(held.end_us, position.time_us))


def _groups(query: BarQuery, resolved: Sequence[ResolvedSymbol]) -> Iterator[list[ResolvedSymbol]]:
    """Put neighbours together that share a statement; what a rename divides stays alone."""
    bars_a_symbol = query.range.most_bars(query.timeframe)
    if query.limit is not None:
        bars_a_symbol = min(bars_a_symbol, query.limit)
    size = max(1, _MOST_SORTED_BARS // max(1, bars_a_symbol))
    group: list[ResolvedSymbol] = []
    for symbol in resolved:
        segments = _clip(symbol, query.range)
        is_renamed = len(segments) > 1  # its last bars cross the segments
        if group and (is_renamed or len(group) == size):
            yield group
            group = []
        if is_renamed:
            yield [symbol]
        elif segments:
            group.append(symbol)
    if group:
        yield group


def _by_time(query: BarQuery, resolved: Sequence[ResolvedSymbol]) -> Iterator[BarStatement]:
    windows = [query.range]
    if query.limit is None:
        windows = list(_windows(query, len(resolved)))
    for window in reversed(windows) if query.descending else windows:
        within = replace(query, range=window)
        group = [(s.symbol, segment) for s in resolved for segment in _clip(s, window)]
        if group:
            yield _shared(within, group)


def _windows(query: BarQuery, symbols: int) -> Iterator[TimeRange]:
    width = max(1, _MOST_SORTED_BARS // symbols) * query.timeframe.duration_us
    start, end = query.range.start_us, query.range.end_us
    if query.resume_after is not None:
        resume_us = query.resume_after.time_us
        start, end = (
            (start, min(end, resume_us + 1)) if query.descending else (max(start, resume_us), end)
        )
    for first in range(start, end, width):
        yield TimeRange(first, min(first + width, end))


def _clip(symbol: ResolvedSymbol, within: TimeRange) -> list[TickerSegment]:
    clipped = [TickerSegment(s.ticker, s.range.intersect(within)) for s in symbol.segments]
    return [segment for segment in clipped if not segment.range.is_empty]


def _single(query: BarQuery, symbol: ResolvedSymbol, count: int | None) -> BarStatement:
    parts = [
        _SEGMENT.format(
            columns=_columns(query),
            table=_table(query),
            ticker=sql.Literal(segment.ticker),
            start=_time(segment.range.start_us),
            end=_time(segment.range.end_us),
            session=_session(query),
        )
        for segment in _clip(symbol, query.range)
    ]
    if len(parts) > 1:
        # Each in order, so that they are merged; as a whole they would be sorted.
        first = sql.SQL("DESC") if query.limit is not None else _direction(query)
        parts = [sql.SQL("({} ORDER BY time {})").format(part, first) for part in parts]
    text: sql.Composable = sql.SQL(" UNION ALL ").join(parts)
    if query.limit is not None:
        text = _LAST.format(query=text, limit=sql.Literal(query.limit))
    if query.resume_after is not None:
        behind = sql.SQL("<" if query.descending else ">")
        time = _time(query.resume_after.time_us)
        text = _BEHIND.format(query=text, behind=behind, time=time)
    ordered = sql.SQL("{} ORDER BY time {} LIMIT {}").format(
        text, _direction(query), sql.Literal(count)
    )
    return BarStatement(_copy(query, ordered, many=False), (symbol.symbol,), many=False)


def _shared(query: BarQuery, group: Sequence[_Placed]) -> BarStatement:
    symbols = tuple(dict.fromkeys(symbol for symbol, _ in group))
    positions = {symbol: position for position, symbol in enumerate(symbols)}
    rows = [
        sql.SQL('({}, {} COLLATE "C", {}, {})').format(
            sql.Literal(positions[symbol]),
            sql.Literal(segment.ticker),
            _time(segment.range.start_us),
            _time(segment.range.end_us),
        )
        for symbol, segment in group
    ]
    order = "time {}, symbol_index" if query.by_time else "symbol_index, time {}"
    is_renamed = len(group) > len(symbols)
    text = (_SHARED_LAST if is_renamed and query.limit is not None else _SHARED).format(
        segments=sql.SQL(", ").join(rows),
        columns=_columns(query),
        table=_table(query),
        start=_time(query.range.start_us),
        end=_time(query.range.end_us),
        session=_session(query),
        limit=sql.Literal(query.limit),
        behind=_behind(query, query.resume_after, symbols),
        order=sql.SQL(order).format(_direction(query)),
    )
    return BarStatement(_copy(query, text, many=True), symbols, many=True)


def _table(query: BarQuery) -> sql.Composable:
    if query.rolled_up:
        return rollup_table(query.timeframe)
    return known_bars(query.timeframe, query.known)


def _copy(query: BarQuery, bars: sql.Composable, *, many: bool) -> sql.Composed:
    values = column_values(query.columns | {BarColumn.TIME}, many=many)
    return _COPY.format(values=values, query=bars)


def _behind(query: BarQuery, position: BarPosition | None, symbols: tuple[str, ...]) -> sql.Composable:
    if position is None:
        return sql.SQL("true")
    # The symbol itself may have no bars here any more; those that are asked for before it stay before.
    places = {symbol: place for place, symbol in enumerate(query.symbols)}
    resumed = places.get(position.symbol, -1)
    index = sql.Literal(sum(places[symbol] <= resumed for symbol in symbols) - 1)
    time = _time(position.time_us)
    text = "time {} {} OR (time = {} AND symbol_index > {})"
    return sql.SQL(text).format(sql.SQL("<" if query.descending else ">"), time, time, index)


def _columns(query: BarQuery) -> sql.Composed:
    wanted = query.columns | {BarColumn.TIME}
    names = [sql.Identifier(SQL_NAMES[column]) for column in BarColumn if column in wanted]
    return sql.SQL(", ").join(names)


def _session(query: BarQuery) -> sql.Composable:
    if query.timeframe is Timeframe.DAY_1:
        return sql.SQL("")
    return _SESSION.get(query.session, sql.SQL(""))


def _direction(query: BarQuery) -> sql.SQL:
    return sql.SQL("DESC") if query.descending else sql.SQL("ASC")


def _time(time_us: int) -> sql.Literal:
    return sql.Literal(from_unix_us(time_us))
