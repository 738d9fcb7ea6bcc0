"""Superseded versions trimmed by age: the horizon moves on, and what lies behind it goes."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from psycopg import sql

from marketdata.storage.pools import Connection, Pools

# Rows a transaction.
_BATCH: Final = 10_000

# The row's lock also makes trimmers take turns. By bar_write_committed_at: the greatest seq that is old
# enough. As of it everything is known still, and before it nothing.
_RAISE: Final = """
    UPDATE version_horizon
       SET seq = greatest(seq, coalesce((
               SELECT write.seq FROM bar_write AS write
                WHERE write.committed_at < now() - %(keep)s::interval
                ORDER BY write.committed_at DESC, write.seq DESC LIMIT 1), 0))
    RETURNING seq
"""
_TABLES: Final = (
    *("bar_revision", "market_symbol_revision", "symbol_validity_revision"),
    "market_corporate_action_revision",
)
# Behind the horizon nobody asks for what was superseded by then. By bar_write's primary key.
_DELETE: Final = sql.SQL("""
    DELETE FROM {table}
     WHERE ctid = ANY (ARRAY(
        SELECT old.ctid FROM {table} AS old
          JOIN bar_write AS write ON write.write_id = old.superseded_by
         WHERE write.seq <= %(horizon)s LIMIT %(batch)s))
""")
# A write tells when a version became known and, as of an earlier seq, whether. By bar_write_seq_key.
_DELETE_WRITES: Final = """
    DELETE FROM bar_write
     WHERE write_id = ANY (ARRAY(
        SELECT old.write_id FROM bar_write AS old
         WHERE old.seq < %(horizon)s AND old.seq < (SELECT oldest_seq FROM bar_log)
           AND NOT EXISTS (SELECT FROM bar_revision WHERE superseded_by = old.write_id)
         ORDER BY old.seq LIMIT %(batch)s))
"""


@dataclass(frozen=True, slots=True)
class VersionTrimResult:
    """What became of a run.

    Attributes
    ----------
    versions : int
        How many were deleted: of bars, symbols, tickers and corporate actions.
    horizon_seq : int
        As of this seq and later ones everything can be answered.
    """

    versions: int
    horizon_seq: int


class VersionTrimmer:
    """Deletes versions that were superseded longer ago than they are kept.

    Parameters
    ----------
    pools : Pools
        Where transactions run.
    keep : timedelta
        How long superseded versions stay; zero: for ever.
    """

    def __init__(self, pools: Pools, keep: timedelta) -> None:
        self._pools = pools
        self._keep = keep

    async def run_once(self) -> VersionTrimResult:
        """Move the horizon, then delete what lies behind it, a small transaction after the other.

        Cancelled in between, it leaves versions that nobody is answered from, and the next run goes on.

        Raises
        ------
        DatabaseUnavailableError, QueryTimeoutError
            The horizon may have moved; what was deleted so far is gone.
        """
        async with self._pools.query() as connection:
            if not self._keep:
                row = await (await connection.execute("SELECT seq FROM version_horizon")).fetchone()
                return VersionTrimResult(0, int(row[0]) if row else 0)
            # Committed on its own: readers are refused before anything that they would miss is gone.
            row = await (await connection.execute(_RAISE, {"keep": self._keep})).fetchone()
            horizon = int(row[0]) if row else 0
            deleted = 0
            for table in _TABLES:
                statement = _DELETE.format(table=sql.Identifier(table))
                deleted += await _in_batches(connection, statement, horizon)
            await _in_batches(connection, sql.SQL(_DELETE_WRITES), horizon)
            return VersionTrimResult(deleted, horizon)


async def _in_batches(connection: Connection, statement: sql.SQL | sql.Composed, horizon: int) -> int:
    deleted = 0
    while True:
        cursor = await connection.execute(statement, {"horizon": horizon, "batch": _BATCH})
        deleted += cursor.rowcount
        if cursor.rowcount < _BATCH:
            return deleted
