"""Which roll-ups no longer fit their minutes: noted by every writer of minutes, in its transaction."""

from datetime import date, timedelta
from typing import Any, Final

import numpy as np
from psycopg import sql

from marketdata.domain.bars import BarFrame
from marketdata.domain.rollup import ROLLED_UP
from marketdata.domain.symbol import TickerSegment
from marketdata.domain.time_range import TimeRange, from_unix_us, session_label_us
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.storage.bar_tables import rollup_table
from marketdata.storage.parameters import number_array, text_array
from marketdata.storage.pools import Connection
from marketdata.storage.stripes import lock_stripes

# Where minutes were dropped nothing is made anew: a late one there marks nothing.
_MARK: Final = """
    INSERT INTO rollup_dirty (symbol, day)
    SELECT symbol, date '1970-01-01' + day FROM unnest(%(symbol)s, %(day)s) AS changed (symbol, day)
     WHERE date '1970-01-01' + day >= (SELECT rollup_first_day())
    ON CONFLICT DO NOTHING
"""
_MARK_ROWS: Final = sql.SQL("""
    INSERT INTO rollup_dirty (symbol, day)
    SELECT DISTINCT symbol, (time AT TIME ZONE 'UTC')::date FROM {rows}
     WHERE (time AT TIME ZONE 'UTC')::date >= (SELECT rollup_first_day())
    ON CONFLICT DO NOTHING
""")
# By bar_latest's primary key. Days without minutes among them have no roll-ups, and soon no mark.
_MARK_ALL: Final = """
    INSERT INTO rollup_dirty (symbol, day)
    SELECT symbol, day::date
      FROM bar_latest CROSS JOIN generate_series(
               greatest((first_time AT TIME ZONE 'UTC')::date, rollup_first_day())::timestamp,
               (time AT TIME ZONE 'UTC')::date::timestamp, interval '1 day') AS day
     WHERE timeframe = '1m' AND symbol = ANY (%(symbols)s)
    ON CONFLICT DO NOTHING
"""
_TICKERS: Final = "SELECT DISTINCT symbol FROM symbol_validity WHERE symbol_id = %s"
# By the primary keys of the roll-ups.
_FORGET: Final = sql.SQL("""
    DELETE FROM {table}
     WHERE symbol = ANY (%(symbols)s) AND time >= (SELECT rollup_first_day())
       AND time >= %(start)s AND time < %(end)s
""")
_FORGET_SEGMENT: Final = sql.SQL("""
    DELETE FROM {table} WHERE symbol = %(symbol)s AND time >= %(start)s AND time < %(end)s
""")
_HAS: Final = sql.SQL("""
    SELECT EXISTS (SELECT FROM {table}
                    WHERE symbol = %(symbol)s AND time >= %(start)s AND time < %(end)s)
""")
_MARK_DAYS: Final = """
    INSERT INTO rollup_dirty (symbol, day)
    SELECT %(symbol)s, day FROM unnest(%(days)s::date[]) AS day WHERE day >= rollup_first_day()
    ON CONFLICT DO NOTHING
"""


def mark_rows(rows: sql.Composable) -> sql.Composed:
    """Compose the statement that marks the days of changed minutes, rows of `symbol` and `time`."""
    return _MARK_ROWS.format(rows=rows)


async def mark_written(connection: Connection, written: BarFrame, timeframe: Timeframe) -> None:
    """Mark the days of written bars, sorted by symbol and time; of minutes only."""
    if timeframe is Timeframe.MINUTE_1:
        await connection.execute(_MARK, _days_of(written))


async def mark_calendar_changed(connection: Connection, symbol_id: int) -> None:
    """Note that the sessions of a symbol are others now: what its minutes made is to be made anew.

    Takes the stripes of its tickers.
    """
    cursor = await connection.execute(_TICKERS, [symbol_id])
    tickers = [ticker for (ticker,) in await cursor.fetchall()]
    await lock_stripes(connection, tickers, Timeframe.MINUTE_1)
    for timeframe in ROLLED_UP:
        # Bars that the new calendar does not have would otherwise stay.
        always = _bounds(TimeRange(timeframe.earliest_us, timeframe.latest_us))
        statement = _FORGET.format(table=rollup_table(timeframe))
        await connection.execute(statement, {"symbols": tickers, **always})
    await connection.execute(_MARK_ALL, {"symbols": tickers})


async def mark_renamed(connection: Connection, former: str, since: date) -> None:
    """Note that a ticker names another symbol, or none, from a session on; under its stripes.

    The first session under the new ticker can have begun on the evening before, under the former one.
    """
    parameters = {
        "symbols": [former],
        "start": from_unix_us(session_label_us(since)),
        "end": from_unix_us(Timeframe.DAY_1.latest_us),
    }
    await connection.execute(_FORGET.format(table=rollup_table(Timeframe.DAY_1)), parameters)
    days = [since - timedelta(days=1), since]
    await connection.execute(_MARK_DAYS, {"symbol": former, "days": days})


async def has_rollups(connection: Connection, segment: TickerSegment, timeframe: Timeframe) -> bool:
    """Tell whether a ticker has roll-ups of `timeframe` in a range."""
    parameters = {"symbol": segment.ticker, **_bounds(segment.range)}
    cursor = await connection.execute(_HAS.format(table=rollup_table(timeframe)), parameters)
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def forget_rollups(connection: Connection, segment: TickerSegment, timeframe: Timeframe) -> None:
    """Delete the roll-ups of a ticker in a range, whose minutes go with them or went before."""
    parameters = {"symbol": segment.ticker, **_bounds(segment.range)}
    await connection.execute(_FORGET_SEGMENT.format(table=rollup_table(timeframe)), parameters)


def _bounds(within: TimeRange) -> dict[str, Any]:
    return {"start": from_unix_us(within.start_us), "end": from_unix_us(within.end_us)}


def _days_of(written: BarFrame) -> dict[str, Any]:
    index, day = written.row_symbol_index(), written.time_us // MICROSECONDS_PER_DAY
    is_first = (np.diff(index, prepend=-1) != 0) | (np.diff(day, prepend=-1) != 0)
    return {
        "symbol": text_array(written.symbols, index[is_first]),
        "day": number_array(day[is_first].astype(np.int32)),
    }
