"""The corporate actions that an entry of the change log is about."""

from collections.abc import Sequence
from typing import Final

from psycopg import sql

from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.storage.pools import Pools
from marketdata.storage.symbol_rows import HOLDER

# By bar_write_seq_key, symbol_validity_symbol and the unique key (symbol_id, kind, ex_date): of the few
# hundred actions of a symbol.
_READ: Final = sql.SQL("""
    SELECT action.kind, action.ex_date, action.split_ratio, action.cash_amount, action.currency,
           action.source
      FROM market_corporate_action AS action
     WHERE action.symbol_id = {holder}
       AND action.write_id = (SELECT write_id FROM bar_write WHERE seq = %(seq)s)
     ORDER BY action.ex_date, action.kind
""").format(holder=HOLDER)


async def read_actions_of_entry(pools: Pools, symbol: str, seq: int) -> Sequence[CorporateAction]:
    """Read the actions of a symbol that a write made known, by ex-date; none where they are gone."""
    async with pools.query() as connection:
        cursor = await connection.execute(_READ, {"symbol": symbol, "seq": seq})
        rows = await cursor.fetchall()
    return [CorporateAction(CorporateActionKind(kind), *values) for kind, *values in rows]
