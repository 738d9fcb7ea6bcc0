"""The storage layer over one database, put together as the service does it."""

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool

from marketdata.storage.actions import ActionStore
from marketdata.storage.address import Address
from marketdata.storage.bar_reader import BarReader
from marketdata.storage.commit import BarWriter
from marketdata.storage.companies import CompanyStore
from marketdata.storage.deletion import BarDeleter
from marketdata.storage.intake import BarIntake
from marketdata.storage.latest import LatestBarReader
from marketdata.storage.partitions import Partitions
from marketdata.storage.pools import Connection, PoolLimits, Pools
from marketdata.storage.statistics import StatisticsReader
from marketdata.storage.symbol_deletion import SymbolDeleter
from marketdata.storage.symbols import SymbolStore

# Connections are opened when a test needs them: most need one.
TEST_LIMITS: Final = PoolLimits(size=1, overflow=19, stream_size=8, timeout_seconds=10.0)


@dataclass(frozen=True, slots=True)
class Storage:
    """Everything that reads and writes one database.

    Attributes
    ----------
    address : callable
        Where the service's role reaches it, as all of this does.
    owner : AsyncConnectionPool
        What tests ask the database themselves, they ask as its owner: the service may not look into,
        or change, all that they do.
    """

    address: Callable[[], Address]
    owner: AsyncConnectionPool[Connection]
    pools: Pools
    partitions: Partitions
    writer: BarWriter
    reader: BarReader
    latest: LatestBarReader
    deleter: BarDeleter
    statistics: StatisticsReader
    intake: BarIntake
    symbols: SymbolStore
    symbol_deleter: SymbolDeleter
    actions: ActionStore
    companies: CompanyStore


@asynccontextmanager
async def opened_storage(
    address: Callable[[], Address],
    limits: PoolLimits = TEST_LIMITS,
    *,
    owner: Callable[[], Address] | None = None,
    on_append: Callable[[], None] = lambda: None,
) -> AsyncIterator[Storage]:
    """Open the pools of a database, and close them at the end.

    Parameters
    ----------
    address : callable
        As whom the storage layer works.
    owner : callable, optional
        As whom the tests look into the database. Default: the same.
    on_append : callable, optional
        Told when the change log may have become longer.
    """
    with ThreadPoolExecutor(limits.stream_size, thread_name_prefix="bulk-read") as executor:
        async with _owners(owner or address) as owners, Pools(address, limits, on_append) as pools:
            partitions = Partitions(pools)
            writer = BarWriter(pools, partitions)
            reader = BarReader(pools, executor)
            yield Storage(
                address=address,
                owner=owners,
                pools=pools,
                partitions=partitions,
                writer=writer,
                reader=reader,
                latest=LatestBarReader(pools, reader),
                deleter=BarDeleter(pools),
                statistics=StatisticsReader(pools),
                intake=BarIntake(pools, writer),
                symbols=SymbolStore(pools),
                symbol_deleter=SymbolDeleter(pools),
                actions=ActionStore(pools),
                companies=CompanyStore(pools),
            )


def _owners(address: Callable[[], Address]) -> AsyncConnectionPool[Connection]:
    async def conninfo() -> str:
        return make_conninfo("", **address().connection_parameters())

    # Checked, since tests end servers and connections; opened when a test asks.
    return AsyncConnectionPool(
        conninfo,
        connection_class=AsyncConnection,
        kwargs={"autocommit": True, "options": "-c timezone=UTC", "application_name": "tests"},
        min_size=0,
        max_size=4,
        open=False,
        check=AsyncConnectionPool.check_connection,
        timeout=10.0,
    )
