"""The newest bars of symbols: one statement over `bar_latest`, which every writer keeps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarColumn, BarFlag, BarFrame, full_columns
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import BarNotFoundError
from marketdata.storage.bar_reader import BarReader
from marketdata.storage.pools import Pools
from marketdata.storage.symbols import unknown_symbol

# A row a ticker of the identity and timeframe; one without bars where nothing is stored. By
# symbol_validity_symbol, then the primary keys of market_symbol and bar_latest.
_LATEST: Final = """
    SELECT asked.symbol, identity.currency, latest.timeframe,
           latest.time >= coalesce(validity.valid_from::timestamp AT TIME ZONE zone.name, '-infinity')
           AND latest.time < coalesce(validity.valid_to::timestamp AT TIME ZONE zone.name, 'infinity'),
           (extract(epoch FROM latest.time) * 1000000)::bigint,
           latest.open, latest.high, latest.low, latest.close, latest.volume, latest.vwap,
           latest.trade_count, latest.feed, latest.flags, latest.revision,
           feed.provider || '/' || feed.feed
      FROM unnest(%(symbols)s::text[]) AS asked (symbol)
      CROSS JOIN LATERAL (
          SELECT symbol_id FROM symbol_validity AS holder
           WHERE holder.symbol = asked.symbol COLLATE "C"
           ORDER BY holder.valid_to DESC NULLS FIRST LIMIT 1) AS held
      JOIN market_symbol AS identity USING (symbol_id)
      JOIN symbol_validity AS validity USING (symbol_id)
      LEFT JOIN bar_latest AS latest
        ON latest.symbol = validity.symbol
       AND latest.timeframe = ANY (%(timeframes)s)
      CROSS JOIN LATERAL (
          SELECT CASE WHEN latest.timeframe = '1d' THEN 'UTC' ELSE identity.time_zone END AS name
          ) AS zone
      LEFT JOIN market_feed AS feed ON feed.feed_id = latest.feed
"""
_FINEST_FIRST: Final = {timeframe.value: rank for rank, timeframe in enumerate(Timeframe)}

_STORED: Final = tuple(timeframe for timeframe in Timeframe if timeframe.is_stored)
_MOST_FORMING: Final = 1

_Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class LatestBars:
    """The newest bars of some symbols.

    Attributes
    ----------
    frame : BarFrame
        One row a symbol that has a bar, in no particular order.
    timeframes : tuple of Timeframe
        What each row covers.
    currencies : tuple of str
        ISO 4217 code of each row's prices.
    without_bars : frozenset of str
        Known symbols that have no such bar. A symbol that is in neither is unknown.
    """

    frame: BarFrame
    timeframes: tuple[Timeframe, ...]
    currencies: tuple[str, ...]
    without_bars: frozenset[str]


class LatestBarReader:
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

    async def read_one(
        self,
        symbol: str,
        timeframe: Timeframe | None,
        now_us: int = Timeframe.DAY_1.latest_us,
    ) -> LatestBars:
        """Read the newest final bar of a symbol; one derived from minutes where it is newer.

        Parameters
        ----------
        symbol : str
            Well-formed ticker.
        timeframe : Timeframe or None
            Any; None for the finest that is stored.
        now_us : int
            Unix microseconds: what has not ended by then is not final. The default is past every bar.

        Raises
        ------
        SymbolNotFoundError, BarNotFoundError
            The symbol is unknown, or has no such bar.
        DatabaseUnavailableError, QueryTimeoutError
            The database cannot answer now.
        """
        if timeframe in (None, Timeframe.MINUTE_1):
            latest = await self.read_many([symbol], timeframe)
        else:
            latest = await self._derive_one(symbol, timeframe, now_us)
        if len(latest.frame):
            return latest
        if symbol not in latest.without_bars:
            raise unknown_symbol(symbol)
        what = f"{timeframe.value} bar" if timeframe else "bar"
        raise BarNotFoundError(
            f"no {what} of {symbol} is stored; CreateBars or an import stores some",
            metadata={"symbol": symbol},
        )

    async def read_many(self, symbols: Sequence[str], timeframe: Timeframe | None) -> LatestBars:
        """Read the newest final bars of symbols.

        Parameters
        ----------
        symbols : sequence of str
            Well-formed tickers, without repeats.
        timeframe : Timeframe or None
            One that is stored; None for the finest that each symbol has.

        Raises
        ------
        DatabaseUnavailableError, QueryTimeoutError
            The database cannot answer now.
        """
        rows = await self._fetch(symbols, [timeframe] if timeframe else list(_STORED))
        return await self._newest(rows, timeframe)

    async def _fetch(self, symbols: Sequence[str], timeframes: Sequence[Timeframe]) -> list[_Row]:
        parameters = {"symbols": list(symbols), "timeframes": [t.value for t in timeframes]}
        async with self._pools.query() as connection:
            cursor = await connection.execute(_LATEST, parameters, binary=True)
            return await cursor.fetchall()

    async def _newest(self, rows: Iterable[_Row], timeframe: Timeframe | None) -> LatestBars:
        newest: dict[str, _Row | None] = {}
        for symbol, candidates in _by_symbol(rows).items():
            stored = [row for row in candidates if row[2] is not None]
            if all(row[3] for row in stored):
                newest[symbol] = min(stored, key=_preference, default=None)
            else:
                newest[symbol] = await self._read_from_tables(symbol, candidates[0][1], timeframe)
        return _to_latest(newest)

    async def _derive_one(self, symbol: str, timeframe: Timeframe, now_us: int) -> LatestBars:
        rows = await self._fetch([symbol], [Timeframe.MINUTE_1, timeframe])
        if not any(row[2] == Timeframe.MINUTE_1.value for row in rows):
            return await self._newest(rows, timeframe)
        everything = TimeRange(timeframe.earliest_us, now_us)
        query = BarQuery((symbol,), timeframe, everything, descending=True, now_us=now_us)
        # Behind a bar that is still forming stands one that is final.
        page = await self._reader.read_page(query, _MOST_FORMING + 1)
        final = page.frame.take(np.flatnonzero(page.frame.flags & BarFlag.FINAL)[:1])
        return LatestBars(
            frame=final,
            timeframes=(timeframe,) * len(final),
            currencies=(page.resolved.currency,) * len(final),
            without_bars=frozenset(() if len(final) else (symbol,)),
        )

    async def _read_from_tables(
        self, symbol: str, currency: str, timeframe: Timeframe | None
    ) -> _Row | None:
        for candidate in [timeframe] if timeframe else _STORED:
            everything = TimeRange(candidate.earliest_us, candidate.latest_us)
            query = BarQuery((symbol,), candidate, everything, descending=True)
            frame = (await self._reader.read_page(query, 1)).frame
            if len(frame):
                values = [frame.column(column)[0] for column in BarColumn]
                feed_name = frame.feeds[int(frame.feed[0])]
                return (symbol, currency, candidate.value, True, *values, feed_name)
        return None


def _by_symbol(rows: Iterable[_Row]) -> dict[str, list[_Row]]:
    groups: dict[str, list[_Row]] = {}
    for row in rows:
        groups.setdefault(row[0], []).append(row)
    return groups


def _preference(row: _Row) -> tuple[int, int]:
    return _FINEST_FIRST[row[2]], -row[4]


def _to_latest(newest: dict[str, _Row | None]) -> LatestBars:
    rows = [row for row in newest.values() if row is not None]
    columns = zip(*(row[4:-1] for row in rows), strict=True) if rows else ()
    given = {column: np.array(values) for column, values in zip(BarColumn, columns, strict=bool(rows))}
    # Rows of `bar_latest` and of a page have keys of different dictionaries: only names agree.
    feeds = {name: key for key, name in enumerate(dict.fromkeys(row[-1] for row in rows))}
    given[BarColumn.FEED] = np.array([feeds[row[-1]] for row in rows], np.int16)
    frame = BarFrame(
        symbols=tuple(row[0] for row in rows),
        symbol_index=np.arange(len(rows), dtype=np.int32),
        feeds={key: name for name, key in feeds.items()},
        **full_columns(len(rows), given),
    )
    return LatestBars(
        frame=frame,
        timeframes=tuple(Timeframe(row[2]) for row in rows),
        currencies=tuple(row[1] for row in rows),
        without_bars=frozenset(symbol for symbol, row in newest.items() if row is None),
    )
