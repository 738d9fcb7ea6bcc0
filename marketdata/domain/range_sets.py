"""Sets of time: half-open ranges, ascending and apart from each other."""

from collections.abc import Iterable, Sequence

from marketdata.domain.time_range import TimeRange

RangeSet = tuple[TimeRange, ...]


def union(ranges: Iterable[TimeRange], gap_us: int = 0) -> RangeSet:
    """Unite ranges in any order.

    Parameters
    ----------
    ranges : iterable of TimeRange
        Empty ones are left out.
    gap_us : int
        Ranges that are no farther apart than this become one, with what lies between them.
    """
    united: list[TimeRange] = []
    for one in sorted((r for r in ranges if not r.is_empty), key=lambda r: r.start_us):
        if united and one.start_us <= united[-1].end_us + gap_us:
            last = united.pop()
            united.append(TimeRange(last.start_us, max(last.end_us, one.end_us)))
        else:
            united.append(one)
    return tuple(united)


def intersection(ranges: RangeSet, within: TimeRange) -> RangeSet:
    """Return the time of a set that lies within a range."""
    cut = (one.intersect(within) for one in ranges)
    return tuple(one for one in cut if not one.is_empty)


def complement(ranges: RangeSet, within: TimeRange) -> RangeSet:
    """Return the time of a range that lies in none of a set."""
    left: list[TimeRange] = []
    start_us = within.start_us
    for one in intersection(ranges, within):
        left.append(TimeRange(start_us, one.start_us))
        start_us = one.end_us
    left.append(TimeRange(start_us, within.end_us))
    return tuple(one for one in left if not one.is_empty)


def hull(ranges: Sequence[TimeRange]) -> TimeRange:
    """Return the least range that holds all ranges; an empty one of none."""
    if not ranges:
        return TimeRange(0, 0)
    return TimeRange(min(one.start_us for one in ranges), max(one.end_us for one in ranges))


def length_us(ranges: RangeSet) -> int:
    """Tell how much time a set holds, microseconds."""
    return sum(one.end_us - one.start_us for one in ranges)
