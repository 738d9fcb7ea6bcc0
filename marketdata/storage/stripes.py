"""Lock stripes: how writers of the same bars take turns, and never wait for each other in a circle."""

import zlib
from collections.abc import Iterable
from typing import Final

from marketdata.domain.timeframe import Timeframe
from marketdata.storage.pools import Connection

# Advisory locks of a transaction live in shared memory: 64 a table bound them whatever a batch holds,
# and still let writers of different symbols pass each other.
STRIPES: Final = 64
# First half of the advisory lock's key: "BA" and the table's number, apart from other users' locks.
_LOCK_KEYS: Final = {
    Timeframe.MINUTE_1: 0x42410001,
    Timeframe.HOUR_1: 0x42410002,
    Timeframe.DAY_1: 0x42410003,
}

_LOCK: Final = """
    SELECT pg_advisory_xact_lock(%(table_key)s, stripe) FROM unnest(%(stripes)s::int4[]) AS stripe
"""

_TRY_LOCK: Final = """
    SELECT stripe FROM unnest(%(stripes)s::int4[]) AS stripe
     WHERE pg_try_advisory_xact_lock(%(table_key)s, stripe)
"""


def stripes(symbols: Iterable[str]) -> list[int]:
    """List the stripes of these tickers, ascending, without repeats.

    Every writer takes them in this order, so that no two writers wait for each other.
    """
    return sorted({zlib.crc32(symbol.encode()) % STRIPES for symbol in symbols})


async def lock_stripes(connection: Connection, symbols: Iterable[str], timeframe: Timeframe) -> None:
    """Lock the stripes of these tickers until the end of the transaction.

    It must be a statement of its own before the one that reads what is stored: only then does that
    one's snapshot hold what earlier holders of the locks committed.
    """
    parameters = {"table_key": _LOCK_KEYS[timeframe], "stripes": stripes(symbols)}
    await connection.execute(_LOCK, parameters)


async def try_lock_stripes(
    connection: Connection, symbols: Iterable[str], timeframe: Timeframe
) -> frozenset[int]:
    """Lock those stripes of these tickers that nobody holds, and tell which; as `lock_stripes`."""
    parameters = {"table_key": _LOCK_KEYS[timeframe], "stripes": stripes(symbols)}
    cursor = await connection.execute(_TRY_LOCK, parameters)
    return frozenset(stripe for (stripe,) in await cursor.fetchall())


async def lock_all_stripes(connection: Connection, timeframe: Timeframe) -> None:
    """Lock every stripe of a table until the end of the transaction, in the order of all writers."""
    parameters = {"table_key": _LOCK_KEYS[timeframe], "stripes": list(range(STRIPES))}
    await connection.execute(_LOCK, parameters)
