"""Runs read from their rows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from psycopg import sql

from marketdata.domain.ingestion_run import (
    IngestionMode,
    IngestionRun,
    ProviderWait,
    RunCounts,
    RunRequest,
    RunState,
    TaskTrouble,
)
from marketdata.domain.time_range import to_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.pools import Connection
from marketdata.storage.symbol_rows import fetch_rows

# Troubles that go with a run; the rest is counted.
_MOST_TROUBLES: Final = 20
COUNTS: Final = (
    "fetched",
    "accepted",
    "revised",
    "unchanged",
    "outranked",
    "quarantined",
    "flagged",
)

# By the primary keys of both tables. The share is of time, each symbol and timeframe alike, so that it
# grows with every page, also where the range holds few bars.
_RUNS: Final = sql.SQL("""
    SELECT run.run_id, run.request_id, run.mode, run.provider, run.symbols, run.timeframes,
           run.refetches, run.state, run.error, run.owner, run.waits,
           run.cancel_requested_at IS NOT NULL AS is_cancelling,
           run.range_start, run.range_end, run.created_at, run.started_at, run.finished_at,
           clock_timestamp() AS now,
           {counts}, part.tasks, part.tasks_done, part.tasks_failed, part.symbol_count,
           part.symbols_done, coalesce(part.share_done, 1.0)::float8 AS share_done
      FROM ({chosen}) AS run
      CROSS JOIN LATERAL (
          SELECT count(*) AS tasks,
                 count(*) FILTER (WHERE is_done) AS tasks_done,
                 count(*) FILTER (WHERE state = 'failed') AS tasks_failed,
                 count(DISTINCT symbol_id) AS symbol_count,
                 count(DISTINCT symbol_id)
                     - count(DISTINCT symbol_id) FILTER (WHERE NOT is_done) AS symbols_done,
                 avg(share) AS share_done
            FROM (SELECT symbol_id, state, state = 'done' AS is_done,
                         extract(epoch FROM done_until - range_start)
                             / extract(epoch FROM range_end - range_start) AS share
                    FROM ingestion_task AS task WHERE task.run_id = run.run_id) AS task) AS part
     ORDER BY run.run_id DESC
""")
_TROUBLES: Final = """
    SELECT symbol, timeframe, error, state = 'failed', done_until, retry_at
      FROM ingestion_task
     WHERE run_id = %(run_id)s AND (state = 'failed' OR error <> '')
     ORDER BY state <> 'failed', task LIMIT %(limit)s
"""


async def read_runs(
    connection: Connection, chosen: sql.Composable, parameters: Mapping[str, Any]
) -> list[IngestionRun]:
    """Read runs, the newest first, without their troubles.

    Parameters
    ----------
    chosen : Composable
        A query for rows of ingestion_run.
    """
    counts = sql.SQL(", ").join(sql.Identifier("run", name) for name in COUNTS)
    query = _RUNS.format(counts=counts, chosen=chosen)
    return [_to_run(row) for row in await fetch_rows(connection, query, parameters)]


async def read_troubles(connection: Connection, run_id: int) -> tuple[TaskTrouble, ...]:
    """Read the first troubles of a run, those that failed before the others."""
    cursor = await connection.execute(_TROUBLES, {"run_id": run_id, "limit": _MOST_TROUBLES})
    return tuple(
        TaskTrouble(
            symbol,
            Timeframe(timeframe) if timeframe is not None else None,
            error,
            is_failed,
            to_unix_us(done_until),
            optional_us(retry_at),
        )
        for symbol, timeframe, error, is_failed, done_until, retry_at in await cursor.fetchall()
    )


def optional_us(time: datetime | None) -> int | None:
    """Turn a time that may be NULL into Unix microseconds."""
    return None if time is None else to_unix_us(time)


def _to_run(row: Mapping[str, Any]) -> IngestionRun:
    request = RunRequest(
        request_id=row["request_id"],
        mode=IngestionMode(row["mode"]),
        provider=row["provider"],
        symbols=tuple(row["symbols"]),
        timeframes=tuple(Timeframe(label) for label in row["timeframes"]),
        start_us=optional_us(row["range_start"]),
        end_us=optional_us(row["range_end"]),
        refetches=row["refetches"],
    )
    state = RunState(row["state"])
    return IngestionRun(
        run_id=row["run_id"],
        request=request,
        state=state,
        created_us=to_unix_us(row["created_at"]),
        started_us=optional_us(row["started_at"]),
        finished_us=optional_us(row["finished_at"]),
        now_us=to_unix_us(row["now"]),
        is_cancelling=row["is_cancelling"],
        error=row["error"],
        counts=RunCounts(**{name: row[name] for name in COUNTS}),
        tasks=row["tasks"],
        tasks_done=row["tasks_done"],
        tasks_failed=row["tasks_failed"],
        symbols=row["symbol_count"],
        symbols_done=row["symbols_done"],
        share_done=row["share_done"],
        owner=row["owner"],
        waits=() if state.is_over else _waits(row["waits"]),
    )


def _waits(rows: Sequence[Mapping[str, Any]]) -> tuple[ProviderWait, ...]:
    return tuple(ProviderWait(**row) for row in rows)
