"""The validator of recorded histories: whatever is wrong with one, it says so."""

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from tests.support.log_history import History, Key, problems

COMMITTED: Final = [(seq, part) for seq in range(1, 9) for part in range(1 + seq % 3)]
PLACES: Final = st.integers(0, len(COMMITTED) - 1)


def recorded(keys: list[Key]) -> History:
    """Make a history from the beginning of the log."""
    return History(0, keys)


@given(st.integers(0, 8))
def test_problems_given_everything_behind_a_position_finds_none(after_seq: int) -> None:
    """A reader that began anywhere, and got the rest, is right."""
    history = History(after_seq, [key for key in COMMITTED if key[0] > after_seq])
    assert problems(history, COMMITTED) == []


@given(PLACES)
def test_problems_given_an_entry_left_out_names_it(place: int) -> None:
    """Nothing may be lost."""
    history = recorded(COMMITTED[:place] + COMMITTED[place + 1 :])
    assert problems(history, COMMITTED) == [f"missing {[COMMITTED[place]]}"]


@given(PLACES)
def test_problems_given_an_entry_twice_says_so(place: int) -> None:
    """Nothing may come twice."""
    history = recorded(COMMITTED[: place + 1] + COMMITTED[place:])
    assert problems(history, COMMITTED) == ["an entry twice"]


@given(PLACES, PLACES)
def test_problems_given_two_entries_exchanged_says_so(one: int, other: int) -> None:
    """Nothing may come out of order."""
    keys = list(COMMITTED)
    keys[one], keys[other] = keys[other], keys[one]
    assert problems(recorded(keys), COMMITTED) == ([] if one == other else ["out of order"])


def test_problems_given_what_was_not_committed_names_it() -> None:
    """A rolled back write, or one from before the position, is not for this reader."""
    assert problems(recorded([*COMMITTED, (9, 0)]), COMMITTED) == [
        "never committed, or from before its position: [(9, 0)]"
    ]
    assert problems(History(3, COMMITTED), COMMITTED) != []
