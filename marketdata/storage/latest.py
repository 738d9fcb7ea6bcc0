"""The newest bar of a symbol: one statement over `bar_latest`, which every writer keeps."""

from typing import Any, Final

import numpy as np

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarColumn, BarFrame, full_columns
from marketdata.domain.symbol import ResolvedSymbol
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import BarNotFoundError
from marketdata.storage.bar_reader import BarPage, BarReader
from marketdata.storage.pools import Pools
from marketdata.storage.symbols import unknown_symbol

# A row a ticker of the identity and timeframe; one without bars where nothing is stored. By
# symbol_validity_symbol, then the primary keys of market_symbol and bar_latest.
_LATEST: Final = """
    SELECT identity.symbol_id, identity.currency, latest.timeframe,
           latest.time >= coalesce(validity.valid_from::timestamp AT TIME ZONE 'UTC', '-infinity')
           AND latest.time < coalesce(validity.valid_to::timestamp AT TIME ZONE 'UTC', 'infinity'),
           (extract(epoch FROM latest.time) * 1000000)::bigint,
           latest.open, latest.high, latest.low, latest.close, latest.volume, latest.vwap,
           latest.trade_count, latest.feed, latest.flags, latest.revision,
           feed.provider || '/' || feed.feed
      FROM (SELECT symbol_id FROM symbol_validity AS holder WHERE holder.symbol = %(symbol)s
             ORDER BY holder.valid_to DESC NULLS FIRST LIMIT 1) AS held
      JOIN market_symbol AS identity USING (symbol_id)
      JOIN symbol_validity AS validity USING (symbol_id)
      LEFT JOIN bar_latest AS latest
        ON latest.symbol = validity.symbol
       AND latest.timeframe = coalesce(%(timeframe)s::text, latest.timeframe)
      LEFT JOIN market_feed AS feed ON feed.feed_id = latest.feed
"""
_ORDER: Final = [timeframe.value for timeframe in Timeframe]


class LatestBars:
    """Reads the newest bars.

    Parameters
    ----------
    pools : Pools
        Where queries run.
    reader : BarReader
        Asked where a ticker was reused, since `bar_latest` then has another identity's bar.
    """

    def __init__(self, pools: Pools, reader: BarReader) -> None:
        self._pools = pools
        self._reader = reader

    async def read(self, symbol: str, timeframe: Timeframe | None) -> BarPage:
        """Read the newest final bar of a symbol.

        Parameters
        ----------
        symbol : str
            Well-formed ticker.
        timeframe : Timeframe or None
            One that is stored; None for the finest that the symbol has.

        Raises
        ------
        SymbolNotFoundError, BarNotFoundError
            The symbol is unknown, or has no such bar.
        DatabaseUnavailableError, QueryTimeoutError
            The database cannot answer now.
        """
        parameters = {"symbol": symbol, "timeframe": timeframe.value if timeframe else None}
        async with self._pools.query() as connection:
            cursor = await connection.execute(_LATEST, parameters, binary=True)
            rows = await cursor.fetchall()
        if not rows:
            raise unknown_symbol(symbol)
        stored = [row for row in rows if row[2] is not None]
        if not all(in_range for _, _, _, in_range, *_ in stored):
            return await self._read_from_tables(symbol, timeframe)
        if not stored:
            raise _no_bar(symbol, timeframe)
        newest = min(stored, key=lambda row: (_ORDER.index(row[2]), -row[4]))
        return _page(symbol, newest)

    async def _read_from_tables(self, symbol: str, timeframe: Timeframe | None) -> BarPage:
        for candidate in [timeframe] if timeframe else [t for t in Timeframe if t.is_stored]:
            everything = TimeRange(candidate.earliest_us, candidate.latest_us)
            query = BarQuery((symbol,), candidate, everything, descending=True)
            page = await self._reader.read_page(query, 1)
            if len(page.frame):
                return page
        raise _no_bar(symbol, timeframe)


def _no_bar(symbol: str, timeframe: Timeframe | None) -> BarNotFoundError:
    what = f"{timeframe.value} bar" if timeframe else "bar"
    return BarNotFoundError(
        f"no {what} of {symbol} is stored; CreateBars or an import stores some",
        metadata={"symbol": symbol},
    )


def _page(symbol: str, row: tuple[Any, ...]) -> BarPage:
    symbol_id, currency, label, _, *values, feed_name = row
    given = {column: np.array([value]) for column, value in zip(BarColumn, values, strict=True)}
    frame = BarFrame(
        symbols=(symbol,),
        feeds={int(values[list(BarColumn).index(BarColumn.FEED)]): feed_name},
        **full_columns(1, given),
    )
    return BarPage(frame, ResolvedSymbol(symbol, symbol_id, currency, ()), Timeframe(label))
