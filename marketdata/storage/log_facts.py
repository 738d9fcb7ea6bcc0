"""What an operator wants to know of the change log."""

from dataclasses import dataclass
from typing import Final

from marketdata.domain.log_position import LogBounds
from marketdata.storage.log_reader import read_bounds
from marketdata.storage.pools import Connection

# By bar_write_seq_key.
_FACTS: Final = """
    SELECT (SELECT (extract(epoch FROM committed_at) * 1000000)::bigint FROM bar_write WHERE seq = %s),
           pg_total_relation_size('bar_change'), pg_total_relation_size('bar_write')
"""


@dataclass(frozen=True, slots=True)
class LogFacts:
    """The bounds of the log, and what it takes.

    Attributes
    ----------
    bounds : LogBounds
        First and last entry, and the generation.
    oldest_us : int or None
        When the oldest entry was committed, Unix microseconds; None in an empty log.
    entries_bytes : int
        Of the entries, which are trimmed, on disk with indexes.
    writes_bytes : int
        Of the rows that tell the seq and the time of each write, which stay.
    """

    bounds: LogBounds
    oldest_us: int | None
    entries_bytes: int
    writes_bytes: int


async def read_log_facts(connection: Connection) -> LogFacts:
    """Read them on a connection of the caller's."""
    bounds = await read_bounds(connection)
    cursor = await connection.execute(_FACTS, [bounds.oldest_seq])
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 -- a SELECT without FROM has one row
    return LogFacts(bounds, *row)
