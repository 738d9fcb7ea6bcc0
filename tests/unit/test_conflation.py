"""What waits for a slow subscriber, made shorter without a lie."""

from dataclasses import replace
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.log_position import LogPosition
from marketdata.domain.subscription import (
    BarsChange,
    CaughtUp,
    Change,
    Heartbeat,
    RangeChange,
    RangeReason,
    ResumePoint,
    SubscriptionEvent,
)
from marketdata.domain.timeframe import Timeframe
from marketdata.streaming.conflation import conflate, latest_bars
from tests.support.bars import MANUAL_FEED, Bar, bars_of, days, frame_of

DAY: Final = Timeframe.DAY_1
HOUR: Final = Timeframe.HOUR_1
RANGE: Final = RangeChange(("A",), DAY, 0, 1, RangeReason.DELETED)


def point(seq: int) -> ResumePoint:
    """Make the point behind a seq."""
    return ResumePoint(LogPosition("0" * 16, seq))


def event(seq: int, change: Change) -> SubscriptionEvent:
    """Make an event with a token of its own."""
    return SubscriptionEvent(change, seq, point(seq), (seq,))


def told(seq: int, *bars: Bar, timeframe: Timeframe = DAY) -> SubscriptionEvent:
    """Make an event of bars."""
    frame = replace(frame_of(bars), feeds={MANUAL_FEED: "manual/upload"})
    return event(seq, BarsChange((frame,), timeframe))


def bars_in(found: SubscriptionEvent) -> list[Bar]:
    """List the bars of a conflated event."""
    assert isinstance(found.change, BarsChange)
    assert found.change.is_conflated
    # Frames that are joined name their feeds anew.
    return [bar._replace(feed=MANUAL_FEED) for bar in bars_of(found.change.frame)]


def test_conflate_given_bars_keeps_the_latest_of_each_symbol_and_timeframe() -> None:
    """The greatest time, in its newest version; the token behind all of it stands on the last event."""
    newest = Bar("A", days(2), revision=1)
    waiting = [
        told(1, Bar("A", days(1)), Bar("B", days(1))),
        told(2, Bar("A", days(2))),
        told(3, Bar("A", days(1)), timeframe=HOUR),
        told(4, newest, Bar("A", days(1), revision=2)),
    ]
    of_days, of_hours = conflate(waiting, point(0))
    assert sorted(bars_in(of_days)) == sorted([newest, Bar("B", days(1))])
    assert bars_in(of_hours) == [Bar("A", days(1))]
    assert [found.resume for found in (of_days, of_hours)] == [point(0), point(4)]
    assert [found.key for found in (of_days, of_hours)] == [None, None]


def test_conflate_given_other_changes_keeps_them_before_the_bars() -> None:
    """A deletion is not lost, and nobody resumes behind it with bars still to come."""
    waiting = [
        told(1, Bar("A", 0)),
        event(2, RANGE),
        told(3, Bar("A", 1)),
        event(3, CaughtUp()),
        event(3, Heartbeat()),
    ]
    deleted, bars, live = conflate(waiting, point(0))
    assert (deleted.change, deleted.resume) == (RANGE, point(0))
    assert (bars_in(bars), bars.resume) == ([Bar("A", 1)], point(0))
    assert isinstance(live.change, CaughtUp)
    assert (live.seq, live.resume) == (3, point(3))


def test_conflate_given_only_a_heartbeat_keeps_it() -> None:
    """What says up to where all was told is never nothing."""
    (kept,) = conflate([event(5, Heartbeat()), event(6, Heartbeat())], None)
    assert (kept.seq, kept.resume) == (6, point(6))


@given(
    st.lists(
        st.tuples(st.sampled_from("ABC"), st.integers(0, 4), st.integers(0, 3)),
        min_size=1,
        max_size=30,
    )
)
def test_latest_bars_given_any_order_is_what_a_loop_would_keep(
    rows: list[tuple[str, int, int]],
) -> None:
    """The same as going through them one by one."""
    bars = [Bar(symbol, days(day), revision=revision) for symbol, day, revision in rows]
    expected: dict[str, Bar] = {}
    for bar in bars:
        if bar.symbol not in expected or bar.time_us >= expected[bar.symbol].time_us:
            expected[bar.symbol] = bar
    assert sorted(bars_of(latest_bars(frame_of(bars)))) == sorted(expected.values())
