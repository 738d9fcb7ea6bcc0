"""Where the bars of a symbol come from: a provider, roll-ups that fit, or minutes."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.calendar import SessionCalendar, SessionHours, in_parts
from marketdata.domain.range_sets import RangeSet, complement, hull, intersection, union
from marketdata.domain.resample import minute_range
from marketdata.domain.rollup import ROLLED_UP, labels_from
from marketdata.domain.symbol import ResolvedSymbol, TickerSegment
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.storage.snapshot_facts import SnapshotFacts

# The label of a session lies within a day of its minutes: at midnight UTC of its date, wherever it is.
_LABEL_DISTANCE_US: Final = MICROSECONDS_PER_DAY


@dataclass(frozen=True, slots=True)
class BarSources:
    """Where the bars of one symbol and timeframe come from, within the range of a query.

    Attributes
    ----------
    symbol : str
        As asked for.
    calendar : SessionCalendar
        Its own.
    stored : ResolvedSymbol
        Cut to where bars of providers can stand.
    rolled_up : ResolvedSymbol
        Cut to where roll-ups stand that fit their minutes.
    minutes : ResolvedSymbol
        Cut to where minutes can stand.
    from_minutes : tuple of TimeRange
        The times of the bars that are made from minutes where no provider's stand: ascending, apart
        from each other, and only where there can be minutes. No roll-up is read there.
    """

    symbol: str
    calendar: SessionCalendar
    stored: ResolvedSymbol
    rolled_up: ResolvedSymbol
    minutes: ResolvedSymbol
    from_minutes: RangeSet

    @property
    def held(self) -> TimeRange:
        """Between which times there can be bars; empty where there are none."""
        ready = (*self.stored.segments, *self.rolled_up.segments)
        return hull([*(segment.range for segment in ready), *self.from_minutes])

    def minutes_of(self, labels: RangeSet, timeframe: Timeframe) -> ResolvedSymbol:
        """Cut the minutes to those that make all bars of `timeframe` whose times lie in a set."""
        # Past its calendar nobody knows what to anchor a bar at.
        known = self.calendar.intraday_range
        wanted = union(minute_range(one, timeframe, self.calendar) for one in labels)
        return _cut(self.minutes, intersection(wanted, known))


def sources_of(symbol: ResolvedSymbol, query: BarQuery, facts: SnapshotFacts) -> BarSources:
    """Tell where the bars of a symbol come from."""
    calendar, minutes = facts.calendars[symbol.symbol], facts.minutes_of(symbol)
    changed: RangeSet = (query.range,)
    if query.timeframe in ROLLED_UP:
        # What had not ended when it was asked is not final, whatever was rolled up since.
        not_ended = labels_from(query.timeframe, calendar, query.now_us)
        stale = facts.stale_labels(symbol, query.timeframe, calendar)
        changed = intersection(union([*stale, not_ended]), query.range)
    have_minutes = _labels_around(minutes)
    return BarSources(
        symbol=symbol.symbol,
        calendar=calendar,
        stored=_cut(facts.stored_of(symbol, query.timeframe), (query.range,)),
        rolled_up=_cut(facts.rolled_of(symbol), complement(changed, query.range)),
        minutes=minutes,
        from_minutes=intersection(changed, have_minutes),
    )


def expected_bars(
    calendar: SessionCalendar, labels: RangeSet, timeframe: Timeframe, hours: SessionHours
) -> int:
    """Count the hour or day bars that a calendar lets expect; those at the edges count whole."""
    if timeframe is Timeframe.DAY_1:
        rows = [calendar.session_rows_in(one) for one in labels]
        return sum(row.stop - row.start for row in rows)
    return sum(_expected_hours(calendar, one, hours) for one in labels)


def _expected_hours(calendar: SessionCalendar, within: TimeRange, hours: SessionHours) -> int:
    spans = calendar.spans.take(in_parts(calendar.spans.part, hours))
    meets = (spans.end_us > within.start_us) & (spans.start_us < within.end_us)
    start = np.maximum(spans.start_us[meets], within.start_us)
    end = np.minimum(spans.end_us[meets], within.end_us)
    return int((-(-(end - start) // Timeframe.HOUR_1.duration_us)).sum())


def _labels_around(minutes: ResolvedSymbol) -> TimeRange:
    around = hull([segment.range for segment in minutes.segments])
    if around.is_empty:
        return around
    return TimeRange(around.start_us - _LABEL_DISTANCE_US, around.end_us + _LABEL_DISTANCE_US)


def _cut(symbol: ResolvedSymbol, ranges: RangeSet) -> ResolvedSymbol:
    segments = tuple(
        TickerSegment(segment.ticker, one)
        for segment in symbol.segments
        for one in intersection(ranges, segment.range)
    )
    return replace(symbol, segments=segments)
