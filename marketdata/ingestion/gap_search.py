"""What the first provider of a target has answered without the bars that a calendar expects.

Asking it again brings nothing; another provider may have them. Each is asked once for a gap: what it
answered is remembered as time, whether it had bars or not.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from marketdata.clock import Clock
from marketdata.domain.ingestion_run import FetchedRanges, IngestionRun
from marketdata.domain.provider import ProviderDescription
from marketdata.domain.range_sets import RangeSet, complement, intersection, union
from marketdata.domain.schedule import Slot, SlotSeries
from marketdata.domain.slot_runs import LeftOver, gaps_name
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.errors import ProviderNotReadyError, RequestIdReusedError, SymbolNotFoundError
from marketdata.ingestion.planner import reach_of
from marketdata.ingestion.run_starter import RunStarter
from marketdata.storage.coverage import CoverageReader
from marketdata.storage.deleted_bars import DeletedBars
from marketdata.storage.ingestion.runs import RunStore

# Of a look, which other targets wait for: a symbol takes a millisecond of days, and up to a second of
# ten years of minutes.
_MOST_SYMBOLS: Final = 20
_MOST_SECONDS: Final = 2.0
# Calls of a symbol and a night, the newest gaps first; a quiet one has a gap in most of its sessions.
_MOST_RANGES: Final = 20
# Gaps that lie nearer together are one call.
_JOINED_US: Final[Mapping[Timeframe, int]] = {
    Timeframe.MINUTE_1: 4 * MICROSECONDS_PER_DAY,
    Timeframe.HOUR_1: 14 * MICROSECONDS_PER_DAY,
    Timeframe.DAY_1: 60 * MICROSECONDS_PER_DAY,
}


@dataclass(frozen=True, slots=True)
class GapStep:
    """How far the search of a slot is, and what was started now."""

    is_over: bool
    runs: Sequence[IngestionRun]


@dataclass(frozen=True, slots=True)
class _Search:
    """What a search goes by: which time, and what of it each provider was asked of some symbols."""

    timeframe: Timeframe
    within: TimeRange
    first: FetchedRanges
    others: Sequence[tuple[ProviderDescription, FetchedRanges]]

    def open_parts(self, symbol_id: int, of: Iterable[TimeRange]) -> tuple[str, RangeSet] | None:
        """Find the first other provider that was not asked for something of a time, and for what."""
        key, wanted = (symbol_id, self.timeframe), tuple(of)
        for provider, asked in self.others:
            reach = reach_of(self.timeframe, provider.history, self.within.end_us)
            parts = [
                part
                for one in intersection(wanted, reach)
                for part in complement(asked.get(key, ()), one)
            ]
            if parts:
                return provider.name, tuple(parts)
        return None


class GapSearch:
    """Has other providers asked for what the first one does not have, some symbols at a time.

    Parameters
    ----------
    coverage : CoverageReader
        Finds gaps.
    deleted : DeletedBars
        Tells which of them are meant.
    runs : RunStore
        Tells what providers have answered.
    starter : RunStarter
        Starts runs.
    clock : Clock
        What is now.
    elapsed : callable
        Tells seconds, from whenever on; only their difference counts.
    """

    def __init__(
        self,
        coverage: CoverageReader,
        deleted: DeletedBars,
        runs: RunStore,
        starter: RunStarter,
        clock: Clock,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._coverage = coverage
        self._deleted = deleted
        self._runs = runs
        self._starter = starter
        self._clock = clock
        self._elapsed = elapsed
        # Where the search of a slot goes on. A process that starts anew begins it again, and finds what
        # was asked for meanwhile answered.
        self._places: dict[SlotSeries, tuple[Slot, int]] = {}

    async def go_on(
        self,
        slot: Slot,
        serving: Sequence[ProviderDescription],
        symbols: Sequence[str],
        start_us: int,
    ) -> GapStep:
        """Search the next symbols of a slot.

        Parameters
        ----------
        slot : Slot
            Of the job REPAIR, whose runs are over.
        serving : sequence of ProviderDescription
            The target's providers that have the timeframe, in order.
        symbols : sequence of str
            All of the target.
        start_us : int
            Where the target's history begins, Unix microseconds.

        Raises
        ------
        ServiceError
            The database did not answer.
        """
        others = [provider for provider in serving[1:] if not provider.problem]
        known_slot, place = self._places.get(slot.series, (slot, 0))
        place = place if known_slot == slot else 0
        chunk, timeframe = symbols[place : place + _MOST_SYMBOLS], slot.series.timeframe
        if timeframe is None or not others or not chunk:
            self._places.pop(slot.series, None)
            return GapStep(is_over=True, runs=())
        identities = await self._runs.identities(chunk)
        ids = [symbol.symbol_id for symbol in identities.values()]
        search = _Search(
            timeframe,
            TimeRange(start_us, max(start_us, self._clock.now_us())),
            await self._runs.fetched(serving[0].name, ids, (timeframe,)),
            [(each, await self._runs.fetched(each.name, ids, (timeframe,))) for each in others],
        )
        found, looked = await self._search(search, chunk, identities)
        self._places[slot.series] = (slot, place + looked)
        return GapStep(is_over=False, runs=await self._start(slot, timeframe, found))

    async def _search(
        self, search: _Search, chunk: Sequence[str], identities: Mapping[str, Symbol]
    ) -> tuple[dict[str, list[LeftOver]], int]:
        """Find by provider what it is to be asked for, and tell how many symbols were looked at."""
        found: dict[str, list[LeftOver]] = {}
        until = self._elapsed() + _MOST_SECONDS
        looked = 0
        for ticker in chunk:
            looked += 1
            symbol = identities.get(ticker)
            parts = await self._find(search, symbol) if symbol else None
            if symbol and parts:
                left = LeftOver(symbol.symbol, symbol.symbol_id, parts[1])
                found.setdefault(parts[0], []).append(left)
            if self._elapsed() >= until:
                break
        return found, looked

    async def _find(self, search: _Search, symbol: Symbol) -> tuple[str, RangeSet] | None:
        answered = intersection(
            tuple(search.first.get((symbol.symbol_id, search.timeframe), ())), search.within
        )
        if search.open_parts(symbol.symbol_id, answered) is None:
            return None  # the others were asked for all of it: no bar need be read
        try:
            coverage, _ = await self._coverage.read(
                symbol.symbol,
                search.timeframe,
                answered[0].start_us,
                answered[-1].end_us,
                search.within.end_us,
            )
        except SymbolNotFoundError:
            return None  # deleted this moment
        pairs = zip(coverage.gaps.start_us.tolist(), coverage.gaps.end_us.tolist(), strict=True)
        gaps = [part for pair in pairs for part in intersection(answered, TimeRange(*pair))]
        # What a person has deleted is not to come back from somebody else.
        deleted = await self._deleted.among(gaps, symbol.symbol_id, search.timeframe)
        meant = frozenset(deleted)
        joined = union([gap for gap in gaps if gap not in meant], _JOINED_US[search.timeframe])
        wanted = [part for one in joined for part in complement(deleted, one)]
        parts = search.open_parts(symbol.symbol_id, wanted)
        return None if parts is None else (parts[0], parts[1][-_MOST_RANGES:])

    async def _start(
        self, slot: Slot, timeframe: Timeframe, found: Mapping[str, Sequence[LeftOver]]
    ) -> list[IngestionRun]:
        started = []
        for provider, left in found.items():
            name = gaps_name(slot.request_id, provider, left[0].symbol_id)
            try:
                run = await self._starter.start_left(name, provider, timeframe, left, 0)
            except (ProviderNotReadyError, RequestIdReusedError):
                continue  # it lost its key this moment, or another process was first
            started += [run] if run else []
        return started
