"""Statuses of symbols, by what providers state."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from typing import Final

from marketdata.domain.listing import Listing, judge_listings
from marketdata.domain.symbol import Symbol, SymbolStatus, SymbolUpdate
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.symbol_changes import update_symbol
from marketdata.storage.symbol_rows import lock_identity

# By the primary key.
_LAST_BAR: Final = """
    SELECT max(CASE timeframe WHEN '1d' THEN time AT TIME ZONE 'UTC'
                              ELSE time AT TIME ZONE %(time_zone)s END)::date
      FROM bar_latest WHERE symbol = %(symbol)s
"""

Fence = Callable[[Connection], Awaitable[None]]


class StatusKeeper:
    """Marks symbols as delisted where a provider states it.

    Parameters
    ----------
    pools : Pools
        Where transactions run.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def judge(
        self, asked: Symbol, listings: Sequence[Listing], source: str, today: date, fence: Fence
    ) -> str:
        """Change the status of a symbol where what is stated is evidence; see `judge_listings`.

        Parameters
        ----------
        asked : Symbol
            As it was when the provider was asked: where it was renamed since, the statement is not
            about it any more.
        fence : callable
            Awaited last in the transaction; if it raises, nothing is stored.

        Returns
        -------
        str
            What a person should know; empty where there is nothing.

        Raises
        ------
        SymbolNotFoundError
            It was deleted.
        """
        async with self._pools.query() as connection, connection.transaction():
            identity = await lock_identity(connection, asked.symbol_id)
            if identity.symbol != asked.symbol:
                return ""
            last_bar = await _last_bar(connection, identity)
            verdict = judge_listings(identity, listings, source, last_bar, today)
            if verdict.evidence is not None:
                update = SymbolUpdate({"status": SymbolStatus.DELISTED}, evidence=verdict.evidence)
                await update_symbol(connection, identity.symbol, update)
            await fence(connection)
        return verdict.remark


async def _last_bar(connection: Connection, identity: Symbol) -> date | None:
    parameters = {"symbol": identity.symbol, "time_zone": identity.time_zone}
    row = await (await connection.execute(_LAST_BAR, parameters)).fetchone()
    last: date | None = None if row is None else row[0]
    return last
