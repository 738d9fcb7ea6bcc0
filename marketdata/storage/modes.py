"""Storage modes: what the database is, and so who keeps partitions, compression and retention.

* *plain*: PostgreSQL alone. Native range partitions, which the service makes and drops.
* *apache*: TimescaleDB under its Apache licence. Hypertables; the service drops old chunks.
* *timescale*: TimescaleDB under its community licence. Hypertables, compressed by policies.

The tables, the queries and the answers are the same in all of them. A database is what it is: where
bars are stored already their tables tell the mode, an empty one takes the richest that it offers.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from marketdata.errors import DatabaseSetupError
from marketdata.storage.address import Address
from marketdata.storage.pools import Connection
from marketdata.storage.translate import translated

# MERGE-free, but daterange exclusion, date_bin and SQL-body functions need at least this.
OLDEST_POSTGRES: Final = 15

# The versions that the tests run on lie within. Below, drop_chunks and upserts into compressed chunks
# behave otherwise; what a later major version does is not known.
OLDEST_TIMESCALE: Final = (2, 19)
FIRST_UNKNOWN_TIMESCALE: Final = (3, 0)

_PROBE: Final = """
    SELECT current_setting('server_version_num')::int / 10000,
           current_setting('server_version'),
           current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on'
           AND current_setting('synchronous_commit') <> 'off',
           (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'),
           (SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb'),
           -- A setting of the extension's loader: it is there where the server loads it at its start.
           current_setting('timescaledb.max_background_workers', true) IS NOT NULL,
           (SELECT relkind::text FROM pg_class
             WHERE oid = to_regclass('market_stock_hist_bars_min_ts')),
           current_setting('timescaledb.license', true)
"""
_PARTITIONED: Final = "p"


class StorageMode(Enum):
    """Who does the work behind the same tables and queries."""

    PLAIN = "plain"
    APACHE = "apache"
    TIMESCALE = "timescale"

    @property
    def has_hypertables(self) -> bool:
        """Whether bars stand in TimescaleDB's hypertables; otherwise in native partitions."""
        return self is not StorageMode.PLAIN


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """What a probe found.

    Attributes
    ----------
    mode : StorageMode
        How bars are stored, or will be in an empty database.
    postgres_version : str
        As the server calls itself.
    timescale_version : str or None
        Of the extension in this database, or of the one that will be made in an empty one; None where
        the mode is plain.
    is_durable : bool
        Whether fsync, full_page_writes and synchronous_commit hold what is acknowledged.
    """

    mode: StorageMode
    postgres_version: str
    timescale_version: str | None
    is_durable: bool

    def __str__(self) -> str:
        """Say it in a line."""
        extension = f", TimescaleDB {self.timescale_version}" if self.timescale_version else ""
        return f"PostgreSQL {self.postgres_version}{extension}, storage mode {self.mode.value}"


async def probe_address(address: Address, wanted: StorageMode | None = None) -> DatabaseFacts:
    """Find out what a database is before there are pools; as `probe`.

    Raises
    ------
    DatabaseUnavailableError
        It cannot be reached.
    """
    with translated():
        connection = await AsyncConnection.connect(
            make_conninfo("", **address.connection_parameters()), autocommit=True
        )
        async with connection:
            return await probe(connection, wanted)


async def probe(connection: Connection, wanted: StorageMode | None = None) -> DatabaseFacts:
    """Find out what the database is.

    Parameters
    ----------
    connection : Connection
        Of any role.
    wanted : StorageMode, optional
        What an operator configured. Default: what the stored bars are in; the richest that an empty
        database offers.

    Raises
    ------
    DatabaseSetupError
        PostgreSQL or TimescaleDB is of a version that this service does not know, or the database
        cannot be what is wanted.
    """
    cursor = await connection.execute(_PROBE)
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 -- a SELECT without FROM has one row
    major, version, is_durable, installed, available, is_loaded, relkind, license_name = row
    if major < OLDEST_POSTGRES:
        raise DatabaseSetupError(
            f"the database is PostgreSQL {version}; this service needs {OLDEST_POSTGRES} or later"
        )
    extension = installed or (available if is_loaded else None)
    found = _stored_mode(relkind, license_name) or _offered_mode(extension, license_name, wanted)
    if wanted is not None and wanted is not found:
        raise DatabaseSetupError(
            f"MARKETDATA_STORAGE_MODE is {wanted.value}, but "
            + _reason(found, has_bars=relkind is not None, available=available, is_loaded=is_loaded)
        )
    if not found.has_hypertables:
        return DatabaseFacts(found, version, None, is_durable)
    _check_version(extension, is_installed=installed is not None)
    return DatabaseFacts(found, version, extension, is_durable)


def _stored_mode(relkind: str | None, license_name: str | None) -> StorageMode | None:
    if relkind is None:
        return None
    return StorageMode.PLAIN if relkind == _PARTITIONED else _licensed(license_name)


def _offered_mode(
    extension: str | None, license_name: str | None, wanted: StorageMode | None
) -> StorageMode:
    if extension is None or wanted is StorageMode.PLAIN:
        return StorageMode.PLAIN
    return _licensed(license_name)


def _licensed(license_name: str | None) -> StorageMode:
    # Without a setting the extension is not made yet; community is what it then starts with.
    return StorageMode.APACHE if license_name == "apache" else StorageMode.TIMESCALE


def _check_version(extension: str | None, *, is_installed: bool) -> None:
    numbers = tuple(int(part) for part in (extension or "0.0").split("-")[0].split(".")[:2])
    if not OLDEST_TIMESCALE <= numbers < FIRST_UNKNOWN_TIMESCALE:
        oldest, first_unknown = (
            ".".join(map(str, bound)) for bound in (OLDEST_TIMESCALE, FIRST_UNKNOWN_TIMESCALE)
        )
        owner, remedy = (
            ("database", "update it with ALTER EXTENSION timescaledb UPDATE")
            if is_installed
            else ("server", "install one of these on the server, or set MARKETDATA_STORAGE_MODE=plain")
        )
        raise DatabaseSetupError(
            f"the {owner} has TimescaleDB {extension}; this service knows {oldest} up to, and not "
            f"including, {first_unknown}: {remedy}"
        )


def _reason(found: StorageMode, *, has_bars: bool, available: str | None, is_loaded: bool) -> str:
    if has_bars:
        return (
            f"the bars of this database are stored in mode {found.value}; "
            "leave the setting empty, or start with an empty database and import into it"
        )
    if found.has_hypertables:
        return f"timescaledb.license makes it {found.value}: change the licence, or the setting"
    if available is None:
        return "the server has no TimescaleDB: install it, or set plain"
    assert not is_loaded  # noqa: S101 -- it would be offered
    return (
        "the server does not load TimescaleDB: add it to shared_preload_libraries and restart, "
        "or set plain"
    )
