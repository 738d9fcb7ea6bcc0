"""The sample's corporate actions against the published ones and against their own formula."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.bars import BarColumn, BarFrame, Float64Array, full_columns
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.providers.sample.dividends import (
    MIN_DIVIDEND,
    MIN_FACTOR_STEP,
    infer_dividends,
    sample_actions,
)
from marketdata.providers.sample.parse import SampleStock
from marketdata.providers.sample.source import fetch_sample_stocks, locate_sample, read_sample_text

FIRST = np.datetime64("2005-01-03")
SPLIT = CorporateActionKind.SPLIT
DIVIDEND = CorporateActionKind.CASH_DIVIDEND

# What Microsoft paid, quarter by quarter: (amount, how often in a row).
MSFT_AMOUNTS = [
    (0.08, 1),
    (0.16, 1),
    (0.08, 1),
    (3.08, 1),
    (0.08, 4),
    (0.09, 3),
    (0.10, 4),
    (0.11, 4),
    (0.13, 8),
    (0.16, 4),
    (0.20, 4),
    (0.23, 2),
]
# IBM raises in the second quarter of each year, from 2000 to 2012.
IBM_AMOUNTS = [
    (amount, 4) for amount in (0.13, 0.14, 0.15, 0.16, 0.18, 0.2, 0.3, 0.4, 0.5, 0.55, 0.65, 0.75, 0.85)
]


@pytest.fixture(scope="module")
def stocks() -> dict[str, SampleStock]:
    """All stocks of the installed sample by ticker."""
    return {stock.symbol.symbol: stock for stock in fetch_sample_stocks()}


def dividends(stock: SampleStock) -> list[tuple[str, float]]:
    """List the stock's dividends as (ex-date, amount)."""
    return [
        (action.ex_date.isoformat(), action.cash_amount or 0.0)
        for action in stock.actions
        if action.kind is DIVIDEND
    ]


def repeat(amounts: list[tuple[float, int]]) -> list[float]:
    """Write out a list of amounts with their counts."""
    return [amount for amount, count in amounts for _ in range(count)]


def bars_of(closes: Float64Array) -> BarFrame:
    """Make daily bars on consecutive days from 2005-01-03, all prices the close."""
    days = FIRST + np.arange(len(closes))
    time_us = days.astype("datetime64[us]").astype(np.int64)
    columns = full_columns(len(closes), {BarColumn.TIME: time_us, BarColumn.CLOSE: closes})
    return BarFrame(("IBM",), **columns)


def adjusted(closes: Float64Array, amounts: dict[int, float], ratios: dict[int, float]) -> Float64Array:
    """Adjust by the data set's formula, bar by bar backwards, printed as the data set prints."""
    factor, values = 1 / 28, []
    for row in range(len(closes) - 1, -1, -1):
        values.append(float(f"{closes[row] * factor:.14g}"))
        factor *= closes[row] / (closes[row] + amounts.get(row, 0.0)) / ratios.get(row, 1.0)
    return np.array(values[::-1])


def ex_date(row: int) -> date:
    """Session of a row of `bars_of`."""
    return date.fromisoformat(str(FIRST + row))


def inferred_amounts(closes: list[float], amounts: dict[int, float]) -> list[float]:
    """Infer back what was put into a series without splits."""
    series = np.array(closes)
    found = infer_dividends(bars_of(series), adjusted(series, amounts, {}), [])
    return [action.cash_amount or 0.0 for action in found]


def test_sample_given_aapl_has_the_three_published_dividends(
    stocks: dict[str, SampleStock],
) -> None:
    """AAPL paid 2.65 three times before March 2013, and nothing since 1995."""
    assert dividends(stocks["AAPL"]) == [
        ("2012-08-09", 2.65),
        ("2012-11-07", 2.65),
        ("2013-02-07", 2.65),
    ]


def test_sample_given_ibm_has_the_52_published_dividends(stocks: dict[str, SampleStock]) -> None:
    """IBM's quarterly amounts come out to the cent, with their first and last ex-date."""
    found = dividends(stocks["IBM"])
    assert [amount for _, amount in found] == repeat(IBM_AMOUNTS)
    assert len(found) == 52
    assert found[0] == ("2000-05-08", 0.13)
    assert found[-1] == ("2013-02-06", 0.85)


def test_sample_given_ibm_pays_every_quarter_in_its_usual_days(
    stocks: dict[str, SampleStock],
) -> None:
    """IBM goes ex within the fifth to tenth of February, May, August and November."""
    days = [date.fromisoformat(ex_date) for ex_date, _ in dividends(stocks["IBM"])]
    assert [(day.year, day.month) for day in days] == [
        (year, month)
        for year in range(2000, 2014)
        for month in (2, 5, 8, 11)
        if (2000, 2) < (year, month) <= (2013, 2)
    ]
    assert all(5 <= day.day <= 10 for day in days)


def test_sample_given_msft_has_the_37_published_dividends(stocks: dict[str, SampleStock]) -> None:
    """MSFT's amounts come out to the cent, the special dividend of 2004 within them."""
    found = dividends(stocks["MSFT"])
    assert [amount for _, amount in found] == repeat(MSFT_AMOUNTS)
    assert len(found) == 37
    assert found[0] == ("2003-02-19", 0.08)
    assert found[3] == ("2004-11-15", 3.08)
    assert found[-1] == ("2013-02-19", 0.23)


@pytest.mark.parametrize("ticker", ["GOOG", "FB"])
def test_sample_given_stock_that_paid_nothing_has_no_actions(
    stocks: dict[str, SampleStock], ticker: str
) -> None:
    """Neither Google nor Facebook split or paid before March 2013."""
    assert stocks[ticker].actions == ()


def test_sample_given_splits_lists_the_three_known_ones(stocks: dict[str, SampleStock]) -> None:
    """AAPL and MSFT split 2:1 on their ex-dates, IBM did not."""
    splits = {
        ticker: [
            (action.ex_date.isoformat(), action.split_ratio)
            for action in stocks[ticker].actions
            if action.kind is SPLIT
        ]
        for ticker in ("AAPL", "IBM", "MSFT")
    }
    assert splits == {
        "AAPL": [("2000-06-21", 2.0), ("2005-02-28", 2.0)],
        "IBM": [],
        "MSFT": [("2003-02-18", 2.0)],
    }


def test_sample_given_actions_orders_them_and_names_their_source(
    stocks: dict[str, SampleStock],
) -> None:
    """Actions ascend by ex-date, state USD and where they are known from."""
    for stock in stocks.values():
        ex_dates = [action.ex_date for action in stock.actions]
        assert ex_dates == sorted(set(ex_dates))
        for action in stock.actions:
            assert action.currency == "USD"
            assert "adjusted close" in action.source
            assert (action.split_ratio is None) != (action.cash_amount is None)


def test_sample_given_its_actions_reproduces_the_adjusted_close(
    stocks: dict[str, SampleStock],
) -> None:
    """Nothing is left unexplained: raw close and actions give every adjusted close back."""
    lines = read_sample_text(locate_sample()).splitlines()[1:]
    for ticker, stock in stocks.items():
        stated = [float(x.rsplit(",", 1)[1]) for x in lines if x.startswith(f"{ticker},")]
        factor = np.ones(len(stock.bars))
        for action in stock.actions:
            ex_us = np.datetime64(action.ex_date, "us").astype(np.int64)
            row = int(np.searchsorted(stock.bars.time_us, ex_us))
            close = stock.bars.close[row]
            factor[:row] *= close / (close + (action.cash_amount or 0.0))
            factor[:row] /= action.split_ratio or 1.0
        factor *= stated[-1] / stock.bars.close[-1]
        np.testing.assert_allclose(stock.bars.close * factor, stated, rtol=1e-11)


@st.composite
def adjusted_series(
    draw: st.DrawFn,
) -> tuple[Float64Array, dict[int, float], dict[int, float]]:
    """Draw closes in cents, dividends in cents (0.2% of the close and more) and some splits."""
    cents = draw(st.lists(st.integers(500, 100_000), min_size=2, max_size=40))
    closes = np.array(cents) / 100
    rows = st.integers(1, len(cents) - 1)
    paid = draw(st.dictionaries(rows, st.integers(2, 150), max_size=10))
    amounts = {row: max(3, cents[row] * mille // 1000) / 100 for row, mille in paid.items()}
    ratios = draw(st.dictionaries(rows, st.sampled_from([2.0, 3.0, 1.5, 0.1]), max_size=3))
    return closes, amounts, ratios


@given(adjusted_series())
def test_infer_dividends_given_series_adjusted_by_the_formula_returns_what_went_in(
    series: tuple[Float64Array, dict[int, float], dict[int, float]],
) -> None:
    """Inference inverts the data set's adjustment, also where split and dividend meet."""
    closes, amounts, ratios = series
    splits = [CorporateAction(SPLIT, ex_date(row), split_ratio=r) for row, r in ratios.items()]
    found = infer_dividends(bars_of(closes), adjusted(closes, amounts, ratios), splits)
    assert {action.ex_date: action.cash_amount for action in found} == {
        ex_date(row): amount for row, amount in amounts.items()
    }
    assert [action.ex_date for action in found] == sorted(action.ex_date for action in found)


def test_infer_dividends_given_amount_off_the_cent_keeps_it_as_inferred() -> None:
    """A dividend declared in tenths of a cent is not rounded away."""
    assert inferred_amounts([50.0, 50.0], {1: 0.125}) == [pytest.approx(0.125, abs=1e-10)]


def test_infer_dividends_given_small_amount_keeps_only_above_the_least_dividend() -> None:
    """At two cents and below a step counts as noise, above it as a dividend."""
    assert MIN_DIVIDEND == 0.02
    assert inferred_amounts([5.0, 5.0], {1: 0.019}) == []
    assert inferred_amounts([5.0, 5.0], {1: 0.03}) == [0.03]


def test_infer_dividends_given_small_step_keeps_only_above_the_least_step() -> None:
    """A step of less than 0.06% counts as noise, above it as a dividend."""
    assert MIN_FACTOR_STEP == 0.0006
    assert inferred_amounts([100.0, 100.0], {1: 0.05}) == []
    assert inferred_amounts([100.0, 100.0], {1: 0.07}) == [0.07]


def test_infer_dividends_given_prices_that_only_move_infers_nothing() -> None:
    """A crash is no dividend: only the adjustment's step counts, not the price's."""
    assert inferred_amounts([100.0, 50.0, 120.0, 1.0], {}) == []


def test_infer_dividends_given_no_or_one_bar_infers_nothing() -> None:
    """The first session has none before it to step from."""
    assert inferred_amounts([], {}) == []
    assert inferred_amounts([100.0], {}) == []


def test_sample_actions_given_bars_before_a_split_leaves_it_out() -> None:
    """A split outside of the bars' sessions is not among the actions."""
    closes = np.array([10.0, 11.0, 12.0])
    assert sample_actions("AAPL", bars_of(closes), closes) == ()
