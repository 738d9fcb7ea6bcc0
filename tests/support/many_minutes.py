"""Millions of minutes, made by the server itself: what a table of half a year is like."""

from typing import Final

from psycopg import sql

from marketdata.domain.time_range import from_unix_us
from marketdata.storage.modes import StorageMode
from tests.support.bars import MANUAL_FEED, Bar
from tests.support.kept import MINUTE, midnight_us
from tests.support.rows import TABLES, fetch
from tests.support.storage import Storage
from tests.support.symbols import create_symbols

SYMBOLS: Final = tuple(f"S{number:02}" for number in range(1, 35))
DAYS: Final = 180
MINUTES_A_DAY: Final = 390
#: 2,386,800.
BARS: Final = len(SYMBOLS) * DAYS * MINUTES_A_DAY

_ENSURE: Final = """
    SELECT bar_partition_ensure('min', array_agg(%s::timestamptz + day * interval '1 day'))
      FROM generate_series(0, %s) AS day
"""
# By symbol and time, as the index has them: half the time of any other order.
_FILL: Final = sql.SQL("""
    WITH written AS (
        INSERT INTO bar_write (write_id) VALUES (nextval('bar_write_id')) RETURNING write_id)
    INSERT INTO {} (symbol, time, open, high, low, close, volume, vwap, trade_count, feed, flags,
                    revision, write_id)
    SELECT symbol, %s::timestamptz + day * interval '1 day' + minute * interval '1 minute',
           10, 12, 9, 11, 100, 'NaN', -1, %s, %s, 0, write_id
      FROM written, unnest(%s::text[]) WITH ORDINALITY AS known (symbol, place),
           generate_series(0, %s) AS day, generate_series(0, %s) AS minute
     ORDER BY place, day, minute
""").format(sql.Identifier(TABLES[MINUTE]))
_LATEST: Final = sql.SQL("""
    INSERT INTO bar_latest (symbol, timeframe, first_time, time, open, high, low, close, volume, vwap,
                            trade_count, feed, flags, revision, write_id)
    SELECT symbol, '1m', %s, time, open, high, low, close, volume, vwap, trade_count, feed, flags,
           revision, write_id
      FROM {} WHERE time = %s::timestamptz + interval '389 minutes'
""").format(sql.Identifier(TABLES[MINUTE]))


async def fill_half_a_year(storage: Storage, mode: StorageMode) -> None:
    """Store minutes of every symbol on each of the last 180 days, a partition a day."""
    await create_symbols(storage, *SYMBOLS)
    first, last = from_unix_us(midnight_us(DAYS)), from_unix_us(midnight_us(1))
    if not mode.has_hypertables:
        await fetch(storage, _ENSURE, [first, DAYS - 1])
    what = [first, MANUAL_FEED, Bar("any", 0).flags, list(SYMBOLS), DAYS - 1, MINUTES_A_DAY - 1]
    await fetch(storage, _FILL, what)
    await fetch(storage, _LATEST, [first, last])
