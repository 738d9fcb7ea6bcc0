"""The key that tokens are signed with, where no setting says one: made once, kept in the database."""

from typing import Final

from marketdata.storage.pools import Pools

# A table of one row, which a migration makes.
_READ: Final = "SELECT key FROM token_key"


async def read_token_key(pools: Pools) -> bytes:
    """Read the key that all services of this database share; 32 bytes."""
    async with pools.query() as connection:
        cursor = await connection.execute(_READ)
        row = await cursor.fetchone()
    assert row is not None  # noqa: S101 -- made by the migration, and nobody deletes it
    return bytes(row[0])
