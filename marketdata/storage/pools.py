"""Connection pools: one for queries and writes, one for look-ups, one for bulk reads."""

import asyncio
import select
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

from psycopg import AsyncConnection, IsolationLevel
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool

from marketdata.storage.address import Address
from marketdata.storage.parameters import ArrayParameter, ArrayParameterDumper
from marketdata.storage.translate import translated

Connection = AsyncConnection[tuple[Any, ...]]

# Look-ups that wait together share a connection (coalesce.py): one is enough, and the others stand in
# where it is slow.
MOST_LOOKUPS: Final = 4

# While the database is known to be down a call must not wait out the whole pool timeout to say so;
# one second still bridges the restart of an embedded server.
_TIMEOUT_WHILE_DOWN_SECONDS: Final = 1.0

_SESSION: Final[Mapping[str, str]] = {
    "timezone": "UTC",
    # Acknowledged means on disk, whatever the server's default is.
    "synchronous_commit": "on",
    # Plans are made for the very bounds of a query: a generic plan of a bar query visits every
    # partition (2,500 of them make it 100 times slower).
    "plan_cache_mode": "force_custom_plan",
    # Compiling costs more than any query of this service takes.
    "jit": "off",
    # A backend whose client died ends after a second; without it it runs on for ten.
    "client_connection_check_interval": "1s",
    # A writer that stops between two statements must not hold its stripes for long.
    "idle_in_transaction_session_timeout": "30s",
    "lock_timeout": "10s",
}
_QUERY_SESSION: Final = {
    **_SESSION,
    "statement_timeout": "30s",
    # TimescaleDB refuses a statement that would unpack more than 100,000 compressed bars, which late
    # corrections of a few hundred symbols do: a batch holds up to 1,000. A commit is bounded already.
    "timescaledb.max_tuples_decompressed_per_dml_transaction": "0",
}
_LOOKUP_SESSION: Final = {
    **_QUERY_SESSION,
    # Look-ups visit no partitioned table, so nothing is gained by planning them anew: planning took
    # three quarters of their time (measured: 1.2 ms a statement, 0.3 ms without).
    "plan_cache_mode": "force_generic_plan",
    # The plan is made once, perhaps while the tables are empty, and must fit full ones.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
_STREAM_SESSION: Final = {
    **_SESSION,
    # A bulk read ends by its client, its deadline or the drain, so this is only a last resort.
    "statement_timeout": "15min",
    # Walk the primary key instead, which has the order: the first row leaves at once. The planner
    # takes the filter on flags to keep 0.5% of the bars, and then sorts whole ranges to save pages
    # (measured: 2 times slower over ten partitions, and no row before the last was read).
    "enable_sort": "off",
}


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Bounds of the pools.

    Attributes
    ----------
    size, overflow : int
        Connections of the query pool that are always open, and how many more may be.
    stream_size : int
        Most bulk reads at a time; each holds a connection and a thread.
    timeout_seconds : float
        How long a call waits for a free connection.
    recycle_seconds : float
        How old a connection may become.
    """

    size: int = 10
    overflow: int = 20
    stream_size: int = 40
    timeout_seconds: float = 30.0
    recycle_seconds: float = 3600.0


class _PooledConnection(AsyncConnection[tuple[Any, ...]]):
    """Knows whether the change log was appended to since it was borrowed."""

    has_appended = False


def note_append(connection: Connection) -> None:
    """Remember that a transaction of this connection appends to the change log.

    Its pool then says so when it gets the connection back: after COMMIT, whoever wrote.
    """
    if isinstance(connection, _PooledConnection):
        connection.has_appended = True


class _Pool(AsyncConnectionPool[Connection]):
    """Never hands out a connection that its server has closed while it was idle.

    After a restart of the server all idle connections are such. psycopg_pool's own `check` would
    cost every call a round trip, and waits 1, 2, 4 ... seconds after each dead one that it finds.
    """

    async def getconn(self, timeout: float | None = None) -> Connection:  # noqa: ASYNC109 -- psycopg_pool's
        """Take a connection out of the pool; see psycopg_pool."""
        while True:
            connection = await self._take(timeout)
            if not _has_ended(connection):
                return connection
            # Closed first: the pool would take it for a good one, since libpq has not read the end.
            await connection.close()
            await self.putconn(connection)  # opens another in its place

    async def _take(self, timeout: float | None) -> Connection:  # noqa: ASYNC109 -- psycopg_pool's
        # psycopg_pool waits with asyncio.wait_for, which in Python 3.11 loses a cancellation that
        # comes together with the connection: the caller would wait for what nobody does any more.
        task = asyncio.current_task()
        cancellations = task.cancelling() if task else 0
        connection = await super().getconn(timeout)
        if task and task.cancelling() > cancellations:
            await self.putconn(connection)
            raise asyncio.CancelledError
        return connection


class Pools:
    """The pools of a process; an async context manager that opens and closes them.

    Parameters
    ----------
    address : callable returning Address
        Asked at every new connection, since an embedded server can come back on another port.
    limits : PoolLimits
        Bounds.
    on_append : callable
        Called whenever the change log may have become longer; it neither waits nor fails.
    """

    def __init__(
        self,
        address: Callable[[], Address],
        limits: PoolLimits,
        on_append: Callable[[], None] = lambda: None,
    ) -> None:
        self._limits = limits
        self._on_append = on_append
        self._address = address
        self._database_is_down = False
        self._queries = self._pool(
            "queries", _QUERY_SESSION, _configure, limits.size, limits.size + limits.overflow
        )
        self._lookups = self._pool("lookups", _LOOKUP_SESSION, _configure, 1, MOST_LOOKUPS)
        self._streams = self._pool("streams", _STREAM_SESSION, _configure_stream, 1, limits.stream_size)

    def _pool(
        self,
        name: str,
        session: Mapping[str, str],
        configure: Callable[[Connection], Awaitable[None]],
        least: int,
        most: int,
    ) -> _Pool:
        options = " ".join(f"-c {setting}={value}" for setting, value in session.items())

        async def conninfo() -> str:
            return make_conninfo("", **self._address().connection_parameters())

        return _Pool(
            conninfo,
            # Every transaction is opened by name; a lone statement needs no COMMIT of its own.
            kwargs={
                "options": options,
                "application_name": f"marketdata-{name}",
                "autocommit": True,
            },
            connection_class=_PooledConnection,
            min_size=least,
            max_size=most,
            open=False,
            name=name,
            timeout=self._limits.timeout_seconds,
            max_lifetime=self._limits.recycle_seconds,
            configure=configure,
            # Reconnect attempts double their distance; a few seconds keep recovery prompt.
            reconnect_timeout=5.0,
        )

    async def __aenter__(self) -> Self:
        """Open the pools; connections are made in the background."""
        await self._queries.open()
        await self._lookups.open()
        await self._streams.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close every connection."""
        await self._streams.close()
        await self._lookups.close()
        await self._queries.close()

    def report_database(self, *, is_down: bool) -> None:
        """Tell whether the database is known to be down: calls then fail soon."""
        self._database_is_down = is_down

    @asynccontextmanager
    async def query(self) -> AsyncIterator[Connection]:
        """Borrow a connection for statements that end soon; psycopg's errors are translated."""
        with translated():
            async with self._queries.connection(self._timeout_seconds()) as connection:
                try:
                    yield connection
                finally:
                    self._tell_append(connection)

    @asynccontextmanager
    async def lookup(self) -> AsyncIterator[Connection]:
        """Borrow a connection for a read of a few rows by their keys, planned once for all values."""
        with translated():
            async with self._lookups.connection(self._timeout_seconds()) as connection:
                yield connection

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[Connection]:
        """Borrow a connection for one bulk read; psycopg's errors come out translated."""
        with translated():
            async with self._streams.connection(self._timeout_seconds()) as connection:
                yield connection

    def stats(self) -> dict[str, dict[str, int]]:
        """Count connections and waiting calls per pool, under psycopg_pool's names."""
        pools = (self._queries, self._lookups, self._streams)
        return {pool.name: pool.get_stats() for pool in pools}

    def _tell_append(self, connection: Connection) -> None:
        # Also behind a transaction that was rolled back: nobody is harmed by a look in vain.
        if isinstance(connection, _PooledConnection) and connection.has_appended:
            connection.has_appended = False
            self._on_append()

    def _timeout_seconds(self) -> float:
        if self._database_is_down:
            return min(_TIMEOUT_WHILE_DOWN_SECONDS, self._limits.timeout_seconds)
        return self._limits.timeout_seconds


async def _configure(connection: Connection) -> None:
    connection.adapters.register_dumper(ArrayParameter, ArrayParameterDumper)
    # A handful of statements are used over and over: prepare them at once.
    connection.prepare_threshold = 1


async def _configure_stream(connection: Connection) -> None:
    await _configure(connection)
    # All of one answer comes from one snapshot, and nothing is written while it is read.
    await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    await connection.set_read_only(True)


def _has_ended(connection: Connection) -> bool:
    """Tell whether the server is gone, without asking it: its socket has something to say.

    An idle connection is silent. A server that ended, or that announced it would, leaves bytes or
    an end-of-file to read.
    """
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return bool(poll.poll(0))
