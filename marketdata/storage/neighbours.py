"""The bars right before a time: what new ones are compared with."""

from typing import Final

import numpy as np
from psycopg import sql

from marketdata.domain.bars import BarColumn, BarFrame, full_columns
from marketdata.domain.time_range import from_unix_us, to_unix_us
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.storage.bar_tables import bar_table
from marketdata.storage.pools import Pools

_COLUMNS: Final = (
    BarColumn.OPEN,
    BarColumn.HIGH,
    BarColumn.LOW,
    BarColumn.CLOSE,
    BarColumn.VOLUME,
)
# Both bounds, so that only a few partitions are visited; by the primary key, backwards.
_BEFORE: Final = sql.SQL("""
    SELECT time, open, high, low, close, volume FROM {table}
     WHERE symbol = %(symbol)s AND time >= %(first)s AND time < %(before)s
     ORDER BY time DESC LIMIT %(limit)s
""")
# Long enough for a holiday week between two sessions; older bars are no neighbours any more.
_REACH_US: Final = {
    Timeframe.MINUTE_1: 7 * MICROSECONDS_PER_DAY,
    Timeframe.HOUR_1: 14 * MICROSECONDS_PER_DAY,
    Timeframe.DAY_1: 60 * MICROSECONDS_PER_DAY,
}


async def read_before(
    pools: Pools, symbol: str, timeframe: Timeframe, before_us: int, limit: int
) -> BarFrame:
    """Read the last bars of a ticker before a time.

    Parameters
    ----------
    before_us : int
        Unix microseconds, exclusive.
    limit : int
        Most bars.

    Returns
    -------
    BarFrame
        Ascending by time; prices and volume as stored, the other columns as of missing values.
    """
    parameters = {
        "symbol": symbol,
        "first": from_unix_us(max(before_us - _REACH_US[timeframe], timeframe.earliest_us)),
        "before": from_unix_us(before_us),
        "limit": limit,
    }
    async with pools.query() as connection:
        cursor = await connection.execute(_BEFORE.format(table=bar_table(timeframe)), parameters)
        rows = (await cursor.fetchall())[::-1]
    given = {
        column: np.array([row[place] for row in rows], np.float64)
        for place, column in enumerate(_COLUMNS, start=1)
    }
    given[BarColumn.TIME] = np.array([to_unix_us(row[0]) for row in rows], np.int64)
    return BarFrame(symbols=(symbol,), **full_columns(len(rows), given))
