"""Identities with a history of tickers, which no command makes yet."""

from collections.abc import Sequence
from datetime import date

from marketdata.domain.symbol import NewSymbol
from tests.support.rows import fetch
from tests.support.storage import Storage

Validity = tuple[str, date | None, date | None]


async def create_symbols(storage: Storage, *symbols: str) -> None:
    """Create symbols that were always called so."""
    for symbol in symbols:
        await storage.symbols.create(NewSymbol(symbol))


async def create_renamed(storage: Storage, tickers: Sequence[Validity], **values: object) -> None:
    """Create an identity that was called by `tickers` in turn, each from one date to another."""
    latest = NewSymbol(tickers[-1][0], **values)  # type: ignore[arg-type]
    (identity,) = await fetch(
        storage,
        """
        INSERT INTO market_symbol
               (symbol, name, venue, asset_class, currency, calendar, time_zone, status)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING symbol_id
        """,
        [latest.symbol, latest.name, latest.venue, latest.asset_class.value, latest.currency,
         latest.calendar, latest.time_zone, latest.status.value],
    )  # fmt: skip
    for ticker, valid_from, valid_to in tickers:
        await fetch(
            storage,
            "INSERT INTO symbol_validity VALUES (%s, %s, %s, %s)",
            [identity[0], ticker, valid_from, valid_to],
        )
