"""The statements of the one write path, composed per table.

Few bars: `classify_and_write` is a single statement, so that the bars to write are joined with the
stored ones once: it sorts every bar into new, different, same and outranked, writes new and different
ones, keeps `bar_latest` and what it replaces, marks roll-ups, and answers with the position, revision
and class of each bar. It must run after the stripes are locked, as a statement of its own, so
that its snapshot holds what other writers committed before.

Many bars: what is stored in their ranges is read (`read_ranges`) and compared here, what is replaced is
deleted (`delete_replaced`) and kept by COPY (`COPY_REPLACED`), and what is written goes in by COPY
(`copy_bars`). COPY stores a row in a
fifth of the time of INSERT ... ON CONFLICT, and reading and deleting take less than the rest
(docs/benchmarks.md).

All rely on the primary key (symbol, time) of the bar table and on the time bounds that keep the join
within the partitions of the batch.
"""

from typing import Final

from psycopg import sql

from marketdata.domain.bars import BarColumn
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_rows import SQL_NAMES
from marketdata.storage.bar_tables import bar_table
from marketdata.storage.column_values import column_values
from marketdata.storage.known_rows import keep_bars
from marketdata.storage.rollup_marks import mark_rows

_FROM_ARRAYS: Final = sql.SQL("""
    SELECT symbol COLLATE "C" AS symbol, ord, time, open, high, low, close, volume, vwap,
           trade_count, feed, flags
      FROM unnest(%(symbol)s, %(ord)s, %(time)s, %(open)s, %(high)s, %(low)s, %(close)s,
                  %(volume)s, %(vwap)s, %(trade_count)s, %(feed)s, %(flags)s)
        AS batch (symbol, ord, time, open, high, low, close, volume, vwap, trade_count, feed, flags)
""")
# All of a newest bar but its key and where its ticker's bars begin.
_LATEST_VALUES: Final = (
    *("time", "open", "high", "low", "close", "volume", "vwap", "trade_count", "feed", "flags"),
    *("revision", "write_id"),
)
_LATEST_COLUMNS: Final = sql.SQL("symbol, timeframe, first_time, {}").format(
    sql.SQL(", ").join(map(sql.Identifier, _LATEST_VALUES))
)
_UPSERT_LATEST: Final = sql.SQL("""ON CONFLICT (symbol, timeframe) DO UPDATE SET
        first_time = least(bar_latest.first_time, excluded.first_time), {values}
     WHERE bar_latest.time <= excluded.time OR bar_latest.first_time > excluded.first_time""").format(
    values=sql.SQL(", ").join(
        sql.SQL(
            "{0} = CASE WHEN bar_latest.time <= excluded.time THEN excluded.{0} ELSE bar_latest.{0} END"
        ).format(sql.Identifier(value))
        for value in _LATEST_VALUES
    )
)

# What a bar can be, to those that are stored; in the answer its place among these, from 1.
CLASSES: Final = ("new", "different", "same", "outranked")

_CLASSIFY_AND_WRITE: Final = sql.SQL("""
WITH batch AS MATERIALIZED ({arrays}),
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
           coalesce(stored.revision + 1, 0) AS revision,
           {before}
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
kept AS ({keep}),
latest AS (
    INSERT INTO bar_latest ({latest_columns})
    SELECT DISTINCT ON (symbol) {latest_values}
      FROM changed, this ORDER BY symbol, time DESC
    {upsert_latest}
){mark}
SELECT (SELECT write_id FROM this),
       string_agg(int4send(ord) || int4send(revision)
                  || int4send(array_position({classes}, class)), ''::bytea)
  FROM classified
""")


# What a bar of the batch meets goes along with it, so that it is kept without being read again.
_KEPT: Final = (
    *("open", "high", "low", "close", "volume", "vwap", "trade_count", "feed", "flags", "revision"),
    "write_id",
)
_BEFORE: Final = sql.SQL(", ").join(
    sql.SQL("stored.{} AS {}").format(sql.Identifier(name), sql.Identifier(f"before_{name}"))
    for name in _KEPT
)
_REPLACED: Final = sql.SQL(
    "(SELECT symbol, time, {} FROM changed WHERE class = 'different') AS replaced"
).format(
    sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(sql.Identifier(f"before_{name}"), sql.Identifier(name))
        for name in _KEPT
    )
)
_MARK_CHANGED: Final = sql.SQL(",\nmarked AS ({})").format(mark_rows(sql.SQL("changed")))
_COLUMNS: Final = sql.SQL(", ").join(sql.Identifier(SQL_NAMES[column]) for column in BarColumn)
_COPY_BARS: Final = sql.SQL("""
    COPY {table} (symbol, time, open, high, low, close, volume, vwap, trade_count, feed, flags,
                  revision, write_id)
    FROM STDIN (FORMAT binary)
""")
# What a batch may meet: the ranks of the feeds, and since when until when its tickers have bars.
BEFORE_WRITING: Final = """
    SELECT nextval('bar_write_id'),
           (SELECT array_agg(feed_id ORDER BY feed_id) FROM market_feed),
           (SELECT array_agg(rank ORDER BY feed_id) FROM market_feed)
"""
STORED_RANGES: Final = """
    SELECT symbol, (extract(epoch FROM first_time) * 1000000)::bigint,
           (extract(epoch FROM time) * 1000000)::bigint
      FROM bar_latest WHERE timeframe = %(timeframe)s AND symbol = ANY (%(symbols)s)
"""
# By the primary key, within the partitions of the batch.
_READ_RANGES: Final = sql.SQL("""
    SELECT {values}, string_agg(int8send(write_id), ''::bytea)
      FROM unnest(%(index)s, %(symbol)s, %(first_time)s, %(last_time)s)
               AS asked (symbol_index, symbol, first_time, last_time)
     CROSS JOIN LATERAL (
        SELECT {columns}, write_id FROM {table}
         WHERE symbol = asked.symbol COLLATE "C"
           AND time >= asked.first_time AND time <= asked.last_time
           AND time >= %(first)s AND time <= %(last)s) AS stored
""")
# Their replacements are copied in afterwards; as they were they are copied to bar_revision.
_DELETE_REPLACED: Final = sql.SQL("""
    DELETE FROM {table} AS stored
     USING unnest(%(symbol)s, %(time)s) AS replaced (symbol, time)
     WHERE stored.symbol = replaced.symbol COLLATE "C" AND stored.time = replaced.time
       AND stored.symbol = ANY (%(symbols)s)
       AND stored.time >= %(first)s AND stored.time <= %(last)s
""")
COPY_REPLACED: Final = sql.SQL("""
    COPY bar_revision (symbol, {columns}, write_id, superseded_by, timeframe)
    FROM STDIN (FORMAT binary)
""").format(columns=_COLUMNS)
_KEEP_LATEST: Final = sql.SQL("""
WITH batch AS ({arrays}),
latest AS (
    SELECT batch.*, first_time, revision, %(write_id)s::bigint AS write_id
      FROM batch JOIN unnest(%(ord)s, %(first_time)s, %(revision)s) AS kept (ord, first_time, revision)
     USING (ord))
INSERT INTO bar_latest ({columns}) SELECT {values} FROM latest {upsert}
""")


def copy_bars(timeframe: Timeframe) -> sql.Composed:
    """Compose the COPY of new bars straight into the table of `timeframe`."""
    return _COPY_BARS.format(table=bar_table(timeframe))


def read_ranges(timeframe: Timeframe) -> sql.Composed:
    """Compose the read of the stored bars in some ranges, all columns, in no order.

    Answers one row of columns (`bar_rows.to_column_frame`), the position of the range's symbol first,
    the write_ids last.
    """
    return _READ_RANGES.format(
        values=column_values(BarColumn, many=True), columns=_COLUMNS, table=bar_table(timeframe)
    )


def delete_replaced(timeframe: Timeframe) -> sql.Composed:
    """Compose the deletion of the bars that others will replace within the transaction."""
    return _DELETE_REPLACED.format(table=bar_table(timeframe))


def keep_latest(timeframe: Timeframe) -> sql.Composed:
    """Compose the update of `bar_latest` from array parameters of the newest bar of each symbol."""
    return _KEEP_LATEST.format(
        arrays=_FROM_ARRAYS,
        columns=_LATEST_COLUMNS,
        values=_latest_values(timeframe, sql.SQL("first_time")),
        upsert=_UPSERT_LATEST,
    )


def classify_and_write(timeframe: Timeframe) -> sql.Composed:
    """Compose the statement for the table of `timeframe`; bars come as array parameters."""
    return _CLASSIFY_AND_WRITE.format(
        arrays=_FROM_ARRAYS,
        table=bar_table(timeframe),
        latest_columns=_LATEST_COLUMNS,
        latest_values=_latest_values(timeframe, sql.SQL("min(time) OVER (PARTITION BY symbol)")),
        upsert_latest=_UPSERT_LATEST,
        mark=_MARK_CHANGED if timeframe is Timeframe.MINUTE_1 else sql.SQL(""),
        before=_BEFORE,
        classes=sql.SQL("ARRAY[{}]").format(sql.SQL(", ").join(map(sql.Literal, CLASSES))),
        keep=keep_bars(timeframe, _REPLACED, sql.SQL("(SELECT write_id FROM this)")),
    )


def _latest_values(timeframe: Timeframe, first_time: sql.Composable) -> sql.Composed:
    return sql.SQL("symbol, {}, {}, {}").format(
        sql.Literal(timeframe.value),
        first_time,
        sql.SQL(", ").join(map(sql.Identifier, _LATEST_VALUES)),
    )
