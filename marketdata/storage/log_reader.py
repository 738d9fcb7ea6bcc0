"""The change log, read: its bounds, and its entries from any position on, a page at a time."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg import errors as pg

from marketdata.domain.log_position import LogBounds, make_generation, trimmed
from marketdata.errors import DatabaseSetupError, LogTrimmedError
from marketdata.storage.feeds import read_catalog
from marketdata.storage.log_entries import LogEntry, entry_of
from marketdata.storage.pools import Connection, Pools

# Two tables of a row each, a file of the server, and the WAL's position, whose name begins with the
# timeline: pg_control_checkpoint() tells the one before until the first checkpoint after a failover.
_BOUNDS: Final = """
    SELECT log.generation, system.system_identifier, database.oid::bigint,
           ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int,
           log.oldest_seq, head.seq, (extract(epoch FROM head.committed_at) * 1000000)::bigint
      FROM bar_log AS log
      JOIN bar_log_head AS head USING (log_id)
     CROSS JOIN pg_control_system() AS system
      JOIN pg_database AS database ON database.datname = current_database()
"""
# By bar_write_seq_key, and for each write by the primary key of bar_change: LATERAL with an aggregate
# or OFFSET keeps the planner from joining, which would read the whole table for a page in its middle.
# A write has an entry at least, so that not more writes are looked at than a page may have entries.
# Only writes as a whole, and at least one. The length of bytes that are stored aside is known without
# reading them. The sum is of bigints: a parameter has the type that it needs, and two small ones would
# overflow at 32,767.
_PAGE: Final = """
    WITH sized AS (
        SELECT write.seq, write.write_id, write.committed_at, row_number() OVER first_ones AS place,
               sum(own.entries) OVER first_ones AS entries,
               sum(own.size_bytes) OVER first_ones AS size_bytes
          FROM bar_write AS write
         CROSS JOIN LATERAL (
            SELECT count(*) AS entries, sum(coalesce(octet_length(bars), 0)) AS size_bytes
              FROM bar_change WHERE write_id = write.write_id) AS own
         WHERE write.seq > %(after)s AND write.seq <= %(after)s::bigint + %(entries)s
        WINDOW first_ones AS (ORDER BY write.seq)
    )
    SELECT sized.seq, part::int, (extract(epoch FROM sized.committed_at) * 1000000)::bigint, kind,
           symbols, timeframe,
           (extract(epoch FROM range_start) * 1000000)::bigint,
           (extract(epoch FROM range_end) * 1000000)::bigint, accepted, revised, reason, bars
      FROM sized
     CROSS JOIN LATERAL (SELECT * FROM bar_change WHERE write_id = sized.write_id OFFSET 0) AS change
     WHERE sized.place = 1
        OR (sized.entries <= %(entries)s AND sized.size_bytes <= %(size_bytes)s)
     ORDER BY sized.seq, part
"""
# Along bar_write_seq_key to the first write whose entries are there.
_NEXT: Final = """
    SELECT write.seq FROM bar_write AS write
     WHERE write.seq > %s AND EXISTS (SELECT FROM bar_change WHERE write_id = write.write_id)
     ORDER BY write.seq LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class PageLimits:
    """What a page of the log may have; a single write that has more is a page of its own.

    Attributes
    ----------
    entries : int
        As many small ones are read in some milliseconds.
    size_bytes : int
        Of inline bars: two of the largest entries.
    """

    entries: int = 1_000
    size_bytes: int = 4 * 1024 * 1024


PAGE_LIMITS: Final = PageLimits()


class LogReader:
    """Reads the log over connections of the pools.

    Parameters
    ----------
    pools : Pools
        Each call borrows a connection of short statements, and gives it back.
    limits : PageLimits
        Of a page.
    """

    def __init__(self, pools: Pools, limits: PageLimits = PAGE_LIMITS) -> None:
        self._pools = pools
        self._limits = limits

    async def bounds(self) -> LogBounds:
        """Tell what the log holds now; see `read_bounds`."""
        async with self._pools.query() as connection:
            return await read_bounds(connection)

    async def page(self, after_seq: int) -> Sequence[LogEntry]:
        """Read the entries behind `after_seq`; see `read_page`."""
        async with self._pools.query() as connection:
            return await read_page(connection, after_seq, self._limits)


async def read_bounds(connection: Connection) -> LogBounds:
    """Read what the log holds.

    Raises
    ------
    DatabaseSetupError
        The asking role may not see what tells one server from another.
    """
    try:
        cursor = await connection.execute(_BOUNDS)
    except pg.InsufficientPrivilege as error:
        raise DatabaseSetupError(
            f"the change log's generation cannot be told: {error.diag.message_primary}; as an "
            f"administrator run GRANT EXECUTE ON FUNCTION pg_control_system() TO {connection.info.user}"
        ) from error
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 -- both rows are made by migrations
    stored, system_identifier, database_oid, timeline, oldest_seq, head_seq, committed_us = row
    generation = make_generation(stored.bytes, system_identifier, timeline, database_oid)
    return LogBounds(generation, oldest_seq, head_seq, committed_us)


async def read_page(
    connection: Connection, after_seq: int, limits: PageLimits = PAGE_LIMITS
) -> Sequence[LogEntry]:
    """Read the entries behind a seq that is less than the head's, in the order (seq, part).

    Returns
    -------
    sequence of LogEntry
        Not empty, without a gap, each seq with all of its entries.

    Raises
    ------
    LogTrimmedError
        The entries right behind `after_seq` are not there any more.
    """
    parameters = {
        "after": after_seq,
        "entries": limits.entries,
        "size_bytes": limits.size_bytes,
    }
    cursor = await connection.execute(_PAGE, parameters, binary=True)
    rows = await cursor.fetchall()
    if not _is_whole(rows, after_seq):
        raise await _missing(connection, after_seq)
    feeds = (await read_catalog(connection)).names
    return [entry_of(row, feeds) for row in rows]


async def renew_generation(pools: Pools) -> tuple[LogBounds, LogBounds]:
    """Begin another history: positions of before are refused from now on.

    Returns
    -------
    (LogBounds, LogBounds)
        Before and after.
    """
    async with pools.query() as connection, connection.transaction():
        before = await read_bounds(connection)
        await connection.execute("UPDATE bar_log SET generation = gen_random_uuid()")
        return before, await read_bounds(connection)


def _is_whole(rows: Sequence[tuple[Any, ...]], after_seq: int) -> bool:
    """Whether the rows begin right behind a seq and leave none out: seq has no gaps."""
    if not rows or rows[0][:2] != (after_seq + 1, 0):
        return False
    return all(
        later[:2] in ((row[0], row[1] + 1), (row[0] + 1, 0)) for row, later in itertools.pairwise(rows)
    )


async def _missing(connection: Connection, after_seq: int) -> LogTrimmedError:
    cursor = await connection.execute(_NEXT, [after_seq + 1])
    row = await cursor.fetchone()
    if row is None:
        row = ((await read_bounds(connection)).head_seq + 1,)
    return trimmed(after_seq, row[0])
