"""Bars counted by day ahead of time: what continuous aggregates know, and what they do not know.

A refresh counts the bars of past days. Whoever changes bars of such a day later notes the range in
TimescaleDB's invalidation logs, in the same transaction, and so does a drop of a chunk. Read together,
in one snapshot, they tell the days whose counts hold now; every other day is to be counted.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg import sql

from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_tables import aggregate_name
from marketdata.storage.pools import Connection

_CATALOG: Final = """
    SELECT mat_hypertable_id, raw_hypertable_id,
           to_regclass('_timescaledb_catalog.continuous_aggs_materialization_ranges') IS NOT NULL
      FROM _timescaledb_catalog.continuous_agg
     WHERE user_view_schema = 'public' AND user_view_name = %s
"""
# The log of an aggregate begins with all times; what lies behind the last refresh is still in it. What
# is noted later goes from the hypertable's log to that of each aggregate, and in later versions to one
# of what is about to be refreshed; each step is a transaction, so a snapshot finds it in one of them.
_STALE: Final = sql.SQL("""
    SELECT lower(span), upper(span)
      FROM (SELECT unnest(range_agg(int8range(greatest(least(low, {end}), {start}),
                                              greatest(least(high, {end}), {start}), '[]'))) AS span
              FROM (SELECT lowest_modified_value, greatest_modified_value
                      FROM _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log
                     WHERE hypertable_id = {table}
                    UNION ALL
                    SELECT lowest_modified_value, greatest_modified_value
                      FROM _timescaledb_catalog.continuous_aggs_materialization_invalidation_log
                     WHERE materialization_id = {aggregate}{refreshing}) AS noted (low, high)) AS stale
     ORDER BY 1
""")
_REFRESHING: Final = sql.SQL("""
                    UNION ALL
                    SELECT lowest_modified_value, greatest_modified_value
                      FROM _timescaledb_catalog.continuous_aggs_materialization_ranges
                     WHERE materialization_id = {aggregate}""")
_DAYS: Final = sql.SQL("""
    SELECT (extract(epoch FROM day) * 1000000)::bigint, bars FROM public.{view} ORDER BY day
""")


@dataclass(frozen=True, slots=True)
class DayCount:
    """How many bars a UTC day has, which begins at `day_us`, Unix microseconds."""

    day_us: int
    bars: int


class DayCounts:
    """What is known of a table's days.

    Parameters
    ----------
    days : sequence of DayCount
        Ascending; among them days that have changed since.
    stale : sequence of TimeRange
        Ascending, apart: what can have changed since it was counted, or was never counted.
    """

    def __init__(self, days: Sequence[DayCount], stale: Sequence[TimeRange]) -> None:
        self._days = days
        self._starts = [day.day_us for day in days]
        self._stale_starts = [span.start_us for span in stale]
        self._stale = stale

    def of(self, within: TimeRange) -> Sequence[DayCount] | None:
        """Give the days of a range of whole days that have bars; None where they are to be counted."""
        place = bisect_right(self._stale_starts, within.end_us - 1)
        if place and self._stale[place - 1].end_us > within.start_us:
            return None
        first = bisect_right(self._starts, within.start_us - 1)
        return self._days[first : bisect_right(self._starts, within.end_us - 1)]


NOTHING_KNOWN: Final = DayCounts(
    (), (TimeRange(Timeframe.DAY_1.earliest_us, Timeframe.DAY_1.latest_us),)
)


async def read_day_counts(connection: Connection, timeframe: Timeframe) -> DayCounts:
    """Read what the aggregate of a timeframe knows, where there is one.

    In timescale mode, within a transaction whose statements share a snapshot.
    """
    view = aggregate_name(timeframe)
    found = await (await connection.execute(_CATALOG, [view])).fetchone()
    if found is None:
        return NOTHING_KNOWN
    aggregate, table, has_ranges = found
    names: dict[str, Any] = {"aggregate": sql.Literal(aggregate), "table": sql.Literal(table)}
    query = _STALE.format(
        start=sql.Literal(Timeframe.DAY_1.earliest_us),
        end=sql.Literal(Timeframe.DAY_1.latest_us),
        refreshing=_REFRESHING.format(**names) if has_ranges else sql.SQL(""),
        **names,
    )
    stale = await (await connection.execute(query)).fetchall()
    days = await (await connection.execute(_DAYS.format(view=sql.Identifier(view)))).fetchall()
    return DayCounts([DayCount(*day) for day in days], [TimeRange(*span) for span in stale])
