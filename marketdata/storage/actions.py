"""Corporate actions."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from psycopg import sql

from marketdata.domain.action_changes import BY_HAND, Holder, of_identity
from marketdata.domain.as_of import KnownWrites
from marketdata.domain.corporate_action import ActionQuery, CorporateAction, CorporateActionKind
from marketdata.domain.symbol import Symbol
from marketdata.errors import InvalidRequestError
from marketdata.storage.action_checks import find_violations
from marketdata.storage.change_log import (
    Change,
    ChangeKind,
    append_change,
    committed_seq,
    new_write_id,
)
from marketdata.storage.known_rows import known_rows
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.symbol_rows import lock_symbol, read_symbol

# By the unique key (symbol_id, kind, ex_date).
_READ: Final = sql.SQL("""
    SELECT symbol_id, kind, ex_date, split_ratio, cash_amount, currency, source
      FROM {actions} AS action WHERE symbol_id = ANY (%s) ORDER BY symbol_id, ex_date, kind
""")
# By the unique key; a symbol has a few hundred, which are sorted.
_LIST: Final = """
    SELECT kind, ex_date, split_ratio, cash_amount, currency, source
      FROM market_corporate_action
     WHERE symbol_id = %(symbol_id)s
       AND (%(kind)s::text IS NULL OR kind = %(kind)s)
       AND (%(start)s::date IS NULL OR ex_date >= %(start)s)
       AND (%(end)s::date IS NULL OR ex_date < %(end)s)
       AND (%(after_date)s::date IS NULL OR (ex_date, kind) > (%(after_date)s, %(after_kind)s))
     ORDER BY ex_date, kind LIMIT %(limit)s
"""
_INSERT: Final = """
    INSERT INTO market_corporate_action
           (symbol_id, kind, ex_date, split_ratio, cash_amount, currency, source, provider, write_id)
    SELECT %(symbol_id)s, given.*, %(provider)s, %(write_id)s
      FROM unnest(%(kind)s::text[], %(ex_date)s::date[], %(split_ratio)s::float8[],
                  %(cash_amount)s::float8[], %(currency)s::text[], %(source)s::text[]) AS given
    ON CONFLICT (symbol_id, kind, ex_date) DO NOTHING
"""
# By symbol_validity_symbol_id and symbol_validity_symbol.
_HOLDERS: Final = """
    SELECT symbol_id, symbol, valid_from, valid_to FROM symbol_validity
     WHERE symbol_id = %(symbol_id)s OR symbol = %(ticker)s
"""
_COLUMNS: Final = ("ex_date", "split_ratio", "cash_amount", "currency", "source")


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What became of corporate actions that were to be stored.

    Attributes
    ----------
    accepted, unchanged : int
        Stored for the first time; left out because one of that kind and ex-date is stored.
    seq : int
        Position in the change log; 0 where nothing changed.
    """

    accepted: int
    unchanged: int
    seq: int


class ActionStore:
    """Reads and writes corporate actions.

    Parameters
    ----------
    pools : Pools
        Where transactions run.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def list_page(
        self, symbol: str, query: ActionQuery, after: tuple[date, str] | None, limit: int
    ) -> list[CorporateAction]:
        """List actions of one symbol by (ex-date, kind), from behind `after`; None is the beginning.

        Raises
        ------
        SymbolNotFoundError
            The ticker names nothing.
        """
        async with self._pools.query() as connection:
            identity = await read_symbol(connection, symbol)
            parameters = {
                "symbol_id": identity.symbol_id,
                "kind": query.kind.value if query.kind else None,
                "start": query.start,
                "end": query.end,
                "after_date": after[0] if after else None,
                "after_kind": after[1] if after else None,
                "limit": limit,
            }
            cursor = await connection.execute(_LIST, parameters)
            return [to_action(*row) for row in await cursor.fetchall()]

    async def list_all(self, symbol: str) -> list[CorporateAction]:
        """List all actions of one symbol by ex-date; a symbol has a few hundred.

        Raises
        ------
        SymbolNotFoundError
            The ticker names nothing.
        """
        async with self._pools.query() as connection:
            identity = await read_symbol(connection, symbol)
            found = await read_actions(connection, [identity.symbol_id])
        return found.get(identity.symbol_id, [])

    async def part_by_identity(
        self, symbol: Symbol, actions: Sequence[CorporateAction]
    ) -> tuple[list[CorporateAction], list[CorporateAction]]:
        """Part what a provider tells of a symbol from what is of whoever had its ticker before."""
        async with self._pools.query() as connection:
            holders = await read_holders(connection, symbol.symbol_id, symbol.symbol)
        return of_identity(actions, symbol.symbol_id, symbol.symbol, holders)

    async def add(
        self, symbol: str, actions: Sequence[CorporateAction], provider: str = BY_HAND
    ) -> ActionResult:
        """Store actions of one symbol in one transaction; known ones stay as they are.

        Parameters
        ----------
        actions : sequence of CorporateAction
            Positive, finite and of different kinds or ex-dates; they are not judged further. An
            empty currency is the symbol's.
        provider : str
            Who tells them.

        Raises
        ------
        SymbolNotFoundError
            The ticker names nothing.
        """
        return await self._store(symbol, actions, provider, are_judged=False)

    async def create(
        self, symbol: str, actions: Sequence[CorporateAction], provider: str = BY_HAND
    ) -> ActionResult:
        """Store actions as `add`, if none of them contradicts what is stored.

        Raises
        ------
        SymbolNotFoundError
            The ticker names nothing.
        InvalidRequestError
            With every violation: see `find_violations`. Nothing was stored.
        """
        return await self._store(symbol, actions, provider, are_judged=True)

    async def _store(
        self, symbol: str, actions: Sequence[CorporateAction], provider: str, *, are_judged: bool
    ) -> ActionResult:
        async with self._pools.query() as connection:
            async with connection.transaction():
                identity = await lock_symbol(connection, symbol)
                actions = [replace(a, currency=a.currency or identity.currency) for a in actions]
                if are_judged:
                    await _judge(connection, identity, actions)
                write_id = await new_write_id(connection)
                inserted = await insert_actions(
                    connection, identity.symbol_id, actions, provider, write_id
                )
                accepted, unchanged = inserted, len(actions) - inserted
                if accepted == 0:
                    return ActionResult(0, unchanged, 0)
                tickers = tuple(dict.fromkeys([symbol, identity.symbol]))
                change = Change(kind=ChangeKind.ACTION, symbols=tickers, accepted=accepted)
                await append_change(connection, write_id, change)
            return ActionResult(accepted, unchanged, await committed_seq(connection, write_id))


async def read_actions(
    connection: Connection, symbol_ids: Sequence[int], known: KnownWrites | None = None
) -> dict[int, list[CorporateAction]]:
    """Read all actions of some identities, on a connection of the caller's.

    Parameters
    ----------
    known : KnownWrites or None
        Those that were known then; None for now.

    Returns
    -------
    dict
        By symbol_id, ascending by ex-date; identities without any are left out.
    """
    statement = _READ.format(actions=known_rows("market_corporate_action", known))
    cursor = await connection.execute(statement, [list(symbol_ids)])
    found: dict[int, list[CorporateAction]] = defaultdict(list)
    for symbol_id, *row in await cursor.fetchall():
        found[symbol_id].append(to_action(*row))
    return dict(found)


async def read_holders(connection: Connection, symbol_id: int, ticker: str) -> list[Holder]:
    """Read when an identity had which ticker, and when a ticker named which identity."""
    cursor = await connection.execute(_HOLDERS, {"symbol_id": symbol_id, "ticker": ticker})
    return [Holder(*row) for row in await cursor.fetchall()]


async def insert_actions(
    connection: Connection,
    symbol_id: int,
    actions: Sequence[CorporateAction],
    provider: str,
    write_id: int,
) -> int:
    """Insert those of one identity whose kind and ex-date are not stored; return how many these are."""
    parameters = action_columns(symbol_id, actions)
    more = {"provider": provider, "write_id": write_id}
    cursor = await connection.execute(_INSERT, {**parameters, **more})
    return cursor.rowcount


async def _judge(connection: Connection, identity: Symbol, actions: Sequence[CorporateAction]) -> None:
    stored = (await read_actions(connection, [identity.symbol_id])).get(identity.symbol_id, [])
    violations = await find_violations(connection, identity, actions, stored)
    if violations:
        raise InvalidRequestError(violations=violations)


def to_action(kind: str, *values: Any) -> CorporateAction:
    """Make an action of its columns: kind, ex_date, split_ratio, cash_amount, currency, source."""
    return CorporateAction(CorporateActionKind(kind), *values)


def action_columns(symbol_id: int, actions: Sequence[CorporateAction]) -> dict[str, Any]:
    """Make the parameters of a statement about actions of one identity, a list a column."""
    columns = {name: [getattr(action, name) for action in actions] for name in _COLUMNS}
    kinds = [action.kind.value for action in actions]
    return {"symbol_id": symbol_id, "kind": kinds, **columns}
