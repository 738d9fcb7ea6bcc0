"""The ranked feeds."""

from typing import Final

from marketdata.domain.feed import Feed, FeedCatalog
from marketdata.storage.pools import Connection

# A handful of rows: read anew where they are needed, so that none is ever stale.
_ALL: Final = "SELECT feed_id, provider, feed, rank FROM market_feed"


async def read_catalog(connection: Connection) -> FeedCatalog:
    """Read all feeds, on a connection of the caller's."""
    cursor = await connection.execute(_ALL)
    return FeedCatalog([Feed(*row) for row in await cursor.fetchall()])
