"""Bulk reads of bars that are derived from minutes where none are stored.

The range is cut into windows of time. Of each window and symbol the minutes are read, resampled, and
put together with the stored bars of that timeframe, which win. Where the stored bars of a window are
complete by the calendar, its minutes are not asked for.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Generic, TypeVar

import numpy as np

from marketdata.domain.bar_merge import merge_frames
from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import COLUMN_DTYPES, BarColumn, BarFrame
from marketdata.domain.calendar import SessionCalendar, SessionHours, in_parts
from marketdata.domain.resample import minute_range, resample, source_columns
from marketdata.domain.symbol import ResolvedSymbol
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.storage.copy_out import CopyStep, ReadyBlock
from marketdata.storage.pools import Connection
from marketdata.storage.read_sql import BarStatement, bar_statements
from marketdata.storage.read_steps import Transform, decode, finish, in_blocks
from marketdata.storage.snapshot_facts import SnapshotFacts

Block = TypeVar("Block")

# A window is read whole: 90 days are 60,000 minutes at the most where extended hours are traded, 7 MB.
_WINDOW_DAYS: Final = 90
# The first one is small, so that the first bars leave early.
_FIRST_WINDOW_DAYS: Final = 7


class DerivedSteps(Generic[Block]):
    """The steps of a bulk read whose bars may have to be derived; parameters as `ReadSteps`."""

    def __init__(
        self,
        query: BarQuery,
        facts: SnapshotFacts,
        connection: Connection,
        transform: Transform[Block],
    ) -> None:
        self._query = query
        self._facts = facts
        self._connection = connection
        self._transform = transform
        self._held = query.range.intersect(_held_range(facts))

    def all(self) -> Iterator[CopyStep[Block] | ReadyBlock[Block]]:
        """Yield the steps in the order of the answer."""
        readers = [self._reader(symbol) for symbol in self._facts.resolved]
        if not self._query.by_time:
            for reader in self._behind_position(readers):
                yield from self._symbol_by_symbol(reader)
        elif self._query.limit is None:
            yield from self._window_by_window(readers)
        else:
            yield from self._last_bars_by_time(readers)

    def _symbol_by_symbol(
        self, reader: "_SymbolReader[Block]"
    ) -> Iterator[CopyStep[Block] | ReadyBlock[Block]]:
        yield from reader.stored_steps()
        newest_first = self._query.descending or self._query.limit is not None
        held: list[BarFrame] = []
        for window in self._windows(_WINDOW_DAYS, newest_first=newest_first):
            yield from reader.window_steps(window)
            bars = reader.take_last(self._query.limit)
            if self._query.descending:
                yield from self._blocks(_reversed(bars))
            elif newest_first:
                held.insert(0, bars)
            else:
                yield from self._blocks(bars)
            if reader.taken == self._query.limit:
                break
        if held:
            yield from self._blocks(merge_frames(held))

    def _window_by_window(
        self, readers: Sequence["_SymbolReader[Block]"]
    ) -> Iterator[CopyStep[Block] | ReadyBlock[Block]]:
        for reader in readers:
            yield from reader.stored_steps()
        days = max(1, _WINDOW_DAYS // max(1, len(readers)))
        for window in self._windows(days, newest_first=self._query.descending):
            for reader in readers:
                yield from reader.window_steps(window)
            yield from self._blocks(self._by_time([reader.take_last(None) for reader in readers]))

    def _last_bars_by_time(
        self, readers: Sequence["_SymbolReader[Block]"]
    ) -> Iterator[CopyStep[Block] | ReadyBlock[Block]]:
        held: list[BarFrame] = []
        for reader in readers:
            yield from reader.stored_steps()
            for window in self._windows(_WINDOW_DAYS, newest_first=True):
                yield from reader.window_steps(window)
                held.append(reader.take_last(self._query.limit))
                if reader.taken == self._query.limit:
                    break
        yield from self._blocks(self._by_time(held))

    def _reader(self, symbol: ResolvedSymbol) -> "_SymbolReader[Block]":
        return _SymbolReader(self._query, self._facts, self._connection, symbol)

    def _behind_position(self, readers: list["_SymbolReader[Block]"]) -> list["_SymbolReader[Block]"]:
        position = self._query.resume_after
        names = [reader.symbol.symbol for reader in readers]
        if position is None or position.symbol not in names:
            return readers
        return readers[names.index(position.symbol) :]

    def _windows(self, days: int, *, newest_first: bool) -> Iterator[TimeRange]:
        start, end = self._held.start_us, self._held.end_us
        width = min(days, _FIRST_WINDOW_DAYS) * MICROSECONDS_PER_DAY
        while start < end:
            if newest_first:
                cut = max(start, end - width)
                yield TimeRange(cut, end)
                end = cut
            else:
                cut = min(end, start + width)
                yield TimeRange(start, cut)
                start = cut
            width = days * MICROSECONDS_PER_DAY

    def _by_time(self, frames: Sequence[BarFrame]) -> BarFrame:
        merged = merge_frames(frames)
        places = {s.symbol: place for place, s in enumerate(self._facts.resolved)}
        place = np.array([places[symbol] for symbol in merged.symbols], np.int64)
        time_us = -merged.time_us if self._query.descending else merged.time_us
        order = np.lexsort((place[merged.row_symbol_index()], time_us))
        return merged.take(order)

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
        names = [symbol.symbol for symbol in self._facts.resolved]
        place = np.array([names.index(symbol) for symbol in frame.symbols])
        row_place = place[frame.row_symbol_index()]
        resumed = names.index(position.symbol) if position.symbol in names else -1
        if self._query.by_time:
            return frame.take((age > 0) | ((age == 0) & (row_place > resumed)))
        return frame.take((row_place > resumed) | (age > 0))


class _SymbolReader(Generic[Block]):
    """The bars of one symbol, window by window."""

    def __init__(
        self,
        query: BarQuery,
        facts: SnapshotFacts,
        connection: Connection,
        symbol: ResolvedSymbol,
    ) -> None:
        self.symbol = symbol
        self.taken = 0
        self._facts = facts
        self._connection = connection
        self._calendar: SessionCalendar = facts.calendars[symbol.symbol]
        self._query = replace(
            query,
            columns=source_columns(query.columns),
            resume_after=None,
            descending=False,
            by_time=False,
            limit=None,
        )
        self._stored = BarFrame.empty((symbol.symbol,))
        self._window = self._stored

    def stored_steps(self) -> Iterator[CopyStep[Block]]:
        if self._query.timeframe.is_stored:
            yield from self._read(self._query, self._keep_stored)

    def window_steps(self, window: TimeRange) -> Iterator[CopyStep[Block]]:
        self._keep_window(window, BarFrame.empty((self.symbol.symbol,)))
        if self._is_complete(window):
            return
        minutes = replace(
            self._query,
            timeframe=Timeframe.MINUTE_1,
            range=minute_range(window, self._query.timeframe, self._calendar).intersect(
                self._calendar.intraday_range  # past it nobody knows what to anchor a bar at
            ),
        )
        if self._query.timeframe is Timeframe.DAY_1:
            minutes = replace(minutes, session=SessionHours.REGULAR)
        yield from self._read(minutes, partial(self._keep_derived, window))

    def take_last(self, limit: int | None) -> BarFrame:
        """Take the window's bars, ascending; with a limit only its last, up to the limit in all."""
        bars = self._window
        if limit is not None:
            wanted = min(len(bars), limit - self.taken)
            bars = bars.take(np.arange(len(bars) - wanted, len(bars)))
        self.taken += len(bars)
        return bars

    def _read(self, query: BarQuery, keep: Callable[[BarFrame], None]) -> Iterator[CopyStep[Block]]:
        frames = [BarFrame.empty((self.symbol.symbol,))]
        stored = self._facts.stored_of(self.symbol, query.timeframe)
        for statement in bar_statements(query, [stored]):

            def take(data: bytes, statement: BarStatement = statement) -> Sequence[Block]:
                frames.append(decode(data, query, statement, self._facts))
                return ()

            yield CopyStep(statement.text.as_bytes(self._connection), take)
        keep(BarFrame.concatenate(frames[1:]) if frames[1:] else frames[0])

    def _keep_stored(self, frame: BarFrame) -> None:
        self._stored = frame

    def _keep_derived(self, window: TimeRange, minutes: BarFrame) -> None:
        derived = resample(
            minutes,
            self._query.timeframe,
            self._calendar,
            now_us=self._query.now_us,
            hours=self._query.session,
            feed_ranks=self._facts.feeds.ranks,
        )
        within = (derived.time_us >= window.start_us) & (derived.time_us < window.end_us)
        is_new = ~np.isin(derived.time_us, self._stored.time_us)
        self._keep_window(window, derived.take(within & is_new))

    def _keep_window(self, window: TimeRange, derived: BarFrame) -> None:
        first, last = np.searchsorted(self._stored.time_us, (window.start_us, window.end_us))
        stored = self._stored.take(np.arange(first, last))
        both = [frame for frame in (stored, derived) if len(frame)]
        merged = merge_frames(both) if both else derived
        self._window = merged.take(np.argsort(merged.time_us, kind="stable"))

    def _is_complete(self, window: TimeRange) -> bool:
        """Tell whether the stored bars are all that the calendar lets expect in a window."""
        if not self._query.timeframe.is_stored:
            return False
        have = len(self._window)
        if self._query.timeframe is Timeframe.DAY_1:
            rows = self._calendar.session_rows_in(window)
            return have >= int(rows.stop - rows.start)
        return have >= expected_hours(self._calendar, window, self._query.session)


def _held_range(facts: SnapshotFacts) -> TimeRange:
    """Tell between which times there can be bars: a label lies within a day of its minutes."""
    held = facts.stored_ranges.values()
    first = min((one.start_us for one in held), default=0)
    last = max((one.end_us for one in held), default=0)
    return TimeRange(first - MICROSECONDS_PER_DAY, last + MICROSECONDS_PER_DAY)


def expected_hours(calendar: SessionCalendar, within: TimeRange, hours: SessionHours) -> int:
    """Count the hour bars that a calendar lets expect in a range; bars at its edges count whole."""
    spans = calendar.spans.take(in_parts(calendar.spans.part, hours))
    meets = (spans.end_us > within.start_us) & (spans.start_us < within.end_us)
    start = np.maximum(spans.start_us[meets], within.start_us)
    end = np.minimum(spans.end_us[meets], within.end_us)
    return int((-(-(end - start) // Timeframe.HOUR_1.duration_us)).sum())


def _reversed(frame: BarFrame) -> BarFrame:
    return frame.take(np.arange(len(frame))[::-1])


def _only_columns(frame: BarFrame, columns: frozenset[BarColumn]) -> BarFrame:
    absent = {
        column.value: np.empty(0, dtype)
        for column, dtype in COLUMN_DTYPES.items()
        if column not in columns and column is not BarColumn.TIME
    }
    return replace(frame, **absent)  # type: ignore[arg-type]
