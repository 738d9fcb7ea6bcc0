"""Corporate actions."""

from collections.abc import Sequence
from typing import Final

from marketdata.domain.corporate_action import CorporateAction
from marketdata.storage.change_log import Change, ChangeKind, append_change, new_write_id
from marketdata.storage.pools import Pools
from marketdata.storage.symbols import unknown_symbol

# By symbol_validity_symbol.
_HOLDER: Final = """
    SELECT symbol_id FROM symbol_validity
     WHERE symbol = %s ORDER BY valid_to DESC NULLS FIRST LIMIT 1
"""
_INSERT: Final = """
    INSERT INTO market_corporate_action
           (symbol_id, kind, ex_date, split_ratio, cash_amount, currency, source)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (symbol_id, kind, ex_date) DO NOTHING
"""


class ActionStore:
    """Writes corporate actions.

    Parameters
    ----------
    pools : Pools
        Where transactions run.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def add(self, symbol: str, actions: Sequence[CorporateAction]) -> int:
        """Store actions of one symbol in one transaction; known ones stay as they are.

        Returns
        -------
        int
            How many were new. Where none was, nothing changed and the change log has no entry.

        Raises
        ------
        SymbolNotFoundError
            The ticker names nothing.
        """
        async with self._pools.query() as connection, connection.transaction():
            cursor = await connection.execute(_HOLDER, [symbol])
            row = await cursor.fetchone()
            if row is None:
                raise unknown_symbol(symbol)
            async with connection.cursor() as insert:
                await insert.executemany(_INSERT, [_values(row[0], a) for a in actions])
                added = insert.rowcount
            if added:
                change = Change(kind=ChangeKind.ACTION, symbols=(symbol,), accepted=added)
                await append_change(connection, await new_write_id(connection), change)
            return added


def _values(symbol_id: int, action: CorporateAction) -> list[object]:
    return [
        symbol_id,
        action.kind.value,
        action.ex_date,
        action.split_ratio,
        action.cash_amount,
        action.currency,
        action.source,
    ]
