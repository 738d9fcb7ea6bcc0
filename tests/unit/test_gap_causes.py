"""Gaps cut where their cause changes: nothing lost, nothing told twice, the gravest word first."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.bar_slots import bar_slots
from marketdata.domain.bars import Int64Array
from marketdata.domain.coverage import CoverageLook, find_coverage
from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.gap_causes import CauseLayer, cause_layers
from marketdata.domain.gap_knowledge import GapKnowledge, ProviderAnswers, ProviderFailure
from marketdata.domain.gaps import UNKNOWN, GapCause, GapReason, Gaps
from marketdata.domain.provider import ProviderDescription
from marketdata.domain.range_sets import RangeSet, union
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from tests.support.sessions import LONG_AFTER_US, MINUTE_US, dates_between, labels_of

DAY, MINUTE = Timeframe.DAY_1, Timeframe.MINUTE_1
XNYS: Final = get_calendar("XNYS")
# A half day, a holiday and a whole day.
SOME_DAYS: Final = dates_between("2013-07-03", "2013-07-06")
MONTH: Final = dates_between("2013-07-01", "2013-08-01")
NOW_US: Final = dates_between("2013-08-01", "2013-08-02").start_us
_NONE: Final = np.empty(0, np.int64)
FAILED, MISSING = GapReason.FAILED, GapReason.MISSING
NO_TRADES, HAS_NONE = GapReason.NO_TRADES, GapReason.PROVIDER_HAS_NONE
BEYOND, QUARANTINED = GapReason.BEYOND_HISTORY, GapReason.QUARANTINED


def ranges_within(whole: TimeRange) -> st.SearchStrategy[RangeSet]:
    """Draw sets of ranges of whole and of broken minutes; they may reach beyond both ends."""
    moments = st.integers(whole.start_us // 7_000_000 - 30_000, whole.end_us // 7_000_000 + 30_000)
    pairs = st.tuples(moments, moments).map(sorted)
    ranges = pairs.map(lambda pair: TimeRange(pair[0] * 7_000_000, pair[1] * 7_000_000))
    return st.lists(ranges, max_size=4).map(union)


def layers_within(whole: TimeRange) -> st.SearchStrategy[list[CauseLayer]]:
    """Draw layers of ranges, or else of single times."""
    minutes = st.integers(whole.start_us // MINUTE_US, whole.end_us // MINUTE_US)
    times = st.lists(minutes, max_size=6).map(
        lambda drawn: np.unique(drawn).astype(np.int64) * MINUTE_US
    )
    causes = st.sampled_from(GapReason).map(lambda reason: GapCause(reason, f"because of {reason}"))
    return st.lists(
        st.builds(CauseLayer, causes, ranges_within(whole))
        | st.builds(lambda cause, at: CauseLayer(cause, times_us=at), causes, times),
        max_size=5,
    )


def expected_bars(timeframe: Timeframe, within: TimeRange) -> tuple[Int64Array, Int64Array]:
    """List opens and ends of the expected bars of New York."""
    slots = bar_slots(timeframe, XNYS)
    numbers = np.arange(*slots.window(within, LONG_AFTER_US))
    return slots.starts(numbers), slots.ends(numbers)


def cause_at(layers: Sequence[CauseLayer], start_us: int, end_us: int) -> GapCause:
    """Say by looking at one bar alone which cause it has."""
    for layer in reversed(layers):
        holds = any(one.start_us <= start_us < one.end_us for one in layer.ranges)
        if holds or np.any((layer.times_us >= start_us) & (layer.times_us < end_us)):
            return layer.cause
    return UNKNOWN


def causes_of(gaps: Gaps) -> list[GapCause]:
    """List the causes of gaps."""
    return [gaps.causes[number] for number in gaps.cause.tolist()]


@pytest.mark.parametrize(("timeframe", "within"), [(MINUTE, SOME_DAYS), (DAY, MONTH)])
@given(data=st.data())
def test_find_coverage_given_layers_puts_every_missing_bar_into_one_part(
    timeframe: Timeframe, within: TimeRange, data: st.DataObject
) -> None:
    """Against looking at every bar alone: parts ascend, are apart, and are the gaps of before."""
    start_us, end_us = expected_bars(timeframe, within)
    holes = data.draw(ranges_within(within))
    kept = np.ones(len(start_us), np.bool_)
    for hole in holes:
        kept &= (start_us < hole.start_us) | (start_us >= hole.end_us)
    layers = data.draw(layers_within(within))
    split_us = data.draw(st.none() | st.integers(within.start_us, within.end_us))
    look = CoverageLook(tuple(layers), with_sessions=True, split_us=split_us, quiet_us=0)
    stored = start_us[kept]
    found = find_coverage(stored, timeframe, within, XNYS, now_us=LONG_AFTER_US, look=look)
    plain = find_coverage(
        stored, timeframe, within, XNYS, now_us=LONG_AFTER_US, look=CoverageLook(quiet_us=0)
    )
    gaps = found.gaps
    assert np.all(gaps.start_us[1:] >= gaps.end_us[:-1])
    inside = [
        np.flatnonzero((start_us >= first) & (start_us < last))
        for first, last in zip(gaps.start_us, gaps.end_us, strict=True)
    ]
    assert [len(bars) for bars in inside] == gaps.missing.tolist()
    told = np.concatenate([_NONE, *inside])
    assert told.tolist() == np.flatnonzero(~kept).tolist()
    for bars, cause in zip(inside, causes_of(gaps), strict=True):
        assert {cause_at(layers, int(start_us[n]), int(end_us[n])) for n in bars} == {cause}
        assert split_us is None or len(np.unique(start_us[bars] < split_us)) == 1
    assert (found.expected, found.present) == (plain.expected, plain.present)
    assert plain.gaps.missing.sum() == gaps.missing.sum()
    assert set(plain.gaps.start_us.tolist()) <= set(gaps.start_us.tolist())
    assert set(plain.gaps.end_us.tolist()) <= set(gaps.end_us.tolist())


@given(layers=layers_within(SOME_DAYS), holes=ranges_within(SOME_DAYS))
def test_find_coverage_given_sessions_tells_the_reason_of_most(
    layers: list[CauseLayer], holes: RangeSet
) -> None:
    """Against counting the bars of each session one by one."""
    start_us, end_us = expected_bars(MINUTE, SOME_DAYS)
    kept = np.ones(len(start_us), np.bool_)
    for hole in holes:
        kept &= (start_us < hole.start_us) | (start_us >= hole.end_us)
    look = CoverageLook(tuple(layers), with_sessions=True, quiet_us=0)
    found = find_coverage(start_us[kept], MINUTE, SOME_DAYS, XNYS, now_us=LONG_AFTER_US, look=look)
    sessions = found.sessions
    assert sessions is not None
    days = start_us // MICROSECONDS_PER_DAY * MICROSECONDS_PER_DAY
    for label_us, reason in zip(sessions.label_us.tolist(), sessions.reason.tolist(), strict=True):
        counts = [0] * (len(GapReason) + 1)
        for n in np.flatnonzero(~kept & (days == label_us)).tolist():
            counts[cause_at(layers, int(start_us[n]), int(end_us[n])).reason] += 1
        assert counts[reason] == max(counts)
        assert (reason == 0) == (max(counts) == 0)
    aside = np.concatenate(
        [_NONE, *(one.times_us for one in layers if one.cause.reason is QUARANTINED)]
    )
    quarantined = [
        n
        for n in np.flatnonzero(~kept).tolist()
        if np.any((aside >= start_us[n]) & (aside < end_us[n]))
    ]
    assert found.quarantined == len(quarantined) == sessions.quarantined.sum()


def described(name: str, depth: timedelta | None, problem: str = "") -> ProviderDescription:
    """Describe a provider of days."""
    return ProviderDescription(name, name, problem, history={DAY: depth})


def reasons_of(
    knowledge: GapKnowledge, *providers: ProviderDescription, within: TimeRange = MONTH
) -> list[tuple[GapReason, str, int]]:
    """Tell reasons, providers and counts of a symbol of which no day is stored."""
    look = CoverageLook(tuple(cause_layers(knowledge, providers, DAY, NOW_US)))
    gaps = find_coverage(_NONE, DAY, within, XNYS, now_us=LONG_AFTER_US, look=look).gaps
    return [
        (cause.reason, cause.provider, count)
        for cause, count in zip(causes_of(gaps), gaps.missing.tolist(), strict=True)
    ]


def whole(start: str, end: str) -> RangeSet:
    """Give a range of dates."""
    return (dates_between(start, end),)


def test_causes_given_everything_at_once_keep_their_order() -> None:
    """Quarantine, retention, failures, no trades, none, deleted, beyond history: each over the next."""
    first_us, last_us = labels_of("2013-07-11", "2013-07-18").tolist()
    knowledge = GapKnowledge(
        answers=(
            ProviderAnswers("a", whole("2013-07-09", "2013-07-20"), first_us, last_us),
            ProviderAnswers("b", whole("2013-07-05", "2013-07-24"), None, None),
            ProviderAnswers("c", (), first_us, last_us),
        ),
        failures=(
            ProviderFailure("c", whole("2013-07-12", "2013-07-16"), "garbled", None),
            # It never gave a bar: it says nothing against those who do.
            ProviderFailure("d", whole("2013-07-16", "2013-07-20"), "knows no such symbol", None),
        ),
        quarantined_us={"a": labels_of("2013-07-15")},
        deleted=whole("2013-07-22", "2013-07-26"),
        kept_from_us=dates_between("2013-07-03", "2013-07-04").start_us,
    )
    reaching = described("a", timedelta(days=2))  # to 2013-07-30
    assert reasons_of(knowledge, reaching) == [
        (MISSING, "", 2),  # 1, 2: retention
        (BEYOND, "a", 1),  # 3
        (HAS_NONE, "b", 2),  # 5, 8: before those of a
        (HAS_NONE, "a", 2),  # 9, 10
        (NO_TRADES, "a", 1),  # 11
        (FAILED, "c", 1),  # 12
        (QUARANTINED, "a", 1),  # 15
        (NO_TRADES, "a", 3),  # 16 to 18
        (FAILED, "d", 1),  # 19: a has no bar behind the 18th
        (HAS_NONE, "b", 2),  # 22, 23
        (MISSING, "", 2),  # 24, 25: deleted
        (BEYOND, "a", 2),  # 26, 29
        (MISSING, "", 2),  # 30, 31
    ]


TEN, TWENTY = timedelta(days=10), timedelta(days=20)
ALL_MISSING: Final = [(MISSING, "", 22)]
BEYOND_TEN: Final = [(BEYOND, "a", 14), (MISSING, "", 8)]


@pytest.mark.parametrize(
    ("providers", "expected"),
    [
        pytest.param([described("a", TEN)], BEYOND_TEN, id="one"),
        pytest.param([described("a", TEN), described("b", None)], ALL_MISSING, id="another has all"),
        pytest.param(
            [described("a", TEN), described("b", TWENTY)],
            [(BEYOND, "b", 8), (MISSING, "", 14)],
            id="another has more",
        ),
        pytest.param(
            [described("a", TEN), described("b", None, "set KEY")],
            BEYOND_TEN,
            id="another lacks its key",
        ),
        pytest.param([described("a", TEN, "set KEY")], BEYOND_TEN, id="the target's lacks its key"),
        pytest.param([described("b", TEN)], ALL_MISSING, id="the target's is not there"),
        pytest.param([], ALL_MISSING, id="none"),
    ],
)
def test_causes_given_providers_tell_what_lies_beyond_all_that_can_be_asked(
    providers: list[ProviderDescription], expected: list[tuple[GapReason, str, int]]
) -> None:
    """Beyond history is what no provider reaches that is in charge or could be."""
    assert reasons_of(GapKnowledge(targets=frozenset({"a"})), *providers) == expected


def test_causes_given_nobody_in_charge_claim_nothing() -> None:
    """Where no provider was asked and no target names one, the time is just missing."""
    assert reasons_of(GapKnowledge(), described("a", timedelta(days=10))) == [(MISSING, "", 22)]


def test_causes_given_one_that_failed_is_in_charge() -> None:
    """Whoever was asked in vain was asked: what it does not reach is beyond history."""
    retry_us = NOW_US + MINUTE_US
    failure = ProviderFailure("a", whole("2013-07-29", "2013-08-01"), "garbled", retry_us)
    knowledge = GapKnowledge(failures=(failure,))
    assert reasons_of(knowledge, described("a", timedelta(days=10))) == [
        (BEYOND, "a", 14),
        (MISSING, "", 5),
        (FAILED, "a", 3),
    ]
    causes = [layer.cause for layer in cause_layers(knowledge, (), DAY, NOW_US)]
    assert [(cause.retry_us, "garbled" in cause.message) for cause in causes] == [(retry_us, True)]
