"""Which bars of a symbol are stored, held against its calendar."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np

from marketdata.domain.as_of import AsOf
from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarColumn, BarFlag, BarFrame, Int64Array
from marketdata.domain.calendar import SessionHours
from marketdata.domain.coverage import BarCoverage, CoverageLook, find_coverage
from marketdata.domain.gap_causes import cause_layers
from marketdata.domain.gap_knowledge import NOTHING_KNOWN, GapKnowledge
from marketdata.domain.provider import ProviderDescription
from marketdata.domain.rollup import ROLLED_UP
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_reader import BarReader, BarSnapshot
from marketdata.storage.calendars import load_calendars
from marketdata.storage.gap_knowledge import read_gap_knowledge
from marketdata.storage.pools import Connection
from marketdata.storage.snapshot_facts import SnapshotFacts
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
        providers: Sequence[ProviderDescription] = (),
        split_us: int | None = None,
    ) -> tuple[BarCoverage, int]:
        """Compare what is stored of a symbol with what its calendar lets expect, and say why.

        Bars and what is known of gaps come from one snapshot.

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
            When the bars were known; None for now. Of the past no reasons are known, and neither what
            was in quarantine or could be derived.
        providers : sequence of ProviderDescription
            All providers: how far back they reach.
        split_us : int or None
            A time at which gaps are cut as well, Unix microseconds: where a page before ended.

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
        derives = with_sessions and as_of is None and timeframe in ROLLED_UP
        query = BarQuery(
            (symbol,),
            timeframe,
            within,
            columns=frozenset({BarColumn.TIME, BarColumn.FLAGS} if derives else {BarColumn.TIME}),
            session=SessionHours.ALL,
            now_us=now_us,
            stored_only=not derives,
            as_of=as_of,
        )
        read = await self._read_times(query)
        calendar_name = read.snapshot.resolved[0].calendar
        look = CoverageLook(
            tuple(cause_layers(read.knowledge, providers, timeframe, now_us)),
            read.derived_us,
            with_sessions,
            split_us,
        )
        found = await asyncio.to_thread(
            find_coverage,
            read.stored_us,
            timeframe,
            _searched(read.stored_us, timeframe, start_us, end_us),
            (await load_calendars([calendar_name]))[calendar_name],
            now_us=read.snapshot.now_us,
            look=look,
        )
        return found, read.snapshot.seq

    async def _read_times(self, query: BarQuery) -> "_Read":
        known = [NOTHING_KNOWN]

        async def read_knowledge(connection: Connection, facts: SnapshotFacts) -> None:
            if facts.resolved and query.as_of is None:
                symbol = facts.resolved[0]
                known.append(await read_gap_knowledge(connection, symbol, query.timeframe, query.range))

        async with self._reader.snapshot(query, read_knowledge) as snapshot:
            if snapshot.unresolved:
                raise unknown_symbol(query.symbols[0])
            split = _stored_times if query.stored_only else _split_times
            async with aclosing(snapshot.blocks(split)) as blocks:
                times = [block async for block in blocks]
        stored, derived = zip(*times, strict=True) if times else ((), ())
        return _Read(snapshot, known[-1], *map(_joined, (stored, derived)))


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """What one snapshot holds: times of bars, and what is known of those that are missing."""

    snapshot: BarSnapshot
    knowledge: GapKnowledge
    stored_us: Int64Array
    derived_us: Int64Array


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


def _stored_times(frame: BarFrame) -> tuple[Int64Array, Int64Array]:
    return frame.time_us, frame.time_us[:0]


def _split_times(frame: BarFrame) -> tuple[Int64Array, Int64Array]:
    """Tell the times of stored bars, and of those that the read has made from minutes."""
    is_derived = (frame.flags & BarFlag.DERIVED) != 0
    return frame.time_us[~is_derived], frame.time_us[is_derived]


def _joined(parts: Iterable[Int64Array]) -> Int64Array:
    return np.concatenate([np.empty(0, np.int64), *parts])
