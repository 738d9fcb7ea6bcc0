"""Bytes of a text file made UTF-8."""

import io

from hypothesis import given
from hypothesis import strategies as st

from marketdata.providers.files.utf8_stream import Utf8Stream


def read_all(content: bytes, most_bytes: int) -> bytes:
    """Read all of it in portions, none of which is too large."""
    stream = Utf8Stream(io.BytesIO(content))
    portions = list(iter(lambda: stream.read(most_bytes), b""))
    assert all(len(portion) <= most_bytes for portion in portions)
    return b"".join(portions)


TEXT = st.text(st.sampled_from("a,\né€😀"), max_size=40).map(str.encode)
ANY = st.lists(st.one_of(TEXT, st.binary(max_size=4))).map(b"".join)


@given(TEXT, st.integers(7, 30))
def test_read_given_utf_8_changes_nothing(content: bytes, most_bytes: int) -> None:
    """Wherever the portions part a character."""
    assert read_all(content, most_bytes) == content


@given(ANY, st.integers(7, 30))
def test_read_given_any_bytes_keeps_their_number_and_gives_utf_8(
    content: bytes, most_bytes: int
) -> None:
    """Each byte that is no part of a character becomes a question mark; no portion grows."""
    found = read_all(content, most_bytes)
    assert len(found) == len(content)
    assert found == content.decode("utf-8", "surrogateescape").encode("utf-8", "replace")
    assert [byte for byte in found if byte in b"\n,"] == [byte for byte in content if byte in b"\n,"]


def test_read_given_a_character_cut_by_the_end_puts_question_marks() -> None:
    """The last bytes of a file that was cut."""
    assert read_all("a€".encode()[:-1], 100) == b"a??"
