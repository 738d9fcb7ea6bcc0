"""Symbols: the spelling of tickers, and the defaults of a new one."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.symbol import (
    MAX_SYMBOL_LENGTH,
    AssetClass,
    NewSymbol,
    Symbol,
    SymbolStatus,
    symbol_problem,
)

TICKER_CHARACTERS = string.ascii_uppercase + string.digits
PARTS = st.text(TICKER_CHARACTERS, min_size=1, max_size=4)


@pytest.mark.parametrize(
    "symbol",
    ["A", "AAPL", "BRK.B", "BRK-B", "BTC-USD", "^GSPC", "EURUSD=X", "ES=F", "0700.HK", "A" * 20],
)
def test_symbol_problem_given_ticker_as_vendors_quote_it_finds_none(symbol: str) -> None:
    """Shares, classes, pairs, indices, rates, futures and foreign listings are well-formed."""
    assert symbol_problem(symbol) is None


@pytest.mark.parametrize(
    "symbol",
    [
        "aapl",
        "Aapl",
        " AAPL",
        "AAPL ",
        "AAPL\n",
        "AA PL",
        "BRK/B",
        ".B",
        "BRK.",
        "BRK..B",
        "BRK.-B",
        "-",
        "^",
        "A^B",
        "EURUSD=",
        "EURUSD=XX",
        "=X",
        "AAPL;DROP TABLE",
        "ÄPPL",
        "\uff21\uff21\uff30\uff2c",  # full-width letters
        "AAPL\x00",
        "%",
        "*",
    ],
)
def test_symbol_problem_given_anything_else_says_what_a_ticker_is(symbol: str) -> None:
    """One spelling only: no lower case, no spaces, no look-alikes, no other separators."""
    problem = symbol_problem(symbol)
    assert problem is not None
    assert problem.startswith("is not a ticker; use upper case")


def test_symbol_problem_given_no_text_says_that_it_is_empty() -> None:
    """The empty text gets its own message."""
    assert symbol_problem("") == "is empty; give a ticker such as AAPL or BRK.B"


def test_symbol_problem_given_one_character_too_many_says_the_limit() -> None:
    """Twenty characters pass, twenty-one do not."""
    assert symbol_problem("A" * MAX_SYMBOL_LENGTH) is None
    problem = symbol_problem("A" * (MAX_SYMBOL_LENGTH + 1))
    assert problem == "has 21 characters; the most is 20"


@given(st.lists(PARTS, min_size=1, max_size=4), st.sampled_from(".-"))
def test_symbol_problem_given_parts_joined_by_a_separator_finds_none(
    parts: list[str], separator: str
) -> None:
    """Any upper case parts between single separators are well-formed."""
    assert symbol_problem(separator.join(parts)) is None


@given(st.text(max_size=MAX_SYMBOL_LENGTH))
def test_symbol_problem_given_any_text_accepts_only_the_known_characters(symbol: str) -> None:
    """What passes has no character beyond the ticker's own, and has one of a ticker at least."""
    if symbol_problem(symbol) is None:
        assert set(symbol) <= set(TICKER_CHARACTERS + ".-^=")
        assert set(symbol) & set(TICKER_CHARACTERS)


def test_new_symbol_given_only_a_ticker_is_an_active_new_york_share() -> None:
    """The defaults are those of a US share."""
    new = NewSymbol("AAPL")
    assert (new.venue, new.calendar, new.time_zone) == ("XNYS", "XNYS", "America/New_York")
    assert (new.currency, new.asset_class) == ("USD", AssetClass.EQUITY)
    assert (new.status, new.tick_size, new.ipo_date) == (SymbolStatus.ACTIVE, None, None)
    assert new.provider_symbols == {}


def test_new_symbol_given_two_of_them_shares_no_provider_spellings() -> None:
    """The default mapping belongs to one symbol."""
    assert NewSymbol("A").provider_symbols is not NewSymbol("B").provider_symbols


def test_symbol_given_no_validity_is_unbounded() -> None:
    """A stored symbol without dates named its identity always."""
    stored = Symbol("AAPL", symbol_id=7)
    assert (stored.symbol_id, stored.valid_from, stored.valid_to) == (7, None, None)
