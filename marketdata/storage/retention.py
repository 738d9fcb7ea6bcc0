"""Retention: partitions that are older than what is kept, listed and dropped, the oldest first.

The same in all storage modes. TimescaleDB's own policies are not used for it: they drop without an
entry in the change log, so that subscribers and caches would not hear of it.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from psycopg import errors as pg
from psycopg import sql

from marketdata.domain.time_range import TimeRange, from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import StorageSettingError
from marketdata.storage.bar_tables import bar_table, bar_table_label
from marketdata.storage.change_log import Change, ChangeKind, append_change, new_write_id
from marketdata.storage.partition_counts import PartitionCount, count_rows, has_changed
from marketdata.storage.partitions import read_partitions
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.stripes import lock_all_stripes

log = logging.getLogger(__name__)

_OLD: Final = """
    SELECT name, (extract(epoch FROM range_start) * 1000000)::bigint,
           (extract(epoch FROM range_end) * 1000000)::bigint, rows_estimate, size_bytes, is_compressed
      FROM bar_partitions(%(which)s::bar_table)
     WHERE range_end <= now() - (SELECT keep FROM bar_storage WHERE which = %(which)s::bar_table)
     ORDER BY range_start
"""
# What was dropped cannot be answered any more, as of when it was known.
_DROPPED_BY: Final = "UPDATE bar_storage SET dropped_by = %s WHERE which = %s::bar_table"
_PATIENCE: Final = "SET LOCAL lock_timeout = '50ms'"
_DROP: Final = """
    SELECT (extract(epoch FROM range_start) * 1000000)::bigint,
           (extract(epoch FROM range_end) * 1000000)::bigint
      FROM bar_partition_drop_oldest(%s::bar_table)
"""
# Readers hold the parent, not what is dropped (read_locks.py). PostgreSQL's own DROP of a partition
# locks it; TimescaleDB's of a chunk does not.
_EXCLUDE_READERS: Final = sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE")
# By rollup_dirty_day.
_NOT_ROLLED_UP: Final = "SELECT count(*) FROM rollup_dirty WHERE day < %s"

# Makes what has to be made of the bars before a time, which are about to be dropped.
BeforeDrop = Callable[[Timeframe, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class OldPartition:
    """A partition that is older than what is kept.

    Attributes
    ----------
    name : str
        In the database.
    range : TimeRange
        Of its bars, half-open.
    rows : int
        An estimate.
    size_bytes : int
        On disk with indexes.
    is_compressed : bool
        Whether it is in the columnstore.
    """

    name: str
    range: TimeRange
    rows: int
    size_bytes: int
    is_compressed: bool


@dataclass(frozen=True, slots=True)
class DroppedPartition:
    """A partition that was dropped, and how many bars it had, counted."""

    timeframe: Timeframe
    range: TimeRange
    rows: int


@dataclass(frozen=True, slots=True)
class RetentionResult:
    """What became of a run.

    Attributes
    ----------
    dropped : tuple of DroppedPartition
        Oldest first.
    left : int
        Partitions that readers or writers kept until the attempts were used up.
    """

    dropped: tuple[DroppedPartition, ...] = ()
    left: int = 0

    @property
    def rows(self) -> int:
        """Bars that were dropped."""
        return sum(partition.rows for partition in self.dropped)


@dataclass(frozen=True, slots=True)
class BackOff:
    """How a run goes about partitions that are in use.

    Attributes
    ----------
    attempts : int
        Failed ones of a run; after the last it ends. With the waits between them half a minute: a
        stream lasts for a minute at the most, and the next run comes soon.
    first_seconds, most_seconds : float
        The wait after the first failure doubles up to the most; each is cut by up to a half at random,
        so that two processes part.
    """

    attempts: int = 12
    first_seconds: float = 0.1
    most_seconds: float = 4.0

    def seconds(self, failures: int) -> float:
        """Tell how long to wait after so many failures in a row."""
        longest = min(self.most_seconds, self.first_seconds * 2.0 ** (failures - 1))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 -- no secret


async def nothing_before(_timeframe: Timeframe, _until_us: int) -> None:
    """Make nothing of the bars that are dropped."""


class Retention:
    """Lists and drops partitions that are older than what is kept.

    Parameters
    ----------
    pools : Pools
        Where queries and transactions run.
    before_drop : callable
        Awaited before each partition is dropped, with its timeframe and the end of its bars, Unix
        microseconds: what is made of them has to be made now. Where it fails nothing is dropped.
    back_off : BackOff
        What to do about partitions in use.
    """

    def __init__(
        self,
        pools: Pools,
        before_drop: BeforeDrop = nothing_before,
        back_off: BackOff = BackOff(),
    ) -> None:
        self._pools = pools
        self._before_drop = before_drop
        self._back_off = back_off
        self._counted: PartitionCount | None = None

    async def find_old(self, timeframe: Timeframe) -> list[OldPartition]:
        """List what `apply` would drop now, oldest first, whether or not that is confirmed."""
        async with self._pools.query() as connection:
            rows = await read_partitions(connection, _OLD, {"which": bar_table_label(timeframe)})
        return [
            OldPartition(name, TimeRange(start_us, end_us), count, size_bytes, is_compressed)
            for name, start_us, end_us, count, size_bytes, is_compressed in rows
        ]

    async def apply(
        self,
        timeframe: Timeframe,
        reason: str,
        on_dropped: Callable[[DroppedPartition], None] = lambda _: None,
    ) -> RetentionResult:
        """Drop what is older than what is kept, each partition in a transaction of its own.

        Cancelled, it leaves the partition that is under way as it was, and the ones before dropped.

        Parameters
        ----------
        reason : str
            Kept in the change log.
        on_dropped : callable
            Told of each partition.

        Raises
        ------
        StorageSettingError
            Nobody confirmed it, or somebody has withdrawn it meanwhile.
        DatabaseUnavailableError, QueryTimeoutError
            What was not told of was not dropped.
        """
        dropped: list[DroppedPartition] = []
        failures = in_a_row = 0
        self._counted = None
        while old := await self.find_old(timeframe):
            found = await self._drop_one(timeframe, old[0].range, reason)
            if found is not None:
                in_a_row = 0
                dropped.append(found)
                _log_dropped(found)
                on_dropped(found)
                continue
            failures, in_a_row = failures + 1, in_a_row + 1
            if failures >= self._back_off.attempts:
                log.warning("retention_left", extra={"timeframe": timeframe.value, "left": len(old)})
                return RetentionResult(tuple(dropped), len(old))
            await asyncio.sleep(self._back_off.seconds(in_a_row))
        return RetentionResult(tuple(dropped))

    async def _drop_one(
        self, timeframe: Timeframe, time_range: TimeRange, reason: str
    ) -> DroppedPartition | None:
        """Drop the oldest partition, which is of this range; None where it is in use."""
        await self._before_drop(timeframe, time_range.end_us)
        async with self._pools.query() as connection:
            try:
                waiting = await _not_rolled_up(connection, time_range.end_us)
                count = await self._count(connection, timeframe, time_range)
                async with connection.transaction():
                    return await _drop(connection, count, waiting, reason)
            except (pg.LockNotAvailable, pg.DeadlockDetected, _Changed):
                return None
            except pg.ObjectNotInPrerequisiteState as error:
                raise StorageSettingError(
                    f"retention of {timeframe.value} bars is not confirmed; marketdata retention show "
                    "lists what it would drop, marketdata retention apply confirms it"
                ) from error

    async def _count(
        self, connection: Connection, timeframe: Timeframe, time_range: TimeRange
    ) -> PartitionCount:
        """Count the rows before anybody has to wait; not again at each attempt."""
        known = self._counted
        if known is None or (known.timeframe, known.range) != (timeframe, time_range):
            known = None
        if known is None or await has_changed(connection, known):
            known = self._counted = await count_rows(connection, timeframe, time_range)
        return known


class _Changed(Exception):  # noqa: N818 -- a reason to begin again, no error
    """What was to be dropped is not what was prepared."""


async def _drop(
    connection: Connection, count: PartitionCount, waiting: int, reason: str
) -> DroppedPartition:
    await connection.execute(_PATIENCE)
    # No writer is under way from here on, so that none is met in the middle.
    await lock_all_stripes(connection, count.timeframe)
    # Bars that came or went after they were counted; minutes that are in no roll-up yet.
    if await has_changed(connection, count):
        raise _Changed
    if await _not_rolled_up(connection, count.range.end_us) > waiting:
        raise _Changed
    if await _drop_oldest(connection, count.timeframe) != count.range:
        raise _Changed  # another process was faster
    await connection.execute(_EXCLUDE_READERS.format(bar_table(count.timeframe)))
    dropped = DroppedPartition(count.timeframe, count.range, count.rows)
    await _note(connection, dropped, reason)
    return dropped


async def _drop_oldest(connection: Connection, timeframe: Timeframe) -> TimeRange | None:
    cursor = await connection.execute(_DROP, [bar_table_label(timeframe)])
    row = await cursor.fetchone()
    return None if row is None else TimeRange(*row)


async def _not_rolled_up(connection: Connection, until_us: int) -> int:
    cursor = await connection.execute(_NOT_ROLLED_UP, [from_unix_us(until_us).date()])
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 -- an aggregate has one row
    return int(row[0])


async def _note(connection: Connection, dropped: DroppedPartition, reason: str) -> None:
    change = Change(
        kind=ChangeKind.RETENTION,
        symbols=(),  # all of them
        timeframe=dropped.timeframe,
        start_us=dropped.range.start_us,
        end_us=dropped.range.end_us,
        reason=reason,
    )
    write_id = await new_write_id(connection)
    await append_change(connection, write_id, change)
    await connection.execute(_DROPPED_BY, [write_id, bar_table_label(dropped.timeframe)])


def _log_dropped(dropped: DroppedPartition) -> None:
    log.info(
        "partition_dropped",
        extra={
            "timeframe": dropped.timeframe.value,
            "start": from_unix_us(dropped.range.start_us).isoformat(),
            "end": from_unix_us(dropped.range.end_us).isoformat(),
            "rows": dropped.rows,
        },
    )
