"""Prices as traded, out of prices as if every split had been before."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.timeframe import MICROSECONDS_PER_DAY
from marketdata.providers.yahoo.splits import Split, split_ratios, traded_prices, traded_volumes
from tests.support.providers.yahoo.site import as_yahoo_keeps

_DAYS = st.integers(0, 200)
_RATIOS = st.sampled_from([2.0, 3.0, 7.0, 1.5, 1.25, 4.0, 0.1, 0.05, 20.0])
_SPLITS = st.lists(st.tuples(_DAYS, _RATIOS), max_size=6)


def _splits(drawn: list[tuple[int, float]]) -> list[Split]:
    return [Split(day * MICROSECONDS_PER_DAY, ratio) for day, ratio in drawn]


def _labels(days: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(days, np.int64) * MICROSECONDS_PER_DAY


@given(drawn=_SPLITS, days=st.lists(_DAYS, max_size=30))
def test_split_ratios_given_splits_in_any_order_multiply_those_after_each_session(
    drawn: list[tuple[int, float]], days: list[int]
) -> None:
    """The ratio of a session is the product of the splits with a later ex-date; none on it."""
    by_hand = [np.prod([ratio for ex_day, ratio in drawn if ex_day > day]) for day in days]

    assert split_ratios(_labels(days), _splits(drawn)) == pytest.approx(np.array(by_hand))


@given(earlier=_SPLITS, later=_SPLITS, days=st.lists(_DAYS, min_size=1, max_size=30))
def test_split_ratios_given_two_sets_of_splits_compose(
    earlier: list[tuple[int, float]], later: list[tuple[int, float]], days: list[int]
) -> None:
    """Undoing some splits and then the others is undoing all of them."""
    labels = _labels(days)
    one, other = (split_ratios(labels, _splits(drawn)) for drawn in (earlier, later))

    assert split_ratios(labels, _splits(earlier + later)) == pytest.approx(one * other)


@given(
    cents=st.lists(st.integers(1, 1_000_000), min_size=1, max_size=50),
    ratio=st.sampled_from([1.0, 2.0, 4.0, 28.0, 224.0, 1.5, 0.1, 0.05]),
)
def test_traded_prices_given_whole_cents_as_yahoo_keeps_them_are_those_cents(
    cents: list[int], ratio: float
) -> None:
    """Up to 10,000 dollars: what was divided, rounded to six decimals and made a float32 is back."""
    prices = np.array(cents) / 100
    ratios = np.full(len(cents), ratio)
    kept = np.array(as_yahoo_keeps(prices, ratios), np.float64)

    assert traded_prices(kept, ratios).tolist() == prices.tolist()


@pytest.mark.parametrize(
    ("kept", "ratio", "traded"),
    [
        (236.88999938964844, 1.0, 236.89),
        (0.1283479928970337, 224.0, 28.75),
        (27.8125, 1.0, 27.8125),
        (0.0, 1.0, 0.0),
        (7.8125e-7, 1.0, 7.8125e-7),
        (33.0078125, 1.0, 33.0078125),
    ],
)
def test_traded_prices_given_a_float_of_yahoo_take_the_fewest_decimals_that_it_can_be(
    kept: float, ratio: float, traded: float
) -> None:
    """Noise goes; a fraction that was quoted stays, and a coin's small price is not rounded away."""
    assert traded_prices(np.array([kept]), np.array([ratio])).tolist() == [traded]


def test_traded_prices_given_nan_keep_it() -> None:
    """What Yahoo does not know is not known after undoing either."""
    assert np.isnan(traded_prices(np.array([np.nan]), np.array([2.0]))).all()


def test_traded_volumes_given_merged_shares_are_whole_and_within_half_a_merged_share() -> None:
    """Where ten shares became one, Yahoo has rounded to a tenth: five shares can be lost."""
    raw = np.arange(1_000.0, 1_100.0)
    ratios = np.full(len(raw), 0.1)

    volumes = traded_volumes(np.rint(raw * ratios), ratios)

    assert np.abs(volumes - raw).max() <= 5
    assert (volumes == np.rint(volumes)).all()
