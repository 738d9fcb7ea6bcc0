"""The SQL functions of the search: how texts are folded, split into words, and found to be alike."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from tests.support.rows import fetch
from tests.support.storage import Storage

WORDS = st.text("abcdeé1", min_size=2, max_size=8)


async def call(storage: Storage, function: str, *arguments: Any) -> Any:
    """Call a function of the schema."""
    places = sql.SQL(", ").join([sql.Placeholder()] * len(arguments))
    query = sql.SQL("SELECT {}({})").format(sql.Identifier(function), places)
    return (await fetch(storage, query, arguments))[0][0]


@pytest.mark.parametrize(
    ("name", "searched"),
    [
        ("Apple Inc.", "apple"),
        ("The Coca-Cola Company", "coca cola"),
        ("Berkshire Hathaway Inc. Class B Common Stock", "berkshire hathaway b"),
        ("AT&T Inc.", "att"),
        ("McDonald\u2019s Corporation", "mcdonalds"),
        ("J.P. Morgan Chase & Co.", "jp morgan chase"),
        ("Société Générale S.A.", "societe generale"),
        ("Amazon.com, Inc.", "amazon com"),
        ("  3M\tCompany ", "3m"),
        ("The Company", "the company"),
        ("S.A.", "sa"),
        ("東京電力", "東京電力"),
        ("%_\\", ""),
        ("", ""),
    ],
)
async def test_search_name_given_name_leaves_what_tells_it_apart(
    storage: Storage, name: str, searched: str
) -> None:
    """Accents, punctuation and legal forms are no part of a name, unless nothing else is."""
    assert await call(storage, "symbol_search_name", name) == searched


@pytest.mark.parametrize(
    ("one", "other", "likeness"),
    [
        ("aapl", "aapl", 1),
        ("aalp", "aapl", 1 - 0.75 / 4),
        ("appl", "aapl", 1 - 1 / 4),
        ("apl", "aapl", 1 - 1 / 4),
        ("aappl", "aapl", 1 - 1 / 5),
        ("aplp", "aapl", 0),
        ("ap", "aapl", 0),
        ("ab", "ba", 1 - 0.75 / 2),
        ("a", "ab", 0),
        ("a", "b", 0),
        ("", "", 1),
        ("x" * 300, "x" * 300, 1),
        ("x" * 300, "x" * 301, 0),
        ("é" * 100 + "a", "é" * 100, 0),
    ],
)
async def test_likeness_given_words_is_less_the_shorter_they_are(
    storage: Storage, one: str, other: str, likeness: float
) -> None:
    """One slip is worth more in a short word, two exchanged letters are worth less, two slips all."""
    assert await call(storage, "symbol_likeness", one, other) == pytest.approx(likeness)
    assert await call(storage, "symbol_likeness", other, one) == pytest.approx(likeness)


@given(word=WORDS, data=st.data())
@settings(max_examples=100)
async def test_search_keys_given_one_slip_have_one_in_common(
    storage: Storage, word: str, data: st.DataObject
) -> None:
    """So an index finds every word one slip away, and likeness agrees that it is one."""
    place = data.draw(st.integers(0, len(word) - 1))
    letter = data.draw(st.sampled_from("abxyz"))
    slips = [
        word[:place] + letter + word[place:],
        word[:place] + letter + word[place + 1 :],
        word[:place] + word[place + 1 :],
        word[:place] + word[place : place + 2][::-1] + word[place + 2 :],
    ]
    slip = data.draw(st.sampled_from([slip for slip in slips if len(slip) > 1]))
    keys = [set(await call(storage, "symbol_search_keys", [text])) for text in (word, slip)]
    assert keys[0] & keys[1]
    assert await call(storage, "symbol_likeness", word, slip) > 0


async def test_search_keys_given_words_are_the_spellings_of_all(storage: Storage) -> None:
    """Each with no letter left out and with any one; none of a single letter, which all would have."""
    keys = await call(storage, "symbol_search_keys", ["abc", "d", "", "aa"])
    assert keys == ["a", "aa", "ab", "abc", "ac", "bc"]
    assert all(one < other for one, other in pairwise(keys))
    assert await call(storage, "symbol_search_keys", ["d", ""]) == []
