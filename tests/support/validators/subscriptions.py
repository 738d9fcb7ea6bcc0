"""The guarantees of subscriptions, each as a pure function over a recorded history.

Each says what is wrong, and nothing where all is right. `committed` is the whole log in its order, and
no bar in it was deleted. They know nothing of how the service works.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from tests.support.subscription_history import Committed, SubscriptionHistory, Version

Validator = Callable[[SubscriptionHistory, Sequence[Committed]], list[str]]

# Examples that a problem names.
_NAMED: Final = 3
_BOOKMARKS: Final = {"heartbeat", "caught_up"}


def ordered(history: SubscriptionHistory, committed: Sequence[Committed]) -> list[str]:
    """Hold changes of a symbol to the order of commits, and seq to never going back."""
    place = {version: number for number, (_, version) in enumerate(committed)}
    found = []
    last: dict[str, int] = {}
    for told in history.changes:
        for version in told.versions:
            if place.get(version, -1) < last.get(version.symbol, -1):
                found.append(f"out of order: {version}")
            last[version.symbol] = place.get(version, -1)
    for connection in history.connections:
        seqs = [told.seq for told in connection.told]
        if seqs != sorted(seqs):
            found.append(f"seq goes back: {seqs[:20]}")
    return found


def unique(history: SubscriptionHistory, committed: Sequence[Committed]) -> list[str]:  # noqa: ARG001
    """Let no change come twice, over all calls."""
    counts = Counter(version for told in history.changes for version in told.versions)
    return [f"{count} times: {version}" for version, count in counts.items() if count > 1]


def complete(history: SubscriptionHistory, committed: Sequence[Committed]) -> list[str]:
    """Miss no change up to the last event, and nothing that was never committed."""
    told = history.told
    up_to = told[-1].seq if told else history.after_seq
    return _differences(history, committed, len(told), up_to, "the end")


def resumable(history: SubscriptionHistory, committed: Sequence[Committed]) -> list[str]:
    """Let a call that resumes tell nothing from before."""
    found = []
    for number, connection in enumerate(history.connections):
        resumed = connection.resumed_seq
        if resumed is None:
            continue
        seq_of = {version: seq for seq, version in committed}
        early = [
            version
            for told in connection.told
            for version in told.versions
            if seq_of.get(version, 0) < resumed
        ]
        if early:
            found.append(f"call {number} resumed behind {resumed} and told {early[:_NAMED]}")
        if any(told.is_stored for told in connection.told):
            found.append(f"call {number} resumed and told stored bars")
    return found


def bookmarked(history: SubscriptionHistory, committed: Sequence[Committed]) -> list[str]:
    """Believe "complete up to seq N": all of it was told before, and nothing later."""
    found = []
    for number, told in enumerate(history.told):
        if told.kind in _BOOKMARKS:
            where = f"{told.kind} {told.seq}"
            found += _differences(history, committed, number, told.seq, where)
    return found


def seamless(history: SubscriptionHistory, committed: Sequence[Committed]) -> list[str]:
    """Hold stored bars to exactly those of the seq behind which changes begin.

    Of histories that began with a time before all bars.
    """
    stored = [version for told in history.told if told.is_stored for version in told.versions]
    newest: dict[tuple[object, ...], Version] = {}
    for seq, version in committed:
        if seq <= history.after_seq and history.wants(version):
            newest[version[:3]] = version
    found = [f"stored twice: {v}" for v, count in Counter(stored).items() if count > 1]
    if missing := set(newest.values()) - set(stored):
        found.append(f"not among the stored: {sorted(missing, key=str)[:_NAMED]}")
    if others := set(stored) - set(newest.values()):
        found.append(f"stored, but not at seq {history.after_seq}: {sorted(others, key=str)[:_NAMED]}")
    return found


ALL: Final[tuple[Validator, ...]] = (ordered, unique, complete, resumable, bookmarked)


def problems(
    history: SubscriptionHistory, committed: Sequence[Committed], *, from_start: bool = False
) -> list[str]:
    """Hold a history to every guarantee; `from_start` also to that of the stored bars."""
    validators = (*ALL, seamless) if from_start else ALL
    return [
        f"{validator.__name__}: {problem}"
        for validator in validators
        for problem in validator(history, committed)
    ]


def _differences(
    history: SubscriptionHistory,
    committed: Sequence[Committed],
    events: int,
    up_to: int,
    where: str,
) -> list[str]:
    """Hold the first so many events against all that was committed up to a seq."""
    expected = {v for seq, v in committed if history.after_seq < seq <= up_to and history.wants(v)}
    told = {
        version
        for told in history.told[:events]
        if told.kind == "bars" and not told.is_stored
        for version in told.versions
    }
    found = []
    if missing := expected - told:
        found.append(f"at {where} {len(missing)} missing: {sorted(missing, key=str)[:_NAMED]}")
    if others := told - expected:
        found.append(f"at {where} {len(others)} too many: {sorted(others, key=str)[:_NAMED]}")
    return found
