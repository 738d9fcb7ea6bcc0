"""TimescaleDB's columnstore, its policies and chunk intervals, brought to what the settings say."""

from typing import Any, Final

from psycopg import sql

from marketdata.domain.timeframe import Timeframe
from marketdata.storage.address import Address
from marketdata.storage.bar_storage import STORED
from marketdata.storage.bar_tables import bar_table, bar_table_label, bar_table_name
from marketdata.storage.modes import StorageMode
from marketdata.storage.owner_connection import owner_connection
from marketdata.storage.pools import Connection

_FOUND: Final = """
    SELECT dimension.time_interval = kept.partition_interval,
           (SELECT string_agg(attname || ':' || coalesce(segmentby_column_index::text, '')
                              || ':' || coalesce(orderby_column_index::text, ''), ',' ORDER BY attname)
              FROM timescaledb_information.compression_settings AS setting
             WHERE setting.hypertable_schema = 'public' AND setting.hypertable_name = %(name)s),
           (SELECT (config ->> 'compress_after')::interval = kept.compress_after
              FROM timescaledb_information.jobs AS job
             WHERE job.hypertable_schema = 'public' AND job.hypertable_name = %(name)s
               AND job.proc_name = 'policy_compression')
      FROM bar_storage AS kept, timescaledb_information.dimensions AS dimension
     WHERE kept.which = %(which)s::bar_table
       AND dimension.hypertable_schema = 'public' AND dimension.hypertable_name = %(name)s
"""
# A segment a symbol: a read of one symbol decompresses its rows only, in the order of the index.
_SETTINGS: Final = "symbol:1:,time::1"
_ALTER: Final = sql.SQL("""
    ALTER TABLE {} SET (timescaledb.compress, timescaledb.compress_segmentby = 'symbol',
                        timescaledb.compress_orderby = 'time')
""")
_SET_INTERVAL: Final = """
    SELECT set_chunk_time_interval(%(name)s::regclass, partition_interval)
      FROM bar_storage WHERE which = %(which)s::bar_table
"""
_REMOVE_POLICY: Final = "SELECT remove_compression_policy(%(name)s::regclass, if_exists => true)"
_ADD_POLICY: Final = """
    SELECT add_compression_policy(%(name)s::regclass, compress_after => compress_after)
      FROM bar_storage WHERE which = %(which)s::bar_table
"""


async def settle_columnstore(address: Address, mode: StorageMode) -> list[str]:
    """Bring chunk intervals, columnstore and compression policies to what `bar_storage` says.

    What is so already is left alone. In plain mode there is nothing to do; the Apache edition has the
    intervals only.

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
        A stream kept a table; the next start, or the same command, goes on.
    """
    if not mode.has_hypertables:
        return []
    async with owner_connection(address) as connection:
        changed = []
        for timeframe in STORED:
            async with connection.transaction():
                changed += await _settle(connection, timeframe, mode)
        return changed


async def _settle(connection: Connection, timeframe: Timeframe, mode: StorageMode) -> list[str]:
    parameters = {"name": bar_table_name(timeframe), "which": bar_table_label(timeframe)}
    has_interval, settings, has_policy = await _found(connection, parameters)
    changed = []
    if not has_interval:
        await connection.execute(_SET_INTERVAL, parameters)
        changed.append(f"{timeframe.value}: interval of new chunks")
    if mode is not StorageMode.TIMESCALE:
        return changed
    if settings != _SETTINGS:
        await connection.execute(_ALTER.format(bar_table(timeframe)))
        changed.append(f"{timeframe.value}: columnstore")
    if not has_policy:
        await connection.execute(_REMOVE_POLICY, parameters)
        await connection.execute(_ADD_POLICY, parameters)
        changed.append(f"{timeframe.value}: compression policy")
    return changed


async def _found(connection: Connection, parameters: dict[str, Any]) -> tuple[Any, ...]:
    cursor = await connection.execute(_FOUND, parameters)
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 -- a migration made the table and its row
    return row
