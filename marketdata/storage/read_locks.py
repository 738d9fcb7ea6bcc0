"""What a reader of several statements holds, so that no partition goes away between them."""

from typing import Final

from psycopg import sql

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_tables import bar_table
from marketdata.storage.pools import Connection

# ONLY the parents: whoever drops a partition locks its parent too (retention.py), and a lock on each of
# thousands of partitions would fill the server's table of locks.
_HOLD: Final = sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE")
_PARENT: Final = sql.SQL("ONLY {}")


async def hold_partitions(connection: Connection, query: BarQuery) -> None:
    """Keep the partitions that a query may read until the end of the transaction.

    It must be the first statement: a snapshot that is older than the lock can know of a partition that
    is dropped by the time it is read, and the read then finds nothing, without an error.

    Raises
    ------
    WriteConflictError
        Somebody kept a table locked for longer than the session waits.
    """
    timeframes = {query.timeframe} if query.stored_only else {query.timeframe, Timeframe.MINUTE_1}
    parents = [
        _PARENT.format(bar_table(timeframe))
        for timeframe in Timeframe
        if timeframe.is_stored and timeframe in timeframes
    ]
    await connection.execute(_HOLD.format(sql.SQL(", ").join(parents)))
