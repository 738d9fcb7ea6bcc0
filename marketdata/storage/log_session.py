"""A connection of its own that hears of new entries of the change log, and reads them."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from marketdata.domain.log_position import LogBounds
from marketdata.storage.address import Address
from marketdata.storage.log_entries import LogEntry
from marketdata.storage.log_reader import PAGE_LIMITS, PageLimits, read_bounds, read_page
from marketdata.storage.pools import Connection
from marketdata.storage.translate import translated

# A wake-up says nothing but that the log may be longer: what it carried could be lost with it.
_LISTEN: Final = "LISTEN bar_log"
NOTIFY: Final = "NOTIFY bar_log"

# Not of a pool: a connection that listens is busy all the time, and writers that wait for theirs must
# not keep the log from being read.
_OPTIONS: Final = " ".join(
    f"-c {setting}={value}"
    for setting, value in {
        "timezone": "UTC",
        "jit": "off",
        "client_connection_check_interval": "1s",
        # A page takes milliseconds; a server that needs longer is asked again on a new connection.
        "statement_timeout": "10s",
        "lock_timeout": "10s",
        # Made for the very seqs of a page: a plan for any would expect the same part of a short log
        # and of a long one.
        "plan_cache_mode": "force_custom_plan",
    }.items()
)
# A server that vanished without a word is noticed in seconds instead of a quarter of an hour.
_CONNECTING: Final[dict[str, str | int]] = {"connect_timeout": 5, "tcp_user_timeout": 10_000}


class LogSession:
    """Hears of new entries and reads them, on one connection; psycopg's errors come out translated.

    Parameters
    ----------
    connection : Connection
        In autocommit mode, listening.
    limits : PageLimits
        Of a page.
    """

    def __init__(self, connection: Connection, limits: PageLimits) -> None:
        self._connection = connection
        self._limits = limits

    async def bounds(self) -> LogBounds:
        """Tell what the log holds now; see `read_bounds`."""
        with translated():
            return await read_bounds(self._connection)

    async def page(self, after_seq: int) -> Sequence[LogEntry]:
        """Read the entries behind `after_seq`; see `read_page`."""
        with translated():
            return await read_page(self._connection, after_seq, self._limits)

    async def wait(self, seconds: float) -> None:
        """Wait until somebody says that the log may be longer, and no longer than `seconds`."""
        with translated():
            async for _ in self._connection.notifies(timeout=seconds, stop_after=1):
                pass


@asynccontextmanager
async def log_session(
    address: Callable[[], Address], limits: PageLimits = PAGE_LIMITS
) -> AsyncIterator[LogSession]:
    """Open a connection that listens to the log, and close it at the end.

    Parameters
    ----------
    address : callable returning Address
        Asked now, since an embedded server can come back on another port.

    Raises
    ------
    DatabaseUnavailableError
        The database cannot be reached.
    """
    async with log_connection(address, "marketdata-log") as connection:
        with translated():
            # Before the first look: what comes between the two is heard.
            await connection.execute(_LISTEN)
        yield LogSession(connection, limits)


@asynccontextmanager
async def log_connection(address: Callable[[], Address], name: str) -> AsyncIterator[Connection]:
    """Open a connection of its own in autocommit mode, and close it at the end."""
    with translated():
        connection: Connection = await AsyncConnection.connect(
            make_conninfo(
                "", **address().connection_parameters(), **_CONNECTING, application_name=name
            ),
            autocommit=True,
            options=_OPTIONS,
        )
    async with connection:
        yield connection
