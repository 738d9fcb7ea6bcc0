"""Page tokens: opaque, bound to their list, and refused when anything about them changed."""

import base64
import string
from typing import Final

import pytest
from bifrost.marketdata.v1.bar_pb2 import BAR_ORDER_SYMBOL_TIME, BAR_ORDER_SYMBOL_TIME_DESCENDING
from bifrost.marketdata.v1.bars_service_pb2 import ListBarsRequest
from bifrost.marketdata.v1.symbol_service_pb2 import ListSymbolsRequest
from bifrost.marketdata.v1.timeframe_pb2 import TIMEFRAME_1_DAY, TIMEFRAME_1_HOUR
from google.protobuf.message import Message
from hypothesis import assume, given
from hypothesis import strategies as st

from marketdata.errors import FieldViolation, InvalidRequestError
from marketdata.wire.bars_requests import page_position, parse_list_bars
from marketdata.wire.page_token import encode_page_token, parse_page_size, parse_page_token
from marketdata.wire.symbol_requests import parse_list_symbols
from marketdata.wire.violations import Violations

ALPHABET: Final = string.ascii_letters + string.digits + "-_"
NOW_US: Final = 1_704_240_000_000_000
REQUEST: Final = ListBarsRequest(symbol="AAPL", timeframe=TIMEFRAME_1_DAY, page_size=7)


def with_token(request: Message, token: str) -> Message:
    """Copy a request with another token."""
    copy = type(request)()
    copy.CopyFrom(request)
    setattr(copy, "page_token", token)  # noqa: B010 -- Message does not declare it
    return copy


def read(request: Message, token: str) -> tuple[bytes | None, list[FieldViolation]]:
    """Read a token: the position, and what is wrong."""
    violations = Violations()
    position = parse_page_token(with_token(request, token), violations)
    try:
        violations.raise_any()
    except InvalidRequestError as error:
        return position, list(error.violations)
    return position, []


def refused(request: Message, token: str, text: str) -> bool:
    """Whether a token is refused, once, with `text` in the description."""
    position, found = read(request, token)
    return (
        position is None
        and [(v.field, v.reason) for v in found] == [("page_token", "INVALID_PAGE_TOKEN")]
        and text in found[0].description
    )


@given(st.binary(max_size=40))
def test_parse_page_token_given_own_token_gives_position_back(position: bytes) -> None:
    """A token holds the position that it was made from, in characters that need no quoting."""
    token = encode_page_token(REQUEST, position)
    assert set(token) <= set(ALPHABET)
    assert read(REQUEST, token) == (position, [])


def test_parse_page_token_given_none_is_the_first_page() -> None:
    """No token is no violation."""
    assert read(REQUEST, "") == (None, [])


def test_parse_page_token_given_other_page_size_still_fits() -> None:
    """Pages of one list may have different sizes."""
    token = encode_page_token(REQUEST, b"position")
    other = ListBarsRequest(symbol="AAPL", timeframe=TIMEFRAME_1_DAY, page_size=9)
    assert read(other, token) == (b"position", [])


@pytest.mark.parametrize(
    "other",
    [
        ListBarsRequest(symbol="IBM", timeframe=TIMEFRAME_1_DAY),
        ListBarsRequest(symbol="AAPL", timeframe=TIMEFRAME_1_HOUR),
        ListBarsRequest(
            symbol="AAPL", timeframe=TIMEFRAME_1_DAY, order=BAR_ORDER_SYMBOL_TIME_DESCENDING
        ),
        ListSymbolsRequest(),
    ],
)
def test_parse_page_token_given_other_parameters_is_refused(other: Message) -> None:
    """A token of another list says that the parameters changed."""
    assert refused(other, encode_page_token(REQUEST, bytes(8)), "other parameters")


@given(st.binary(max_size=24), st.data())
def test_parse_page_token_given_changed_character_is_refused(
    position: bytes, data: st.DataObject
) -> None:
    """One wrong character never names another position."""
    token = encode_page_token(REQUEST, position)
    place = data.draw(st.integers(0, len(token) - 1))
    changed = token[:place] + data.draw(st.sampled_from(ALPHABET)) + token[place + 1 :]
    assume(as_bytes(changed) != as_bytes(token))
    assert refused(REQUEST, changed, "not a token of this service")


@given(st.binary(max_size=24), st.data())
def test_parse_page_token_given_truncated_token_is_refused(
    position: bytes, data: st.DataObject
) -> None:
    """A token that lost its end on the way never names another position."""
    token = encode_page_token(REQUEST, position)
    cut = token[: data.draw(st.integers(1, len(token) - 1))]
    assert refused(REQUEST, cut, "not a token of this service")


@given(st.text(min_size=1, max_size=60))
def test_parse_page_token_given_foreign_text_is_refused(text: str) -> None:
    """Whatever text comes, it is refused and nothing else is raised."""
    assert refused(REQUEST, text, "not a token of this service")


@pytest.mark.parametrize(
    ("sent", "used"), [(0, 100), (1, 1), (100, 100), (1_000, 1_000), (1_001, 1_000), (2**31 - 1, 1_000)]
)
def test_parse_page_size_given_size_is_held_to_the_most(sent: int, used: int) -> None:
    """0 is the default and larger ones are taken as the most."""
    violations = Violations()
    assert parse_page_size(sent, violations) == used
    violations.raise_any()


@pytest.mark.parametrize("size", [-1, -(2**31)])
def test_parse_page_size_given_negative_is_refused(size: int) -> None:
    """A negative size is a violation."""
    violations = Violations()
    parse_page_size(size, violations)
    with pytest.raises(InvalidRequestError) as caught:
        violations.raise_any()
    assert [(v.field, v.reason) for v in caught.value.violations] == [("page_size", "NEGATIVE")]


@pytest.mark.parametrize("last_us", [-2_208_988_800_000_000, -1, 0, 1, NOW_US])
@pytest.mark.parametrize("descending", [False, True])
def test_parse_list_bars_given_token_continues_behind_the_last_bar(
    last_us: int, *, descending: bool
) -> None:
    """The rest of a list begins just behind the last bar of the page, in either direction."""
    order = BAR_ORDER_SYMBOL_TIME_DESCENDING if descending else BAR_ORDER_SYMBOL_TIME
    request = ListBarsRequest(symbol="AAPL", timeframe=TIMEFRAME_1_DAY, order=order)
    whole = parse_list_bars(request, NOW_US).query.range
    request.page_token = encode_page_token(request, page_position(last_us))
    rest = parse_list_bars(request, NOW_US).query.range
    if descending:
        assert (rest.start_us, rest.end_us) == (whole.start_us, min(last_us, whole.end_us))
    else:
        assert (rest.start_us, rest.end_us) == (min(last_us + 1, whole.end_us), whole.end_us)


def test_parse_list_symbols_given_token_continues_behind_the_last_symbol() -> None:
    """A symbol's position survives the token."""
    request = ListSymbolsRequest()
    request.page_token = encode_page_token(request, (42).to_bytes(8, "big") + b"BRK.B")
    assert parse_list_symbols(request).after == ("BRK.B", 42)


def as_bytes(token: str) -> bytes:
    """Decode a token: the last character of some has bits that mean nothing."""
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
