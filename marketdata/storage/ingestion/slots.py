"""Slots of the schedule, as far as the database knows them: by the runs that execute them."""

from collections.abc import Sequence
from typing import Final

from marketdata.domain.ingestion_run import RunState
from marketdata.domain.slot_runs import MOST_ATTEMPTS, LeftOver, SlotRun, attempt_name
from marketdata.domain.symbol import SymbolStatus
from marketdata.domain.time_range import TimeRange, to_unix_us
from marketdata.storage.pools import Pools

# By the unique index of request_id.
_EXECUTED: Final = (
    "SELECT request_id, state FROM ingestion_run WHERE request_id = ANY (%(request_ids)s)"
)
# By ingestion_run_open: a few at a time.
_OPEN: Final = "SELECT request_id FROM ingestion_run WHERE state IN ('queued', 'running')"
# The whole table, of thousands of rows.
_ACTIVE_CALENDARS: Final = "SELECT DISTINCT calendar FROM market_symbol WHERE status = %(status)s"
_ACTIVE_SYMBOLS: Final = (
    "SELECT symbol FROM market_symbol WHERE status = %(status)s ORDER BY symbol, symbol_id"
)
# By the unique index of request_id.
_RUNS: Final = """
    SELECT name.attempt, run_id, provider, state, error,
           coalesce(extract(epoch FROM clock_timestamp() - finished_at), 0)::float8
      FROM unnest(%(names)s::text[]) WITH ORDINALITY AS name (request_id, attempt)
      JOIN ingestion_run USING (request_id)
     ORDER BY name.attempt
"""
# By the primary keys. What the first run planned, less what it and the others did. A task that is open,
# or has a time to be tried again, says that its provider may have it later.
_LEFT: Final = """
    SELECT symbol_id, symbol.symbol, part.is_passing, part.seconds_left, lower(piece), upper(piece)
      FROM (SELECT symbol_id,
                   range_agg(tstzrange(range_start, range_end)) FILTER (WHERE run_id = %(first)s)
                       - coalesce(range_agg(tstzrange(range_start, done_until)), '{}') AS ranges,
                   coalesce(bool_or(state = 'open' OR retry_at IS NOT NULL)
                            FILTER (WHERE state <> 'done' AND run_id = ANY (%(round)s)), false)
                       AS is_passing,
                   coalesce(min(CASE WHEN state = 'open' THEN 0
                                     ELSE extract(epoch FROM retry_at - clock_timestamp()) END)
                            FILTER (WHERE state <> 'done' AND run_id = ANY (%(round)s)), 0)::float8
                       AS seconds_left
              FROM ingestion_task WHERE run_id = ANY (%(runs)s)
             GROUP BY symbol_id) AS part
      JOIN market_symbol AS symbol USING (symbol_id)
      CROSS JOIN LATERAL unnest(part.ranges) AS piece
     ORDER BY symbol.symbol, symbol_id, 5
"""
_ACTIVE: Final = {"status": SymbolStatus.ACTIVE.value}


class SlotReader:
    """Reads what the schedule has to know.

    Parameters
    ----------
    pools : Pools
        Connections.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def executed(self, request_ids: Sequence[str]) -> dict[str, RunState]:
        """Tell which of these slots have a run, and where it is."""
        async with self._pools.query() as connection:
            cursor = await connection.execute(_EXECUTED, {"request_ids": list(request_ids)})
            return {name: RunState(state) for name, state in await cursor.fetchall()}

    async def open_runs(self) -> frozenset[str]:
        """List the `request_id` of every run that is queued or running."""
        return await self._texts(_OPEN, {})

    async def runs(self, slot_name: str) -> list[SlotRun]:
        """List the runs of a slot, in the order of their attempts; without those that fill gaps."""
        names = [attempt_name(slot_name, number) for number in range(1, MOST_ATTEMPTS + 1)]
        async with self._pools.query() as connection:
            cursor = await connection.execute(_RUNS, {"names": names})
            return [
                SlotRun(attempt, run_id, provider, RunState(state), error, seconds_over)
                for attempt, run_id, provider, state, error, seconds_over in await cursor.fetchall()
            ]

    async def left(self, runs: Sequence[SlotRun], last_round: Sequence[SlotRun]) -> list[LeftOver]:
        """Tell what is left of a slot: what its first run planned, and no run has fetched.

        Parameters
        ----------
        runs : sequence of SlotRun
            All of the slot, in their order.
        last_round : sequence of SlotRun
            Those whose troubles tell whether asking again may help.

        Returns
        -------
        list of LeftOver
            By ticker; symbols that were deleted meanwhile are not there.
        """
        parameters = {
            "first": runs[0].run_id,
            "runs": [run.run_id for run in runs],
            "round": [run.run_id for run in last_round],
        }
        found: dict[int, LeftOver] = {}
        async with self._pools.query() as connection:
            cursor = await connection.execute(_LEFT, parameters)
            async for symbol_id, symbol, is_passing, seconds_left, start, end in cursor:
                piece = TimeRange(to_unix_us(start), to_unix_us(end))
                ranges = (*found[symbol_id].ranges, piece) if symbol_id in found else (piece,)
                found[symbol_id] = LeftOver(symbol, symbol_id, ranges, is_passing, seconds_left)
        return list(found.values())

    async def active_calendars(self) -> frozenset[str]:
        """Name the calendars of all active symbols."""
        return await self._texts(_ACTIVE_CALENDARS, _ACTIVE)

    async def active_symbols(self) -> tuple[str, ...]:
        """List the tickers of all active symbols, ascending."""
        async with self._pools.query() as connection:
            cursor = await connection.execute(_ACTIVE_SYMBOLS, _ACTIVE)
            return tuple(symbol for (symbol,) in await cursor.fetchall())

    async def _texts(self, query: str, parameters: dict[str, str]) -> frozenset[str]:
        async with self._pools.query() as connection:
            cursor = await connection.execute(query, parameters)
            return frozenset(text for (text,) in await cursor.fetchall())
