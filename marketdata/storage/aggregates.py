"""TimescaleDB's continuous aggregates: bars counted by day, kept by a policy, for statistics only.

Each stands directly on its own bar table. They know no sessions, so no hour or day bar is ever served
from one. What they do not know, statistics count in the bar table (`day_counts.py`).
"""

from typing import Any, Final

from psycopg import sql

from marketdata.domain.timeframe import Timeframe
from marketdata.storage.address import SERVICE_ROLE, Address
from marketdata.storage.bar_storage import STORED
from marketdata.storage.bar_tables import aggregate_name, bar_table, bar_table_label
from marketdata.storage.modes import StorageMode
from marketdata.storage.owner_connection import owner_connection
from marketdata.storage.pools import Connection

# Where bars were dropped, or will be, a refresh would take away what is known of their days: it reaches
# back as far as bars are kept, and no further than to what was dropped. Without an end the policy
# reaches back to the first bar.
_FOUND: Final = """
    SELECT to_regclass('public.' || %(view)s) IS NOT NULL,
           (SELECT (job.config ->> 'start_offset')::interval IS NOT DISTINCT FROM reach.back
              FROM timescaledb_information.jobs AS job
              JOIN _timescaledb_catalog.continuous_agg AS aggregate
                ON aggregate.mat_hypertable_id = (job.config ->> 'mat_hypertable_id')::int
             WHERE job.proc_name = 'policy_refresh_continuous_aggregate'
               AND aggregate.user_view_schema = 'public' AND aggregate.user_view_name = %(view)s),
           reach.back
      FROM bar_storage AS kept
     CROSS JOIN LATERAL (
        SELECT CASE WHEN kept.keep_confirmed_at IS NOT NULL OR kept.dropped_before IS NOT NULL
                    THEN least(kept.keep, date_trunc('day', now()) - kept.dropped_before) END AS back
     ) AS reach
     WHERE kept.which = %(which)s::bar_table
"""
# One chunk for decades: a row a day. Not real-time: what is newer is counted with what is stale.
_CREATE: Final = sql.SQL("""
    CREATE MATERIALIZED VIEW public.{view}
      WITH (timescaledb.continuous, timescaledb.materialized_only = true,
            timescaledb.chunk_interval = '36500 days') AS
    SELECT time_bucket(interval '1 day', time) AS day, count(*) AS bars,
           count(DISTINCT symbol) AS symbols, min(time) AS first_time, max(time) AS last_time
      FROM public.{table} GROUP BY 1
      WITH NO DATA
""")
# A view of one table can be written to, and default privileges let the service do it.
_PROTECT: Final = sql.SQL("REVOKE ALL ON public.{view} FROM {service}")
_GRANT: Final = sql.SQL("GRANT SELECT ON public.{view} TO {service}")
_REMOVE_POLICY: Final = (
    "SELECT remove_continuous_aggregate_policy(%(view)s::regclass, if_exists => true)"
)
# The day before yesterday is the last one that is counted ahead: bars of the last two still come, and
# counting these two is cheap. A month a transaction: the first run may have ten years to count, and one
# snapshot of that length would keep every dead row.
_ADD_POLICY: Final = """
    SELECT add_continuous_aggregate_policy(
        %(view)s::regclass, start_offset => %(back)s::interval, end_offset => interval '1 day',
        schedule_interval => interval '1 hour', buckets_per_batch => 32)
"""


async def settle_aggregates(address: Address, mode: StorageMode) -> list[str]:
    """Make the aggregates, and bring their policies to what `bar_storage` says.

    What is so already is left alone. Only timescale mode has any. They are made empty: their policy
    fills them within the hour.

    Parameters
    ----------
    address : Address
        The database, asked by the role that owns the tables.

    Returns
    -------
    list of str
        What was changed, for people.

    Raises
    ------
    WriteConflictError
        Somebody kept a table locked; the next start, or the same command, goes on.
    """
    if mode is not StorageMode.TIMESCALE:
        return []
    async with owner_connection(address) as connection:
        changed = []
        for timeframe in STORED:
            async with connection.transaction():
                changed += await _settle(connection, timeframe)
        return changed


async def _settle(connection: Connection, timeframe: Timeframe) -> list[str]:
    view = aggregate_name(timeframe)
    parameters: dict[str, Any] = {"view": view, "which": bar_table_label(timeframe)}
    is_made, has_policy, back = await _found(connection, parameters)
    changed = []
    if not is_made:
        names = {
            "view": sql.Identifier(view),
            "table": bar_table(timeframe),
            "service": sql.Identifier(SERVICE_ROLE),
        }
        for statement in (_CREATE, _PROTECT, _GRANT):
            await connection.execute(statement.format(**names))
        changed.append(f"{timeframe.value}: bars counted by day")
    if not has_policy:
        await connection.execute(_REMOVE_POLICY, parameters)
        await connection.execute(_ADD_POLICY, {**parameters, "back": back})
        changed.append(f"{timeframe.value}: policy of the count by day")
    return changed


async def _found(connection: Connection, parameters: dict[str, Any]) -> tuple[Any, ...]:
    cursor = await connection.execute(_FOUND, parameters)
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 -- a migration made the table and its row
    return row
