"""Symbols and the identities behind them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from psycopg import errors as pg
from psycopg import sql

from marketdata.domain.as_of import KnownWrites
from marketdata.domain.symbol import (
    NewSymbol,
    ResolvedSymbol,
    Symbol,
    SymbolStatus,
    SymbolUpdate,
    TickerSegment,
    symbol_problem,
)
from marketdata.domain.symbol_query import (
    ALL_SYMBOLS,
    SymbolMatch,
    SymbolOrder,
    SymbolPosition,
    SymbolQuery,
    SymbolValidity,
    SymbolVerdict,
)
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.known_rows import known_rows
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.symbol_changes import create_symbol, explain_taken, update_symbol
from marketdata.storage.symbol_rows import (
    JOIN_HELD,
    JOIN_VALIDITY,
    SYMBOL_COLUMNS,
    fetch_rows,
    read_symbol,
    to_symbol,
    unknown_symbol,
)
from marketdata.storage.symbol_search import search_symbols

__all__ = ["SymbolStore", "resolve", "unknown_symbol"]

# A ticker names the identity that holds it now, else the one that held it last: FB finds META, and
# once FB is reused, the new holder. By symbol_validity_symbol, then symbol_validity_symbol_id.
_RESOLVE: Final = sql.SQL("""
    SELECT asked.ord, asked.symbol, identity.symbol_id, identity.currency,
           identity.calendar, validity.symbol,
           extract(epoch FROM validity.valid_from::timestamp AT TIME ZONE zone.name)::bigint,
           extract(epoch FROM validity.valid_to::timestamp AT TIME ZONE zone.name)::bigint
      FROM unnest(%(symbols)s::text[]) WITH ORDINALITY AS asked (symbol, ord)
      CROSS JOIN LATERAL (
          SELECT symbol_id FROM {validities} AS holder
           WHERE holder.symbol = asked.symbol COLLATE "C"
           ORDER BY holder.valid_to DESC NULLS FIRST LIMIT 1) AS held
      JOIN {identities} AS identity USING (symbol_id)
      JOIN {validities} AS validity USING (symbol_id)
      CROSS JOIN LATERAL (
          SELECT CASE WHEN %(daily)s THEN 'UTC' ELSE identity.time_zone END AS name) AS zone
     ORDER BY asked.ord, validity.valid_from NULLS FIRST
""")
# By market_symbol_symbol or market_symbol_name, whose second column makes each place unique; a sector
# by market_stock_sector.
_LIST: Final = sql.SQL("""
    SELECT {columns} FROM market_symbol AS identity {validity}
     WHERE (%(after_id)s::bigint IS NULL
            OR (identity.{order}, identity.symbol_id) {behind} (%(after)s, %(after_id)s::bigint))
       AND (%(status)s::text IS NULL OR identity.status = %(status)s)
       AND (%(venue)s::text IS NULL OR identity.venue = %(venue)s)
       AND (%(asset_class)s::text IS NULL OR identity.asset_class = %(asset_class)s)
       AND (%(sector)s::text IS NULL
            OR identity.symbol_id IN (SELECT symbol_id FROM market_stock WHERE sector = %(sector)s))
     ORDER BY identity.{order} {direction}, identity.symbol_id {direction} LIMIT %(limit)s
""")
_ORDER_COLUMNS: Final = {order: sql.Identifier(order.value) for order in SymbolOrder}
# By symbol_validity_symbol, then the primary key of market_symbol.
_VALIDATE: Final = sql.SQL("""
    SELECT asked.symbol, identity.symbol, identity.status
      FROM unnest(%(symbols)s::text[]) AS asked (symbol) {held}
      JOIN market_symbol AS identity USING (symbol_id)
""").format(held=JOIN_HELD)
_KNOWN: Final = {
    SymbolStatus.ACTIVE: SymbolValidity.KNOWN_ACTIVE,
    SymbolStatus.DELISTED: SymbolValidity.KNOWN_DELISTED,
}


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
            return await read_symbol(connection, symbol)

    async def list_page(
        self, after: SymbolPosition | None, limit: int, query: SymbolQuery = ALL_SYMBOLS
    ) -> list[Symbol]:
        """List symbols in the order of `query`, from behind `after`; None is the beginning."""
        parameters = {
            "after": after[0] if after else None,
            "after_id": after[1] if after else None,
            "status": query.status.value if query.status else None,
            "venue": query.venue,
            "asset_class": query.asset_class.value if query.asset_class else None,
            "sector": query.sector,
            "limit": limit,
        }
        async with self._pools.query() as connection:
            rows = await fetch_rows(connection, _list_statement(query), parameters)
        return [to_symbol(row) for row in rows]

    async def search(self, text: str, limit: int) -> list[SymbolMatch]:
        """Find the symbols that a text best matches; see `search_symbols`."""
        async with self._pools.query() as connection:
            return await search_symbols(connection, text, limit)

    async def validate(self, texts: Sequence[str]) -> list[SymbolVerdict]:
        """Tell for each text what it names, in order; repeats are answered as often."""
        problems = {text: symbol_problem(text) for text in texts}
        tickers = [text for text, problem in problems.items() if problem is None]
        async with self._pools.query() as connection:
            cursor = await connection.execute(_VALIDATE, {"symbols": tickers})
            known = {asked: (latest, status) for asked, latest, status in await cursor.fetchall()}
        return [_verdict(text, problems[text], known.get(text)) for text in texts]

    async def create(self, new: NewSymbol) -> Symbol:
        """Create a symbol whose ticker is its own from `valid_from` on.

        Raises
        ------
        SymbolAlreadyExistsError
            The ticker names another symbol at some time from then on.
        """
        taken = self._writing(new.symbol, new.valid_from, "valid_from")
        async with taken as connection, connection.transaction():
            return await create_symbol(connection, new)

    async def update(self, symbol: str, update: SymbolUpdate) -> Symbol:
        """Change a symbol; what it has already leaves no trace.

        A rename closes the validity of the present ticker at the effective date and opens that of
        the new one. Bars stay under the ticker as quoted then.

        Parameters
        ----------
        symbol : str
            A ticker that it has or had.

        Raises
        ------
        SymbolNotFoundError
            The ticker never named anything.
        SymbolAlreadyExistsError
            The new ticker names another symbol at some time from the effective date on.
        RenameRefusedError
            The effective date is not after the beginning of the present ticker's validity, or bars
            are stored under it from that date on.
        """
        ticker = str(update.values.get("symbol", symbol))
        taken = self._writing(ticker, update.effective_date, "effective_date")
        async with taken as connection, connection.transaction():
            return await update_symbol(connection, symbol, update)

    async def resolve(self, symbols: Sequence[str], timeframe: Timeframe) -> dict[str, ResolvedSymbol]:
        """Resolve tickers on a connection of the pool; see `resolve`."""
        async with self._pools.query() as connection:
            return await resolve(connection, symbols, timeframe)

    @asynccontextmanager
    async def _writing(
        self, ticker: str, since: date | None, date_field: str
    ) -> AsyncIterator[Connection]:
        async with self._pools.query() as connection:
            try:
                yield connection
            except (pg.UniqueViolation, pg.ExclusionViolation) as error:
                raise await explain_taken(connection, ticker, since, date_field) from error


async def resolve(
    connection: Connection,
    symbols: Sequence[str],
    timeframe: Timeframe,
    known: KnownWrites | None = None,
) -> dict[str, ResolvedSymbol]:
    """Turn tickers into where their bars stand, on a connection of the caller's.

    Parameters
    ----------
    symbols : sequence of str
        Well-formed, without repeats.
    timeframe : Timeframe
        A ticker changes hands at midnight of a session date: UTC for daily bars, whose time is a
        label, else local to the symbol.
    known : KnownWrites or None
        What was known then; None for now.

    Returns
    -------
    dict
        By ticker, in the order asked; unknown ones are left out.
    """
    parameters = {"symbols": list(symbols), "daily": timeframe is Timeframe.DAY_1}
    statement = _RESOLVE.format(
        identities=known_rows("market_symbol", known), validities=known_rows("symbol_validity", known)
    )
    cursor = await connection.execute(statement, parameters)
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


def _list_statement(query: SymbolQuery) -> sql.Composed:
    return _LIST.format(
        columns=SYMBOL_COLUMNS,
        validity=JOIN_VALIDITY,
        order=_ORDER_COLUMNS[query.order],
        behind=sql.SQL("<" if query.descending else ">"),
        direction=sql.SQL("DESC" if query.descending else "ASC"),
    )


def _verdict(text: str, problem: str | None, known: tuple[str, str] | None) -> SymbolVerdict:
    if problem is not None:
        return SymbolVerdict(text, SymbolValidity.MALFORMED, problem=problem)
    if known is None:
        return SymbolVerdict(text, SymbolValidity.UNKNOWN)
    latest, status = known
    if latest != text:
        return SymbolVerdict(text, SymbolValidity.RENAMED, renamed_to=latest)
    return SymbolVerdict(text, _KNOWN[SymbolStatus(status)])
