"""Positions in the change log: tokens that survive a journey, and what the log says to each."""

import base64
import contextlib
import string
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.log_position import LogBounds, LogPosition, make_generation
from marketdata.errors import (
    InvalidLogPositionError,
    LogAheadError,
    LogGenerationError,
    LogTrimmedError,
)

GENERATION: Final = "0123456789abcdef"
BOUNDS: Final = LogBounds(GENERATION, oldest_seq=5, head_seq=9, committed_us=0)
POSITIONS: Final = st.builds(
    LogPosition, st.binary(min_size=8, max_size=8).map(bytes.hex), st.integers(0, 2**63 - 1)
)


@given(POSITIONS)
def test_from_token_given_its_own_text_gives_the_position_back(position: LogPosition) -> None:
    """Any position survives, in characters that need no quoting."""
    token = position.to_token()
    assert set(token) <= set(string.ascii_letters + string.digits + "-_")
    assert LogPosition.from_token(token) == position


@given(POSITIONS, st.data())
def test_from_token_given_a_changed_character_refuses_it(
    position: LogPosition, data: st.DataObject
) -> None:
    """A token that was cut or mistyped names no other position."""
    token = position.to_token()
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from([c for c in string.ascii_letters if c != token[place]]))
    # Bits that the last character has left over carry nothing.
    for changed in (token[:place], token[:place] + other + token[place + 1 :]):
        with contextlib.suppress(InvalidLogPositionError):
            assert LogPosition.from_token(changed) == position


@pytest.mark.parametrize("token", ["", "é", "AAAA", "not a token", "A" * 500])
def test_from_token_given_no_token_says_what_to_send(token: str) -> None:
    """Whatever is sent is answered with what to do."""
    with pytest.raises(InvalidLogPositionError, match="begin with what is stored now"):
        LogPosition.from_token(token)


def test_from_token_given_a_later_releases_refuses_it_as_such() -> None:
    """Versioned: another version, and a list of more logs, are told apart from garbage."""
    body = base64.urlsafe_b64decode(LogPosition(GENERATION, 7).to_token() + "==")[:-4]
    for later in (
        b"\x02" + body[1:],
        body[:9] + b"\x02" + body[10:] * 2,
        body[:11] + b"\x02" + body[12:],
    ):
        with pytest.raises(InvalidLogPositionError, match="of a later release"):
            LogPosition.from_token(_signed(later))


def _signed(body: bytes) -> str:
    from marketdata.domain import log_position  # noqa: PLC0415 -- its checksum is nobody else's business

    return base64.urlsafe_b64encode(body + log_position._checksum(body)).rstrip(b"=").decode()


@pytest.mark.parametrize("seq", [4, 5, 8, 9])
def test_admit_given_a_position_whose_entries_are_there_takes_it(seq: int) -> None:
    """Right before the oldest, and right behind the last one, nothing is missing."""
    BOUNDS.admit(LogPosition(GENERATION, seq))


def test_admit_given_a_trimmed_position_says_the_oldest() -> None:
    """A reader learns from where on it could have read."""
    with pytest.raises(
        LogTrimmedError, match=r"behind 3 .* trimmed.*is 5; read what is stored"
    ) as caught:
        BOUNDS.admit(LogPosition(GENERATION, 3))
    assert caught.value.metadata == {"seq": "3", "oldest_seq": "5"}


def test_admit_given_another_generation_says_so_whatever_the_seq() -> None:
    """The same number means other entries there."""
    for seq in (3, 7, 12):
        with pytest.raises(
            LogGenerationError, match="restored or replaced; read what is stored"
        ) as caught:
            BOUNDS.admit(LogPosition("f" * 16, seq))
        assert caught.value.metadata == {"generation": GENERATION, "seq": str(seq)}


def test_admit_given_a_position_ahead_says_where_the_log_ends() -> None:
    """It cannot have come from this log."""
    with pytest.raises(LogAheadError, match=r"which ends with 9.*read what is stored") as caught:
        BOUNDS.admit(LogPosition(GENERATION, 10))
    assert caught.value.metadata == {"seq": "10", "head_seq": "9"}


def test_admit_given_an_empty_log_takes_its_beginning() -> None:
    """Nothing was written, and nothing is missing."""
    empty = LogBounds(GENERATION, oldest_seq=1, head_seq=0, committed_us=0)
    empty.admit(empty.head)
    with pytest.raises(LogAheadError):
        empty.admit(LogPosition(GENERATION, 1))


def test_make_generation_given_anything_else_is_another_one() -> None:
    """A new uuid, another server, a recovery, another database: each begins a history."""
    stored, server, timeline, database = b"0123456789012345", 7_711_127_111_293_023_509, 1, 16_384
    made = {
        make_generation(stored, server, timeline, database),
        make_generation(b"9876543210987654", server, timeline, database),
        make_generation(stored, -1, timeline, database),
        make_generation(stored, server, 2, database),
        make_generation(stored, server, timeline, 16_385),
    }
    assert len(made) == 5
    assert all(LogPosition(generation, 1).to_token() for generation in made)
