"""The statements of the roller; all of them are run in the transaction that holds the stripes."""

from typing import Final

from psycopg import sql

from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_tables import rollup_table

# By rollup_dirty_day: the oldest first, and from one batch to the next without looking back.
PICK: Final = """
    SELECT symbol, day - date '1970-01-01' FROM rollup_dirty
     WHERE (day, symbol) > (date '1970-01-01' + %(after_day)s, %(after_symbol)s COLLATE "C")
       AND day < date '1970-01-01' + %(today)s
     ORDER BY day, symbol LIMIT %(limit)s
"""
# All tickers that the identities behind some tickers ever had: a session can have minutes of two.
TICKERS: Final = """
    SELECT DISTINCT own.symbol
      FROM symbol_validity AS asked JOIN symbol_validity AS own USING (symbol_id)
     WHERE asked.symbol = ANY (%(symbols)s)
"""
# Minutes change tickers at local midnight, days by their labels.
IDENTITIES: Final = """
    SELECT own.symbol_id, identity.calendar, own.symbol,
           extract(epoch FROM own.valid_from::timestamp AT TIME ZONE identity.time_zone)::bigint,
           extract(epoch FROM own.valid_to::timestamp AT TIME ZONE identity.time_zone)::bigint,
           extract(epoch FROM own.valid_from::timestamp AT TIME ZONE 'UTC')::bigint,
           extract(epoch FROM own.valid_to::timestamp AT TIME ZONE 'UTC')::bigint
      FROM (SELECT DISTINCT symbol_id FROM symbol_validity WHERE symbol = ANY (%(symbols)s)) AS asked
      JOIN symbol_validity AS own USING (symbol_id)
      JOIN market_symbol AS identity USING (symbol_id)
     ORDER BY own.symbol_id, own.valid_from NULLS FIRST
"""
# Retention waits for the roller, and the roller for it: no minute goes between this and their read.
FIRST_DAY: Final = """
    SELECT nullif(rollup_first_day(), '-infinity') - date '1970-01-01'
      FROM bar_storage WHERE which = 'min' FOR SHARE
"""
_REPLACED: Final = sql.SQL("""
    DELETE FROM {table} AS rolled
     USING unnest(%(symbol)s, %(start)s, %(end)s) AS range (symbol, range_start, range_end)
     WHERE rolled.symbol = range.symbol COLLATE "C"
       AND rolled.time >= range.range_start AND rolled.time < range.range_end
""")
_COPY: Final = sql.SQL("""
    COPY {table} (symbol, time, open, high, low, close, volume, vwap, trade_count, feed, flags,
                  revision)
    FROM STDIN (FORMAT binary)
""")
CLEAR: Final = """
    DELETE FROM rollup_dirty AS dirty
     USING unnest(%(symbol)s, %(day)s) AS done (symbol, day)
     WHERE dirty.symbol = done.symbol COLLATE "C" AND dirty.day = date '1970-01-01' + done.day
"""


def delete_replaced(timeframe: Timeframe) -> sql.Composed:
    """Compose the deletion of the roll-ups in some ranges of tickers, before they are made anew."""
    return _REPLACED.format(table=rollup_table(timeframe))


def copy_rollups(timeframe: Timeframe) -> sql.Composed:
    """Compose the COPY of roll-ups into their table."""
    return _COPY.format(table=rollup_table(timeframe))
