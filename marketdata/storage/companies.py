"""Companies: what is known of the businesses behind symbols."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, fields, replace
from datetime import date
from typing import Any, Final

from psycopg import sql
from psycopg.types.json import Jsonb

from marketdata.domain.company import Company, CompanyFacts, FactOrigin
from marketdata.domain.company_changes import FactChanges, merge_facts, origins_by_hand
from marketdata.domain.symbol import BY_HAND
from marketdata.errors import CompanyNotFoundError
from marketdata.storage.change_log import Change, ChangeKind, append_change, new_write_id
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.symbol_rows import (
    HOLDER,
    fetch_rows,
    lock_identity,
    lock_symbol,
    unknown_symbol,
)

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
    INSERT INTO market_stock (symbol_id, {columns}, source, origins, updated_at)
    VALUES (%(symbol_id)s, {values}, %(source)s, %(origins)s, clock_timestamp())
    ON CONFLICT (symbol_id) DO UPDATE
       SET ({columns}, source, origins, updated_at)
         = ({excluded}, excluded.source, excluded.origins, excluded.updated_at)
""").format(
    columns=sql.SQL(", ").join(map(sql.Identifier, _FACTS)),
    values=sql.SQL(", ").join(map(sql.Placeholder, _FACTS)),
    excluded=sql.SQL(", ").join(sql.Identifier("excluded", name) for name in _FACTS),
)
_TODAY: Final = "SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date"
_FORGET: Final = "DELETE FROM market_stock WHERE symbol_id = %(symbol_id)s"


Alongside = Callable[[Connection, FactChanges], Awaitable[None]]


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
            said_on = values.get("as_of") or await _today(connection)
            origins = origins_by_hand(stored.facts, facts, stored.origins, said_on)
            await _write(connection, identity.symbol_id, facts, BY_HAND, origins)
            await _append(connection, identity.symbol, f"UpdateCompany of {identity.symbol}")
            return await _read_locked(connection, which)

    async def store_facts(
        self, symbol_id: int, told: CompanyFacts, source: str, today: date, alongside: Alongside
    ) -> FactChanges:
        """Store what a provider's answer changes; the same answer again changes nothing.

        See `merge_facts` for what an answer may change.

        Parameters
        ----------
        symbol_id : int
            The identity.
        told : CompanyFacts
            The answer.
        source : str
            The provider.
        today : date
            Its day, where it does not tell one.
        alongside : callable
            Awaited last in the transaction, with what was changed; if it raises, nothing is stored.

        Raises
        ------
        SymbolNotFoundError
            The identity was deleted.
        """
        async with self._pools.query() as connection, connection.transaction():
            identity = await lock_identity(connection, symbol_id)
            stored = await _read_locked(connection, {"symbol_id": symbol_id})
            changes = merge_facts(stored, told, source, today)
            if changes.facts != stored.facts:
                await _write(connection, symbol_id, changes.facts, source, changes.origins)
                await _append(connection, identity.symbol, f"company facts from {source}")
            await alongside(connection, changes)
        return changes


async def _today(connection: Connection) -> date:
    row = await (await connection.execute(_TODAY)).fetchone()
    assert row is not None  # noqa: S101 -- a clock always answers
    today: date = row[0]
    return today


async def _write(
    connection: Connection,
    symbol_id: int,
    facts: CompanyFacts,
    source: str,
    origins: Mapping[str, FactOrigin],
) -> None:
    if facts == _NOTHING:
        await connection.execute(_FORGET, {"symbol_id": symbol_id})
        return
    told = {name: [origin.source, origin.day.isoformat()] for name, origin in origins.items()}
    more = {"symbol_id": symbol_id, "source": source, "origins": Jsonb(told)}
    await connection.execute(_STORE, {**asdict(facts), **more})


async def _append(connection: Connection, symbol: str, reason: str) -> None:
    # In the log like the symbol's own fields: lists of symbols are answered by them too.
    change = Change(kind=ChangeKind.SYMBOL, symbols=(symbol,), reason=reason)
    await append_change(connection, await new_write_id(connection), change)


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
    origins = {
        name: FactOrigin(source, date.fromisoformat(day))
        for name, (source, day) in row["origins"].items()
    }
    return Company(symbol, symbol_id, facts, row["source"], row["updated_at"], origins)


async def _read_locked(connection: Connection, which: Mapping[str, Any]) -> Company:
    company = await _read(connection, _READ_BY_ID, which)
    assert company is not None  # noqa: S101 -- its symbol is locked
    return company
