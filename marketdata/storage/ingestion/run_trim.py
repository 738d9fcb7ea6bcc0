"""Runs trimmed by age: they go with their tasks; what was fetched stays noted."""

from datetime import timedelta
from typing import Final

from marketdata.storage.pools import Pools

# Runs a transaction: one of five thousand symbols has as many tasks, which go with it.
_BATCH: Final = 20
# By the primary key, from the oldest on: runs end much in the order of their numbers.
_DELETE: Final = """
    DELETE FROM ingestion_run
     WHERE run_id IN (SELECT run_id FROM ingestion_run
                       WHERE state IN ('succeeded', 'failed', 'cancelled')
                         AND finished_at < clock_timestamp() - %(keep)s::interval
                       ORDER BY run_id LIMIT %(batch)s
                         FOR UPDATE SKIP LOCKED)
"""


class RunTrimmer:
    """Deletes runs that were over long ago.

    Parameters
    ----------
    pools : Pools
        Where transactions run.
    keep : timedelta
        How long after their end they stay; zero: for ever. The schedule looks back two weeks for the
        runs of its slots: whoever keeps them for less has slots executed twice.
    """

    def __init__(self, pools: Pools, keep: timedelta) -> None:
        self._pools = pools
        self._keep = keep

    async def run_once(self) -> int:
        """Delete what is too old, a small transaction after the other; return how many runs went.

        Raises
        ------
        DatabaseUnavailableError, QueryTimeoutError
            What was deleted so far is gone.
        """
        deleted, batch = 0, _BATCH if self._keep else 0
        while batch == _BATCH:
            async with self._pools.query() as connection:
                cursor = await connection.execute(_DELETE, {"keep": self._keep, "batch": _BATCH})
                batch = cursor.rowcount
            deleted += batch
        return deleted
