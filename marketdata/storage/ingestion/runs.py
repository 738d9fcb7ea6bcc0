"""Runs: asked for, looked at, cancelled."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Final

from psycopg import sql

from marketdata.domain.ingestion_run import (
    FetchedRanges,
    IngestionMode,
    IngestionRun,
    PlannedReference,
    PlannedTask,
    RunRequest,
    RunState,
)
from marketdata.domain.symbol import Symbol, TickerSegment
from marketdata.domain.time_range import TimeRange, from_unix_us, to_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import RequestIdReusedError, RunNotFoundError
from marketdata.storage.bar_tables import bar_table_label
from marketdata.storage.ingestion.reference_notes import read_fetched_on
from marketdata.storage.ingestion.run_rows import read_runs, read_troubles
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.symbol_rows import (
    read_symbol_by_id,
    read_symbols,
)
from marketdata.storage.symbols import resolve

_INSERT: Final = """
    INSERT INTO ingestion_run
           (request_id, mode, provider, symbols, timeframes, range_start, range_end, refetches)
    VALUES (%(request_id)s, %(mode)s, %(provider)s, %(symbols)s, %(timeframes)s, %(start)s, %(end)s,
            %(refetches)s)
    ON CONFLICT (request_id) DO NOTHING RETURNING run_id
"""
_INSERT_TASKS: Final = """
    INSERT INTO ingestion_task
           (run_id, task, symbol_id, symbol, timeframe, range_start, range_end, done_until)
    SELECT %(run_id)s, ord, symbol_id, symbol, timeframe, range_start, range_end, range_start
      FROM unnest(%(symbol_id)s::bigint[], %(symbol)s::text[], %(timeframe)s::text[],
                  %(start)s::timestamptz[], %(end)s::timestamptz[]) WITH ORDINALITY
           AS task (symbol_id, symbol, timeframe, range_start, range_end, ord)
"""
# Queued ones end at once; of a running one its process notices. By the primary key.
_CANCEL: Final = """
    UPDATE ingestion_run
       SET cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp()),
           state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END,
           finished_at = CASE WHEN state = 'queued' THEN clock_timestamp() END
     WHERE run_id = %(run_id)s AND state IN ('queued', 'running')
"""
_BY_ID: Final = sql.SQL("SELECT * FROM ingestion_run WHERE run_id = %(run_id)s")
_BY_REQUEST: Final = sql.SQL("SELECT * FROM ingestion_run WHERE request_id = %(request_id)s")
# By the primary key, backwards.
_PAGE: Final = sql.SQL("""
    SELECT * FROM ingestion_run
     WHERE (%(before)s::bigint IS NULL OR run_id < %(before)s)
       AND (%(state)s::text IS NULL OR state = %(state)s)
       AND (%(provider)s::text IS NULL OR provider = %(provider)s)
     ORDER BY run_id DESC LIMIT %(limit)s
""")
# By the primary key.
_FETCHED: Final = """
    SELECT symbol_id, timeframe, lower(part), upper(part)
      FROM (SELECT symbol_id, timeframe, unnest(ranges) AS part FROM ingestion_fetched
             WHERE provider = %(provider)s AND symbol_id = ANY (%(symbol_ids)s)
               AND timeframe = ANY (%(timeframes)s)) AS fetched
     ORDER BY 1, 2, 3
"""
# By the primary key. What retention has dropped once it does not get back, whatever it keeps now.
_KEPT_FROM: Final = """
    SELECT which::text, greatest(clock_timestamp() - keep, dropped_before) FROM bar_storage
     WHERE keep_confirmed_at IS NOT NULL
"""


class RunStore:
    """Keeps runs.

    Parameters
    ----------
    pools : Pools
        Where transactions run.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def find(self, request: RunRequest) -> IngestionRun | None:
        """Find the run that the same request has started before.

        Raises
        ------
        RequestIdReusedError
            Another request had that id.
        """
        async with self._pools.query() as connection:
            found = await read_runs(connection, _BY_REQUEST, {"request_id": request.request_id})
        if not found:
            return None
        if found[0].request != request:
            raise RequestIdReusedError(
                f"request_id {request.request_id} started run {found[0].run_id} with other parameters; "
                "send another id, or none",
                metadata={"run_id": str(found[0].run_id)},
            )
        return found[0]

    async def start(
        self, request: RunRequest, tasks: Sequence[PlannedTask | PlannedReference]
    ) -> IngestionRun:
        """Queue a run with its tasks, once for each `request_id`.

        Raises
        ------
        RequestIdReusedError
            Another request had that id.
        """
        async with self._pools.query() as connection, connection.transaction():
            cursor = await connection.execute(_INSERT, _request_parameters(request))
            row = await cursor.fetchone()
            if row is not None:
                await connection.execute(_INSERT_TASKS, {"run_id": row[0], **_task_parameters(tasks)})
        found = await self.find(request)
        assert found is not None  # noqa: S101 -- it was inserted, by this call or by another
        return found

    async def get(self, run_id: int) -> IngestionRun:
        """Get a run, with its first troubles.

        Raises
        ------
        RunNotFoundError
            There is no such run.
        """
        async with self._pools.query() as connection, connection.pipeline():
            return await _read(connection, run_id)

    async def list_page(
        self, before: int | None, limit: int, state: RunState | None = None, provider: str | None = None
    ) -> list[IngestionRun]:
        """List runs, the newest first, from those before `before` on; None is the beginning."""
        parameters = {
            "before": before,
            "limit": limit,
            "state": state.value if state else None,
            "provider": provider,
        }
        async with self._pools.query() as connection:
            return await read_runs(connection, _PAGE, parameters)

    async def cancel(self, run_id: int) -> IngestionRun:
        """Ask a run to end; one that is over stays as it is.

        Raises
        ------
        RunNotFoundError
            There is no such run.
        """
        async with self._pools.query() as connection:
            await connection.execute(_CANCEL, {"run_id": run_id})
            return await _read(connection, run_id)

    async def identities(self, symbols: Sequence[str]) -> dict[str, Symbol]:
        """Find the identities that tickers name, by the tickers asked; unknown ones are left out."""
        async with self._pools.query() as connection:
            return await read_symbols(connection, symbols)

    async def identity(self, symbol_id: int) -> Symbol:
        """Get the symbol of a task as it is now: it may be called otherwise than when it was planned.

        Raises
        ------
        SymbolNotFoundError
            It was deleted meanwhile.
        """
        async with self._pools.query() as connection:
            return await read_symbol_by_id(connection, symbol_id)

    async def tickers(self, symbol: Symbol, timeframe: Timeframe) -> Sequence[TickerSegment]:
        """Tell what a symbol was called when, ascending; empty where it was deleted meanwhile."""
        async with self._pools.query() as connection:
            found = await resolve(connection, (symbol.symbol,), timeframe)
        named = found.get(symbol.symbol)
        # Its ticker can be another one's by now.
        return named.segments if named and named.symbol_id == symbol.symbol_id else ()

    async def kept_from(self, timeframes: Sequence[Timeframe]) -> dict[Timeframe, int]:
        """Tell since when bars are kept, Unix microseconds; where retention is on."""
        async with self._pools.query() as connection:
            rows = await (await connection.execute(_KEPT_FROM)).fetchall()
        from_us = {which: to_unix_us(time) for which, time in rows}
        labels = {timeframe: bar_table_label(timeframe) for timeframe in timeframes}
        return {t: from_us[label] for t, label in labels.items() if label in from_us}

    async def fetched(
        self, provider: str, symbol_ids: Sequence[int], timeframes: Sequence[Timeframe]
    ) -> FetchedRanges:
        """Tell of which time a provider gave all that it has, ascending."""
        parameters = {
            "provider": provider,
            "symbol_ids": list(symbol_ids),
            "timeframes": [timeframe.value for timeframe in timeframes],
        }
        found: dict[tuple[int, Timeframe], tuple[TimeRange, ...]] = {}
        async with self._pools.query() as connection:
            cursor = await connection.execute(_FETCHED, parameters)
            for symbol_id, label, start, end in await cursor.fetchall():
                key = (symbol_id, Timeframe(label))
                found[key] = (*found.get(key, ()), TimeRange(to_unix_us(start), to_unix_us(end)))
        return found

    async def references_fetched(
        self, provider: str, mode: IngestionMode, symbol_ids: Sequence[int]
    ) -> dict[int, date]:
        """Tell up to which day a provider has told everything that `mode` asks for, by symbol_id."""
        return await read_fetched_on(self._pools, provider, mode, list(symbol_ids))


async def _read(connection: Connection, run_id: int) -> IngestionRun:
    found = await read_runs(connection, _BY_ID, {"run_id": run_id})
    if not found:
        raise RunNotFoundError(
            f"there is no ingestion run {run_id}; ListIngestionRuns lists them",
            metadata={"run_id": str(run_id)},
        )
    return replace(found[0], troubles=await read_troubles(connection, run_id))


def _request_parameters(request: RunRequest) -> dict[str, Any]:
    return {
        "request_id": request.request_id,
        "mode": request.mode.value,
        "provider": request.provider,
        "symbols": list(request.symbols),
        "timeframes": [timeframe.value for timeframe in request.timeframes],
        "start": None if request.start_us is None else from_unix_us(request.start_us),
        "end": None if request.end_us is None else from_unix_us(request.end_us),
        "refetches": request.refetches,
    }


def _task_parameters(tasks: Sequence[PlannedTask | PlannedReference]) -> dict[str, Any]:
    timeframes = [task.timeframe.value if isinstance(task, PlannedTask) else None for task in tasks]
    return {
        "symbol_id": [task.symbol_id for task in tasks],
        "symbol": [task.symbol for task in tasks],
        "timeframe": timeframes,
        "start": [from_unix_us(task.range.start_us) for task in tasks],
        "end": [from_unix_us(task.range.end_us) for task in tasks],
    }
