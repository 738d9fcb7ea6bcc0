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
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_reader import BarReader, BarSnapshot
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
            Unix microseconds: bars that have not ended are not expected, nor had they at `as_of`.
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
            now_us=now_us,
            stored_only=True,
            as_of=as_of,
        )
        time_us, snapshot = await self._read_times(query)
        calendar_name = snapshot.resolved[0].calendar
        found = await asyncio.to_thread(
            _compare_sessions if with_sessions else find_coverage,
            time_us,
            timeframe,
            _searched(time_us, timeframe, start_us, end_us),
            (await load_calendars([calendar_name]))[calendar_name],
            now_us=snapshot.now_us,
        )
        return found, snapshot.seq

    async def _read_times(self, query: BarQuery) -> tuple[Int64Array, BarSnapshot]:
        async with self._reader.snapshot(query) as snapshot:
            if snapshot.unresolved:
                raise unknown_symbol(query.symbols[0])
            async with aclosing(snapshot.blocks(_times)) as blocks:
                times = [block async for block in blocks]
        return np.concatenate([np.empty(0, np.int64), *times]), snapshot


def _searched(
    time_us: Int64Array, timeframe: Timeframe, start_us: int | None, end_us: int | None
) -> TimeRange:
    """Tell where bars are looked for: where nothing else is said, from the first to the last."""
    if len(time_us):
        first_us, behind_us = int(time_us[0]), int(time_us[-1]) + timeframe.duration_us
    else:  # nothing says where it should begin
        first_us = behind_us = timeframe.earliest_us if start_us is None else start_us
        end_us = end_us if start_us is not None else None
    return TimeRange(
        first_us if start_us is None else start_us, behind_us if end_us is None else end_us
    )


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
