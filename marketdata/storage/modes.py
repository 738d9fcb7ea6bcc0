"""Storage modes: what the database is, and so who keeps partitions, compression and retention.

Only the plain mode is served so far. The TimescaleDB modes come in at three seams: `StorageMode`, the
migrations named after a mode (``NNNN_name.plain.sql``) and the class that keeps partitions.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from marketdata.errors import DatabaseSetupError
from marketdata.storage.pools import Connection

# MERGE-free, but daterange exclusion, date_bin and SQL-body functions need at least this.
OLDEST_POSTGRES: Final = 15

_PROBE: Final = """
    SELECT current_setting('server_version_num')::int / 10000,
           current_setting('server_version'),
           current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on'
           AND current_setting('synchronous_commit') <> 'off'
"""


class StorageMode(Enum):
    """Who does the work behind the same tables and queries."""

    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """What a probe found.

    Attributes
    ----------
    mode : StorageMode
        How bars are stored.
    postgres_version : str
        As the server calls itself.
    is_durable : bool
        Whether fsync, full_page_writes and synchronous_commit hold what is acknowledged.
    """

    mode: StorageMode
    postgres_version: str
    is_durable: bool


async def probe(connection: Connection) -> DatabaseFacts:
    """Find out what the database is.

    Raises
    ------
    DatabaseSetupError
        PostgreSQL is older than this service can use.
    """
    cursor = await connection.execute(_PROBE)
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 -- a SELECT without FROM has one row
    major, version, is_durable = row
    if major < OLDEST_POSTGRES:
        raise DatabaseSetupError(
            f"the database is PostgreSQL {version}; this service needs {OLDEST_POSTGRES} or later"
        )
    return DatabaseFacts(StorageMode.PLAIN, version, is_durable)
