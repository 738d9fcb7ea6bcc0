"""Why bars are missing: gaps of a calendar, cut where the reason changes.

Where several reasons hold, the first of these wins:

1. QUARANTINED: the very bar is there, and a person has to decide of it;
2. MISSING, because retention does not keep what is so old: whatever else holds, nobody will fetch it;
3. FAILED: a provider that has bars of this series did not answer, so that what the others said may not
   be all;
4. NO_TRADES: a provider that has bars before and after has none there;
5. FAILED, of a provider that never gave a bar of this series: most likely it does not know the symbol;
6. PROVIDER_HAS_NONE: providers answered, and have no bar before, or none after;
7. MISSING, because bars were deleted, and nobody was asked since;
8. BEYOND_HISTORY: no provider reaches back so far, as of now;
9. MISSING: nothing is known.

Of several providers for which the same reason holds, the first by name is told.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from marketdata.domain.bar_slots import BarSlots
from marketdata.domain.bars import Int64Array
from marketdata.domain.gap_knowledge import GapKnowledge, ProviderAnswers, ProviderFailure
from marketdata.domain.gaps import UNKNOWN, GapCause, GapReason, Gaps
from marketdata.domain.provider import ProviderDescription
from marketdata.domain.range_sets import RangeSet, intersection
from marketdata.domain.time_range import TimeRange, from_unix_us
from marketdata.domain.timeframe import Timeframe

_MICROSECOND: Final = timedelta(microseconds=1)
_NO_TIMES: Final = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class CauseLayer:
    """Where a cause holds, unless a later layer covers it.

    Attributes
    ----------
    cause : GapCause
        Why bars are missing.
    ranges : RangeSet
        In which time.
    times_us : int64[n]
        At which times besides, ascending, Unix microseconds: single bars.
    """

    cause: GapCause
    ranges: RangeSet = ()
    times_us: Int64Array = field(default_factory=lambda: _NO_TIMES)


def cause_layers(
    knowledge: GapKnowledge,
    providers: Sequence[ProviderDescription],
    timeframe: Timeframe,
    now_us: int,
) -> list[CauseLayer]:
    """Tell where which cause holds.

    Parameters
    ----------
    knowledge : GapKnowledge
        What is known of the symbol and timeframe.
    providers : sequence of ProviderDescription
        All providers.
    timeframe : Timeframe
        Of the bars.
    now_us : int
        From when on providers reach back, Unix microseconds.

    Returns
    -------
    list of CauseLayer
        A later one covers those before it: ascending in precedence.
    """
    always = TimeRange(timeframe.earliest_us, timeframe.latest_us)
    layers = list(_beyond_history(knowledge, providers, timeframe, now_us))
    if knowledge.deleted:
        layers.append(CauseLayer(_DELETED, knowledge.deleted))
    answers = knowledge.answers[::-1]
    # Who gives bars of it at all; of another one nobody would expect to know better.
    giving = {one.provider for one in answers if one.first_us is not None}
    for has_between in (False, True):
        layers += [layer for one in answers for layer in _of_answers(one, always, has_between)]
        layers += [
            CauseLayer(_failed(one), one.ranges)
            for one in knowledge.failures[::-1]
            if (one.provider in giving) is has_between
        ]
    if knowledge.kept_from_us is not None and knowledge.kept_from_us > always.start_us:
        older = TimeRange(always.start_us, knowledge.kept_from_us)
        layers.append(CauseLayer(_NOT_KEPT, (older,)))
    layers += [
        CauseLayer(_quarantined(provider), times_us=knowledge.quarantined_us[provider])
        for provider in sorted(knowledge.quarantined_us, reverse=True)
    ]
    return layers


_DELETED: Final = GapCause(
    GapReason.MISSING,
    "bars of this time were deleted; marketdata ingest backfill --refetch fetches them again",
)
_NOT_KEPT: Final = GapCause(
    GapReason.MISSING,
    "retention does not keep bars that are so old; marketdata retention show says how long it does",
)


def _failed(failure: ProviderFailure) -> GapCause:
    text = f"{failure.provider} did not give it: {failure.error}"
    return GapCause(GapReason.FAILED, text, failure.provider, failure.retry_us)


def _quarantined(provider: str) -> GapCause:
    text = "its bar is in quarantine; marketdata ingest quarantine list shows why, release stores it"
    return GapCause(GapReason.QUARANTINED, text, provider)


def _of_answers(answers: ProviderAnswers, always: TimeRange, has_between: bool) -> list[CauseLayer]:  # noqa: FBT001 -- two passes over the same answers
    """Tell where a provider has nothing between its bars, or else before and after them."""
    name, first_us, last_us = answers.provider, answers.first_us, answers.last_us
    if first_us is None or last_us is None:
        if has_between:
            return []
        text = f"{name} answered, and has no bar of this symbol and timeframe at all"
        return [CauseLayer(GapCause(GapReason.PROVIDER_HAS_NONE, text, name), answers.ranges)]
    if has_between:
        text = f"{name} answered, and has bars before and after but none there: nothing was traded"
        between = intersection(answers.ranges, TimeRange(first_us, last_us + 1))
        return [CauseLayer(GapCause(GapReason.NO_TRADES, text, name), between)]
    sides = (
        (f"before {_moment(first_us)}", TimeRange(always.start_us, first_us)),
        (f"after {_moment(last_us)}", TimeRange(last_us + 1, always.end_us)),
    )
    return [
        CauseLayer(
            GapCause(GapReason.PROVIDER_HAS_NONE, f"{name} answered, and has no bar {where}", name),
            intersection(answers.ranges, within),
        )
        for where, within in sides
    ]


def _beyond_history(
    knowledge: GapKnowledge,
    providers: Iterable[ProviderDescription],
    timeframe: Timeframe,
    now_us: int,
) -> Iterator[CauseLayer]:
    """Tell what is older than all that providers reach back to; nothing where nobody is in charge."""
    asked = {one.provider for one in knowledge.answers}
    asked |= {one.provider for one in knowledge.failures} | knowledge.targets
    # Also who only could be asked: what another one reaches is not beyond history.
    usable = [
        one for one in providers if timeframe in one.history and (not one.problem or one.name in asked)
    ]
    depths = {one.name: one.history[timeframe] for one in usable}
    if asked.isdisjoint(depths):
        return
    reaches_us = {}
    for name, depth in depths.items():
        if depth is None:
            return
        reaches_us[name] = now_us - depth // _MICROSECOND
    farthest = min(reaches_us, key=lambda name: (reaches_us[name], name))
    reach_us = reaches_us[farthest]
    text = (
        f"no provider reaches back so far: {farthest} goes farthest, to {_moment(reach_us)}; a file of "
        "your own can be imported (marketdata import)"
    )
    older = TimeRange(timeframe.earliest_us, max(timeframe.earliest_us, reach_us))
    yield CauseLayer(GapCause(GapReason.BEYOND_HISTORY, text, farthest), (older,))


def _moment(time_us: int) -> str:
    return f"{from_unix_us(time_us):%Y-%m-%d %H:%M} UTC"


def explain_gaps(
    slots: BarSlots,
    start: Int64Array,
    end: Int64Array,
    layers: Sequence[CauseLayer],
    split_us: int | None = None,
) -> tuple[Gaps, tuple[Int64Array, Int64Array]]:
    """Cut gaps where their cause changes.

    The work grows with the gaps, the ranges and the single times, not with the missing bars.

    Parameters
    ----------
    slots : BarSlots
        The expected bars.
    start, end : int64[g]
        Numbers of the first slot of each gap and of the one behind its last, ascending, apart.
    layers : sequence of CauseLayer
        A later one covers those before it.
    split_us : int or None
        A time at which gaps are cut as well: where a page before ended.

    Returns
    -------
    (Gaps, (int64[p], int64[p]))
        The parts, ascending: every missing bar is in exactly one. And the numbers of their first slots
        and of those behind their last.
    """
    spans = [_slot_spans(slots, layer) for layer in layers]
    split = slots.first_from(np.array([] if split_us is None else [split_us], np.int64))
    edges = np.unique(np.concatenate([start, end, split, *(edge for span in spans for edge in span)]))
    first = edges[:-1] if len(start) else _NO_TIMES
    cause = np.zeros(len(first), np.int64)
    for number, (span_start, span_end) in enumerate(spans, start=1):
        cause[_inside(first, span_start, span_end)] = number
    missing = _inside(first, start, end)
    first, last, cause = first[missing], edges[1:][: len(missing)][missing], cause[missing]
    begins = np.ones(len(first), np.bool_)
    begins[1:] = (first[1:] != last[:-1]) | (cause[1:] != cause[:-1]) | np.isin(first[1:], split)
    # A part ends where the next begins; the last one at the end.
    ends = np.roll(begins, -1)
    first, last, cause = first[begins], last[ends], cause[begins]
    causes = (UNKNOWN, *(layer.cause for layer in layers))
    gaps = Gaps(slots.starts(first), slots.ends(last - 1), last - first, cause, causes)
    return gaps, (first, last)


def _slot_spans(slots: BarSlots, layer: CauseLayer) -> tuple[Int64Array, Int64Array]:
    """Tell which slots start within the time of a layer: numbers, ascending, apart, none empty."""
    if len(layer.times_us):
        number = slots.numbers(layer.times_us, (0, int(slots.first_number[-1])))
        begins = np.diff(number, prepend=-2) > 1
        return number[begins], number[np.roll(begins, -1)] + 1
    edges_us = np.array([(one.start_us, one.end_us) for one in layer.ranges], np.int64).reshape(-1, 2)
    first, last = slots.first_from(edges_us[:, 0]), slots.first_from(edges_us[:, 1])
    return first[first < last], last[first < last]


def _inside(number: Int64Array, start: Int64Array, end: Int64Array) -> npt.NDArray[np.bool_]:
    """Tell which numbers lie in one of some ascending, disjoint ranges."""
    if not len(start):
        return np.zeros(len(number), np.bool_)
    before = np.searchsorted(start, number, side="right") - 1
    found: npt.NDArray[np.bool_] = (before >= 0) & (number < end[before])
    return found
