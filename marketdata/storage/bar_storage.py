"""How each bar table is kept: the rows that an operator changes on a live system."""

from dataclasses import dataclass
from typing import Any, Final

from psycopg import errors as pg

from marketdata.domain.calendar_span import CalendarSpan
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import StorageSettingError
from marketdata.storage.bar_tables import bar_table_label
from marketdata.storage.pools import Connection, Pools

STORED: Final = tuple(timeframe for timeframe in Timeframe if timeframe.is_stored)

# The floor of retention, as the table checks it: below it a slip of the keyboard would delete what is
# in use.
LEAST_KEEP: Final = {
    Timeframe.MINUTE_1: CalendarSpan(days=7),
    Timeframe.HOUR_1: CalendarSpan(days=90),
    Timeframe.DAY_1: CalendarSpan(days=365),
}
_MOST_INTERVAL_DAYS: Final = 366

_SELECT: Final = """
    SELECT extract(epoch FROM partition_interval)::bigint / 86400,
           (extract(year FROM compress_after) * 12 + extract(month FROM compress_after))::int,
           extract(day FROM compress_after)::int,
           (extract(year FROM keep) * 12 + extract(month FROM keep))::int, extract(day FROM keep)::int,
           (extract(epoch FROM keep_confirmed_at) * 1000000)::bigint,
           (extract(epoch FROM dropped_before) * 1000000)::bigint
      FROM bar_storage WHERE which = %s::bar_table
"""
_LOCKED: Final = _SELECT + " FOR UPDATE"
# What was confirmed is to drop what is older than the keep of that time: a shorter one is asked again.
_UPDATE: Final = """
    UPDATE bar_storage
       SET partition_interval = make_interval(days => %(interval)s),
           compress_after = make_interval(months => %(compress_months)s, days => %(compress_days)s),
           keep = make_interval(months => %(keep_months)s, days => %(keep_days)s),
           keep_confirmed_at = CASE
               WHEN make_interval(months => %(keep_months)s, days => %(keep_days)s) >= keep
               THEN keep_confirmed_at END
     WHERE which = %(which)s::bar_table
"""
_CONFIRM: Final = """
    UPDATE bar_storage SET keep_confirmed_at = coalesce(keep_confirmed_at, clock_timestamp())
     WHERE which = %(which)s::bar_table
       AND keep = make_interval(months => %(keep_months)s, days => %(keep_days)s)
"""
_WITHDRAW: Final = """
    UPDATE bar_storage SET keep_confirmed_at = NULL
     WHERE which = %s::bar_table AND keep_confirmed_at IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class TableStorage:
    """How the bars of a timeframe are kept.

    Attributes
    ----------
    timeframe : Timeframe
        One that is stored.
    interval_days : int
        Days that a new partition covers.
    compress_after : CalendarSpan
        Age of a chunk that is compressed; only where there is a columnstore.
    keep : CalendarSpan
        Age of a partition that retention drops.
    confirmed_us : int or None
        When an operator confirmed that it does, Unix microseconds; None: nothing is ever dropped.
    dropped_before_us : int or None
        What is older was dropped; None: nothing was.
    """

    timeframe: Timeframe
    interval_days: int
    compress_after: CalendarSpan
    keep: CalendarSpan
    confirmed_us: int | None
    dropped_before_us: int | None

    @property
    def is_confirmed(self) -> bool:
        """Whether retention drops what is older than `keep`."""
        return self.confirmed_us is not None


class BarStorage:
    """Reads and changes how bar tables are kept.

    Parameters
    ----------
    pools : Pools
        Where queries and transactions run.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def get(self, timeframe: Timeframe) -> TableStorage:
        """Read the settings of a table."""
        async with self._pools.query() as connection:
            return await _read(connection, timeframe, _SELECT)

    async def of_all(self) -> list[TableStorage]:
        """List the settings of all tables, the finest timeframe first."""
        return [await self.get(timeframe) for timeframe in STORED]

    async def change(
        self,
        timeframe: Timeframe,
        *,
        interval: CalendarSpan | None = None,
        compress_after: CalendarSpan | None = None,
        keep: CalendarSpan | None = None,
    ) -> TableStorage:
        """Change what is given, and return what holds now.

        A new interval is that of partitions made from now on. A shorter `keep` withdraws the
        confirmation of retention: what it drops was not what somebody confirmed.

        Raises
        ------
        StorageSettingError
            A value is out of its bounds; nothing was changed.
        """
        check_settings(timeframe, interval, compress_after, keep)
        async with self._pools.query() as connection, connection.transaction():
            found = await _read(connection, timeframe, _LOCKED)
            compress_after, keep = compress_after or found.compress_after, keep or found.keep
            parameters = {
                "which": bar_table_label(timeframe),
                "interval": interval.days if interval else found.interval_days,
                "compress_months": compress_after.months,
                "compress_days": compress_after.days,
                "keep_months": keep.months,
                "keep_days": keep.days,
            }
            try:
                await connection.execute(_UPDATE, parameters)
            except pg.CheckViolation as error:
                raise StorageSettingError(
                    f"the database refuses these settings of {timeframe.value} bars by its constraint "
                    f"{error.diag.constraint_name}; nothing was changed"
                ) from error
            return await _read(connection, timeframe, _SELECT)

    async def confirm_retention(self, timeframe: Timeframe, keep: CalendarSpan) -> None:
        """Let retention drop what is older than `keep`, from now on and until it is withdrawn.

        Parameters
        ----------
        keep : CalendarSpan
            What the operator saw: it has to be what is stored.

        Raises
        ------
        StorageSettingError
            Somebody has changed it meanwhile; nothing was confirmed.
        """
        parameters = {
            "which": bar_table_label(timeframe),
            "keep_months": keep.months,
            "keep_days": keep.days,
        }
        async with self._pools.query() as connection:
            if not (await connection.execute(_CONFIRM, parameters)).rowcount:
                raise StorageSettingError(
                    f"{timeframe.value} bars are not kept for {keep} any more: somebody changed it; "
                    "look at marketdata retention show, and confirm that"
                )

    async def withdraw_retention(self, timeframe: Timeframe) -> bool:
        """Drop nothing any more; return whether it was confirmed."""
        async with self._pools.query() as connection:
            cursor = await connection.execute(_WITHDRAW, [bar_table_label(timeframe)])
            return cursor.rowcount > 0


def check_settings(
    timeframe: Timeframe,
    interval: CalendarSpan | None,
    compress_after: CalendarSpan | None,
    keep: CalendarSpan | None,
) -> None:
    """Hold new settings to their bounds; all violations are said at once.

    Raises
    ------
    StorageSettingError
        A value is out of its bounds.
    """
    problems = []
    if interval and (interval.months or not 1 <= interval.days <= _MOST_INTERVAL_DAYS):
        problems.append(f"interval {interval}: partitions are whole days, from 1d to 366d")
    if compress_after and compress_after.least_days < 1:
        problems.append(f"compress-after {compress_after}: the least is 1d")
    least = LEAST_KEEP[timeframe]
    if keep and keep.least_days < least.least_days:
        problems.append(f"keep {keep}: the least for {timeframe.value} bars is {least}")
    if problems:
        raise StorageSettingError("; ".join(problems))


async def _read(connection: Connection, timeframe: Timeframe, query: Any) -> TableStorage:
    cursor = await connection.execute(query, [bar_table_label(timeframe)])
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 -- a migration made a row a table
    interval, compress_months, compress_days, keep_months, keep_days, confirmed_us, dropped_us = row
    return TableStorage(
        timeframe,
        interval,
        CalendarSpan(compress_months, compress_days),
        CalendarSpan(keep_months, keep_days),
        confirmed_us,
        dropped_us,
    )
