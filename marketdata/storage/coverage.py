"""Which bars of a symbol are stored, held against its calendar."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import numpy as np

from marketdata.domain.as_of import AsOf
from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarColumn, BarFrame, Int64Array
from marketdata.domain.calendar import SessionCalendar, SessionHours
from marketdata.domain.coverage import BarCoverage, count_by_session, find_coverage
from marketdata.domain.symbol import ResolvedSymbol
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_reader import BarReader
from marketdata.storage.calendars import load_calendars
from marketdata.storage.symbol_rows import unknown_symbol


class CoverageReader:
    """Reads coverage.

    Parameters
    ----------
    reader : BarReader
        Reads the times of the stored bars.
    """

    def __init__(self, reader: BarReader) -> None:
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
        as_of: AsOf | None = None,
    ) -> tuple[BarCoverage, int]:
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
        as_of : AsOf or None
            When the bars were known; None for now.

        Returns
        -------
        (BarCoverage, int)
            And the seq as of which it is.

        Raises
        ------
        SymbolNotFoundError
            The symbol is unknown.
        AsOfTooEarlyError, AsOfAheadError, BarsDroppedError
            The point in time cannot be answered.
        DatabaseUnavailableError, QueryTimeoutError
            The database cannot answer now.
        """
        within = TimeRange(
            timeframe.earliest_us if start_us is None else start_us,
            timeframe.latest_us if end_us is None else end_us,
        )
        query = BarQuery(
            (symbol,),
            timeframe,
            within,
            columns=frozenset({BarColumn.TIME}),
            session=SessionHours.ALL,
            stored_only=True,
            as_of=as_of,
        )
        time_us, resolved, seq = await self._read_times(query)
        if len(time_us):
            first_us, last_us = int(time_us[0]), int(time_us[-1])
            within = TimeRange(
                first_us if start_us is None else start_us,
                last_us + timeframe.duration_us if end_us is None else end_us,
            )
        elif start_us is None or end_us is None:
            within = TimeRange(within.start_us, within.start_us)  # nothing says where it should begin
        calendar = (await load_calendars([resolved.calendar]))[resolved.calendar]
        compare = _compare_sessions if with_sessions else find_coverage
        found = await asyncio.to_thread(compare, time_us, timeframe, within, calendar, now_us=now_us)
        return found, seq

    async def _read_times(self, query: BarQuery) -> tuple[Int64Array, ResolvedSymbol, int]:
        async with self._reader.snapshot(query) as snapshot:
            if snapshot.unresolved:
                raise unknown_symbol(query.symbols[0])
            async with aclosing(snapshot.blocks(_times)) as blocks:
                times = [block async for block in blocks]
            joined = np.concatenate([np.empty(0, np.int64), *times])
            return joined, snapshot.resolved[0], snapshot.seq


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
