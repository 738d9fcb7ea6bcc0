"""What the bar tables hold, by what the database knows of their partitions: nothing is counted."""

from dataclasses import dataclass
from typing import Final

from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_tables import bar_table_label, bar_table_name
from marketdata.storage.partitions import read_partitions
from marketdata.storage.pools import Connection

_PARTITIONS: Final = """
    SELECT count(*), count(*) FILTER (WHERE is_compressed), coalesce(sum(rows_estimate), 0)::bigint,
           coalesce(sum(size_bytes), 0)::bigint
      FROM bar_partitions(%(which)s::bar_table)
"""
# By the primary key; a row a symbol.
_BOUNDS: Final = """
    SELECT (extract(epoch FROM min(first_time)) * 1000000)::bigint,
           (extract(epoch FROM max(time)) * 1000000)::bigint
      FROM bar_latest WHERE timeframe = %(timeframe)s
"""
# Only the community edition knows it; the others refuse the question.
_HAS_COLUMNSTORE: Final = """
    SELECT relkind = 'r' AND coalesce(current_setting('timescaledb.license', true), '') = 'timescale'
      FROM pg_class WHERE oid = %(name)s::regclass
"""
# A compressed chunk that was never analyzed says that it has no rows; its compression counted them.
_COMPRESSION: Final = """
    SELECT coalesce(before_compression_total_bytes, 0)::bigint,
           coalesce(after_compression_total_bytes, 0)::bigint,
           (SELECT coalesce(sum(size.numrows_pre_compression), 0)::bigint
              FROM _timescaledb_catalog.compression_chunk_size AS size
              JOIN _timescaledb_catalog.chunk ON chunk.id = size.chunk_id
              JOIN _timescaledb_catalog.hypertable AS parent ON parent.id = chunk.hypertable_id
             WHERE parent.schema_name = 'public' AND parent.table_name = %(name)s::text)
      FROM hypertable_compression_stats(%(name)s::text::regclass)
"""


@dataclass(frozen=True, slots=True)
class TableSize:
    """What one bar table holds.

    Attributes
    ----------
    partitions, compressed : int
        How many there are, and how many of them are compressed.
    rows : int
        An estimate from the partitions' statistics.
    size_bytes : int
        On disk with indexes.
    bytes_before, bytes_after : int
        Of the compressed ones: what they took, and what they take; 0 where there are none.
    first_us, last_us : int or None
        No bar is earlier, and the time of the newest; None in an empty table.
    """

    timeframe: Timeframe
    partitions: int
    compressed: int
    rows: int
    size_bytes: int
    bytes_before: int
    bytes_after: int
    first_us: int | None
    last_us: int | None


async def read_table_size(connection: Connection, timeframe: Timeframe) -> TableSize:
    """Read what a bar table holds, on a connection outside of a transaction."""
    parameters = {
        "which": bar_table_label(timeframe),
        "name": bar_table_name(timeframe),
        "timeframe": timeframe.value,
    }
    ((partitions, compressed, rows, size_bytes),) = await read_partitions(
        connection, _PARTITIONS, parameters
    )
    ((first_us, last_us),) = await read_partitions(connection, _BOUNDS, parameters)
    ((has_columnstore,),) = await read_partitions(connection, _HAS_COLUMNSTORE, parameters)
    before = after = 0
    if has_columnstore:
        ((before, after, counted),) = await read_partitions(connection, _COMPRESSION, parameters)
        rows = max(rows, counted)
    return TableSize(
        timeframe, partitions, compressed, rows, size_bytes, before, after, first_us, last_us
    )
