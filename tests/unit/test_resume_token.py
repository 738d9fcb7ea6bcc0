"""Resume tokens: read back exactly, by whoever has the key, for the same subscription only."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.log_position import LogPosition
from marketdata.domain.subscription import ResumePoint, SubscriptionFilter
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import InvalidRequestError
from marketdata.wire.resume_token import TokenSigner
from marketdata.wire.violations import Violations

SIGNER: Final = TokenSigner(bytes(range(32)))
DAYS: Final = SubscriptionFilter(("AAPL", "IBM"), frozenset({Timeframe.DAY_1}))
POINT: Final = ResumePoint(LogPosition("0123456789abcdef", 42), 3)


def refusal(signer: TokenSigner, token: str, wanted: SubscriptionFilter = DAYS) -> str:
    """Read a token that must be refused; tell its reason."""
    violations = Violations()
    assert signer.read(token, wanted, violations) is None
    with pytest.raises(InvalidRequestError) as caught:
        violations.raise_any()
    (violation,) = caught.value.violations
    assert violation.field == "resume_token"
    assert "start_time" in violation.description
    return violation.reason


@given(
    generation=st.binary(min_size=8, max_size=8),
    seq=st.integers(0, 2**63 - 1),
    parts=st.integers(0, 2**32 - 1),
)
def test_token_given_any_point_is_read_back(generation: bytes, seq: int, parts: int) -> None:
    """Whatever is signed comes back."""
    point = ResumePoint(LogPosition(generation.hex(), seq), parts)
    assert SIGNER.read(SIGNER.sign(DAYS, point), DAYS, Violations()) == point


def test_token_given_any_character_changed_is_refused() -> None:
    """No change of it names another position; the last character has bits that mean nothing."""
    token = SIGNER.sign(DAYS, POINT)
    for position in range(len(token) - 1):
        other = "A" if token[position] != "A" else "B"
        changed = token[:position] + other + token[position + 1 :]
        assert refusal(SIGNER, changed) == "INVALID_RESUME_TOKEN"
    for length in range(len(token)):
        assert refusal(SIGNER, token[:length]) == "INVALID_RESUME_TOKEN"


def test_token_given_another_key_is_refused() -> None:
    """A service that shares no key makes no positions for this one."""
    token = TokenSigner(bytes(32)).sign(DAYS, POINT)
    assert refusal(SIGNER, token) == "INVALID_RESUME_TOKEN"


@pytest.mark.parametrize(
    "other",
    [
        SubscriptionFilter(("AAPL",), DAYS.timeframes),
        SubscriptionFilter((), DAYS.timeframes),
        SubscriptionFilter(DAYS.symbols, frozenset({Timeframe.DAY_1, Timeframe.HOUR_1})),
        SubscriptionFilter(("AAPL", "IBM", "MSFT"), DAYS.timeframes),
    ],
)
def test_token_given_another_subscription_is_refused(other: SubscriptionFilter) -> None:
    """Resumed there it would have a gap."""
    assert refusal(SIGNER, SIGNER.sign(DAYS, POINT), other) == "OTHER_SUBSCRIPTION"


def test_token_given_symbols_in_another_order_is_read() -> None:
    """The same symbols are the same subscription."""
    other = SubscriptionFilter(("IBM", "AAPL"), DAYS.timeframes)
    assert SIGNER.read(SIGNER.sign(DAYS, POINT), other, Violations()) == POINT
