"""COPY statements that read bars, composed from literals: COPY takes no parameters.

Every statement carries both bounds of time, so that the planner visits only their partitions, and
walks the primary key (symbol, time): ordered partitions, no sort, first row at once. Short ranges of
many symbols share a statement, since one a symbol would cost a round trip each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from psycopg import sql

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarColumn
from marketdata.domain.symbol import ResolvedSymbol, TickerSegment
from marketdata.domain.time_range import TimeRange, from_unix_us
from marketdata.storage.bar_rows import SQL_NAMES
from marketdata.storage.bar_tables import bar_table

# A shared statement sorts its rows before the first one leaves: so few that it is not felt.
_MOST_SORTED_BARS: Final = 16_384

_COPY: Final = sql.SQL("COPY ({query}) TO STDOUT (FORMAT binary)")
_SEGMENT: Final = sql.SQL("""
    SELECT {columns} FROM {table}
     WHERE symbol = {ticker} AND time >= {start} AND time < {end}""")
_LAST: Final = sql.SQL("SELECT * FROM ({query} ORDER BY time DESC LIMIT {limit}) AS last")
_SHARED: Final = sql.SQL("""
    SELECT segment.symbol_index, bar.* FROM (VALUES {segments})
        AS segment (symbol_index, ticker, range_start, range_end)
     CROSS JOIN LATERAL (
        SELECT {columns} FROM {table}
         WHERE symbol = segment.ticker AND time >= segment.range_start
           AND time < segment.range_end AND time >= {start} AND time < {end}
         ORDER BY time DESC LIMIT {limit}) AS bar
     ORDER BY segment.symbol_index, bar.time {direction}""")


@dataclass(frozen=True, slots=True)
class BarStatement:
    """One COPY of a read.

    Attributes
    ----------
    text : sql.Composed
        The statement.
    symbols : tuple of str
        Whose bars its rows are; with more than one, each row begins with an index into it.
    """

    text: sql.Composed
    symbols: tuple[str, ...]


def bar_statements(
    query: BarQuery, resolved: Sequence[ResolvedSymbol], count: int | None = None
) -> list[BarStatement]:
    """Compose the statements that answer `query`, in the order of the answer.

    Parameters
    ----------
    query : BarQuery
        What is asked; `symbols` is taken from `resolved`.
    resolved : sequence of ResolvedSymbol
        The symbols to read, in order.
    count : int, optional
        Only the first so many bars of each statement, in the order asked for.
    """
    bars_a_symbol = query.range.most_bars(query.timeframe)
    if query.limit is not None:
        bars_a_symbol = min(bars_a_symbol, query.limit)
    group_size = max(1, _MOST_SORTED_BARS // max(1, bars_a_symbol))
    statements: list[BarStatement] = []
    group: list[tuple[str, TickerSegment]] = []

    def close_group() -> None:
        if len(group) == 1:
            statements.append(_single(query, group[0][0], [group[0][1]], count))
        elif group:
            statements.append(_shared(query, group))
        group.clear()

    for symbol in resolved:
        segments = _clip(symbol.segments, query.range)
        if len(segments) == 1:
            group.append((symbol.symbol, segments[0]))
        if len(segments) > 1 or len(group) == group_size:
            close_group()
        if len(segments) > 1:  # renamed within the range: its last bars cross the segments
            statements.append(_single(query, symbol.symbol, segments, count))
    close_group()
    return statements


def _clip(segments: Sequence[TickerSegment], within: TimeRange) -> list[TickerSegment]:
    clipped = [TickerSegment(s.ticker, s.range.intersect(within)) for s in segments]
    return [segment for segment in clipped if not segment.range.is_empty]


def _single(
    query: BarQuery, symbol: str, segments: Sequence[TickerSegment], count: int | None
) -> BarStatement:
    parts = [
        _SEGMENT.format(
            columns=_columns(query),
            table=bar_table(query.timeframe),
            ticker=sql.Literal(segment.ticker),
            start=_time(segment.range.start_us),
            end=_time(segment.range.end_us),
        )
        for segment in segments
    ]
    text: sql.Composable = sql.SQL(" UNION ALL ").join(parts)
    if query.limit is not None:
        text = _LAST.format(query=text, limit=sql.Literal(query.limit))
    ordered = sql.SQL("{} ORDER BY time {} LIMIT {}").format(
        text, _direction(query), sql.Literal(count)
    )
    return BarStatement(_COPY.format(query=ordered), (symbol,))


def _shared(query: BarQuery, group: Sequence[tuple[str, TickerSegment]]) -> BarStatement:
    rows = [
        sql.SQL('({}, {} COLLATE "C", {}, {})').format(
            sql.Literal(index),
            sql.Literal(segment.ticker),
            _time(segment.range.start_us),
            _time(segment.range.end_us),
        )
        for index, (_, segment) in enumerate(group)
    ]
    text = _SHARED.format(
        segments=sql.SQL(", ").join(rows),
        columns=_columns(query),
        table=bar_table(query.timeframe),
        start=_time(query.range.start_us),
        end=_time(query.range.end_us),
        limit=sql.Literal(query.limit),
        direction=_direction(query),
    )
    return BarStatement(_COPY.format(query=text), tuple(symbol for symbol, _ in group))


def _columns(query: BarQuery) -> sql.Composed:
    wanted = query.columns | {BarColumn.TIME}
    names = [sql.Identifier(SQL_NAMES[column]) for column in BarColumn if column in wanted]
    return sql.SQL(", ").join(names)


def _direction(query: BarQuery) -> sql.SQL:
    return sql.SQL("DESC") if query.descending else sql.SQL("ASC")


def _time(time_us: int) -> sql.Literal:
    return sql.Literal(from_unix_us(time_us))
