"""Who executes a run: a claim with a lease, by the database's clock.

A process that claims a run raises its epoch. Everything that it writes for the run afterwards holds
only while the epoch is still its own, so that one which was stopped, and whose run another took over,
cannot write any more.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final

from psycopg import sql
from psycopg.types.json import Jsonb

from marketdata.domain.ingestion_run import (
    IngestionMode,
    OpenReference,
    OpenTask,
    ProviderWait,
    RunState,
)
from marketdata.domain.time_range import TimeRange, to_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.pools import Pools

# By ingestion_run_open. Two that look at once take different runs.
_CLAIM: Final = """
    UPDATE ingestion_run
       SET state = 'running', epoch = epoch + 1, owner = %(owner)s, waits = '[]',
           lease_until = clock_timestamp() + %(lease)s::interval,
           started_at = coalesce(started_at, clock_timestamp())
     WHERE run_id = (SELECT run_id FROM ingestion_run
                      WHERE state = 'queued' OR (state = 'running' AND lease_until < clock_timestamp())
                      ORDER BY run_id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING run_id, epoch, provider, mode
"""
# By the primary key, as all below.
_RENEW: Final = """
    UPDATE ingestion_run
       SET lease_until = clock_timestamp() + %(lease)s::interval, waits = %(waits)s
     WHERE run_id = %(run_id)s AND epoch = %(epoch)s AND state = 'running'
    RETURNING cancel_requested_at IS NOT NULL
"""
_RELEASE: Final = """
    UPDATE ingestion_run SET lease_until = clock_timestamp() - interval '1 second'
     WHERE run_id = %(run_id)s AND epoch = %(epoch)s AND state = 'running'
"""
# What was never fetched is noted with why; what a provider gave before stays given. Of tasks that fetch
# no bars nothing is. In the order of the keys: checkpoints of other runs may wait for the same rows.
_NOTE_FAILED: Final = sql.SQL("""
        INSERT INTO ingestion_failed AS known
               (provider, symbol_id, timeframe, ranges, error, retry_at, run_id)
        SELECT provider, symbol_id, timeframe, unfetched.ranges - coalesce(fetched.ranges, '{}'), error,
               retry_at, run_id
          FROM unfetched LEFT JOIN ingestion_fetched AS fetched USING (provider, symbol_id, timeframe)
         WHERE timeframe IS NOT NULL AND NOT unfetched.ranges <@ coalesce(fetched.ranges, '{}')
         ORDER BY provider, symbol_id, timeframe
        ON CONFLICT (provider, symbol_id, timeframe)
        DO UPDATE SET ranges = known.ranges + excluded.ranges, error = excluded.error,
                      retry_at = excluded.retry_at, run_id = excluded.run_id,
                      noted_at = excluded.noted_at
""")
_FINISH: Final = sql.SQL("""
    WITH over AS (
        UPDATE ingestion_run
           SET state = %(state)s, error = %(error)s, finished_at = clock_timestamp(), waits = '[]'
         WHERE run_id = %(run_id)s AND epoch = %(epoch)s AND state = 'running'
        RETURNING run_id, provider, state, error
    ), unfetched AS (
        SELECT over.provider, task.symbol_id, task.timeframe, over.error, over.run_id,
               clock_timestamp() + %(retry_after)s::float8 * interval '1 second' AS retry_at,
               range_agg(tstzrange(task.done_until, task.range_end)) AS ranges
          FROM over JOIN ingestion_task AS task USING (run_id)
         WHERE over.state = 'failed' AND task.state = 'open'
         GROUP BY over.provider, task.symbol_id, task.timeframe, over.error, over.run_id
    ), noted AS (
        {note}
    )
    SELECT count(*) FROM over
""").format(note=_NOTE_FAILED)
_OPEN_TASKS: Final = """
    SELECT task, symbol, symbol_id, timeframe, range_start, range_end, done_until
      FROM ingestion_task WHERE run_id = %(run_id)s AND state = 'open' ORDER BY task
"""
_OPEN_REFERENCES: Final = """
    SELECT symbol, symbol_id, range_start, range_end, task
      FROM ingestion_task WHERE run_id = %(run_id)s AND state = 'open' ORDER BY task
"""
_FAIL_TASK: Final = sql.SQL("""
    WITH unfetched AS (
        UPDATE ingestion_task AS task
           SET state = 'failed', error = %(error)s,
               retry_at = clock_timestamp() + %(retry_after)s::float8 * interval '1 second'
          FROM ingestion_run AS run
         WHERE task.run_id = %(run_id)s AND task.task = %(task)s AND task.state = 'open'
           AND run.run_id = %(run_id)s AND run.epoch = %(epoch)s AND run.state = 'running'
        RETURNING run.provider, task.symbol_id, task.timeframe, task.error, task.retry_at, run.run_id,
                  tstzmultirange(tstzrange(task.done_until, task.range_end)) AS ranges
    )
    {note}
""").format(note=_NOTE_FAILED)
# A person reads them: the first ones tell what kind of trouble it is. Said once, however often told.
_REMARK: Final = """
    UPDATE ingestion_task
       SET error = left(concat_ws('; ', nullif(error, ''), %(remark)s::text), 2000)
     WHERE run_id = %(run_id)s AND task = %(task)s AND position(%(remark)s::text IN error) = 0
"""


class LeaseLostError(Exception):
    """Another process has taken the run over; what was to be written was not."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that this process executes.

    Attributes
    ----------
    run_id : int
        Which one.
    epoch : int
        How often it was claimed.
    provider : str
        Name of its provider.
    mode : IngestionMode
        What it fetches.
    """

    run_id: int
    epoch: int
    provider: str
    mode: IngestionMode


class RunClaims:
    """Claims runs for one process.

    Parameters
    ----------
    pools : Pools
        Where transactions run.
    owner : str
        The process, for people.
    lease : timedelta
        How long after its last sign of life a run is taken over by another process.
    """

    def __init__(self, pools: Pools, owner: str, lease: timedelta) -> None:
        self._pools = pools
        self._owner = owner
        self._lease = lease

    async def claim(self) -> Claim | None:
        """Take the oldest run that nobody executes, or None where there is none."""
        parameters = {"owner": self._owner, "lease": self._lease}
        async with self._pools.query() as connection:
            row = await (await connection.execute(_CLAIM, parameters)).fetchone()
        if row is None:
            return None
        run_id, epoch, provider, mode = row
        return Claim(run_id, epoch, provider, IngestionMode(mode))

    async def renew(self, claim: Claim, waits: Sequence[ProviderWait]) -> bool:
        """Keep a claim, and tell what its provider waits for.

        Returns
        -------
        bool
            Whether somebody asked the run to end.

        Raises
        ------
        LeaseLostError
            Another process has it.
        """
        parameters = {
            **_key(claim),
            "lease": self._lease,
            "waits": Jsonb([asdict(wait) for wait in waits]),
        }
        async with self._pools.query() as connection:
            row = await (await connection.execute(_RENEW, parameters)).fetchone()
        if row is None:
            raise LeaseLostError
        return bool(row[0])

    async def release(self, claim: Claim) -> None:
        """Leave a run to whoever claims it next."""
        async with self._pools.query() as connection:
            await connection.execute(_RELEASE, _key(claim))

    async def finish(
        self,
        claim: Claim,
        state: RunState,
        error: str = "",
        retry_after_seconds: float | None = None,
    ) -> bool:
        """Note how a run ended; nothing where another process has it.

        Parameters
        ----------
        error : str
            Why it failed. Tasks that a failed run leaves open are noted as failed with it.
        retry_after_seconds : float or None
            When they are worth trying again; None where nobody knows.

        Returns
        -------
        bool
            Whether it was noted.
        """
        parameters = {
            **_key(claim),
            "state": state.value,
            "error": error,
            "retry_after": retry_after_seconds,
        }
        async with self._pools.query() as connection:
            row = await (await connection.execute(_FINISH, parameters)).fetchone()
        return row is not None and row[0] == 1

    async def open_tasks(self, claim: Claim) -> list[OpenTask]:
        """List what is left to do, in the order of the request."""
        async with self._pools.query() as connection:
            cursor = await connection.execute(_OPEN_TASKS, _key(claim))
            rows = await cursor.fetchall()
        return [
            OpenTask(
                symbol=symbol,
                symbol_id=symbol_id,
                timeframe=Timeframe(timeframe),
                range=TimeRange(to_unix_us(start), to_unix_us(end)),
                task=task,
                done_until_us=to_unix_us(done_until),
            )
            for task, symbol, symbol_id, timeframe, start, end, done_until in rows
        ]

    async def open_references(self, claim: Claim) -> list[OpenReference]:
        """List what is left to do of a run that fetches no bars, in the order of the request."""
        async with self._pools.query() as connection:
            rows = await (await connection.execute(_OPEN_REFERENCES, _key(claim))).fetchall()
        return [
            OpenReference(symbol, symbol_id, TimeRange(to_unix_us(start), to_unix_us(end)), task)
            for symbol, symbol_id, start, end, task in rows
        ]

    async def fail_task(
        self, claim: Claim, task: int, error: str, retry_after_seconds: float | None
    ) -> None:
        """Note why the rest of a task was not fetched; what was committed of it stays."""
        parameters = {
            **_key(claim),
            "task": task,
            "error": error,
            "retry_after": retry_after_seconds,
        }
        async with self._pools.query() as connection:
            await connection.execute(_FAIL_TASK, parameters)

    async def remark(self, claim: Claim, task: int, remark: str) -> None:
        """Note what a person should know of a task that goes on, behind what was noted before."""
        async with self._pools.query() as connection:
            await connection.execute(_REMARK, {**_key(claim), "task": task, "remark": remark})


def _key(claim: Claim) -> dict[str, Any]:
    return {"run_id": claim.run_id, "epoch": claim.epoch}
