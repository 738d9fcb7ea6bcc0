"""What a read must know before its first bar, all of one snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from marketdata.domain.adjustment import Adjustment
from marketdata.domain.as_of import KnownWrites
from marketdata.domain.bar_query import BarQuery
from marketdata.domain.calendar import SessionCalendar
from marketdata.domain.feed import FeedCatalog
from marketdata.domain.range_sets import RangeSet
from marketdata.domain.rollup import ROLLED_UP, labels_of_days
from marketdata.domain.symbol import ResolvedSymbol, TickerSegment
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.adjustments import Adjustments, read_adjustments
from marketdata.storage.calendars import load_calendars
from marketdata.storage.change_log import head
from marketdata.storage.feeds import read_catalog
from marketdata.storage.known_ranges import read_known_ranges
from marketdata.storage.point_in_time import settle
from marketdata.storage.pools import Connection
from marketdata.storage.rollup_facts import NO_ROLLUPS, RollUpFacts, read_rollup_facts
from marketdata.storage.symbols import resolve

# Between which times a ticker has bars at all: nobody looks through partitions where it has none. By
# symbol_validity_symbol and symbol_validity_symbol_id, then the primary key of bar_latest.
_STORED_RANGES: Final = """
    SELECT latest.symbol, latest.timeframe,
           (extract(epoch FROM latest.first_time) * 1000000)::bigint,
           (extract(epoch FROM latest.time) * 1000000)::bigint
      FROM (SELECT DISTINCT own.symbol
              FROM symbol_validity AS asked JOIN symbol_validity AS own USING (symbol_id)
             WHERE asked.symbol = ANY (%s)) AS ticker
      JOIN bar_latest AS latest ON latest.symbol = ticker.symbol AND latest.timeframe = ANY (%s)
"""


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """What a snapshot holds besides bars.

    Attributes
    ----------
    query : BarQuery
        What is asked; about a point in time, with the writes that were known then.
    seq : int
        Every change of the log up to it is in the answer, and none after.
    resolved : tuple of ResolvedSymbol
        The known symbols of the query, in its order.
    feeds : FeedCatalog
        All feeds.
    calendars : mapping of str to SessionCalendar
        By symbol; empty where the read needs none.
    adjustments : Adjustments
        Empty for raw prices.
    stored_ranges : mapping of (str, Timeframe) to TimeRange
        By ticker: it has no bar outside. Of the timeframe asked for, and of minutes where coarser bars
        can be derived from them.
    minute_segments : mapping of str to ResolvedSymbol
        By symbol, where its minutes change tickers at another moment than its bars.
    rollups : RollUpFacts
        Which bars of the timeframe minutes were rolled up into; nothing where that is not asked.
    """

    query: BarQuery
    seq: int
    resolved: tuple[ResolvedSymbol, ...]
    feeds: FeedCatalog
    calendars: Mapping[str, SessionCalendar] = field(default_factory=dict)
    adjustments: Adjustments = field(default_factory=lambda: Adjustments({}, ()))
    stored_ranges: Mapping[tuple[str, Timeframe], TimeRange] = field(default_factory=dict)
    minute_segments: Mapping[str, ResolvedSymbol] = field(default_factory=dict)
    rollups: RollUpFacts = NO_ROLLUPS

    @property
    def have_minutes(self) -> bool:
        """Whether there are minutes, from which coarser bars can be derived."""
        return any(timeframe is Timeframe.MINUTE_1 for _, timeframe in self.stored_ranges)

    def stored(self, timeframe: Timeframe) -> list[ResolvedSymbol]:
        """Tell where bars of `timeframe` can stand: `resolved`, cut to `stored_ranges`."""
        return [self.stored_of(symbol, timeframe) for symbol in self.resolved]

    def stored_of(self, symbol: ResolvedSymbol, timeframe: Timeframe) -> ResolvedSymbol:
        """Cut the segments of one symbol to where bars of `timeframe` can stand."""
        tickers = {segment.ticker for segment in symbol.segments}
        held = {t: self.stored_ranges.get((t, timeframe)) for t in tickers}
        return _held_of(symbol, held)

    def rolled_of(self, symbol: ResolvedSymbol) -> ResolvedSymbol:
        """Cut the segments of one symbol to where roll-ups can stand."""
        return _held_of(symbol, self.rollups.ranges)

    def minutes_of(self, symbol: ResolvedSymbol) -> ResolvedSymbol:
        """Tell where minutes of one symbol can stand, from which its bars can be derived."""
        return self.stored_of(self._by_minute(symbol), Timeframe.MINUTE_1)

    def stale_labels(
        self, symbol: ResolvedSymbol, timeframe: Timeframe, calendar: SessionCalendar
    ) -> RangeSet:
        """Tell at which times roll-ups of one symbol do not fit its minutes."""
        days = self.rollups.stale_days_of(self._by_minute(symbol))
        return labels_of_days(days, timeframe, calendar, self.rollups.since_us)

    def _by_minute(self, symbol: ResolvedSymbol) -> ResolvedSymbol:
        return self.minute_segments.get(symbol.symbol, symbol)


def _held_of(symbol: ResolvedSymbol, held: Mapping[str, TimeRange | None]) -> ResolvedSymbol:
    segments = []
    for segment in symbol.segments:
        stored = held.get(segment.ticker)
        if stored is not None and not (within := segment.range.intersect(stored)).is_empty:
            segments.append(TickerSegment(segment.ticker, within))
    return replace(symbol, segments=tuple(segments))


async def read_facts(connection: Connection, query: BarQuery) -> SnapshotFacts:
    """Read the facts of a query in the snapshot of the caller's connection.

    Raises
    ------
    AsOfTooEarlyError, AsOfAheadError, BarsDroppedError
        See `point_in_time.settle`.
    """
    if query.as_of is None:
        facts = await _read_newest(connection, query)
    else:
        query = await settle(connection, query)
        facts = await _read_known(connection, query)
    return await _complete(connection, facts)


async def _read_newest(connection: Connection, query: BarQuery) -> SnapshotFacts:
    async with connection.pipeline():
        seq, _ = await head(connection)
        found = await resolve(connection, query.symbols, query.timeframe)
        feeds = await read_catalog(connection)
        stored_ranges = await _read_stored_ranges(connection, query.symbols, _timeframes(query))
        rollups = NO_ROLLUPS
        if not query.stored_only and query.timeframe in ROLLED_UP:
            rollups = await read_rollup_facts(connection, query)
    return SnapshotFacts(
        query, seq, tuple(found.values()), feeds, stored_ranges=stored_ranges, rollups=rollups
    )


async def _read_known(connection: Connection, query: BarQuery) -> SnapshotFacts:
    """Read what a query about a point in time needs; `query` is settled."""
    known = query.known
    assert known is not None  # noqa: S101 -- settled
    found = await resolve(connection, query.symbols, query.timeframe, known)
    feeds = await read_catalog(connection)
    tickers = sorted({s.ticker for one in found.values() for s in one.segments})
    held = await read_known_ranges(connection, tickers, _timeframes(query))
    query = replace(query, known=replace(known, revised=held.revised))
    rollups = NO_ROLLUPS
    if not query.stored_only and query.timeframe in ROLLED_UP:
        # What stands there was made of the newest minutes. Where those are gone, nothing changed since.
        rollups = (await read_rollup_facts(connection, query)).all_stale(held.days(Timeframe.MINUTE_1))
    return SnapshotFacts(
        query, known.seq, tuple(found.values()), feeds, stored_ranges=held.ranges, rollups=rollups
    )


def _timeframes(query: BarQuery) -> list[Timeframe]:
    return [query.timeframe] if query.stored_only else [query.timeframe, Timeframe.MINUTE_1]


async def _complete(connection: Connection, facts: SnapshotFacts) -> SnapshotFacts:
    """Add calendars and adjustments, where the read needs some."""
    query, resolved, rollups = facts.query, facts.resolved, facts.rollups
    has_sources = facts.have_minutes or bool(rollups.ranges)
    is_derived = has_sources and query.timeframe is not Timeframe.MINUTE_1
    if not is_derived and query.adjustment is Adjustment.RAW:
        return facts
    by_name = await load_calendars(symbol.calendar for symbol in resolved)
    calendars = {symbol.symbol: by_name[symbol.calendar] for symbol in resolved}
    if is_derived and query.timeframe is Timeframe.DAY_1:
        segments = await _read_minute_segments(connection, resolved, query.known)
        facts = replace(facts, minute_segments=segments)
    if query.adjustment is Adjustment.RAW:
        return replace(facts, calendars=calendars)
    adjustments = await read_adjustments(connection, query, resolved, calendars)
    return replace(facts, calendars=calendars, adjustments=adjustments)


async def _read_minute_segments(
    connection: Connection, resolved: Sequence[ResolvedSymbol], known: KnownWrites | None
) -> dict[str, ResolvedSymbol]:
    """Resolve renamed symbols again: days change tickers by their label, minutes at local midnight."""
    always = TimeRange(Timeframe.DAY_1.earliest_us, Timeframe.DAY_1.latest_us)
    renamed = [one.symbol for one in resolved if any(s.range != always for s in one.segments)]
    return await resolve(connection, renamed, Timeframe.MINUTE_1, known) if renamed else {}


async def _read_stored_ranges(
    connection: Connection, symbols: Sequence[str], timeframes: Sequence[Timeframe]
) -> dict[tuple[str, Timeframe], TimeRange]:
    parameters = [list(symbols), [timeframe.value for timeframe in timeframes]]
    cursor = await connection.execute(_STORED_RANGES, parameters)
    return {
        (ticker, Timeframe(label)): TimeRange(first_us, last_us + 1)
        for ticker, label, first_us, last_us in await cursor.fetchall()
    }
