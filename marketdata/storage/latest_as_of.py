"""The newest bars as known at a point in time: from the tables, since `bar_latest` is of now."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

import numpy as np

from marketdata.domain.as_of import AsOf
from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bar_row import BarRow, bar_row
from marketdata.domain.bars import BarFlag, BarFrame
from marketdata.domain.calendar import SessionHours
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_reader import BarReader
from marketdata.storage.latest import LatestBars, no_bar

_FINEST_FIRST: Final = tuple(timeframe for timeframe in Timeframe if timeframe.is_stored)
# Behind a bar that was still forming stands one that was final; an hour of two sessions has two.
_MOST_FORMING: Final = 2


class PastLatestBarReader:
    """Reads what the newest bars were.

    Parameters
    ----------
    reader : BarReader
        Reads the tables.
    """

    def __init__(self, reader: BarReader) -> None:
        self._reader = reader

    async def read_one(
        self, symbol: str, timeframe: Timeframe | None, as_of: AsOf, now_us: int
    ) -> tuple[BarRow, int]:
        """Read the newest final bar of a symbol, and the seq as of which it was.

        Parameters
        ----------
        timeframe : Timeframe or None
            Any; None for the finest that was stored.

        Raises
        ------
        SymbolNotFoundError, BarNotFoundError
            The symbol was unknown, or had no such bar.
        AsOfTooEarlyError, AsOfAheadError, BarsDroppedError
            The point in time cannot be answered.
        """
        for candidate in [timeframe] if timeframe else _FINEST_FIRST:
            query = BarQuery(
                (symbol,),
                candidate,
                TimeRange(candidate.earliest_us, now_us),
                descending=True,
                # As `bar_latest` has them, and as hours and days are derived.
                session=SessionHours.ALL if candidate is Timeframe.MINUTE_1 else SessionHours.REGULAR,
                now_us=now_us,
                as_of=as_of,
            )
            page = await self._reader.read_page(query, _MOST_FORMING + 1)
            for row in np.flatnonzero(page.frame.flags & BarFlag.FINAL)[:1]:
                return bar_row(page.frame, row, candidate, page.resolved.currency), page.seq
        raise no_bar(symbol, timeframe)

    async def read_many(
        self, symbols: Sequence[str], timeframe: Timeframe | None, as_of: AsOf, now_us: int
    ) -> tuple[LatestBars, int]:
        """Read the newest stored bars of symbols, and the seq as of which they were; see `read_one`."""
        bars: dict[str, BarRow] = {}
        known: set[str] = set()
        seq = 0
        for candidate in [timeframe] if timeframe else _FINEST_FIRST:
            query = BarQuery(
                tuple(symbol for symbol in symbols if symbol not in bars),
                candidate,
                TimeRange(candidate.earliest_us, now_us),
                limit=1,
                session=SessionHours.ALL,
                now_us=now_us,
                stored_only=True,
                as_of=as_of,
            )
            if not query.symbols:
                break
            async with self._reader.snapshot(query) as snapshot:
                seq = snapshot.seq
                currencies = {one.symbol: one.currency for one in snapshot.resolved}
                known |= set(currencies)
                async with aclosing(snapshot.blocks(_as_is)) as blocks:
                    async for frame in blocks:
                        for row in range(len(frame)):
                            symbol = frame.symbols[frame.row_symbol_index()[row]]
                            bars[symbol] = bar_row(frame, row, candidate, currencies[symbol])
        return LatestBars(tuple(bars.values()), frozenset(known - set(bars))), seq


def _as_is(frame: BarFrame) -> BarFrame:
    return frame
