"""Slots of the schedule, as far as the database knows them: by the runs that execute them."""

from collections.abc import Sequence
from typing import Final

from marketdata.domain.symbol import SymbolStatus
from marketdata.storage.pools import Pools

# By the unique index of request_id.
_EXECUTED: Final = "SELECT request_id FROM ingestion_run WHERE request_id = ANY (%(request_ids)s)"
# By ingestion_run_open: a few at a time.
_OPEN: Final = "SELECT request_id FROM ingestion_run WHERE state IN ('queued', 'running')"
# The whole table, of thousands of rows.
_ACTIVE_CALENDARS: Final = "SELECT DISTINCT calendar FROM market_symbol WHERE status = %(status)s"
_ACTIVE_SYMBOLS: Final = (
    "SELECT symbol FROM market_symbol WHERE status = %(status)s ORDER BY symbol, symbol_id"
)
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

    async def executed(self, request_ids: Sequence[str]) -> frozenset[str]:
        """Tell which of these slots have a run, whatever became of it."""
        return await self._texts(_EXECUTED, {"request_ids": list(request_ids)})

    async def open_runs(self) -> frozenset[str]:
        """List the `request_id` of every run that is queued or running."""
        return await self._texts(_OPEN, {})

    async def active_calendars(self) -> frozenset[str]:
        """Name the calendars of all active symbols."""
        return await self._texts(_ACTIVE_CALENDARS, _ACTIVE)

    async def active_symbols(self) -> tuple[str, ...]:
        """List the tickers of all active symbols, ascending."""
        async with self._pools.query() as connection:
            cursor = await connection.execute(_ACTIVE_SYMBOLS, _ACTIVE)
            return tuple(symbol for (symbol,) in await cursor.fetchall())

    async def _texts(
        self, query: str, parameters: dict[str, list[str]] | dict[str, str]
    ) -> frozenset[str]:
        async with self._pools.query() as connection:
            cursor = await connection.execute(query, parameters)
            return frozenset(text for (text,) in await cursor.fetchall())
