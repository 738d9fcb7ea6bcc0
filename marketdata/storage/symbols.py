"""Symbols and the identities behind them."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from psycopg import errors as pg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from marketdata.domain.symbol import (
    AssetClass,
    NewSymbol,
    ResolvedSymbol,
    Symbol,
    SymbolStatus,
    TickerSegment,
)
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import SymbolAlreadyExistsError, SymbolNotFoundError
from marketdata.storage.change_log import Change, ChangeKind, append_change, new_write_id
from marketdata.storage.pools import Connection, Pools

# A ticker names the identity that holds it now, else the one that held it last: FB finds META, and
# once FB is reused, the new holder. By symbol_validity_symbol, then symbol_validity_symbol_id.
_RESOLVE: Final = """
    SELECT asked.ord, asked.symbol, identity.symbol_id, identity.currency,
           identity.calendar, validity.symbol,
           extract(epoch FROM validity.valid_from::timestamp AT TIME ZONE zone.name)::bigint,
           extract(epoch FROM validity.valid_to::timestamp AT TIME ZONE zone.name)::bigint
      FROM unnest(%(symbols)s::text[]) WITH ORDINALITY AS asked (symbol, ord)
      CROSS JOIN LATERAL (
          SELECT symbol_id FROM symbol_validity AS holder
           WHERE holder.symbol = asked.symbol COLLATE "C"
           ORDER BY holder.valid_to DESC NULLS FIRST LIMIT 1) AS held
      JOIN market_symbol AS identity USING (symbol_id)
      JOIN symbol_validity AS validity USING (symbol_id)
      CROSS JOIN LATERAL (
          SELECT CASE WHEN %(daily)s THEN 'UTC' ELSE identity.time_zone END AS name) AS zone
     ORDER BY asked.ord, validity.valid_from NULLS FIRST
"""
_SELECT: Final = """
    SELECT identity.symbol_id, identity.symbol, identity.name, identity.venue,
           identity.asset_class, identity.currency, identity.calendar, identity.time_zone,
           identity.tick_size, identity.status, identity.ipo_date, identity.provider_symbols,
           validity.valid_from, validity.valid_to
      FROM market_symbol AS identity
      LEFT JOIN LATERAL (
          SELECT valid_from, valid_to FROM symbol_validity
           WHERE symbol_validity.symbol_id = identity.symbol_id
             AND symbol_validity.symbol = identity.symbol
           ORDER BY valid_to DESC NULLS FIRST LIMIT 1) AS validity ON true
"""
_GET: Final = (
    _SELECT  # noqa: S608 -- joined from two constants
    + """
     WHERE identity.symbol_id = (
          SELECT symbol_id FROM symbol_validity AS holder
           WHERE holder.symbol = %(symbol)s ORDER BY holder.valid_to DESC NULLS FIRST LIMIT 1)
"""
)
# By market_symbol_symbol; the pair is unique where a ticker was reused.
_LIST: Final = (
    _SELECT
    + """
     WHERE (identity.symbol, identity.symbol_id) > (%(after_symbol)s, %(after_id)s)
     ORDER BY identity.symbol, identity.symbol_id LIMIT %(limit)s
"""
)
# An exclusion constraint is checked behind the insert: two creators of one ticker would wait for each
# other until PostgreSQL ends one of them a second later.
_LOCK_TICKER: Final = "SELECT pg_advisory_xact_lock(hashtext('market_symbol'), hashtext(%s))"
_INSERT: Final = """
    INSERT INTO market_symbol (symbol, name, venue, asset_class, currency, calendar, time_zone,
                               tick_size, status, ipo_date, provider_symbols)
    VALUES (%(symbol)s, %(name)s, %(venue)s, %(asset_class)s, %(currency)s, %(calendar)s,
            %(time_zone)s, %(tick_size)s, %(status)s, %(ipo_date)s, %(provider_symbols)s)
    RETURNING symbol_id
"""
_INSERT_VALIDITY: Final = "INSERT INTO symbol_validity (symbol_id, symbol) VALUES (%s, %s)"


class SymbolStore:
    """Reads and writes symbols.

    Parameters
    ----------
    pools : Pools
        Where queries run.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def get(self, symbol: str) -> Symbol:
        """Get the identity that a ticker names, or last named, under its latest ticker.

        Raises
        ------
        SymbolNotFoundError
            The ticker never named anything.
        """
        async with self._pools.query() as connection:
            rows = await _fetch(connection, _GET, {"symbol": symbol})
        if not rows:
            raise unknown_symbol(symbol)
        return _to_symbol(rows[0])

    async def list_page(self, after: tuple[str, int], limit: int) -> list[Symbol]:
        """List symbols by (ticker, symbol_id), from behind `after`; ("", 0) is the beginning."""
        parameters = {"after_symbol": after[0], "after_id": after[1], "limit": limit}
        async with self._pools.query() as connection:
            return [_to_symbol(row) for row in await _fetch(connection, _LIST, parameters)]

    async def create(self, new: NewSymbol) -> Symbol:
        """Create a symbol that is valid without bounds.

        Raises
        ------
        SymbolAlreadyExistsError
            The ticker names a symbol already, now or in the past.
        """
        async with self._pools.query() as connection:
            try:
                async with connection.transaction():
                    await _insert(connection, new)
            except (pg.UniqueViolation, pg.ExclusionViolation) as error:
                raise SymbolAlreadyExistsError(
                    f"symbol {new.symbol} exists; read it with GetSymbol",
                    metadata={"symbol": new.symbol},
                ) from error
        return await self.get(new.symbol)

    async def resolve(self, symbols: Sequence[str], timeframe: Timeframe) -> dict[str, ResolvedSymbol]:
        """Resolve tickers on a connection of the pool; see `resolve`."""
        async with self._pools.query() as connection:
            return await resolve(connection, symbols, timeframe)


def unknown_symbol(symbol: str) -> SymbolNotFoundError:
    """Make the error for a ticker that names nothing."""
    return SymbolNotFoundError(
        f"symbol {symbol} is not known; ListSymbols lists the known ones, CreateSymbol adds one",
        metadata={"symbol": symbol},
    )


async def resolve(
    connection: Connection, symbols: Sequence[str], timeframe: Timeframe
) -> dict[str, ResolvedSymbol]:
    """Turn tickers into where their bars stand, on a connection of the caller's.

    Parameters
    ----------
    symbols : sequence of str
        Well-formed, without repeats.
    timeframe : Timeframe
        A ticker changes hands at midnight of a session date: UTC for daily bars, whose time is a
        label, else local to the symbol.

    Returns
    -------
    dict
        By ticker, in the order asked; unknown ones are left out.
    """
    parameters = {"symbols": list(symbols), "daily": timeframe is Timeframe.DAY_1}
    cursor = await connection.execute(_RESOLVE, parameters)
    rows = await cursor.fetchall()
    return {
        symbol: ResolvedSymbol(
            symbol, symbol_id, currency, tuple(_segments(group, timeframe)), calendar
        )
        for (_, symbol, symbol_id, currency, calendar), group in groupby(
            rows, itemgetter(0, 1, 2, 3, 4)
        )
    }


def _segments(rows: Any, timeframe: Timeframe) -> list[TickerSegment]:
    return [
        TickerSegment(
            ticker,
            TimeRange(
                timeframe.earliest_us if start is None else start * 1_000_000,
                timeframe.latest_us if end is None else end * 1_000_000,
            ),
        )
        for *_, ticker, start, end in rows
    ]


async def _insert(connection: Connection, new: NewSymbol) -> None:
    parameters = {
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
    await connection.execute(_LOCK_TICKER, [new.symbol])
    cursor = await connection.execute(_INSERT, parameters)
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 -- RETURNING of one inserted row
    await connection.execute(_INSERT_VALIDITY, [row[0], new.symbol])
    change = Change(kind=ChangeKind.SYMBOL, symbols=(new.symbol,))
    await append_change(connection, await new_write_id(connection), change)


async def _fetch(
    connection: Connection, query: str, parameters: Mapping[str, Any]
) -> list[dict[str, Any]]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, parameters)
        return await cursor.fetchall()


def _to_symbol(row: Mapping[str, Any]) -> Symbol:
    return Symbol(
        **{
            **row,
            "asset_class": AssetClass(row["asset_class"]),
            "status": SymbolStatus(row["status"]),
        }
    )
