"""What one batch of the roller is about: whose days, which bars, which minutes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from marketdata.domain.bars import BarFrame, Int64Array
from marketdata.domain.calendar import SessionCalendar, SessionHours
from marketdata.domain.range_sets import RangeSet, intersection, union
from marketdata.domain.resample import minute_range, resample
from marketdata.domain.rollup import ROLLED_UP, have_ended, labels_of_days
from marketdata.domain.symbol import TickerSegment
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe


class DirtyDay(NamedTuple):
    """A ticker's UTC day of minutes, in days since 1970-01-01."""

    symbol: str
    day: int


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """A symbol whose bars are rolled up.

    Attributes
    ----------
    calendar : SessionCalendar
        Its own.
    by_moment, by_label : tuple of TickerSegment
        Its tickers over time: of minutes and hours, and of days.
    """

    calendar: SessionCalendar
    by_moment: tuple[TickerSegment, ...]
    by_label: tuple[TickerSegment, ...]

    def segments(self, timeframe: Timeframe) -> tuple[TickerSegment, ...]:
        """Tell under which tickers bars of `timeframe` stand."""
        return self.by_label if timeframe is Timeframe.DAY_1 else self.by_moment

    def had(self, dirty: DirtyDay) -> bool:
        """Tell whether a ticker named it at some time of a day."""
        day = TimeRange(dirty.day * MICROSECONDS_PER_DAY, (dirty.day + 1) * MICROSECONDS_PER_DAY)
        return any(
            segment.ticker == dirty.symbol and not segment.range.intersect(day).is_empty
            for segment in self.by_moment
        )


@dataclass(frozen=True, slots=True)
class RollUpWork:
    """The days of one identity that are rolled up together.

    Attributes
    ----------
    identity : Identity
        Whose.
    labels : mapping of Timeframe to RangeSet
        The times of the bars that are made anew.
    """

    identity: Identity
    labels: Mapping[Timeframe, RangeSet]

    def minutes(self) -> list[TickerSegment]:
        """Tell where the minutes stand that make the bars."""
        calendar = self.identity.calendar
        wanted = union(
            minute_range(one, timeframe, calendar)
            for timeframe, labels in self.labels.items()
            for one in labels
        )
        known = intersection(wanted, calendar.intraday_range)
        return list(cut(self.identity.by_moment, known))


@dataclass(slots=True)
class RollUpBatch:
    """What becomes of some dirty days.

    Attributes
    ----------
    work : list of RollUpWork
        What is to be made.
    done : list of DirtyDay
        The marks that are cleared with it; where nothing can be made, alone.
    waiting : int
        How many days are left for later: sessions that have not ended, or that no calendar knows.
    """

    work: list[RollUpWork] = field(default_factory=list)
    done: list[DirtyDay] = field(default_factory=list)
    waiting: int = 0


def plan(
    dirty: Iterable[DirtyDay], identities: Sequence[Identity], first_day: int | None, now_us: int
) -> RollUpBatch:
    """Tell what is to be made of some dirty days.

    Parameters
    ----------
    first_day : int or None
        Minutes of earlier days were dropped: those days are never made anew.
    now_us : int
        Unix microseconds.
    """
    batch = RollUpBatch()
    days_of: dict[int, list[int]] = {}
    for one in dirty:
        owners = [n for n, identity in enumerate(identities) if identity.had(one)]
        day = np.array([one.day], np.int64)
        if first_day is not None and one.day < first_day:
            owners = []
        elif not all(have_ended(day, identities[n].calendar, now_us)[0] for n in owners):
            batch.waiting += 1
            continue
        batch.done.append(one)
        for owner in owners:
            days_of.setdefault(owner, []).append(one.day)
    since_us = Timeframe.DAY_1.earliest_us if first_day is None else first_day * MICROSECONDS_PER_DAY
    for owner, days in days_of.items():
        identity, sorted_days = identities[owner], np.unique(np.array(days, np.int64))
        labels = {
            timeframe: labels_of_days(sorted_days, timeframe, identity.calendar, since_us)
            for timeframe in ROLLED_UP
        }
        batch.work.append(RollUpWork(identity, labels))
    return batch


def roll_up(
    work: Sequence[RollUpWork],
    minutes: BarFrame,
    timeframe: Timeframe,
    now_us: int,
    feed_ranks: Mapping[int, int],
) -> BarFrame:
    """Make the bars of `timeframe` of a batch.

    Parameters
    ----------
    minutes : BarFrame
        All columns, grouped by work, ascending by time within; `symbol_index` is the place in `work`.

    Returns
    -------
    BarFrame
        Under the tickers of then, sorted by ticker and time.
    """
    tickers = tuple(sorted({s.ticker for one in work for s in one.identity.segments(timeframe)}))
    made = []
    for calendar in {id(one.identity.calendar): one.identity.calendar for one in work}.values():
        own = np.array([one.identity.calendar is calendar for one in work])
        rows = np.flatnonzero(own[minutes.symbol_index])
        bars = resample(
            minutes.take(rows),
            timeframe,
            calendar,
            now_us=now_us,
            hours=SessionHours.REGULAR if timeframe is Timeframe.DAY_1 else SessionHours.ALL,
            feed_ranks=feed_ranks,
        )
        made.append(_under_tickers(bars, work, timeframe, tickers))
    return BarFrame.concatenate(made).sorted_by_symbol_time()


def cut(segments: Iterable[TickerSegment], ranges: RangeSet) -> Iterable[TickerSegment]:
    """Cut segments to disjoint, ascending ranges."""
    for segment in segments:
        for one in intersection(ranges, segment.range):
            yield TickerSegment(segment.ticker, one)


def _under_tickers(
    bars: BarFrame, work: Sequence[RollUpWork], timeframe: Timeframe, tickers: tuple[str, ...]
) -> BarFrame:
    """Put each bar that was asked for under the ticker of its time; the others are left out."""
    places = {ticker: place for place, ticker in enumerate(tickers)}
    index: Any = np.full(len(bars), -1, np.int32)
    owner = bars.row_symbol_index()
    for number, one in enumerate(work):
        first, last = np.searchsorted(owner, (number, number + 1))
        time_us: Int64Array = bars.time_us[first:last]
        for segment in cut(one.identity.segments(timeframe), one.labels[timeframe]):
            begin, end = np.searchsorted(time_us, (segment.range.start_us, segment.range.end_us))
            index[first + begin : first + end] = places[segment.ticker]
    kept = np.flatnonzero(index >= 0)
    return replace(bars.take(kept), symbols=tickers, symbol_index=index[kept])
