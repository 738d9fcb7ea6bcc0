"""Symbols read from their rows, and the identity behind a ticker."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from psycopg import sql
from psycopg.rows import dict_row

from marketdata.domain.symbol import AssetClass, StatusEvidence, Symbol, SymbolStatus
from marketdata.errors import SymbolNotFoundError
from marketdata.storage.pools import Connection

# The columns of a Symbol, of `identity` (market_symbol) and `validity`.
SYMBOL_COLUMNS: Final = sql.SQL("""
    identity.symbol_id, identity.symbol, identity.name, identity.venue, identity.asset_class,
    identity.currency, identity.calendar, identity.time_zone, identity.tick_size, identity.status,
    identity.ipo_date, identity.provider_symbols, identity.status_evidence, validity.valid_from,
    validity.valid_to
""")
# When the latest ticker named it. By symbol_validity_symbol_id.
JOIN_VALIDITY: Final = sql.SQL("""
    LEFT JOIN LATERAL (
        SELECT valid_from, valid_to FROM symbol_validity
         WHERE symbol_validity.symbol_id = identity.symbol_id
           AND symbol_validity.symbol = identity.symbol
         ORDER BY valid_to DESC NULLS FIRST LIMIT 1) AS validity ON true
""")
# A ticker names the identity that holds it now, else the one that held it last: FB finds META, and
# once FB is reused, the new holder. By symbol_validity_symbol.
HOLDER: Final = sql.SQL("""
    (SELECT symbol_id FROM symbol_validity AS holder
      WHERE holder.symbol = %(symbol)s ORDER BY holder.valid_to DESC NULLS FIRST LIMIT 1)
""")
# The same of each of many tickers, `asked`.
JOIN_HELD: Final = sql.SQL("""
    CROSS JOIN LATERAL (
        SELECT symbol_id FROM symbol_validity AS holder
         WHERE holder.symbol = asked.symbol COLLATE "C"
         ORDER BY holder.valid_to DESC NULLS FIRST LIMIT 1) AS held
""")
_READ: Final = sql.SQL("""
    SELECT {columns} FROM market_symbol AS identity {validity} WHERE identity.symbol_id = {symbol_id}
""")
_READ_BY_TICKER: Final = _READ.format(columns=SYMBOL_COLUMNS, validity=JOIN_VALIDITY, symbol_id=HOLDER)
_READ_BY_ID: Final = _READ.format(
    columns=SYMBOL_COLUMNS, validity=JOIN_VALIDITY, symbol_id=sql.SQL("%(symbol_id)s")
)
# By symbol_validity_symbol, then the primary key of market_symbol.
_READ_MANY: Final = sql.SQL("""
    SELECT asked.symbol AS asked, {columns}
      FROM unnest(%(symbols)s::text[]) AS asked (symbol) {held}
      JOIN market_symbol AS identity USING (symbol_id) {validity}
""").format(columns=SYMBOL_COLUMNS, held=JOIN_HELD, validity=JOIN_VALIDITY)
_LOCK: Final = sql.SQL("""
    SELECT symbol_id FROM market_symbol WHERE symbol_id = {holder} FOR UPDATE
""").format(holder=HOLDER)
_LOCK_IDENTITY: Final = "SELECT symbol_id FROM market_symbol WHERE symbol_id = %s FOR UPDATE"


async def read_symbol(connection: Connection, symbol: str) -> Symbol:
    """Read the identity that a ticker names, or last named, under its latest ticker.

    Raises
    ------
    SymbolNotFoundError
        The ticker never named anything.
    """
    rows = await fetch_rows(connection, _READ_BY_TICKER, {"symbol": symbol})
    if not rows:
        raise unknown_symbol(symbol)
    return to_symbol(rows[0])


async def read_symbols(connection: Connection, symbols: Sequence[str]) -> dict[str, Symbol]:
    """Read the identities that tickers name, as `read_symbol`; by ticker, unknown ones are left out."""
    rows = await fetch_rows(connection, _READ_MANY, {"symbols": list(symbols)})
    return {row.pop("asked"): to_symbol(row) for row in rows}


async def lock_symbol(connection: Connection, symbol: str) -> Symbol:
    """Read a symbol as `read_symbol`, and keep others from changing it in this transaction.

    Bars are written without this lock: whoever reads or changes what is stored under its tickers
    locks their stripes too, and this one first.
    """
    cursor = await connection.execute(_LOCK, {"symbol": symbol})
    row = await cursor.fetchone()
    if row is None:
        raise unknown_symbol(symbol)
    # Read behind the lock, so that it is what the last holder of the lock left.
    return await read_symbol_by_id(connection, row[0])


async def lock_identity(connection: Connection, symbol_id: int) -> Symbol:
    """Lock and read a symbol as `lock_symbol` does, by its identity.

    Raises
    ------
    SymbolNotFoundError
        It was deleted.
    """
    await connection.execute(_LOCK_IDENTITY, [symbol_id])
    return await read_symbol_by_id(connection, symbol_id)


async def read_symbol_by_id(connection: Connection, symbol_id: int) -> Symbol:
    """Read an identity under its latest ticker.

    Raises
    ------
    SymbolNotFoundError
        It was deleted.
    """
    rows = await fetch_rows(connection, _READ_BY_ID, {"symbol_id": symbol_id})
    if not rows:
        raise SymbolNotFoundError("the symbol was deleted meanwhile; CreateSymbol adds it again")
    return to_symbol(rows[0])


async def fetch_rows(
    connection: Connection, query: sql.Composed, parameters: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Run a query and return its rows by the names of their columns."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, parameters)
        return await cursor.fetchall()


def to_symbol(row: Mapping[str, Any]) -> Symbol:
    """Make a symbol of a row of `SYMBOL_COLUMNS`."""
    parsed = {
        "asset_class": AssetClass(row["asset_class"]),
        "status": SymbolStatus(row["status"]),
        "status_evidence": _to_evidence(row["status_evidence"]),
    }
    return Symbol(**{**row, **parsed})


def _to_evidence(stored: Mapping[str, Any] | None) -> StatusEvidence | None:
    if stored is None:
        return None
    day = date.fromisoformat(stored["day"]) if stored["day"] is not None else None
    noted = datetime.fromisoformat(stored["noted_at"])
    return StatusEvidence(stored["source"], day, stored["text"], noted)


def unknown_symbol(symbol: str) -> SymbolNotFoundError:
    """Make the error for a ticker that names nothing."""
    return SymbolNotFoundError(
        f"symbol {symbol} is not known; ListSymbols lists the known ones, CreateSymbol adds one",
        metadata={"symbol": symbol},
    )
