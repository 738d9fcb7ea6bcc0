"""Corporate actions brought up to what a provider tells: new ones, corrections, and nothing else."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from psycopg import sql

from marketdata.domain.action_changes import (
    ActionChanges,
    Holder,
    ToldAction,
    of_identity,
    plan_changes,
)
from marketdata.domain.corporate_action import CorporateAction
from marketdata.domain.symbol import Symbol
from marketdata.storage.actions import action_columns, insert_actions, read_holders, to_action
from marketdata.storage.change_log import Change, ChangeKind, append_change, new_write_id
from marketdata.storage.known_rows import keep_rows
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.symbol_rows import lock_identity

# By the unique key (symbol_id, kind, ex_date).
_STORED: Final = """
    SELECT kind, ex_date, split_ratio, cash_amount, currency, source, provider
      FROM market_corporate_action WHERE symbol_id = %(symbol_id)s ORDER BY ex_date, kind
"""
# A handful of rows.
_RANKS: Final = "SELECT provider, max(rank) FROM market_feed GROUP BY provider"
_THESE: Final = sql.SQL("""
    symbol_id = %(symbol_id)s AND (kind, ex_date) IN
        (SELECT * FROM unnest(%(kind)s::text[], %(ex_date)s::date[]))
""")
_KEEP: Final = keep_rows("market_corporate_action", _THESE)
# By the unique key.
_CORRECT: Final = """
    UPDATE market_corporate_action AS stored
       SET split_ratio = given.split_ratio, cash_amount = given.cash_amount,
           currency = given.currency, source = given.source, provider = %(provider)s,
           write_id = %(write_id)s
      FROM unnest(%(kind)s::text[], %(ex_date)s::date[], %(split_ratio)s::float8[],
                  %(cash_amount)s::float8[], %(currency)s::text[], %(source)s::text[])
           AS given (kind, ex_date, split_ratio, cash_amount, currency, source)
     WHERE stored.symbol_id = %(symbol_id)s AND stored.kind = given.kind
       AND stored.ex_date = given.ex_date
"""
# No answer changes by it, so that it is no version and not in the log.
_CONFIRM: Final = sql.SQL("UPDATE market_corporate_action SET provider = %(provider)s WHERE {}").format(
    _THESE
)

Alongside = Callable[[Connection, ActionChanges], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ActionsAnswer:
    """A provider's answer about the corporate actions of one identity.

    Attributes
    ----------
    symbol_id : int
        The identity.
    provider : str
        Who answers.
    asked : (date, date)
        Which ex-dates were asked about, half-open.
    told : mapping of str to sequence of CorporateAction
        The whole answer, by the tickers under which it was asked for, the latest one first. An empty
        currency is the symbol's.
    """

    symbol_id: int
    provider: str
    asked: tuple[date, date]
    told: Mapping[str, Sequence[CorporateAction]]


class ActionUpdater:
    """Brings stored corporate actions up to what providers tell.

    Parameters
    ----------
    pools : Pools
        Where transactions run.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def former_tickers(self, symbol: Symbol) -> list[Holder]:
        """Tell when a symbol had which tickers before its latest one."""
        async with self._pools.query() as connection:
            holders = await read_holders(connection, symbol.symbol_id, symbol.symbol)
        return [
            holder
            for holder in holders
            if holder.symbol_id == symbol.symbol_id and holder.symbol != symbol.symbol
        ]

    async def update(self, answer: ActionsAnswer, alongside: Alongside) -> ActionChanges:
        """Store what an answer changes in one transaction; the same answer again changes nothing.

        A corrected action is kept as it was known before, and adjusted reads change with COMMIT. Of a
        time at which the ticker named another identity nothing is stored.

        Parameters
        ----------
        alongside : callable
            Awaited last in the transaction, with what was changed; if it raises, nothing is stored.

        Raises
        ------
        SymbolNotFoundError
            The identity was deleted.
        """
        async with self._pools.query() as connection, connection.transaction():
            identity = await lock_identity(connection, answer.symbol_id)
            own, remarks = await _own(connection, answer, identity)
            changes = plan_changes(
                own,
                await _stored(connection, answer.symbol_id),
                answer.provider,
                await _ranks(connection),
                answer.asked,
            )
            changes.remarks += remarks
            await _write(connection, answer, changes, (*answer.told, identity.symbol))
            await alongside(connection, changes)
        return changes


async def _own(
    connection: Connection, answer: ActionsAnswer, identity: Symbol
) -> tuple[list[CorporateAction], list[str]]:
    """Take what is of the identity; say what is of whoever had its tickers before."""
    found: list[CorporateAction] = []
    remarks: list[str] = []
    for ticker, actions in answer.told.items():
        told = [replace(a, currency=a.currency or identity.currency) for a in actions]
        holders = await read_holders(connection, answer.symbol_id, ticker)
        own, others = of_identity(told, answer.symbol_id, ticker, holders)
        found += own
        remarks += [_remark_of_another(ticker, action) for action in others]
    return found, remarks


async def _stored(connection: Connection, symbol_id: int) -> list[ToldAction]:
    cursor = await connection.execute(_STORED, {"symbol_id": symbol_id})
    return [ToldAction(to_action(*row), provider) for *row, provider in await cursor.fetchall()]


async def _ranks(connection: Connection) -> dict[str, int]:
    return dict(await (await connection.execute(_RANKS)).fetchall())


async def _write(
    connection: Connection, answer: ActionsAnswer, changes: ActionChanges, tickers: Sequence[str]
) -> None:
    symbol_id, provider = answer.symbol_id, answer.provider
    if changes.confirmed:
        columns = action_columns(symbol_id, changes.confirmed)
        await connection.execute(_CONFIRM, {**columns, "provider": provider})
    if not changes.new and not changes.corrected:
        return
    write_id = await new_write_id(connection)
    if changes.corrected:
        columns = action_columns(symbol_id, changes.corrected)
        await connection.execute(_KEEP, {**columns, "superseded_by": write_id})
        more = {"provider": provider, "write_id": write_id}
        await connection.execute(_CORRECT, {**columns, **more})
    if changes.new:
        await insert_actions(connection, symbol_id, changes.new, provider, write_id)
    change = Change(
        kind=ChangeKind.ACTION,
        symbols=tuple(dict.fromkeys(tickers)),
        accepted=len(changes.new),
        revised=len(changes.corrected),
        reason=f"corporate actions from {provider}",
    )
    await append_change(connection, write_id, change)


def _remark_of_another(ticker: str, action: CorporateAction) -> str:
    what = f"{action.kind.value} of {action.ex_date}"
    return f"{what} was left out: {ticker} did not name this symbol then"
