"""Corporate actions that are to be stored, held against what is stored already."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from psycopg import sql

from marketdata.domain.action_rules import (
    DUPLICATE_WINDOW,
    ActionFinding,
    cash_yield,
    check_actions,
)
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.symbol import Symbol
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import FieldViolation
from marketdata.storage.bar_tables import bar_table
from marketdata.storage.pools import Connection

# The last raw close within a week before each date, under the ticker of that time. By
# symbol_validity_symbol_id, and the primary key of the daily bars within their partitions.
_CLOSES: Final = sql.SQL("""
    SELECT asked.ex_date, bar.close
      FROM unnest(%(dates)s::date[]) AS asked (ex_date)
      JOIN symbol_validity AS validity
        ON validity.symbol_id = %(symbol_id)s
       AND daterange(validity.valid_from, validity.valid_to) @> asked.ex_date - 1
      CROSS JOIN LATERAL (
          SELECT close FROM {table}
           WHERE symbol = validity.symbol
             AND time >= (asked.ex_date - 7)::timestamp AT TIME ZONE 'UTC'
             AND time < asked.ex_date::timestamp AT TIME ZONE 'UTC'
             AND time >= coalesce(validity.valid_from, '-infinity')::timestamp AT TIME ZONE 'UTC'
             AND time >= (%(first)s::date - 7)::timestamp AT TIME ZONE 'UTC'
             AND time < %(last)s::date::timestamp AT TIME ZONE 'UTC'
           ORDER BY time DESC LIMIT 1) AS bar
""").format(table=bar_table(Timeframe.DAY_1))


async def find_violations(
    connection: Connection,
    identity: Symbol,
    actions: Sequence[CorporateAction],
    stored: Sequence[CorporateAction],
) -> list[FieldViolation]:
    """Find what is wrong with actions of a request, given what is stored of the symbol.

    ======================================  ==========================================================
    reason                                  broken by
    ======================================  ==========================================================
    DUPLICATE_SPLIT, DUPLICATE_DIVIDEND     an action of the same size as a stored one at most 7 days
                                            before or after it
    FACTOR_NOT_POSITIVE                     a dividend that is no less than the close before its
                                            ex-date, where there is one and the currencies agree
    ======================================  ==========================================================

    Parameters
    ----------
    actions : sequence of CorporateAction
        Sound as far as they say themselves, with their currencies.

    Returns
    -------
    list of FieldViolation
        By position in `actions`; those that are stored already have none.
    """
    known = {(action.kind, action.ex_date) for action in stored}
    fresh = [(i, a) for i, a in enumerate(actions) if (a.kind, a.ex_date) not in known]
    closes = await _read_closes(connection, identity, [action for _, action in fresh])
    violations = []
    for position, action in fresh:
        repeated = _repeated(action, stored)
        if repeated is not None:
            violations.append(_repeats(position, repeated[0], repeated[1]))
        close = closes.get(action.ex_date)
        if close is not None and _pays_out(action, close, [*stored, *actions]):
            violations.append(_too_large(position, close))
    return violations


async def _read_closes(
    connection: Connection, identity: Symbol, actions: Sequence[CorporateAction]
) -> dict[date, float]:
    dates = [
        action.ex_date
        for action in actions
        if action.kind is CorporateActionKind.CASH_DIVIDEND and action.currency == identity.currency
    ]
    if not dates:
        return {}
    parameters = {
        "symbol_id": identity.symbol_id,
        "dates": dates,
        "first": min(dates),
        "last": max(dates),
    }
    cursor = await connection.execute(_CLOSES, parameters)
    return dict(await cursor.fetchall())


def _repeated(
    action: CorporateAction, stored: Sequence[CorporateAction]
) -> tuple[ActionFinding, CorporateAction] | None:
    for other in stored:
        if abs(other.ex_date - action.ex_date) <= DUPLICATE_WINDOW and other.kind is action.kind:
            for finding in check_actions([other, action]):
                return finding, other
    return None


def _pays_out(action: CorporateAction, close: float, known: Sequence[CorporateAction]) -> bool:
    if action.kind is not CorporateActionKind.CASH_DIVIDEND:
        return False
    splits = [a for a in known if a.ex_date == action.ex_date and a.split_ratio is not None]
    return cash_yield([action, *splits[:1]], close) >= 1


def _repeats(position: int, finding: ActionFinding, other: CorporateAction) -> FieldViolation:
    size = other.split_ratio or other.cash_amount
    problem = f"repeats the one of {size} of {other.ex_date}, which is stored; leave it out"
    return FieldViolation(f"actions[{position}].ex_date", finding.rule, problem)


def _too_large(position: int, close: float) -> FieldViolation:
    problem = (
        f"is no less than the close of {close} before it, so no price can be adjusted for it; "
        "send it in the unit of the prices (pounds, not pence)"
    )
    return FieldViolation(f"actions[{position}].cash_amount", "FACTOR_NOT_POSITIVE", problem)
