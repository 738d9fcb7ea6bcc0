"""Which writes were known at a point in time, and whether that can still be answered."""

from dataclasses import replace
from typing import Final

from marketdata.domain.as_of import AsOf, KnownWrites
from marketdata.domain.bar_query import BarQuery
from marketdata.domain.time_range import from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import AsOfAheadError, AsOfTooEarlyError, BarsDroppedError
from marketdata.storage.bar_tables import bar_table_label
from marketdata.storage.pools import Connection

# By the unique key on seq, or by bar_write_committed_at; all in one snapshot.
_ASKED: Final = """
    SELECT head.seq, horizon.seq, (extract(epoch FROM oldest.committed_at) * 1000000)::bigint,
           asked.seq, (extract(epoch FROM asked.committed_at) * 1000000)::bigint, asked.greatest
      FROM bar_log_head AS head JOIN version_horizon AS horizon USING (log_id)
      LEFT JOIN bar_write AS oldest ON oldest.seq = horizon.seq
      LEFT JOIN LATERAL (
        SELECT seq, committed_at, greatest FROM bar_write
         WHERE seq = coalesce(%(seq)s::bigint, (
            SELECT seq FROM bar_write
             WHERE committed_at <= timestamptz 'epoch' + %(time_us)s::bigint * interval '1 microsecond'
             ORDER BY committed_at DESC, seq DESC LIMIT 1))) AS asked ON true
"""
# Those that were under way. By bar_write_overtaken.
_OVERTAKEN: Final = """
    SELECT coalesce(array_agg(write_id), '{}') FROM bar_write
     WHERE write_id < greatest AND write_id < %(greatest)s AND seq > %(seq)s
       AND point(write_id, seq) <@ box(point(0, %(seq)s), point(%(greatest)s, 'Infinity'))
"""
# What each table's last drop left, and as of which seq it is known.
_DROPPED: Final = """
    SELECT kept.which::text, (extract(epoch FROM kept.dropped_before) * 1000000)::bigint,
           coalesce(dropped.seq, 0)
      FROM bar_storage AS kept LEFT JOIN bar_write AS dropped ON dropped.write_id = kept.dropped_by
     WHERE kept.dropped_before IS NOT NULL
"""


async def settle(connection: Connection, query: BarQuery) -> BarQuery:
    """Find out which writes a query is about, in the snapshot of the caller's connection.

    Returns
    -------
    BarQuery
        With `known`, and asked at the point in time; itself where it asks for what is known now.

    Raises
    ------
    AsOfTooEarlyError, AsOfAheadError
        The point in time is not kept, or not reached.
    BarsDroppedError
        It reaches over bars that were known then, and were dropped since.
    """
    if query.as_of is None:
        return query
    known = await read_known_writes(connection, query.as_of)
    await _refuse_dropped(connection, query, known)
    return replace(query, known=known, now_us=min(query.now_us, known.time_us))


async def read_known_writes(connection: Connection, as_of: AsOf) -> KnownWrites:
    """Tell which writes were known at a point in time.

    Raises
    ------
    AsOfTooEarlyError
        It lies before the horizon: versions that were superseded before are not kept.
    AsOfAheadError
        The log has not come that far.
    """
    parameters = {"seq": as_of.seq, "time_us": as_of.time_us}
    row = await (await connection.execute(_ASKED, parameters)).fetchone()
    assert row is not None  # noqa: S101 -- the head row is made by the first migration
    head, horizon, horizon_us, seq, committed_us, greatest = row
    if as_of.seq is not None and as_of.seq > head:
        raise AsOfAheadError(
            f"as_of seq {as_of.seq} is ahead of this store, whose newest is {head}; a seq of another "
            "store, or of before a restore, means nothing here: ask by time, or leave as_of out",
            metadata={"newest_seq": str(head)},
        )
    if seq is None:  # nothing was written by then, or what was is not known any more
        seq, committed_us, greatest = (as_of.seq or 0), 0, 0
    if seq < horizon:
        raise _too_early(as_of, horizon, horizon_us)
    if as_of.time_us is not None:
        committed_us = as_of.time_us
    cursor = await connection.execute(_OVERTAKEN, {"greatest": greatest, "seq": seq})
    (overtaken,) = await cursor.fetchone() or ([],)
    return KnownWrites(seq, committed_us, greatest, tuple(overtaken))


async def _refuse_dropped(connection: Connection, query: BarQuery, known: KnownWrites) -> None:
    rows = await (await connection.execute(_DROPPED)).fetchall()
    dropped = {which: (before_us, seq) for which, before_us, seq in rows}
    for timeframe in {query.timeframe} if query.stored_only else {query.timeframe, Timeframe.MINUTE_1}:
        if not timeframe.is_stored:
            continue
        before_us, seq = dropped.get(bar_table_label(timeframe), (query.range.start_us, 0))
        if known.seq < seq and query.range.start_us < before_us:
            earliest = from_unix_us(before_us).isoformat()
            raise BarsDroppedError(
                f"{timeframe.value} bars before {earliest} were known as of seq {known.seq}, and were "
                f"dropped with seq {seq}; ask from {earliest} on, or as of that seq or later",
                metadata={"earliest_time": earliest, "earliest_seq": str(seq)},
            )


def _too_early(as_of: AsOf, horizon: int, horizon_us: int | None) -> AsOfTooEarlyError:
    asked = (
        f"seq {as_of.seq}" if as_of.seq is not None else from_unix_us(as_of.time_us or 0).isoformat()
    )
    metadata = {"earliest_seq": str(horizon)}
    since = ""
    if horizon_us is not None:
        metadata["earliest_time"] = from_unix_us(horizon_us).isoformat()
        since = f" ({metadata['earliest_time']})"
    return AsOfTooEarlyError(
        f"what was known as of {asked} is not kept; the earliest is seq {horizon}{since}",
        metadata=metadata,
    )
