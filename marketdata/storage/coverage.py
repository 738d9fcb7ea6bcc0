"""Which bars of a symbol are stored, held against its calendar."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import numpy as np

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarColumn, BarFrame, Int64Array
from marketdata.domain.calendar import SessionCalendar, SessionHours
from marketdata.domain.coverage import BarCoverage, count_by_session, find_coverage
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_reader import BarReader
from marketdata.storage.calendars import load_calendars
from marketdata.storage.pools import Pools
from marketdata.storage.symbols import resolve, unknown_symbol


class CoverageReader:
    """Reads coverage.

    Parameters
    ----------
    pools : Pools
        Where symbols are looked up.
    reader : BarReader
        Reads the times of the stored bars.
    """

    def __init__(self, pools: Pools, reader: BarReader) -> None:
        self._pools = pools
        self._reader = reader

    async def read(
        self,
        symbol: str,
        timeframe: Timeframe,
        start_us: int | None,
        end_us: int | None,
        now_us: int,
        *,
        with_sessions: bool = False,
    ) -> BarCoverage:
        """Compare what is stored of a symbol with what its calendar lets expect.

        Parameters
        ----------
        symbol : str
            Ticker.
        timeframe : Timeframe
            One that is stored.
        start_us, end_us : int or None
            Half-open range, Unix microseconds; None: from the first, or past the last, stored bar.
        now_us : int
            Unix microseconds: bars that have not ended are not expected.
        with_sessions : bool
            Whether to count session by session as well.

        Raises
        ------
        SymbolNotFoundError
            The symbol is unknown.
        DatabaseUnavailableError, QueryTimeoutError
            The database cannot answer now.
        """
        async with self._pools.query() as connection:
            found = await resolve(connection, [symbol], timeframe)
        if symbol not in found:
            raise unknown_symbol(symbol)
        calendars = await load_calendars([found[symbol].calendar])
        within = TimeRange(
            timeframe.earliest_us if start_us is None else start_us,
            timeframe.latest_us if end_us is None else end_us,
        )
        time_us = await self._read_times(symbol, timeframe, within)
        if len(time_us):
            first_us, last_us = int(time_us[0]), int(time_us[-1])
            within = TimeRange(
                first_us if start_us is None else start_us,
                last_us + timeframe.duration_us if end_us is None else end_us,
            )
        elif start_us is None or end_us is None:
            within = TimeRange(within.start_us, within.start_us)  # nothing says where it should begin
        calendar = calendars[found[symbol].calendar]
        compare = _compare_sessions if with_sessions else find_coverage
        return await asyncio.to_thread(compare, time_us, timeframe, within, calendar, now_us=now_us)

    async def _read_times(self, symbol: str, timeframe: Timeframe, within: TimeRange) -> Int64Array:
        query = BarQuery((symbol,), timeframe, within, columns=frozenset({BarColumn.TIME}))
        query = replace(query, session=SessionHours.ALL, stored_only=True)
        async with (
            self._reader.snapshot(query) as snapshot,
            aclosing(snapshot.blocks(_times)) as blocks,
        ):
            times = [block async for block in blocks]
        return np.concatenate([np.empty(0, np.int64), *times])


def _compare_sessions(
    time_us: Int64Array,
    timeframe: Timeframe,
    within: TimeRange,
    calendar: SessionCalendar,
    *,
    now_us: int,
) -> BarCoverage:
    found = find_coverage(time_us, timeframe, within, calendar, now_us=now_us)
    sessions = count_by_session(time_us, timeframe, within, calendar, now_us=now_us)
    return replace(found, sessions=sessions)


def _times(frame: BarFrame) -> Int64Array:
    return frame.time_us
