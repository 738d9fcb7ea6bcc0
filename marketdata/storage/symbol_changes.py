"""Symbols created, edited and renamed, each within a transaction of the caller's."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any, Final

from psycopg import sql
from psycopg.types.json import Jsonb

from marketdata.domain.symbol import BY_HAND, NewSymbol, StatusEvidence, Symbol, SymbolUpdate
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import RenameRefusedError, SymbolAlreadyExistsError
from marketdata.storage.change_log import Change, ChangeKind, append_change, new_write_id
from marketdata.storage.known_rows import keep_rows
from marketdata.storage.pools import Connection
from marketdata.storage.rollup_marks import mark_calendar_changed, mark_renamed
from marketdata.storage.stripes import lock_stripes
from marketdata.storage.symbol_rows import lock_symbol, read_symbol_by_id

# An exclusion constraint is checked behind the insert: two creators of one ticker would wait for each
# other until PostgreSQL ends one of them a second later.
_LOCK_TICKER: Final = "SELECT pg_advisory_xact_lock(hashtext('market_symbol'), hashtext(%s))"
_INSERT: Final = """
    INSERT INTO market_symbol (symbol, name, venue, asset_class, currency, calendar, time_zone,
                               tick_size, status, ipo_date, provider_symbols, write_id)
    VALUES (%(symbol)s, %(name)s, %(venue)s, %(asset_class)s, %(currency)s, %(calendar)s,
            %(time_zone)s, %(tick_size)s, %(status)s, %(ipo_date)s, %(provider_symbols)s, %(write_id)s)
    RETURNING symbol_id
"""
# By the primary key.
_UPDATE: Final = """
    UPDATE market_symbol
       SET symbol = %(symbol)s, name = %(name)s, venue = %(venue)s, asset_class = %(asset_class)s,
           currency = %(currency)s, calendar = %(calendar)s, time_zone = %(time_zone)s,
           tick_size = %(tick_size)s, status = %(status)s, ipo_date = %(ipo_date)s,
           provider_symbols = %(provider_symbols)s, status_evidence = %(status_evidence)s,
           write_id = %(write_id)s
     WHERE symbol_id = %(symbol_id)s
"""
# now() would be the beginning of the transaction, before it waited for the lock.
_NOW: Final = "SELECT clock_timestamp()"
_OPEN_VALIDITY: Final = """
    INSERT INTO symbol_validity (symbol_id, symbol, valid_from, write_id)
    VALUES (%(symbol_id)s, %(symbol)s, %(valid_from)s, %(write_id)s)
"""
# By symbol_validity_symbol_id.
_STILL_VALID: Final = sql.SQL(
    "symbol_id = %(symbol_id)s AND symbol = %(symbol)s AND (valid_to IS NULL OR valid_to > %(date)s)"
)
_KEEP_VALIDITY: Final = keep_rows("symbol_validity", _STILL_VALID)
_CLOSE_VALIDITY: Final = sql.SQL(
    "UPDATE symbol_validity SET valid_to = %(date)s, write_id = %(superseded_by)s WHERE {}"
).format(_STILL_VALID)
_KEEP_SYMBOL: Final = keep_rows("market_symbol", sql.SQL("symbol_id = %(symbol_id)s"))
# The newest bar under a ticker tells whether there is any from a date on. By bar_latest's primary key.
_BARS_FROM: Final = """
    SELECT timeframe FROM bar_latest
     WHERE symbol = %(symbol)s
       AND time >= %(date)s::timestamp AT TIME ZONE
                   CASE timeframe WHEN '1d' THEN 'UTC' ELSE %(time_zone)s END
     ORDER BY timeframe LIMIT 1
"""
# Who held a ticker from a date on, the present holder first. By symbol_validity_symbol.
_HOLDER_FROM: Final = """
    SELECT validity.valid_to, identity.symbol
      FROM symbol_validity AS validity JOIN market_symbol AS identity USING (symbol_id)
     WHERE validity.symbol = %(symbol)s
       AND daterange(validity.valid_from, validity.valid_to) && daterange(%(date)s, NULL)
     ORDER BY validity.valid_to DESC NULLS FIRST LIMIT 1
"""


async def create_symbol(connection: Connection, new: NewSymbol) -> Symbol:
    """Create a symbol.

    Raises
    ------
    psycopg.errors.UniqueViolation, psycopg.errors.ExclusionViolation
        The ticker names another one at some time from `valid_from` on; see `explain_taken`.
    """
    await connection.execute(_LOCK_TICKER, [new.symbol])
    write_id = await new_write_id(connection)
    cursor = await connection.execute(_INSERT, _parameters(new, write_id))
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 -- RETURNING of one inserted row
    await _open_validity(connection, row[0], new.symbol, new.valid_from, write_id)
    await _append(connection, write_id, new.symbol)
    return await read_symbol_by_id(connection, row[0])


async def update_symbol(connection: Connection, symbol: str, update: SymbolUpdate) -> Symbol:
    """Change a symbol that a ticker names, or last named; the same again changes nothing.

    Raises
    ------
    SymbolNotFoundError, RenameRefusedError
        See `SymbolStore.update`.
    psycopg.errors.UniqueViolation, psycopg.errors.ExclusionViolation
        As `create_symbol`.
    """
    stored = await lock_symbol(connection, symbol)
    changed = await _with_evidence(connection, stored, replace(stored, **update.values), update)
    write_id = await new_write_id(connection)
    if changed.symbol != stored.symbol:
        assert update.effective_date is not None  # noqa: S101 -- what a rename is
        await _rename(connection, stored, changed, update.effective_date, write_id)
    elif update.effective_date not in (None, stored.valid_from):
        since = f"since {stored.valid_from}" if stored.valid_from else "without a beginning"
        raise _refused(stored, f"is called {stored.symbol} already, {since}; nothing to rename")
    elif changed == stored:
        return stored
    kept = {"symbol_id": stored.symbol_id, "superseded_by": write_id}
    await connection.execute(_KEEP_SYMBOL, kept)
    parameters = {
        **_parameters(changed, write_id),
        "symbol_id": stored.symbol_id,
        "status_evidence": _evidence(changed.status_evidence),
    }
    await connection.execute(_UPDATE, parameters)
    if (changed.calendar, changed.time_zone) != (stored.calendar, stored.time_zone):
        await mark_calendar_changed(connection, stored.symbol_id)
    tickers = dict.fromkeys([stored.symbol, changed.symbol])
    await _append(connection, write_id, *tickers, reason=_reason(stored, changed))
    return await read_symbol_by_id(connection, stored.symbol_id)


async def explain_taken(
    connection: Connection, symbol: str, since: date | None, date_field: str
) -> SymbolAlreadyExistsError:
    """Make the error for a ticker that names another symbol at some time from `since` on.

    Parameters
    ----------
    date_field : str
        Name of the request's field that `since` comes from.
    """
    cursor = await connection.execute(_HOLDER_FROM, {"symbol": symbol, "date": since})
    row = await cursor.fetchone()
    valid_to, latest = row or (None, symbol)
    if valid_to is None:
        remedy = "read it with GetSymbol; to give its ticker to another one, rename it (UpdateSymbol)"
        message = f"symbol {symbol} exists; {remedy}"
    else:
        whom = "another symbol" if latest == symbol else f"{latest}"
        message = f"{symbol} named {whom} before {valid_to}; say {date_field} {valid_to} or later"
    return SymbolAlreadyExistsError(message, metadata={"symbol": symbol})


async def _rename(
    connection: Connection, stored: Symbol, changed: Symbol, since: date, write_id: int
) -> None:
    if stored.valid_from is not None and since <= stored.valid_from:
        raise _refused(
            stored, f"is called {stored.symbol} from {stored.valid_from} on; rename it after that"
        )
    await connection.execute(_LOCK_TICKER, [changed.symbol])
    for timeframe in (t for t in Timeframe if t.is_stored):
        await lock_stripes(connection, (stored.symbol, changed.symbol), timeframe)
    await _refuse_bars_from(connection, stored, changed, since)
    closed = {
        "symbol_id": stored.symbol_id,
        "symbol": stored.symbol,
        "date": since,
        "superseded_by": write_id,
    }
    await connection.execute(_KEEP_VALIDITY, closed)
    await connection.execute(_CLOSE_VALIDITY, closed)
    await mark_renamed(connection, stored.symbol, since)
    await _open_validity(connection, stored.symbol_id, changed.symbol, since, write_id)


async def _refuse_bars_from(
    connection: Connection, stored: Symbol, changed: Symbol, since: date
) -> None:
    parameters = {"symbol": stored.symbol, "date": since, "time_zone": changed.time_zone}
    cursor = await connection.execute(_BARS_FROM, parameters)
    row = await cursor.fetchone()
    if row is not None:
        raise _refused(
            stored,
            f"has {row[0]} bars from {since} on, and bars stand under the ticker as quoted then; "
            "choose a later effective_date, or delete those bars (DeleteBars) and store them again "
            f"as {changed.symbol}",
        )


def _refused(stored: Symbol, problem: str) -> RenameRefusedError:
    return RenameRefusedError(f"{stored.symbol} {problem}", metadata={"symbol": stored.symbol})


async def _open_validity(
    connection: Connection, symbol_id: int, symbol: str, since: date | None, write_id: int
) -> None:
    opened = {
        "symbol_id": symbol_id,
        "symbol": symbol,
        "valid_from": since,
        "write_id": write_id,
    }
    await connection.execute(_OPEN_VALIDITY, opened)


async def _with_evidence(
    connection: Connection, stored: Symbol, changed: Symbol, update: SymbolUpdate
) -> Symbol:
    """Say why a status changes; the same reason for the status that it has is no change."""
    told = update.evidence
    if told is None:
        if changed.status is stored.status:
            return changed
        told = StatusEvidence(BY_HAND)
    known = stored.status_evidence
    is_known = known is not None and replace(known, noted=told.noted) == told
    if changed.status is stored.status and is_known:
        return changed
    row = await (await connection.execute(_NOW)).fetchone()
    assert row is not None  # noqa: S101 -- a clock always answers
    return replace(changed, status_evidence=replace(told, noted=row[0]))


def _evidence(evidence: StatusEvidence | None) -> Jsonb | None:
    if evidence is None or evidence.noted is None:
        return None
    return Jsonb(
        {
            "source": evidence.source,
            "day": evidence.day.isoformat() if evidence.day else None,
            "text": evidence.text,
            "noted_at": evidence.noted.isoformat(),
        }
    )


def _reason(stored: Symbol, changed: Symbol) -> str:
    evidence = changed.status_evidence
    if evidence is None or evidence == stored.status_evidence:
        return ""
    what = f"{changed.status.value} by {evidence.source}"
    return f"{what}: {evidence.text}" if evidence.text else what


async def _append(connection: Connection, write_id: int, *symbols: str, reason: str = "") -> None:
    change = Change(kind=ChangeKind.SYMBOL, symbols=symbols, reason=reason)
    await append_change(connection, write_id, change)


def _parameters(new: NewSymbol, write_id: int) -> Mapping[str, Any]:
    return {
        "write_id": write_id,
        "symbol": new.symbol,
        "name": new.name,
        "venue": new.venue,
        "asset_class": new.asset_class.value,
        "currency": new.currency,
        "calendar": new.calendar,
        "time_zone": new.time_zone,
        "tick_size": new.tick_size,
        "status": new.status.value,
        "ipo_date": new.ipo_date,
        "provider_symbols": Jsonb(dict(new.provider_symbols)),
    }
