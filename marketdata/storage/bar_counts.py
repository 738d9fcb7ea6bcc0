"""Bars of a table counted: by day ahead of time where that is known, else now, or estimated."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from psycopg import sql

from marketdata.domain.time_range import TimeRange, from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_tables import bar_table
from marketdata.storage.day_counts import DayCounts
from marketdata.storage.pools import Connection

# Counting reads what it counts: so much takes a tenth of a second from memory, a second from a disk.
# Minutes of ten years would take minutes.
MOST_COUNTED_BYTES: Final = 128 * 2**20

# Each is locked with its index until its transaction ends; a server with default settings has room for
# 6,400 such locks, of all transactions.
_MOST_PARTITIONS_A_STATEMENT: Final = 256

# Only the partitions of the range are visited.
_COUNT: Final = sql.SQL("SELECT count(*) FROM {table} WHERE time >= %(start)s AND time < %(end)s")
# By the primary key, a symbol at a time: there is no index by time alone.
_FIRST: Final = sql.SQL("""
    SELECT (extract(epoch FROM min(first.time)) * 1000000)::bigint
      FROM bar_latest AS latest
     CROSS JOIN LATERAL (
        SELECT time FROM {table} AS bar
         WHERE bar.symbol = latest.symbol AND bar.time >= %(start)s AND bar.time < %(end)s
         ORDER BY bar.time LIMIT 1) AS first
     WHERE latest.timeframe = %(timeframe)s
""")


@dataclass(frozen=True, slots=True)
class PartitionSize:
    """What the database knows of a partition.

    Attributes
    ----------
    range : TimeRange
        Of its bars; whole days.
    is_compressed : bool
        Whether it is in the columnstore.
    size_bytes : int
        On disk with indexes.
    rows_estimate : int
        From statistics, which are as old as the last ANALYZE; else from the size.
    """

    range: TimeRange
    is_compressed: bool
    size_bytes: int
    rows_estimate: int


@dataclass(frozen=True, slots=True)
class BarCount:
    """How many bars there are, and whether a part of them is estimated."""

    rows: int
    is_estimate: bool


async def count_bars(
    connection: Connection,
    timeframe: Timeframe,
    partitions: Sequence[PartitionSize],
    known: DayCounts,
    most_counted_bytes: int,
) -> BarCount:
    """Count the bars of a table, within a transaction whose statements share a snapshot.

    Parameters
    ----------
    partitions : sequence of PartitionSize
        All, ascending.
    known : DayCounts
        What need not be counted.
    most_counted_bytes : int
        Where partitions that are not known are larger together, they are estimated.
    """
    days = [known.of(partition.range) for partition in partitions]
    rows = sum(day.bars for found in days if found is not None for day in found)
    unknown = [partition for partition, found in zip(partitions, days, strict=True) if found is None]
    if sum(partition.size_bytes for partition in unknown) > most_counted_bytes:
        return BarCount(rows + sum(part.rows_estimate for part in unknown), is_estimate=True)
    for span in _stretches(partitions, days):
        rows += await _count(connection, timeframe, span)
    return BarCount(rows, is_estimate=False)


async def find_first(
    connection: Connection, timeframe: Timeframe, partitions: Sequence[PartitionSize]
) -> int | None:
    """Tell the time of the first bar, Unix microseconds: in the first partition that has any."""
    query = _FIRST.format(table=bar_table(timeframe))
    for partition in partitions:
        parameters = {"timeframe": timeframe.value, **_bounds(partition.range)}
        async for (first_us,) in await connection.execute(query, parameters):
            if first_us is not None:
                return int(first_us)
    return None


def _stretches(
    partitions: Sequence[PartitionSize], days: Sequence[object | None]
) -> Iterator[TimeRange]:
    """Put neighbours together that are to be counted, as many as a statement may lock."""
    numbered = zip(partitions, days, strict=True)
    for is_unknown, group in groupby(numbered, lambda pair: pair[1] is None):
        spans = [partition.range for partition, _ in group] if is_unknown else []
        for first in range(0, len(spans), _MOST_PARTITIONS_A_STATEMENT):
            part = spans[first : first + _MOST_PARTITIONS_A_STATEMENT]
            yield TimeRange(part[0].start_us, part[-1].end_us)


async def _count(connection: Connection, timeframe: Timeframe, span: TimeRange) -> int:
    # Rolled back, so that the locks of its partitions go, and the snapshot stays.
    async with connection.transaction(force_rollback=True):
        query = _COUNT.format(table=bar_table(timeframe))
        cursor = await connection.execute(query, _bounds(span))
        return sum([count async for (count,) in cursor])


def _bounds(span: TimeRange) -> dict[str, object]:
    return {"start": from_unix_us(span.start_us), "end": from_unix_us(span.end_us)}
