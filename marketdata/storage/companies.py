"""Companies: what is known of the businesses behind symbols."""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any, Final

from psycopg import sql

from marketdata.domain.company import Company, CompanyFacts
from marketdata.errors import CompanyNotFoundError
from marketdata.storage.change_log import Change, ChangeKind, append_change, new_write_id
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.symbol_rows import HOLDER, fetch_rows, lock_symbol, unknown_symbol

# The source of what people say, and not a provider.
MANUAL: Final = "manual"

_FACTS: Final = tuple(field.name for field in fields(CompanyFacts))
_NOTHING: Final = CompanyFacts()
# By the primary keys of both.
_READ: Final = sql.SQL("""
    SELECT identity.symbol AS latest, identity.symbol_id AS identity_id, company.*
      FROM market_symbol AS identity LEFT JOIN market_stock AS company USING (symbol_id)
     WHERE identity.symbol_id = {symbol_id}
""")
_READ_BY_TICKER: Final = _READ.format(symbol_id=HOLDER)
_READ_BY_ID: Final = _READ.format(symbol_id=sql.SQL("%(symbol_id)s"))
# now() would be the beginning of the transaction, before it waited for the lock.
_STORE: Final = sql.SQL("""
    INSERT INTO market_stock (symbol_id, {columns}, source, updated_at)
    VALUES (%(symbol_id)s, {values}, %(source)s, clock_timestamp())
    ON CONFLICT (symbol_id) DO UPDATE
       SET ({columns}, source, updated_at) = ({excluded}, excluded.source, excluded.updated_at)
""").format(
    columns=sql.SQL(", ").join(map(sql.Identifier, _FACTS)),
    values=sql.SQL(", ").join(map(sql.Placeholder, _FACTS)),
    excluded=sql.SQL(", ").join(sql.Identifier("excluded", name) for name in _FACTS),
)
_FORGET: Final = "DELETE FROM market_stock WHERE symbol_id = %(symbol_id)s"


class CompanyStore:
    """Reads and writes companies.

    Parameters
    ----------
    pools : Pools
        Where queries run.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def get(self, symbol: str) -> Company:
        """Get the company behind the identity that a ticker names, or last named.

        Raises
        ------
        SymbolNotFoundError
            The ticker never named anything.
        CompanyNotFoundError
            Nothing is known of its company.
        """
        async with self._pools.query() as connection:
            company = await _read(connection, _READ_BY_TICKER, {"symbol": symbol})
        if company is None:
            raise unknown_symbol(symbol)
        if company.facts == _NOTHING:
            raise CompanyNotFoundError(
                f"nothing is known of the company of {symbol}; UpdateCompany stores its facts",
                metadata={"symbol": symbol},
            )
        return company

    async def update(self, symbol: str, values: Mapping[str, Any]) -> Company:
        """Change facts of a company; those that it has already leave no trace.

        Two updates of different facts at the same time are both kept.

        Parameters
        ----------
        symbol : str
            A ticker that it has or had.
        values : mapping of str to Any
            New values by the names of `CompanyFacts`'s fields; the others stay as they are.

        Returns
        -------
        Company
            As stored. Where no fact is left nothing is, and `get` finds nothing.

        Raises
        ------
        SymbolNotFoundError
            The ticker never named anything.
        """
        async with self._pools.query() as connection, connection.transaction():
            # Its lock orders updates of one company, and keeps the symbol from being deleted meanwhile.
            identity = await lock_symbol(connection, symbol)
            which = {"symbol_id": identity.symbol_id}
            stored = await _read_locked(connection, which)
            facts = replace(stored.facts, **values)
            if facts == stored.facts:
                return stored
            if facts == _NOTHING:
                await connection.execute(_FORGET, which)
            else:
                await connection.execute(_STORE, {**which, **asdict(facts), "source": MANUAL})
            # In the log like the symbol's own fields: lists of symbols are answered by them too.
            change = Change(
                kind=ChangeKind.SYMBOL,
                symbols=(identity.symbol,),
                reason=f"UpdateCompany of {identity.symbol}",
            )
            await append_change(connection, await new_write_id(connection), change)
            return await _read_locked(connection, which)


async def _read(
    connection: Connection, query: sql.Composed, which: Mapping[str, Any]
) -> Company | None:
    rows = await fetch_rows(connection, query, which)
    if not rows:
        return None
    (row,) = rows
    symbol, symbol_id = row["latest"], row["identity_id"]
    # Of a company of which nothing is known all of its columns are NULL.
    if row["symbol_id"] is None:
        return Company(symbol, symbol_id, _NOTHING)
    facts = CompanyFacts(**{name: row[name] for name in _FACTS})
    return Company(symbol, symbol_id, facts, row["source"], row["updated_at"])


async def _read_locked(connection: Connection, which: Mapping[str, Any]) -> Company:
    company = await _read(connection, _READ_BY_ID, which)
    assert company is not None  # noqa: S101 -- its symbol is locked
    return company
