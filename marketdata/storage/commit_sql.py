"""The statements of the one write path, composed per table.

`classify_and_write` is a single statement, so that the bars to write are joined with the stored ones
once: it sorts every bar into new, different, same and outranked, writes new and different ones, keeps
`bar_latest`, and answers with the counts and with the position and revision of each bar written. It
must run after the stripes are locked, as a statement of its own, so that its snapshot holds what
other writers committed before.

It relies on the primary key (symbol, time) of the bar table and on the time bounds that keep the join
within the partitions of the batch.
"""

from typing import Final

from psycopg import sql

from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_tables import bar_table

STAGING_TABLE: Final = "bar_staging"

# One temporary table a writer connection: creating it per transaction would bloat the catalog.
CREATE_STAGING: Final = """
    CREATE TEMPORARY TABLE IF NOT EXISTS bar_staging (
        symbol text COLLATE "C" NOT NULL, ord integer NOT NULL, time timestamptz NOT NULL,
        open float8 NOT NULL, high float8 NOT NULL, low float8 NOT NULL, close float8 NOT NULL,
        volume float8 NOT NULL, vwap float8 NOT NULL, trade_count bigint NOT NULL,
        feed smallint NOT NULL, flags smallint NOT NULL
    ) ON COMMIT DELETE ROWS
"""
COPY_STAGING: Final = "COPY pg_temp.bar_staging FROM STDIN (FORMAT binary)"
# Without statistics the join below is planned for a handful of rows.
ANALYZE_STAGING: Final = "ANALYZE pg_temp.bar_staging"

_FROM_ARRAYS: Final = sql.SQL("""
    SELECT symbol COLLATE "C" AS symbol, ord, time, open, high, low, close, volume, vwap,
           trade_count, feed, flags
      FROM unnest(%(symbol)s, %(ord)s, %(time)s, %(open)s, %(high)s, %(low)s, %(close)s,
                  %(volume)s, %(vwap)s, %(trade_count)s, %(feed)s, %(flags)s)
        AS batch (symbol, ord, time, open, high, low, close, volume, vwap, trade_count, feed, flags)
""")
_FROM_STAGING: Final = sql.SQL("SELECT * FROM pg_temp.bar_staging")

_LATEST_COLUMNS: Final = sql.SQL("""symbol, timeframe, time, open, high, low, close, volume, vwap,
        trade_count, feed, flags, revision, write_id""")
_UPSERT_LATEST: Final = sql.SQL("""ON CONFLICT (symbol, timeframe) DO UPDATE SET
        time = excluded.time, open = excluded.open, high = excluded.high, low = excluded.low,
        close = excluded.close, volume = excluded.volume, vwap = excluded.vwap,
        trade_count = excluded.trade_count, feed = excluded.feed, flags = excluded.flags,
        revision = excluded.revision, write_id = excluded.write_id
     WHERE bar_latest.time <= excluded.time""")

_CLASSIFY_AND_WRITE: Final = sql.SQL("""
WITH batch AS MATERIALIZED ({source}),
this AS MATERIALIZED (SELECT nextval('bar_write_id') AS write_id),
classified AS MATERIALIZED (
    SELECT batch.*,
           CASE
               WHEN stored.symbol IS NULL THEN 'new'
               WHEN (stored.open, stored.high, stored.low, stored.close, stored.volume, stored.vwap,
                     stored.trade_count, stored.flags, stored.feed)
                  = (batch.open, batch.high, batch.low, batch.close, batch.volume, batch.vwap,
                     batch.trade_count, batch.flags, batch.feed) THEN 'same'
               WHEN stored_feed.rank > batch_feed.rank THEN 'outranked'
               ELSE 'different'
           END AS class,
           coalesce(stored.revision + 1, 0) AS revision
      FROM batch
      JOIN market_feed AS batch_feed ON batch_feed.feed_id = batch.feed
      LEFT JOIN {table} AS stored
        ON stored.symbol = batch.symbol AND stored.time = batch.time
       AND stored.time >= %(first)s AND stored.time <= %(last)s
      LEFT JOIN market_feed AS stored_feed ON stored_feed.feed_id = stored.feed
),
changed AS MATERIALIZED (
    SELECT * FROM classified WHERE class IN ('new', 'different')
),
written AS (
    INSERT INTO {table} (symbol, time, open, high, low, close, volume, vwap, trade_count, feed,
                         flags, revision, write_id)
    SELECT symbol, time, open, high, low, close, volume, vwap, trade_count, feed, flags, revision,
           write_id
      FROM changed, this ORDER BY symbol, time
    ON CONFLICT (symbol, time) DO UPDATE SET
        open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
        volume = excluded.volume, vwap = excluded.vwap, trade_count = excluded.trade_count,
        feed = excluded.feed, flags = excluded.flags, revision = excluded.revision,
        write_id = excluded.write_id
),
latest AS (
    INSERT INTO bar_latest ({latest_columns})
    SELECT DISTINCT ON (symbol) {latest_values}
      FROM changed, this ORDER BY symbol, time DESC
    {upsert_latest}
)
SELECT count(*) FILTER (WHERE class = 'new'),
       count(*) FILTER (WHERE class = 'different'),
       count(*) FILTER (WHERE class = 'same'),
       count(*) FILTER (WHERE class = 'outranked'),
       coalesce(string_agg(int4send(ord) || int4send(revision), ''::bytea)
                FILTER (WHERE class IN ('new', 'different')), ''::bytea),
       (SELECT write_id FROM this)
  FROM classified
""")


_COPY_BARS: Final = sql.SQL("""
    COPY {table} (symbol, time, open, high, low, close, volume, vwap, trade_count, feed, flags,
                  revision, write_id)
    FROM STDIN (FORMAT binary)
""")
# By the primary key, within the partitions of the batch.
_FIND_OBSTACLE: Final = sql.SQL("""
    SELECT 1 FROM {table}
     WHERE symbol = ANY (%(symbols)s) AND time >= %(first)s AND time <= %(last)s
    UNION ALL
    SELECT 1 FROM unnest(%(feeds)s) AS batch (feed_id) LEFT JOIN market_feed USING (feed_id)
     WHERE market_feed.feed_id IS NULL
     LIMIT 1
""")
_KEEP_LATEST: Final = sql.SQL("""
WITH batch AS ({source}),
latest AS (SELECT batch.*, 0 AS revision, %(write_id)s::bigint AS write_id FROM batch)
INSERT INTO bar_latest ({columns}) SELECT {values} FROM latest {upsert}
""")


def copy_bars(timeframe: Timeframe) -> sql.Composed:
    """Compose the COPY of new bars straight into the table of `timeframe`."""
    return _COPY_BARS.format(table=bar_table(timeframe))


def find_obstacle(timeframe: Timeframe) -> sql.Composed:
    """Compose the search for what forbids a direct COPY: a stored bar, or an unknown feed.

    The bars are of some symbols between two times, both inclusive.
    """
    return _FIND_OBSTACLE.format(table=bar_table(timeframe))


def keep_latest(timeframe: Timeframe) -> sql.Composed:
    """Compose the update of `bar_latest` from array parameters of one new bar a symbol."""
    return _KEEP_LATEST.format(
        source=_FROM_ARRAYS,
        columns=_LATEST_COLUMNS,
        values=_latest_values(timeframe),
        upsert=_UPSERT_LATEST,
    )


def classify_and_write(timeframe: Timeframe, *, staged: bool) -> sql.Composed:
    """Compose the statement for the table of `timeframe`.

    Parameters
    ----------
    timeframe : Timeframe
        Stored.
    staged : bool
        Whether the bars stand in the staging table or come as array parameters.
    """
    return _CLASSIFY_AND_WRITE.format(
        source=_FROM_STAGING if staged else _FROM_ARRAYS,
        table=bar_table(timeframe),
        latest_columns=_LATEST_COLUMNS,
        latest_values=_latest_values(timeframe),
        upsert_latest=_UPSERT_LATEST,
    )


def _latest_values(timeframe: Timeframe) -> sql.Composed:
    return sql.SQL("""symbol, {}, time, open, high, low, close, volume, vwap, trade_count, feed,
           flags, revision, write_id""").format(sql.Literal(timeframe.value))
