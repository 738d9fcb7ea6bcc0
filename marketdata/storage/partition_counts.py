"""Rows of a partition counted while its writers go on, and whether the count still holds later."""

from dataclasses import dataclass
from typing import Final

from psycopg import sql

from marketdata.domain.time_range import TimeRange, from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_tables import bar_table
from marketdata.storage.pools import Connection

# One statement has one snapshot: the rows are those of exactly that seq. Both bounds of time: only the
# one partition is visited.
_COUNT: Final = sql.SQL("""
    SELECT (SELECT count(*) FROM {} WHERE time >= %(start)s AND time < %(end)s),
           (SELECT seq FROM bar_log_head)
""")
# By the unique index of seq, and the key of bar_change. Whoever stores or deletes bars says so there;
# what trimmed entries said nobody knows.
_CHANGED: Final = """
    SELECT (SELECT oldest_seq > %(seq)s::bigint + 1 FROM bar_log)
        OR EXISTS (
        SELECT FROM bar_write JOIN bar_change USING (write_id)
         WHERE bar_write.seq > %(seq)s AND bar_change.timeframe = %(timeframe)s
           AND bar_change.range_start < %(end)s AND bar_change.range_end > %(start)s)
"""


@dataclass(frozen=True, slots=True)
class PartitionCount:
    """How many bars a partition had.

    Attributes
    ----------
    timeframe : Timeframe
        Of its table.
    range : TimeRange
        Of its bars, half-open.
    rows : int
        Counted, not estimated.
    seq : int
        As of which seq of the change log.
    """

    timeframe: Timeframe
    range: TimeRange
    rows: int
    seq: int


async def count_rows(
    connection: Connection, timeframe: Timeframe, time_range: TimeRange
) -> PartitionCount:
    """Count the bars of a partition; nobody waits for it but who drops the partition."""
    query = _COUNT.format(bar_table(timeframe))
    cursor = await connection.execute(query, _bounds(time_range))
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 -- a SELECT without FROM has one row
    rows, seq = row
    return PartitionCount(timeframe, time_range, rows, seq)


async def has_changed(connection: Connection, count: PartitionCount) -> bool:
    """Tell whether bars of the partition were stored or deleted since they were counted.

    It answers for good only in a transaction that holds all stripes of the table (stripes.py): no
    writer is under way then whose seq is still to come.
    """
    what = {**_bounds(count.range), "seq": count.seq, "timeframe": count.timeframe.value}
    cursor = await connection.execute(_CHANGED, what)
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


def _bounds(time_range: TimeRange) -> dict[str, object]:
    return {"start": from_unix_us(time_range.start_us), "end": from_unix_us(time_range.end_us)}
