"""The versions of bars that were revised or deleted: what each said, and from when until when."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from psycopg import sql

from marketdata.domain.bar_row import BarRow
from marketdata.domain.bar_version import BarVersion, VersionPosition
from marketdata.domain.symbol import ResolvedSymbol, TickerSegment
from marketdata.domain.time_range import TimeRange, from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_tables import bar_table
from marketdata.storage.parameters import text_array, time_array
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.symbol_rows import unknown_symbol
from marketdata.storage.symbols import resolve

# By the primary keys of bar_revision and of the bar table, within the partitions of the range; the
# writes by theirs. A version was deleted where the next one was stored by another write than superseded
# it.
_VERSIONS: Final = sql.SQL("""
    WITH version AS (
        SELECT revision.time, open, high, low, close, volume, vwap, trade_count, feed, flags,
               revision.revision, write_id, superseded_by
          FROM unnest(%(ticker)s, %(start)s, %(end)s) AS segment (ticker, range_start, range_end)
          JOIN bar_revision AS revision
            ON revision.timeframe = %(timeframe)s AND revision.symbol = segment.ticker COLLATE "C"
           AND revision.time >= segment.range_start AND revision.time < segment.range_end
         UNION ALL
        SELECT stored.time, stored.open, stored.high, stored.low, stored.close, stored.volume,
               stored.vwap, stored.trade_count, stored.feed, stored.flags, stored.revision,
               stored.write_id, NULL
          FROM unnest(%(ticker)s, %(start)s, %(end)s) AS segment (ticker, range_start, range_end)
         CROSS JOIN LATERAL (
            SELECT DISTINCT revision.time FROM bar_revision AS revision
             WHERE revision.timeframe = %(timeframe)s
               AND revision.symbol = segment.ticker COLLATE "C"
               AND revision.time >= segment.range_start
               AND revision.time < segment.range_end) AS revised
          JOIN {table} AS stored
            ON stored.symbol = segment.ticker COLLATE "C" AND stored.time = revised.time
           AND stored.time >= %(first)s AND stored.time < %(last)s),
    placed AS (
        SELECT version.*, coalesce(known.seq, 0) AS known_seq, known.committed_at AS known_at,
               superseded.seq AS superseded_seq, superseded.committed_at AS superseded_at,
               lead(version.write_id) OVER (PARTITION BY version.time ORDER BY coalesce(known.seq, 0))
                   IS DISTINCT FROM version.superseded_by AS is_deleted
          FROM version
          LEFT JOIN bar_write AS known USING (write_id)
          LEFT JOIN bar_write AS superseded ON superseded.write_id = version.superseded_by)
    SELECT (extract(epoch FROM time) * 1000000)::bigint, open, high, low, close, volume, vwap,
           trade_count, market_feed.provider || '/' || market_feed.feed, flags, revision, known_seq,
           (extract(epoch FROM known_at) * 1000000)::bigint, coalesce(superseded_seq, 0),
           (extract(epoch FROM superseded_at) * 1000000)::bigint,
           is_deleted AND superseded_by IS NOT NULL
      FROM placed JOIN market_feed ON market_feed.feed_id = placed.feed
     WHERE (time, known_seq) > (%(after_time)s, %(after_seq)s)
     ORDER BY time, known_seq LIMIT %(limit)s
""")
_HORIZON: Final = "SELECT seq FROM version_horizon"


class RevisionReader:
    """Lists versions of bars.

    Parameters
    ----------
    pools : Pools
        Where queries run.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def list_page(
        self,
        symbol: str,
        timeframe: Timeframe,
        within: TimeRange,
        after: VersionPosition | None,
        limit: int,
    ) -> tuple[list[BarVersion], int]:
        """List versions by (time, seq), from behind `after`; None is the beginning.

        Parameters
        ----------
        timeframe : Timeframe
            One that is stored.

        Returns
        -------
        (list of BarVersion, int)
            And the seq before which versions are not kept.

        Raises
        ------
        SymbolNotFoundError
            The ticker names nothing.
        """
        async with self._pools.query() as connection:
            found = await resolve(connection, [symbol], timeframe)
            if symbol not in found:
                raise unknown_symbol(symbol)
            horizon = await (await connection.execute(_HORIZON)).fetchone()
            versions = await _fetch(connection, found[symbol], timeframe, within, after, limit)
        return versions, horizon[0] if horizon else 0


async def _fetch(
    connection: Connection,
    symbol: ResolvedSymbol,
    timeframe: Timeframe,
    within: TimeRange,
    after: VersionPosition | None,
    limit: int,
) -> list[BarVersion]:
    if after is not None:
        within = within.intersect(TimeRange(after.time_us, within.end_us))
    segments = _clipped(symbol.segments, within)
    if not segments:
        return []
    order = np.arange(len(segments), dtype=np.int32)
    starts = np.array([segment.range.start_us for segment in segments], np.int64)
    ends = np.array([segment.range.end_us for segment in segments], np.int64)
    position = after or VersionPosition(timeframe.earliest_us, -1)
    parameters = {
        "ticker": text_array([segment.ticker for segment in segments], order),
        "start": time_array(starts),
        "end": time_array(ends),
        "first": from_unix_us(int(starts.min())),
        "last": from_unix_us(int(ends.max())),
        "timeframe": timeframe.value,
        "after_time": from_unix_us(position.time_us),
        "after_seq": position.seq,
        "limit": limit,
    }
    cursor = await connection.execute(_VERSIONS.format(table=bar_table(timeframe)), parameters)
    return [
        BarVersion(BarRow(symbol.symbol, timeframe, symbol.currency, *row[:11]), *row[11:])
        for row in await cursor.fetchall()
    ]


def _clipped(segments: Sequence[TickerSegment], within: TimeRange) -> list[TickerSegment]:
    clipped = [TickerSegment(one.ticker, one.range.intersect(within)) for one in segments]
    return [segment for segment in clipped if not segment.range.is_empty]
