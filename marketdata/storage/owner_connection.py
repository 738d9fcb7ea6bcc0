"""A connection of the owner's, for upkeep that only an owner can do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from marketdata.storage.address import Address
from marketdata.storage.pools import Connection
from marketdata.storage.translate import translated

# ALTER TABLE locks out readers: where a stream keeps it waiting, it must not keep all others.
_PATIENCE: Final = "-c lock_timeout=5s -c timezone=UTC -c client_min_messages=warning"


@asynccontextmanager
async def owner_connection(address: Address) -> AsyncIterator[Connection]:
    """Connect outside of the pools, with short patience for locks; psycopg's errors are translated.

    Nothing is prepared: TimescaleDB skips an ALTER ... SET that is, and says nothing.

    Parameters
    ----------
    address : Address
        The database, asked by the role that owns the tables.
    """
    with translated():
        connection = await AsyncConnection.connect(
            make_conninfo("", **address.connection_parameters()),
            autocommit=True,
            prepare_threshold=None,
            options=_PATIENCE,
        )
        async with connection:
            yield connection
