"""The newest bars of symbols: one statement over `bar_latest`, which every writer keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bar_row import BarRow, bar_row
from marketdata.domain.bars import BarFlag
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import BarNotFoundError
from marketdata.storage.bar_reader import BarReader
from marketdata.storage.coalesce import Coalescer
from marketdata.storage.pools import MOST_LOOKUPS, Connection, Pools
from marketdata.storage.symbols import unknown_symbol

# A row a ticker of the identity and timeframe; one without bars where nothing is stored. By
# symbol_validity_symbol, then the primary keys of market_symbol, bar_latest and the roll-ups. There are
# no more than three timeframes: the LIMIT keeps the planner from reading the whole of bar_latest ahead,
# which it would choose where the tables were small when it planned; so does the order of the roll-ups.
_LATEST: Final = """
    SELECT asked.symbol, latest.timeframe, identity.currency,
           (extract(epoch FROM latest.time) * 1000000)::bigint,
           latest.open, latest.high, latest.low, latest.close, latest.volume, latest.vwap,
           latest.trade_count, feed.provider || '/' || feed.feed, latest.flags, latest.revision,
           latest.time >= coalesce(validity.valid_from::timestamp AT TIME ZONE zone.name, '-infinity')
           AND latest.time < coalesce(validity.valid_to::timestamp AT TIME ZONE zone.name, 'infinity'),
           coalesce((SELECT true FROM bar_rollup_day AS rolled
                      WHERE rolled.symbol = validity.symbol ORDER BY rolled.time LIMIT 1),
                    (SELECT true FROM bar_rollup_hour AS rolled
                      WHERE rolled.symbol = validity.symbol ORDER BY rolled.time LIMIT 1), false)
      FROM unnest(%(symbols)s::text[]) AS asked (symbol)
      CROSS JOIN LATERAL (
          SELECT symbol_id FROM symbol_validity AS holder
           WHERE holder.symbol = asked.symbol COLLATE "C"
           ORDER BY holder.valid_to DESC NULLS FIRST LIMIT 1) AS held
      JOIN market_symbol AS identity USING (symbol_id)
      JOIN symbol_validity AS validity USING (symbol_id)
      LEFT JOIN LATERAL (
          SELECT * FROM bar_latest AS stored
           WHERE stored.symbol = validity.symbol AND stored.timeframe = ANY (%(timeframes)s)
           LIMIT 3) AS latest ON true
      CROSS JOIN LATERAL (
          SELECT CASE WHEN latest.timeframe = '1d' THEN 'UTC' ELSE identity.time_zone END AS name
          ) AS zone
      LEFT JOIN market_feed AS feed ON feed.feed_id = latest.feed
"""
_FINEST_FIRST: Final = {timeframe: rank for rank, timeframe in enumerate(Timeframe)}
_BY_LABEL: Final = {timeframe.value: timeframe for timeframe in Timeframe}
_STORED: Final = tuple(timeframe for timeframe in Timeframe if timeframe.is_stored)
_MOST_FORMING: Final = 1
# A look-up takes one; over a network, or behind a lock, the next must not wait for it.
_LATE_SECONDS: Final = 0.005


class _Candidate(NamedTuple):
    """What one ticker of a symbol has stored of one timeframe.

    `bar` is None where it has nothing; `is_own` tells whether the bar is of a time when the ticker
    named this identity; `has_rollups` whether minutes of the ticker were rolled up, perhaps dropped.
    """

    bar: BarRow | None
    is_own: bool
    currency: str
    has_rollups: bool


@dataclass(frozen=True, slots=True)
class LatestBars:
    """The newest bars of some symbols.

    Attributes
    ----------
    bars : tuple of BarRow
        One a symbol that has a bar, in no particular order.
    without_bars : frozenset of str
        Known symbols that have no such bar. A symbol that is in neither is unknown.
    """

    bars: tuple[BarRow, ...]
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
        self._lookups = Coalescer(
            pools.lookup, _fetch_stored, most_trips=MOST_LOOKUPS, late_seconds=_LATE_SECONDS
        )

    async def read_one(
        self,
        symbol: str,
        timeframe: Timeframe | None,
        now_us: int = Timeframe.DAY_1.latest_us,
    ) -> BarRow:
        """Read the newest final bar of a symbol; one derived from minutes where it is newer.

        Calls that wait at the same time share a round trip to the database. Each sees what was
        acknowledged before it was made.

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
        candidates = await self._lookups.get(symbol)
        if not candidates:
            raise unknown_symbol(symbol)
        if timeframe in (None, Timeframe.MINUTE_1) or not _can_derive(candidates):
            newest = await self._newest(symbol, candidates, timeframe)
        else:
            newest = await self._derive(symbol, timeframe, now_us)
        if newest is None:
            raise no_bar(symbol, timeframe)
        return newest

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
        async with self._pools.query() as connection:
            found = await _fetch(connection, symbols, [timeframe] if timeframe else _STORED)
        newest = {
            symbol: await self._newest(symbol, candidates, timeframe)
            for symbol, candidates in found.items()
            if candidates
        }
        return LatestBars(
            bars=tuple(bar for bar in newest.values() if bar is not None),
            without_bars=frozenset(symbol for symbol, bar in newest.items() if bar is None),
        )

    async def _newest(
        self, symbol: str, candidates: Sequence[_Candidate], timeframe: Timeframe | None
    ) -> BarRow | None:
        stored: list[BarRow] = []
        for bar, is_own, currency, _ in candidates:
            if bar is not None and timeframe in (None, bar.timeframe):
                if not is_own:
                    return await self._read_from_tables(symbol, currency, timeframe)
                stored.append(bar)
        return min(stored, key=_preference, default=None)

    async def _derive(self, symbol: str, timeframe: Timeframe, now_us: int) -> BarRow | None:
        everything = TimeRange(timeframe.earliest_us, now_us)
        query = BarQuery((symbol,), timeframe, everything, descending=True, now_us=now_us)
        # Behind a bar that is still forming stands one that is final.
        page = await self._reader.read_page(query, _MOST_FORMING + 1)
        for row in np.flatnonzero(page.frame.flags & BarFlag.FINAL)[:1]:
            return bar_row(page.frame, row, timeframe, page.resolved.currency)
        return None

    async def _read_from_tables(
        self, symbol: str, currency: str, timeframe: Timeframe | None
    ) -> BarRow | None:
        for candidate in [timeframe] if timeframe else _STORED:
            everything = TimeRange(candidate.earliest_us, candidate.latest_us)
            query = BarQuery((symbol,), candidate, everything, descending=True)
            frame = (await self._reader.read_page(query, 1)).frame
            if len(frame):
                return bar_row(frame, 0, candidate, currency)
        return None


def no_bar(symbol: str, timeframe: Timeframe | None) -> BarNotFoundError:
    """Make the error for a symbol without a bar of a timeframe; None stands for any."""
    what = f"{timeframe.value} bar" if timeframe else "bar"
    return BarNotFoundError(
        f"no {what} of {symbol} is stored; CreateBars or an import stores some",
        metadata={"symbol": symbol},
    )


async def _fetch_stored(connection: Connection, symbols: Sequence[str]) -> dict[str, list[_Candidate]]:
    # Of all timeframes: questions about different ones share a statement, and there are three.
    return await _fetch(connection, symbols, _STORED)


async def _fetch(
    connection: Connection, symbols: Sequence[str], timeframes: Sequence[Timeframe]
) -> dict[str, list[_Candidate]]:
    """Fetch what each symbol has; nothing for one that is unknown."""
    parameters = {"symbols": list(symbols), "timeframes": [t.value for t in timeframes]}
    cursor = await connection.execute(_LATEST, parameters, binary=True)
    found: dict[str, list[_Candidate]] = {symbol: [] for symbol in symbols}
    for symbol, label, *values, is_own, has_rollups in await cursor.fetchall():
        bar = None if label is None else BarRow(symbol, _BY_LABEL[label], *values)
        found[symbol].append(_Candidate(bar, is_own, values[0], has_rollups))
    return found


def _can_derive(candidates: Sequence[_Candidate]) -> bool:
    return any(
        one.has_rollups or (one.bar is not None and one.bar.timeframe is Timeframe.MINUTE_1)
        for one in candidates
    )


def _preference(bar: BarRow) -> tuple[int, int]:
    return _FINEST_FIRST[bar.timeframe], -bar.time_us
