"""Who follows a live feed: one process at a time, by the database's clock, as runs have it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from marketdata.domain.live_feed import FeedState, FeedStatus
from marketdata.domain.time_range import from_unix_us, to_unix_us
from marketdata.storage.ingestion.claims import LeaseLostError
from marketdata.storage.pools import Connection, Pools

# All by the primary key. Two that claim at once: the second waits for the row, and then compares again.
_CLAIM: Final = """
    INSERT INTO feed_lease AS known (feed, owner, lease_until)
    VALUES (%(feed)s, %(owner)s, clock_timestamp() + %(lease)s::interval)
    ON CONFLICT (feed) DO UPDATE
       SET epoch = known.epoch + 1, owner = excluded.owner, lease_until = excluded.lease_until,
           state = 'down', problem = '', changed_at = clock_timestamp()
     WHERE known.lease_until < clock_timestamp()
    RETURNING feed, epoch, complete_until
"""
_RENEW: Final = """
    UPDATE feed_lease SET lease_until = clock_timestamp() + %(lease)s::interval
     WHERE feed = %(feed)s AND epoch = %(epoch)s
    RETURNING epoch
"""
_RELEASE: Final = """
    UPDATE feed_lease SET lease_until = clock_timestamp() - interval '1 second', state = 'down',
                          problem = %(problem)s, changed_at = clock_timestamp()
     WHERE feed = %(feed)s AND epoch = %(epoch)s
"""
_REPORT: Final = """
    UPDATE feed_lease SET state = %(state)s, problem = %(problem)s, changed_at = clock_timestamp()
     WHERE feed = %(feed)s AND epoch = %(epoch)s
    RETURNING epoch
"""
_NOTE: Final = """
    UPDATE feed_lease SET complete_until = greatest(complete_until, %(complete_until)s::timestamptz)
     WHERE feed = %(feed)s AND epoch = %(epoch)s
    RETURNING epoch
"""
# A few rows: one a feed.
_LIST: Final = """
    SELECT feed, owner, lease_until >= clock_timestamp(), epoch, state, problem, complete_until,
           changed_at
      FROM feed_lease ORDER BY feed
"""


@dataclass(frozen=True, slots=True)
class FeedClaim:
    """A feed that this process follows.

    Attributes
    ----------
    feed : str
        ``provider/feed``.
    epoch : int
        How often it was claimed.
    complete_until_us : int or None
        All its bars that open before are stored, Unix microseconds; None: nothing is known.
    """

    feed: str
    epoch: int
    complete_until_us: int | None


class FeedLeases:
    """Claims feeds for one process.

    Parameters
    ----------
    pools : Pools
        Where statements run.
    owner : str
        The process, for people.
    lease : timedelta
        How long after its last sign of life a feed is taken over by another process.
    """

    def __init__(self, pools: Pools, owner: str, lease: timedelta) -> None:
        self._pools = pools
        self._owner = owner
        self._lease = lease

    async def claim(self, feed: str) -> FeedClaim | None:
        """Take a feed that nobody follows; None where somebody does."""
        row = await self._row(_CLAIM, {"feed": feed, "owner": self._owner, "lease": self._lease})
        if row is None:
            return None
        complete_until = row[2]
        return FeedClaim(row[0], row[1], to_unix_us(complete_until) if complete_until else None)

    async def renew(self, claim: FeedClaim) -> None:
        """Keep a feed.

        Raises
        ------
        LeaseLostError
            Another process has it.
        """
        if await self._row(_RENEW, {**_key(claim), "lease": self._lease}) is None:
            raise LeaseLostError

    async def report(self, claim: FeedClaim, state: FeedState, problem: str = "") -> None:
        """Note how the feed is.

        Raises
        ------
        LeaseLostError
            Another process has it.
        """
        parameters = {**_key(claim), "state": state.value, "problem": problem}
        if await self._row(_REPORT, parameters) is None:
            raise LeaseLostError

    async def release(self, claim: FeedClaim, problem: str) -> None:
        """Leave a feed to whoever claims it next, and say why; nothing where another has it."""
        async with self._pools.query() as connection:
            await connection.execute(_RELEASE, {**_key(claim), "problem": problem})

    async def _row(self, statement: str, parameters: dict[str, Any]) -> Any:
        async with self._pools.query() as connection:
            return await (await connection.execute(statement, parameters)).fetchone()


class FeedReader:
    """Tells how feeds are.

    Parameters
    ----------
    pools : Pools
        Where statements run.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def list_all(self) -> list[FeedStatus]:
        """List the feeds that somebody follows or followed, by name."""
        async with self._pools.query() as connection:
            rows = await (await connection.execute(_LIST)).fetchall()
        return [
            FeedStatus(
                *(feed, owner, is_followed, epoch),
                FeedState(state),
                problem,
                to_unix_us(until) if until else None,
                to_unix_us(changed),
            )
            for feed, owner, is_followed, epoch, state, problem, until, changed in rows
        ]


async def note_complete(
    connection: Connection, claim: FeedClaim, complete_until_us: int | None
) -> None:
    """Note within the transaction that stores bars that all before a time are; hold the feed to COMMIT.

    Parameters
    ----------
    complete_until_us : int or None
        Unix microseconds; None: bars of before are missing still, so what was noted stays.

    Raises
    ------
    LeaseLostError
        Another process has the feed; nothing may be committed.
    """
    until = None if complete_until_us is None else from_unix_us(complete_until_us)
    parameters = {**_key(claim), "complete_until": until}
    if await (await connection.execute(_NOTE, parameters)).fetchone() is None:
        raise LeaseLostError


def _key(claim: FeedClaim) -> dict[str, Any]:
    return {"feed": claim.feed, "epoch": claim.epoch}
