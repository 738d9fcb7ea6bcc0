"""The validators of subscriptions find the bugs that they are there for."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from marketdata.domain.timeframe import Timeframe
from tests.support.subscription_history import (
    Committed,
    Connection,
    SubscriptionHistory,
    Told,
    Version,
)
from tests.support.validators.subscriptions import problems

DAY: Final = Timeframe.DAY_1
SYMBOLS: Final = ("A", "B", "C")
# Twelve writes of a bar of each of three symbols; every second one revises the one before.
COMMITTED: Final = [
    Committed(seq, Version(symbol, DAY, (seq - 1) // 2, (seq - 1) % 2))
    for seq in range(1, 13)
    for symbol in SYMBOLS
]
Break = Callable[[SubscriptionHistory], None]


def bars(seq: int, *, is_stored: bool = False) -> Told:
    """Tell what a write changed of A and B."""
    versions = tuple(v for s, v in COMMITTED if s == seq and v.symbol != "C")
    return Told("bars", seq, versions, is_stored)


def good_history() -> SubscriptionHistory:
    """Record a subscriber of A and B from write 4 on, with what was stored then, who resumed once."""
    stored = tuple(
        v for s, v in COMMITTED if s in (2, 4) and v.symbol != "C"
    )  # the newest version of each bar
    first = Connection(
        None,
        [
            Told("ack", 4),
            Told("bars", 4, stored, is_stored=True),
            bars(5),
            bars(6),
            Told("caught_up", 6),
            bars(7),
            bars(8),
        ],
    )
    second = Connection(
        8, [Told("ack", 8), bars(9), bars(10), Told("heartbeat", 10), bars(11), bars(12)]
    )
    return SubscriptionHistory(
        frozenset({"A", "B"}), frozenset({DAY}), after_seq=4, connections=[first, second]
    )


def drop_an_event(history: SubscriptionHistory) -> None:
    """Lose one message."""
    del history.connections[0].told[3]


def drop_a_symbol_of_an_event(history: SubscriptionHistory) -> None:
    """Lose one bar of a message."""
    told = history.connections[1].told
    told[2] = replace(told[2], versions=told[2].versions[:1])


def swap_a_pair(history: SubscriptionHistory) -> None:
    """Tell the later write first, under seqs that ascend."""
    told = history.connections[0].told
    told[2], told[3] = replace(told[3], seq=5), replace(told[2], seq=6)


def send_an_event_twice(history: SubscriptionHistory) -> None:
    """Repeat a message."""
    told = history.connections[0].told
    told.insert(4, told[3])


def repeat_after_resuming(history: SubscriptionHistory) -> None:
    """Tell again what was told before the call broke."""
    history.connections[1].told.insert(1, bars(7))


def lose_after_resuming(history: SubscriptionHistory) -> None:
    """Begin behind where the subscriber was."""
    del history.connections[1].told[1]


def read_then_subscribe(history: SubscriptionHistory) -> None:
    """Read stored bars at 4 and subscribe at 5: what was committed in between comes nowhere."""
    del history.connections[0].told[2]


def subscribe_then_read(history: SubscriptionHistory) -> None:
    """Subscribe at 4 and read stored bars later: they have what then comes as a change too."""
    told = history.connections[0].told
    told[1] = replace(told[1], versions=(*told[1].versions, *bars(5).versions))


def bookmark_too_far(history: SubscriptionHistory) -> None:
    """Say "complete up to 12" where 11 is still to come."""
    told = history.connections[1].told
    told[3] = replace(told[3], seq=12)


def invent_a_bar(history: SubscriptionHistory) -> None:
    """Tell what was never committed: of a write that was rolled back."""
    version = Version("A", DAY, 99, 0)
    told = history.connections[0].told
    told[3] = replace(told[3], versions=(*told[3].versions, version))


def tell_foreign_symbols(history: SubscriptionHistory) -> None:
    """Tell what the subscriber did not ask for."""
    told = history.connections[0].told
    own = tuple(v for s, v in COMMITTED if s == 6)
    told[3] = replace(told[3], versions=own)


BUGS: Final[tuple[tuple[Break, str], ...]] = (
    (drop_an_event, "complete"),
    (drop_an_event, "bookmarked"),
    (drop_a_symbol_of_an_event, "complete"),
    (swap_a_pair, "ordered"),
    (send_an_event_twice, "unique"),
    (repeat_after_resuming, "resumable"),
    (repeat_after_resuming, "unique"),
    (lose_after_resuming, "complete"),
    (read_then_subscribe, "complete"),
    (subscribe_then_read, "seamless"),
    (bookmark_too_far, "bookmarked"),
    (invent_a_bar, "complete"),
    (tell_foreign_symbols, "complete"),
)


def test_validators_given_a_right_history_find_nothing() -> None:
    """A subscriber who was told everything once, in order, over two calls."""
    assert problems(good_history(), COMMITTED, from_start=True) == []


@pytest.mark.parametrize(
    ("bug", "validator"), BUGS, ids=[f"{bug.__name__}-{validator}" for bug, validator in BUGS]
)
def test_validators_given_a_known_bug_find_it(bug: Break, validator: str) -> None:
    """Each bug is found by the validator of the guarantee that it breaks."""
    history = good_history()
    bug(history)
    found = problems(history, COMMITTED, from_start=True)
    assert any(problem.startswith(f"{validator}: ") for problem in found), found
