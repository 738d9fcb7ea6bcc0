"""What a run fetches, from what was asked for, what was fetched before, and what a provider has."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from marketdata.domain.ingestion_run import FetchedRanges, IngestionMode, PlannedTask, RunRequest
from marketdata.domain.range_sets import complement, intersection
from marketdata.domain.slot_runs import LeftOver
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe

History = Mapping[Timeframe, timedelta | None]

_MINUTE_US: Final = 60_000_000
_KEPT_FOR_EVER: Final[Mapping[Timeframe, int]] = MappingProxyType({})
# Providers correct bars minutes or days later, so a batch fetches the newest ones again: a week of
# days, which has a weekend and a holiday in it, and the minutes of the session before.
_TRAILING_US: Final = {
    Timeframe.MINUTE_1: 2 * MICROSECONDS_PER_DAY,
    Timeframe.HOUR_1: 2 * MICROSECONDS_PER_DAY,
    Timeframe.DAY_1: 7 * MICROSECONDS_PER_DAY,
}
# Where a batch begins with a symbol of which nothing was fetched, and no start was given.
_FIRST_BATCH_US: Final = {
    Timeframe.MINUTE_1: 7 * MICROSECONDS_PER_DAY,
    Timeframe.HOUR_1: 60 * MICROSECONDS_PER_DAY,
    Timeframe.DAY_1: 365 * MICROSECONDS_PER_DAY,
}


def plan_tasks(
    request: RunRequest,
    identities: Sequence[Symbol],
    fetched: FetchedRanges,
    history: History,
    now_us: int,
    kept_from_us: Mapping[Timeframe, int] = _KEPT_FOR_EVER,
    trailing_us: int | None = None,
) -> list[PlannedTask]:
    """Plan what a run fetches, in the order of the request.

    A BACKFILL fetches what of its range was not fetched yet. A BATCH goes on where the last fetch
    ended, less a trailing window that is fetched again for late corrections. Neither asks for bars that
    cannot have ended by now, nor for what lies beyond the provider's history.

    Parameters
    ----------
    request : RunRequest
        What is asked for.
    identities : sequence of Symbol
        Its symbols.
    fetched : mapping
        Of which time the provider gave all that it has, by (symbol_id, timeframe), ascending.
    history : mapping of Timeframe to timedelta or None
        How far back from now the provider reaches; None: as far as there are bars.
    now_us : int
        Unix microseconds.
    kept_from_us : mapping of Timeframe to int
        What is older is dropped by retention, Unix microseconds; where nothing is, not there.
    trailing_us : int or None
        How much before the end of the last fetch a BATCH fetches again; None: a week of days, two days
        of the rest.

    Returns
    -------
    list of PlannedTask
        Disjoint ranges a symbol and timeframe, ascending; empty where there is nothing to fetch.
    """
    tasks: list[PlannedTask] = []
    for symbol in identities:
        for timeframe in request.timeframes:
            known = fetched.get((symbol.symbol_id, timeframe), ())
            trailing = _TRAILING_US[timeframe] if trailing_us is None else trailing_us
            wanted = _wanted(request, timeframe, known, now_us, trailing)
            wanted = wanted.intersect(reach_of(timeframe, history, now_us))
            wanted = wanted.intersect(_kept(timeframe, kept_from_us))
            is_again = request.refetches or request.mode is IngestionMode.BATCH
            missing = (wanted,) if is_again else complement(known, wanted)
            tasks += [
                PlannedTask(symbol.symbol, symbol.symbol_id, timeframe, part)
                for part in missing
                if not part.is_empty
            ]
    return tasks


def plan_left(
    left: Sequence[LeftOver],
    timeframe: Timeframe,
    fetched: FetchedRanges,
    history: History,
    now_us: int,
    kept_from_us: Mapping[Timeframe, int] = _KEPT_FOR_EVER,
    trailing_us: int | None = None,
) -> list[PlannedTask]:
    """Plan what another provider is asked for of what is left.

    What it was asked for already is left out, but for its newest: of that it may have corrected
    something, as in a BATCH.

    Parameters
    ----------
    left : sequence of LeftOver
        Of which symbols what is left.
    timeframe : Timeframe
        Of which bars.
    fetched, history, now_us, kept_from_us, trailing_us
        As `plan_tasks` takes them, of the provider that is to be asked.

    Returns
    -------
    list of PlannedTask
        Disjoint ranges a symbol, ascending; empty where it has nothing of what is left.
    """
    trailing = _TRAILING_US[timeframe] if trailing_us is None else trailing_us
    reach = reach_of(timeframe, history, now_us).intersect(_kept(timeframe, kept_from_us))
    tasks: list[PlannedTask] = []
    for each in left:
        known = fetched.get((each.symbol_id, timeframe), ())
        newest_us = max(known[-1].end_us - trailing, known[0].start_us) if known else 0
        settled = intersection(known, TimeRange(known[0].start_us, newest_us)) if known else ()
        tasks += [
            PlannedTask(each.symbol, each.symbol_id, timeframe, part)
            for wanted in each.ranges
            for part in complement(settled, wanted.intersect(reach))
        ]
    return tasks


def last_end_us(timeframe: Timeframe, now_us: int) -> int:
    """Tell before which time a bar must open to have ended by now, Unix microseconds.

    Of daily bars those of today (UTC) are left to tomorrow, as everywhere.
    """
    if timeframe is Timeframe.DAY_1:
        return now_us - now_us % MICROSECONDS_PER_DAY
    opened_us = now_us - timeframe.duration_us
    return opened_us - opened_us % _MINUTE_US + _MINUTE_US


def _wanted(
    request: RunRequest,
    timeframe: Timeframe,
    known: Sequence[TimeRange],
    now_us: int,
    trailing_us: int,
) -> TimeRange:
    end_us = last_end_us(timeframe, now_us)
    if request.end_us is not None:
        end_us = min(end_us, _aligned(request.end_us, timeframe))
    if request.mode is IngestionMode.BATCH and known and not request.refetches:
        start_us = known[-1].end_us - trailing_us
    elif request.start_us is not None:
        start_us = request.start_us
    else:
        start_us = end_us - _FIRST_BATCH_US[timeframe]
    start_us = _aligned(max(start_us, timeframe.earliest_us), timeframe)
    return TimeRange(start_us, max(start_us, end_us))


def reach_of(timeframe: Timeframe, history: History, now_us: int) -> TimeRange:
    """Tell of which time a provider can have bars, by how far back it reaches."""
    depth = history.get(timeframe)
    if depth is None:
        return TimeRange(timeframe.earliest_us, timeframe.latest_us)
    # A bar more than none: what is older by a moment is refused by some providers.
    start_us = _aligned(now_us - depth // timedelta(microseconds=1), timeframe)
    return TimeRange(start_us, timeframe.latest_us)


def _kept(timeframe: Timeframe, kept_from_us: Mapping[Timeframe, int]) -> TimeRange:
    start_us = _aligned(kept_from_us.get(timeframe, timeframe.earliest_us), timeframe)
    return TimeRange(start_us, timeframe.latest_us)


def _aligned(time_us: int, timeframe: Timeframe) -> int:
    """Round up to where a bar can open: no bar lies between."""
    return -(-time_us // timeframe.alignment_us) * timeframe.alignment_us
