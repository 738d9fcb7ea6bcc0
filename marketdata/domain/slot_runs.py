"""Runs of one slot: which provider is asked for what is left, and when the first one is asked again."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from marketdata.domain.ingestion_run import RunState
from marketdata.domain.range_sets import RangeSet, complement
from marketdata.domain.time_range import TimeRange

# As many as a slot has names for: where a target has one provider and its next slot comes after a
# holiday, there are two dozen.
MOST_ATTEMPTS: Final = 100
# At first a quarter of an hour, then twice as long each time, up to four hours: what a provider lacks
# for longer than that it rarely has before the next slot.
_RETRY_SECONDS: Final = 900
_MOST_RETRY_SECONDS: Final = 4 * 3600

_NAME: Final = re.compile(
    r"(?P<prefix>slot/\d+/[a-z]+/(?:\w+/)?)(?P<nominal>[^/]+)(?:/(?P<attempt>\d+)|/gaps/(?P<gaps>.+))?"
)


@dataclass(frozen=True, slots=True)
class SlotRun:
    """A run that fetches a slot, or what was left of it.

    Attributes
    ----------
    attempt : int
        From 1 on: the slot's own run, and each one for what was left.
    run_id : int
        Its number.
    provider : str
        Who was asked.
    state : RunState
        Where it is.
    error : str
        Why it failed.
    seconds_over : float
        How long ago it ended; 0 where it has not.
    """

    attempt: int
    run_id: int
    provider: str
    state: RunState
    error: str = ""
    seconds_over: float = 0.0


@dataclass(frozen=True, slots=True)
class LeftOver:
    """What is left of a slot for one symbol.

    Attributes
    ----------
    symbol : str
        Its latest ticker.
    symbol_id : int
        Its identity.
    ranges : tuple of TimeRange
        What no run of the slot fetched, ascending and apart.
    is_passing : bool
        Whether asking the same providers again may help: one was down, or its limit was used up.
    seconds_left : float
        Before so many seconds asking again is of no use, as a provider said.
    """

    symbol: str
    symbol_id: int
    ranges: tuple[TimeRange, ...]
    is_passing: bool = False
    seconds_left: float = 0.0


@dataclass(frozen=True, slots=True)
class SlotName:
    """What the `request_id` of a run says of its slot.

    Attributes
    ----------
    prefix : str
        Of the series.
    nominal : str
        When the slot was due, ISO 8601.
    attempt : int
        1 for the slot's own run, more for those that fetch what was left; 0 for one that fills gaps.
    """

    prefix: str
    nominal: str
    attempt: int


def attempt_name(slot_name: str, attempt: int) -> str:
    """Name the run of an attempt: unique in the database, whoever starts it."""
    return slot_name if attempt == 1 else f"{slot_name}/{attempt}"


def gaps_name(slot_name: str, provider: str, symbol_id: int) -> str:
    """Name a run that fills gaps of symbols, the first of which is told, from another provider."""
    return f"{slot_name}/gaps/{provider}/{symbol_id}"


def parse_slot_name(request_id: str) -> SlotName | None:
    """Tell the slot of a run by its `request_id`; None where it is none of the schedule's."""
    found = _NAME.fullmatch(request_id)
    if found is None:
        return None
    attempt = 0 if found["gaps"] else int(found["attempt"] or 1)
    return SlotName(found["prefix"], found["nominal"], attempt)


def providers_behind(runs: Sequence[SlotRun], serving: Sequence[str]) -> Sequence[str]:
    """List whom the last run's provider leaves to be asked before the first one has its turn again.

    Parameters
    ----------
    runs : sequence of SlotRun
        Of a slot, in their order; not empty.
    serving : sequence of str
        The target's providers that have the timeframe, in order.

    Returns
    -------
    sequence of str
        All of them where the last one asked is none of them any more.
    """
    last = runs[-1].provider
    return serving[serving.index(last) + 1 :] if last in serving else serving


def last_round(runs: Sequence[SlotRun], serving: Sequence[str]) -> list[SlotRun]:
    """List the runs since the first provider had its turn last: those in which the order only rises."""
    places = {name: place for place, name in enumerate(serving)}
    found: list[SlotRun] = []
    for run in reversed(runs):
        if found and places.get(run.provider, -1) >= places.get(found[0].provider, -1):
            break
        found.insert(0, run)
    return found


def retry_seconds(runs: Sequence[SlotRun], left: Sequence[LeftOver]) -> float | None:
    """Tell how long to wait before the first provider is asked again for what all have left.

    Parameters
    ----------
    runs : sequence of SlotRun
        Of a slot, in their order; the last one is over.
    left : sequence of LeftOver
        What is left.

    Returns
    -------
    float or None
        Seconds, 0 or less where its turn has come; None where asking again is of no use: no provider
        knows the symbols, or they were asked too often.
    """
    passing = [each.seconds_left for each in left if each.is_passing]
    if not passing or len(runs) >= MOST_ATTEMPTS:
        return None
    rounds = sum(run.provider == runs[-1].provider for run in runs)
    wait_seconds = _MOST_RETRY_SECONDS
    if rounds <= _MOST_RETRY_SECONDS // _RETRY_SECONDS:
        wait_seconds = min(_RETRY_SECONDS * 2 ** (rounds - 1), _MOST_RETRY_SECONDS)
    return max(wait_seconds - runs[-1].seconds_over, min(passing))


def subtract_answered(
    left: Sequence[LeftOver], answered: Iterable[Mapping[int, RangeSet]]
) -> list[LeftOver]:
    """Leave out what providers have answered, whether they had bars or not.

    Parameters
    ----------
    left : sequence of LeftOver
        What is left.
    answered : iterable of mapping
        Of each provider by symbol_id: the time of which it gave all that it has.
    """
    found = []
    of_providers = list(answered)
    for each in left:
        ranges: RangeSet = each.ranges
        for known in of_providers:
            own = known.get(each.symbol_id, ())
            ranges = tuple(part for one in ranges for part in complement(own, one))
        if ranges:
            found.append(replace(each, ranges=ranges))
    return found
