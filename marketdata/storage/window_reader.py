"""One window of a read whose bars have several sources: read source by source, and put together."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Generic, TypeVar

import numpy as np

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarFrame, Int64Array
from marketdata.domain.calendar import BoolArray, SessionHours
from marketdata.domain.range_sets import RangeSet, intersection
from marketdata.domain.resample import resample, source_columns
from marketdata.domain.symbol import ResolvedSymbol
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_sources import BarSources, expected_bars
from marketdata.storage.copy_out import CopyStep
from marketdata.storage.pools import Connection
from marketdata.storage.read_sql import BarStatement, bar_statements
from marketdata.storage.read_steps import decode
from marketdata.storage.snapshot_facts import SnapshotFacts

Block = TypeVar("Block")

# Of two bars of the same symbol and time the earlier source's is taken.
_STORED: Final = 0
_ROLLED_UP: Final = 1
_DERIVED: Final = 2

_Part = tuple[BarQuery, Sequence[ResolvedSymbol], Callable[[BarFrame], None]]


class WindowReader(Generic[Block]):
    """Reads one window of time of some symbols.

    Parameters
    ----------
    query : BarQuery
        What is asked; its order, limit and position are the caller's.
    facts : SnapshotFacts
        What the snapshot says.
    connection : Connection
        Whose encoding the statements are written in.
    sources : sequence of BarSources
        Of the symbols.

    Attributes
    ----------
    bars : BarFrame
        After the steps of a window its bars, by symbol in the order of `sources`, then ascending by
        time, each once. Its dictionary is the symbols of `sources`.
    """

    def __init__(
        self,
        query: BarQuery,
        facts: SnapshotFacts,
        connection: Connection,
        sources: Sequence[BarSources],
    ) -> None:
        self._facts = facts
        self._connection = connection
        self._sources = sources
        self._symbols = tuple(one.symbol for one in sources)
        self._places = {symbol: place for place, symbol in enumerate(self._symbols)}
        self._query = replace(
            query,
            columns=source_columns(query.columns),
            resume_after=None,
            descending=False,
            by_time=False,
            limit=None,
        )
        self.bars = BarFrame.empty(self._symbols)

    def steps(self, window: TimeRange) -> Iterator[CopyStep[Block]]:
        """Yield the steps that read a window."""
        query = replace(self._query, range=window)
        frames: dict[int, list[BarFrame]] = {_STORED: [], _ROLLED_UP: [], _DERIVED: []}
        stored = [one.stored for one in self._sources]
        rolled_up = [one.rolled_up for one in self._sources]
        yield from self._read(
            (query, stored, frames[_STORED].append),
            (replace(query, rolled_up=True), rolled_up, frames[_ROLLED_UP].append),
        )
        wanted = self._wanted_from_minutes(window, frames[_STORED])
        if wanted:
            minutes: list[BarFrame] = []
            yield from self._read_minutes(wanted, minutes.append)
            frames[_DERIVED] += self._derive(minutes, wanted)
        self.bars = self._put_together(frames)

    def _wanted_from_minutes(
        self, window: TimeRange, stored: Sequence[BarFrame]
    ) -> dict[int, RangeSet]:
        """Tell by the symbol's place which bars of a window to make from minutes.

        Where the stored bars are all that the calendar lets expect, none.
        """
        asked = [intersection(one.from_minutes, window) for one in self._sources]
        if not self._query.timeframe.is_stored:
            return {place: labels for place, labels in enumerate(asked) if labels}
        times = _times_by_place(stored, len(self._sources))
        return {
            place: labels
            for place, labels in enumerate(asked)
            if labels and _count_within(times[place], labels) < self._expected(place, labels)
        }

    def _expected(self, place: int, labels: RangeSet) -> int:
        calendar = self._sources[place].calendar
        return expected_bars(calendar, labels, self._query.timeframe, self._query.session)

    def _read_minutes(
        self, wanted: dict[int, RangeSet], keep: Callable[[BarFrame], None]
    ) -> Iterator[CopyStep[Block]]:
        timeframe = self._query.timeframe
        minutes = [
            self._sources[place].minutes_of(labels, timeframe) for place, labels in wanted.items()
        ]
        ranges = [segment.range for symbol in minutes for segment in symbol.segments]
        if not ranges:
            return
        around = TimeRange(min(r.start_us for r in ranges), max(r.end_us for r in ranges))
        query = replace(self._query, timeframe=Timeframe.MINUTE_1, range=around)
        if timeframe is Timeframe.DAY_1:
            query = replace(query, session=SessionHours.REGULAR)
        yield from self._read((query, minutes, keep))

    def _read(self, *parts: _Part) -> Iterator[CopyStep[Block]]:
        statements = [
            (statement, partial(self._keep, query, statement, keep))
            for query, resolved, keep in parts
            for statement in bar_statements(query, [one for one in resolved if one.segments])
        ]
        for number, (statement, take) in enumerate(statements, 1):
            # What follows the last one may depend on what it brings.
            text = statement.text.as_bytes(self._connection)
            yield CopyStep(text, take, is_independent=number < len(statements))

    def _keep(
        self,
        query: BarQuery,
        statement: BarStatement,
        keep: Callable[[BarFrame], None],
        data: bytes,
    ) -> Sequence[Block]:
        frame = decode(data, query, statement, self._facts)
        if len(frame):
            keep(self._placed(frame))
        return ()

    def _placed(self, frame: BarFrame) -> BarFrame:
        lookup = np.array([self._places[symbol] for symbol in frame.symbols], np.int32)
        index = lookup[frame.row_symbol_index()]
        return replace(frame, symbols=self._symbols, symbol_index=index)

    def _derive(self, minutes: Sequence[BarFrame], wanted: dict[int, RangeSet]) -> Iterator[BarFrame]:
        if not minutes:
            return
        joined = BarFrame.concatenate(minutes)
        calendars = {id(one.calendar): one.calendar for one in self._sources}
        for key, calendar in calendars.items():
            of_calendar = np.array([id(one.calendar) == key for one in self._sources])
            derived = resample(
                joined.take(np.flatnonzero(of_calendar[joined.symbol_index])),
                self._query.timeframe,
                calendar,
                now_us=self._query.now_us,
                hours=self._query.session,
                feed_ranks=self._facts.feeds.ranks,
            )
            is_asked = np.zeros(len(derived), np.bool_)
            for place, labels in wanted.items():
                is_asked |= (derived.row_symbol_index() == place) & _within(derived.time_us, labels)
            if is_asked.any():
                yield derived.take(is_asked)

    def _put_together(self, frames: dict[int, list[BarFrame]]) -> BarFrame:
        together = [frame for of_source in frames.values() for frame in of_source]
        if not together:
            return BarFrame.empty(self._symbols)
        bars = BarFrame.concatenate(together)
        source = np.repeat(
            list(frames), [sum(len(frame) for frame in of_source) for of_source in frames.values()]
        )
        order = np.lexsort((source, bars.time_us, bars.symbol_index))
        time_us, index = bars.time_us[order], bars.symbol_index[order]
        is_first = np.ones(len(order), np.bool_)
        is_first[1:] = (time_us[1:] != time_us[:-1]) | (index[1:] != index[:-1])
        return bars.take(order[is_first])


def _times_by_place(frames: Sequence[BarFrame], places: int) -> list[Int64Array]:
    return [
        np.concatenate([np.empty(0, np.int64), *(f.time_us[f.symbol_index == place] for f in frames)])
        for place in range(places)
    ]


def _count_within(time_us: Int64Array, ranges: RangeSet) -> int:
    return int(_within(time_us, ranges).sum())


def _within(time_us: Int64Array, ranges: RangeSet) -> BoolArray:
    """Tell which times lie in a set that is not empty."""
    edges = np.array([(one.start_us, one.end_us) for one in ranges], np.int64).ravel()
    # Between an even number of edges and the next one lies what is outside.
    is_within: BoolArray = np.searchsorted(edges, time_us, side="right") % 2 == 1
    return is_within
