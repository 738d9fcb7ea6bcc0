"""What of the change log concerns a subscriber, as the events that he is told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from marketdata.domain.bars import BarFrame
from marketdata.domain.log_position import LogPosition
from marketdata.domain.subscription import (
    ActionsChange,
    BarsChange,
    Change,
    RangeChange,
    RangeReason,
    ResumePoint,
    SubscriptionEvent,
    SubscriptionFilter,
    SymbolsChange,
)
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.change_log import MOST_INLINE_BARS, ChangeKind
from marketdata.storage.log_entries import LogEntry
from marketdata.streaming.lookups import Lookups
from marketdata.streaming.routes import Routes

# What bars of all columns take of a message, which clients limit to 4 MiB by default: 1.5 MB.
MOST_MESSAGE_BARS: Final = MOST_INLINE_BARS

_REASONS: Final = {
    ChangeKind.BARS: RangeReason.MANY_BARS,
    ChangeKind.DELETED: RangeReason.DELETED,
    ChangeKind.RETENTION: RangeReason.RETENTION,
}


@dataclass
class _Run:
    """Bars of entries in a row, of one timeframe: they travel together."""

    timeframe: Timeframe
    first: LogEntry
    last: LogEntry
    frames: list[BarFrame] = field(default_factory=list)
    rows: int = 0


class Selection:
    """Turns entries into the events of one subscription, in their order.

    Parameters
    ----------
    wanted : SubscriptionFilter
        What concerns the subscriber.
    routes : Routes
        What is known of its symbols; renewed as entries about them come.
    start : ResumePoint
        Behind it, entries are told.
    lookups : Lookups
        Finds out what entries do not say.
    """

    def __init__(
        self, wanted: SubscriptionFilter, routes: Routes, start: ResumePoint, lookups: Lookups
    ) -> None:
        self.wanted: Final = wanted
        self._routes = routes
        self._start = start
        self._lookups = lookups
        self._resume = start
        self._events: list[SubscriptionEvent] = []
        self._run: _Run | None = None

    @property
    def resume(self) -> ResumePoint:
        """Behind all entries that were turned into events."""
        return self._resume

    async def events(self, entries: Sequence[LogEntry]) -> list[SubscriptionEvent]:
        """Turn entries into events.

        Parameters
        ----------
        entries : sequence of LogEntry
            What the log has behind those of the last call; each seq with all of its entries.

        Raises
        ------
        DatabaseUnavailableError, QueryTimeoutError
            What entries do not say cannot be found out now; the subscription is to be resumed.
        """
        self._events = []
        for position, entry in enumerate(entries):
            is_last = position + 1 == len(entries) or entries[position + 1].seq != entry.seq
            before, self._resume = self._resume, self._behind(entry, is_last=is_last)
            if not self._was_told(entry):
                await self._add(entry, before)
        self._end_run(self._resume)
        return self._events

    async def _add(self, entry: LogEntry, before: ResumePoint) -> None:
        frame = self._routes.bars(entry)
        if frame is not None and entry.timeframe is not None:
            self._add_bars(entry, entry.timeframe, frame, before)
            return
        changes = await self._changes(entry)
        if not changes:
            return
        self._end_run(before)
        *first, last = changes
        # Whoever resumes behind one of them is told all changes of the entry again.
        self._events += [SubscriptionEvent(change, entry.seq, before) for change in first]
        self._events.append(SubscriptionEvent(last, entry.seq, self._resume))

    async def _changes(self, entry: LogEntry) -> Sequence[Change]:
        if entry.kind in _REASONS:
            change = self._range_change(entry)
            return () if change is None else (change,)
        symbols = self._routes.symbols_of(entry)
        if not symbols:
            return ()
        if entry.kind is ChangeKind.ACTION:
            # The ticker that was named, and the latest: of one symbol.
            told = symbols[-1:] if self._routes.takes_all else symbols
            return [ActionsChange(s, await self._lookups.actions(entry, s)) for s in told]
        if self._routes.takes_all:
            return (SymbolsChange(await self._lookups.known(entry)),)
        self._routes = await self._lookups.renewed(self.wanted, self._routes, symbols)
        return (SymbolsChange([(s, self._routes.is_known(s)) for s in symbols]),)

    def _range_change(self, entry: LogEntry) -> RangeChange | None:
        if entry.bars is not None or entry.timeframe is None or not self._routes.wants(entry.timeframe):
            return None
        symbols = self._routes.symbols_of(entry)
        if symbols is None or entry.start_us is None or entry.end_us is None:
            return None
        return RangeChange(
            symbols,
            entry.timeframe,
            entry.start_us,
            entry.end_us,
            _REASONS[entry.kind],
            entry.reason,
        )

    def _add_bars(
        self, entry: LogEntry, timeframe: Timeframe, frame: BarFrame, before: ResumePoint
    ) -> None:
        run = self._run
        if run is None or run.timeframe is not timeframe or run.rows + len(frame) > MOST_MESSAGE_BARS:
            self._end_run(before)
            run = self._run = _Run(timeframe, entry, entry)
        run.last = entry
        run.frames.append(frame)
        run.rows += len(frame)

    def _end_run(self, resume: ResumePoint) -> None:
        """Tell the bars of the run, if there is one; `resume` is behind what was looked at since."""
        run, self._run = self._run, None
        if run is None:
            return
        first, last = run.first, run.last
        # Entries never change, so these are the same bars for all who want the same.
        key = (self.wanted.fingerprint, first.seq, first.part, last.seq, last.part, resume)
        change = BarsChange(tuple(run.frames), run.timeframe)
        self._events.append(SubscriptionEvent(change, last.seq, resume, key))

    def _behind(self, entry: LogEntry, *, is_last: bool) -> ResumePoint:
        generation = self._start.position.generation
        if is_last:
            return ResumePoint(LogPosition(generation, entry.seq))
        return ResumePoint(LogPosition(generation, entry.seq - 1), entry.part + 1)

    def _was_told(self, entry: LogEntry) -> bool:
        return entry.seq == self._start.position.seq + 1 and entry.part < self._start.parts
