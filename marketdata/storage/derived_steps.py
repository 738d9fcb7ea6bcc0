"""Reads of bars that have several sources: providers' bars, and bars made from minutes.

The range is cut into windows of time; `window_reader` reads and joins the sources of each. Windows are
long where bars are at hand, and short where they are made from minutes. An answer by symbol has the
windows of one symbol after the other; symbols that have few bars share windows.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, Generic, TypeVar

import numpy as np

from marketdata.domain.bar_merge import merge_frames
from marketdata.domain.bar_query import BarPosition, BarQuery
from marketdata.domain.bars import COLUMN_DTYPES, BarColumn, BarFrame
from marketdata.domain.range_sets import hull, intersection, length_us
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.storage.bar_sources import BarSources, sources_of
from marketdata.storage.copy_out import CopyStep, ReadyBlock
from marketdata.storage.pools import Connection
from marketdata.storage.read_steps import BLOCK_ROWS, Transform, finish, in_blocks
from marketdata.storage.snapshot_facts import SnapshotFacts
from marketdata.storage.window_reader import WindowReader

Block = TypeVar("Block")

# A window is read whole. 90 days are 60,000 minutes at the most where extended hours are traded, 7 MB.
_MOST_DERIVED_DAYS: Final = 90
# The first one is short, so that the first bars leave early.
_FIRST_DERIVED_DAYS: Final = 7
_FIRST_BARS: Final = 2_048
# What a liquid stock has in its regular hours; two days in seven have no bars, and some are holidays.
_BARS_A_DAY: Final = {
    Timeframe.MINUTES_5: 78,
    Timeframe.MINUTES_15: 26,
    Timeframe.HOUR_1: 7,
    Timeframe.DAY_1: 1,
}
_DAYS_A_TRADING_DAY: Final = 1.5
_MOST_HOLIDAYS: Final = 4


class DerivedSteps(Generic[Block]):
    """The steps of a read whose bars may have to be derived; parameters as `ReadSteps`.

    Parameters
    ----------
    count : int, optional
        How many bars the reader is about to take: of one symbol, in the order asked for. It ends the
        answer early, perhaps some bars later.
    """

    def __init__(
        self,
        query: BarQuery,
        facts: SnapshotFacts,
        connection: Connection,
        transform: Transform[Block],
        count: int | None = None,
    ) -> None:
        self._query = query
        self._facts = facts
        self._connection = connection
        self._transform = transform
        self._count = count
        self._names = [symbol.symbol for symbol in facts.resolved]

    def all(self) -> Iterator[CopyStep[Block] | ReadyBlock[Block]]:
        """Yield the steps in the order of the answer."""
        sources = [sources_of(symbol, self._query, self._facts) for symbol in self._facts.resolved]
        if not self._query.by_time:
            for group in self._groups(self._behind_position(sources)):
                yield from self._by_symbol(group)
        elif self._query.limit is None:
            yield from self._by_time(sources)
        else:
            yield from self._last_bars_by_time(sources)

    def _by_symbol(self, group: Sequence[BarSources]) -> Iterator[CopyStep[Block] | ReadyBlock[Block]]:
        """Answer some symbols; of more than one all bars are held at a time."""
        held: list[BarFrame] = []
        must_hold = len(group) > 1 or (self._query.limit is not None and not self._query.descending)
        waiting, given = 0, 0
        later = _FIRST_BARS if self._count is None else 1
        for window in self._taken_windows(group):
            if isinstance(window, CopyStep):
                yield window
                continue
            held.append(window)
            waiting += len(window)
            # The first bars leave at once, later ones in blocks that are worth their cost.
            if not must_hold and waiting >= (later if given else 1):
                yield from self._blocks(self._in_order(held))
                given += waiting
                held, waiting = [], 0
            if self._count is not None and given >= self._count:
                return
        yield from self._blocks(self._in_order(held))

    def _by_time(self, sources: Sequence[BarSources]) -> Iterator[CopyStep[Block] | ReadyBlock[Block]]:
        for window in self._taken_windows(sources):
            if isinstance(window, CopyStep):
                yield window
            else:
                yield from self._blocks(self._in_order([window]))

    def _last_bars_by_time(
        self, sources: Sequence[BarSources]
    ) -> Iterator[CopyStep[Block] | ReadyBlock[Block]]:
        held: list[BarFrame] = []
        for group in self._groups(sources):
            for window in self._taken_windows(group):
                if isinstance(window, CopyStep):
                    yield window
                else:
                    held.append(window)
        yield from self._blocks(self._in_order(held))

    def _taken_windows(self, group: Sequence[BarSources]) -> Iterator[CopyStep[Block] | BarFrame]:
        """Yield the steps of each window, and then its bars; with a limit no more than it allows."""
        limit = self._query.limit
        newest_first = self._query.descending or limit is not None
        taken = np.zeros(len(group), np.int64)
        open_places = np.arange(len(group))
        for window in self._windows(group, newest_first=newest_first):
            sources = [group[place] for place in open_places.tolist()]
            reader: WindowReader[Block] = WindowReader(
                self._query, self._facts, self._connection, sources
            )
            yield from reader.steps(window)
            bars = reader.bars
            if limit is not None:
                bars = _last_of_each(bars, limit - taken[open_places])
                taken[open_places] += np.bincount(bars.row_symbol_index(), minlength=len(open_places))
                open_places = np.flatnonzero(taken < limit)
            if len(bars):
                yield bars
            if len(open_places) == 0:
                return

    def _windows(self, group: Sequence[BarSources], *, newest_first: bool) -> Iterator[TimeRange]:
        """Cut the time of a group at midnights, so that no partition is opened twice."""
        left = self._held(group)
        days, most_derived = self._first_width(len(group))
        while not left.is_empty:
            width = days
            window = _edge(left, width, newest_first=newest_first)
            while width > 1 and _derived_days(group, window) > most_derived:
                width = max(1, width // 2)
                window = _edge(left, width, newest_first=newest_first)
            yield window
            left = (
                TimeRange(left.start_us, window.start_us)
                if newest_first
                else TimeRange(window.end_us, left.end_us)
            )
            days = min(2 * days, self._days_for(BLOCK_ROWS / len(group)))
            most_derived = _MOST_DERIVED_DAYS

    def _first_width(self, symbols: int) -> tuple[int, int]:
        """Tell how many days the first window has at the most, and how many made from minutes."""
        wanted = self._query.limit if self._query.limit is not None else self._count
        if wanted is None:
            return self._days_for(_FIRST_BARS / symbols), _FIRST_DERIVED_DAYS * symbols
        days = self._days_for(min(wanted, BLOCK_ROWS / symbols))
        return days, max(_FIRST_DERIVED_DAYS, min(days, _MOST_DERIVED_DAYS)) * symbols

    def _days_for(self, bars: float) -> int:
        trading_days = math.ceil(bars / _BARS_A_DAY[self._query.timeframe])
        return math.ceil(trading_days * _DAYS_A_TRADING_DAY) + _MOST_HOLIDAYS

    def _held(self, group: Sequence[BarSources]) -> TimeRange:
        """Tell between which times the answer can have bars."""
        held = hull([one.held for one in group if not one.held.is_empty])
        position = self._query.resume_after
        if position is None or self._query.limit is not None:
            return held  # the last bars of the whole range, even if some are not answered again
        if self._query.by_time or [one.symbol for one in group] == [position.symbol]:
            return held.intersect(_around(position, held, descending=self._query.descending))
        return held

    def _groups(self, sources: Sequence[BarSources]) -> Iterator[Sequence[BarSources]]:
        """Put neighbours together that have so few bars that all of theirs can be held."""
        bars = self._query.range.most_bars(self._query.timeframe)
        if self._query.limit is not None:
            bars = min(bars, self._query.limit)
        size = max(1, BLOCK_ROWS // max(1, bars))
        for first in range(0, len(sources), size):
            yield sources[first : first + size]

    def _behind_position(self, sources: Sequence[BarSources]) -> Sequence[BarSources]:
        position = self._query.resume_after
        if position is None or position.symbol not in self._names:
            return sources
        return sources[self._names.index(position.symbol) :]

    def _in_order(self, frames: Sequence[BarFrame]) -> BarFrame:
        """Put the bars of some frames into the order of the answer."""
        if not frames:
            return BarFrame.empty(())
        merged = merge_frames(frames)
        place = self._row_places(merged)
        time_us = -merged.time_us if self._query.descending else merged.time_us
        keys = (place, time_us) if self._query.by_time else (time_us, place)
        return merged.take(np.lexsort(keys))

    def _blocks(self, frame: BarFrame) -> Iterator[ReadyBlock[Block]]:
        frame = self._only_behind(frame)
        for block in in_blocks(frame):
            finished = finish(block, self._query, self._facts)
            yield ReadyBlock(self._transform(_only_columns(finished, self._query.columns)))

    def _only_behind(self, frame: BarFrame) -> BarFrame:
        position = self._query.resume_after
        if position is None or len(frame) == 0:
            return frame
        sign = -1 if self._query.descending else 1
        age = (frame.time_us - position.time_us) * sign
        place = self._row_places(frame)
        resumed = self._names.index(position.symbol) if position.symbol in self._names else -1
        if self._query.by_time:
            return frame.take((age > 0) | ((age == 0) & (place > resumed)))
        return frame.take((place > resumed) | (age > 0))

    def _row_places(self, frame: BarFrame) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        places = {symbol: place for place, symbol in enumerate(self._names)}
        return np.array([places[symbol] for symbol in frame.symbols], np.int64)[
            frame.row_symbol_index()
        ]


def _edge(left: TimeRange, days: int, *, newest_first: bool) -> TimeRange:
    """Cut so many days off one edge of a range, to a midnight."""
    width = days * MICROSECONDS_PER_DAY
    if newest_first:
        cut = -(-(left.end_us - width) // MICROSECONDS_PER_DAY) * MICROSECONDS_PER_DAY
        return TimeRange(max(left.start_us, cut), left.end_us)
    cut = (left.start_us + width) // MICROSECONDS_PER_DAY * MICROSECONDS_PER_DAY
    return TimeRange(left.start_us, min(left.end_us, cut))


def _derived_days(group: Sequence[BarSources], window: TimeRange) -> float:
    derived_us = sum(length_us(intersection(one.from_minutes, window)) for one in group)
    return derived_us / MICROSECONDS_PER_DAY


def _around(position: BarPosition, held: TimeRange, *, descending: bool) -> TimeRange:
    """Tell where the bars at a position and behind it can be."""
    if descending:
        return TimeRange(held.start_us, position.time_us + 1)
    return TimeRange(position.time_us, held.end_us)


def _last_of_each(bars: BarFrame, allowed: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> BarFrame:
    """Take the last bars of each symbol, so many as are allowed; they are grouped by symbol."""
    index = bars.row_symbol_index()
    ends = np.cumsum(np.bincount(index, minlength=len(allowed)))
    behind = ends[index] - np.arange(len(bars))
    return bars.take(behind <= allowed[index])


def _only_columns(frame: BarFrame, columns: frozenset[BarColumn]) -> BarFrame:
    absent = {
        column.value: np.empty(0, dtype)
        for column, dtype in COLUMN_DTYPES.items()
        if column not in columns and column is not BarColumn.TIME
    }
    return replace(frame, **absent)  # type: ignore[arg-type]
