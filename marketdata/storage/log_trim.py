"""The change log trimmed by age: entries go, from the oldest on; the rows of their writes stay."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from marketdata.storage.pools import Connection, Pools

# Writes a transaction: of the largest, 400 MB of bars go in one. Locks nothing that writers wait for.
_BATCH: Final = 200

# Also the lock that two trimmers take turns on.
_LOCK: Final = "UPDATE bar_log SET oldest_seq = oldest_seq RETURNING oldest_seq"
# By bar_write_seq_key. committed_at follows seq, so that what is old enough comes first; the newest
# entry stays, whatever its age: it shows what the head is. Sums are of bigints: a parameter has the
# type that it needs, and would overflow where seq does not.
_OLD: Final = """
    SELECT max(seq)
      FROM (SELECT seq, committed_at FROM bar_write
             WHERE seq >= %(oldest)s AND seq < %(oldest)s::bigint + %(batch)s
               AND seq < (SELECT head.seq FROM bar_log_head AS head)
               AND (%(floor)s::bigint IS NULL OR seq < %(floor)s)) AS write
     WHERE committed_at < now() - %(keep)s::interval
"""
# By bar_write_seq_key and the primary key of bar_change: an array of ids is looked up one by one.
_DELETE: Final = """
    DELETE FROM bar_change
     WHERE write_id = ANY (ARRAY(SELECT write_id FROM bar_write
                                  WHERE seq >= %(oldest)s AND seq <= %(last)s))
"""
_RAISE: Final = "UPDATE bar_log SET oldest_seq = %(last)s::bigint + 1"

# Tells from which seq on entries are needed by somebody, whatever their age; None: by nobody.
KeepFromSeq = Callable[[], Awaitable[int | None]]


@dataclass(frozen=True, slots=True)
class TrimResult:
    """What became of a run.

    Attributes
    ----------
    entries : int
        How many were deleted.
    oldest_seq : int
        Entries from here on are there.
    """

    entries: int
    oldest_seq: int


async def nobody_needs() -> int | None:
    """Keep nothing for longer than its age."""
    return None


class LogTrimmer:
    """Deletes entries of the change log that are older than what is kept.

    Parameters
    ----------
    pools : Pools
        Where transactions run.
    keep : timedelta
        Age up to which entries stay; zero: for ever.
    keep_from_seq : callable
        Entries from the seq on that it tells stay as well; asked once a run.
    """

    def __init__(
        self, pools: Pools, keep: timedelta, keep_from_seq: KeepFromSeq = nobody_needs
    ) -> None:
        self._pools = pools
        self._keep = keep
        self._keep_from_seq = keep_from_seq

    async def run_once(self) -> TrimResult:
        """Delete what is too old, a small transaction after the other; cancelled, it stops between two.

        Raises
        ------
        DatabaseUnavailableError, QueryTimeoutError
            What was deleted so far is gone, and the oldest seq says so.
        """
        floor = await self._keep_from_seq()
        deleted, before, oldest = 0, 0, 1
        while oldest > before:
            async with self._pools.query() as connection, connection.transaction():
                (before,) = await (await connection.execute(_LOCK)).fetchone() or (oldest,)
                batch = await self._trim(connection, before, floor)
            deleted, oldest = deleted + batch.entries, batch.oldest_seq
        return TrimResult(deleted, oldest)

    async def _trim(self, connection: Connection, oldest: int, floor: int | None) -> TrimResult:
        if not self._keep:
            return TrimResult(0, oldest)
        parameters = {"oldest": oldest, "batch": _BATCH, "floor": floor, "keep": self._keep}
        (last,) = await (await connection.execute(_OLD, parameters)).fetchone() or (None,)
        if last is None:
            return TrimResult(0, oldest)
        bounds = {"oldest": oldest, "last": last}
        cursor = await connection.execute(_DELETE, bounds)
        await connection.execute(_RAISE, bounds)
        return TrimResult(cursor.rowcount, last + 1)
