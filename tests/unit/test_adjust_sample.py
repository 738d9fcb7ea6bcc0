"""Adjustment against the adjusted closes that the sample itself carries."""

from datetime import date

import numpy as np
import pytest

from marketdata.domain.action_rules import check_actions
from marketdata.domain.adjust import (
    AdjustmentFactors,
    actions_of_interest,
    adjust_frame,
    adjust_frames,
    build_factors,
    previous_closes,
)
from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bar_merge import merge_frames
from marketdata.domain.bars import BarColumn, Float64Array
from marketdata.domain.corporate_action import CorporateActionKind
from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.time_range import session_date, session_label_us
from marketdata.providers.sample.parse import SampleStock
from marketdata.providers.sample.source import fetch_sample_stocks, locate_sample, read_sample_text

LAST_SESSION = date(2013, 3, 1)

# The sample's dividend factor is close(ex) / (close(ex) + D) where this service's is
# 1 - D / close(ex - 1), so both drift apart by dividend times move on each ex-date: up to 0.017% for
# AAPL, 0.039% for IBM, and 0.199% for MSFT, whose dividend of 2004 was a tenth of its price.
TOLERANCES = {"AAPL": 0.0005, "IBM": 0.0005, "GOOG": 0.0005, "FB": 0.0005, "MSFT": 0.002}


@pytest.fixture(scope="module")
def stocks() -> dict[str, SampleStock]:
    """Read the sample once."""
    return {stock.symbol.symbol: stock for stock in fetch_sample_stocks()}


@pytest.fixture(scope="module")
def adjusted_closes() -> dict[str, Float64Array]:
    """Read the sample's own adjusted closes."""
    rows = [line.split(",") for line in read_sample_text(locate_sample()).splitlines()[1:]]
    return {
        ticker: np.array([float(row[7]) for row in rows if row[0] == ticker]) for ticker in TOLERANCES
    }


def factors_of(
    stock: SampleStock, adjustment: Adjustment, until: date = LAST_SESSION
) -> AdjustmentFactors:
    """Build factors as a read does: closes of the sessions that the calendar names."""
    wanted = actions_of_interest(stock.actions, adjustment, until)
    closes = previous_closes(wanted, get_calendar(stock.symbol.calendar), stock.bars)
    return build_factors(stock.actions, closes, adjustment, until, currency="USD")


@pytest.mark.parametrize("ticker", TOLERANCES)
def test_adjust_given_sample_is_within_tolerance_of_its_adjusted_close_at_every_session(
    ticker: str, stocks: dict[str, SampleStock], adjusted_closes: dict[str, Float64Array]
) -> None:
    """Splits and dividends of thirteen years, at every session, against the data set's own figures."""
    stock = stocks[ticker]
    ours = adjust_frame(stock.bars, factors_of(stock, Adjustment.ALL)).close
    theirs = adjusted_closes[ticker] / adjusted_closes[ticker][-1] * stock.bars.close[-1]
    assert np.abs(ours / theirs - 1).max() < TOLERANCES[ticker]


@pytest.mark.parametrize("ticker", TOLERANCES)
def test_adjust_given_sample_reports_no_action_as_unadjustable_or_suspect(
    ticker: str, stocks: dict[str, SampleStock]
) -> None:
    """Real dividends, MSFT's special one among them, are neither duplicates nor pence for pounds."""
    stock = stocks[ticker]
    factors = factors_of(stock, Adjustment.ALL)
    assert factors.rejected == ()
    assert len(factors.ex_us) == len(stock.actions)
    closes = previous_closes(stock.actions, get_calendar("XNYS"), stock.bars)
    assert check_actions(stock.actions, closes, "USD") == []


def test_rule_9_price_on_the_ex_date_given_apple_split_is_untouched_and_the_day_before_halved(
    stocks: dict[str, SampleStock],
) -> None:
    """AAPL split 2:1 on 2005-02-28: the session before is halved in price and doubled in volume."""
    stock = stocks["AAPL"]
    ex_date = date(2005, 2, 28)
    adjusted = adjust_frame(stock.bars, factors_of(stock, Adjustment.SPLIT))
    row = int(np.searchsorted(stock.bars.time_us, session_label_us(ex_date)))
    assert adjusted.close[row] == stock.bars.close[row]
    assert adjusted.volume[row] == stock.bars.volume[row]
    assert adjusted.close[row - 1] == stock.bars.close[row - 1] / 2
    assert adjusted.volume[row - 1] == stock.bars.volume[row - 1] * 2


@pytest.mark.parametrize("year", [2001, 2004, 2006])
def test_rule_9_events_after_the_range_given_sample_do_not_leak_in(
    year: int, stocks: dict[str, SampleStock]
) -> None:
    """Asked about sessions up to some day, the answer is as if nothing after it were known."""
    stock = stocks["AAPL"]
    until = date(year, 12, 31)
    known = tuple(action for action in stock.actions if action.ex_date <= until)
    factors = factors_of(stock, Adjustment.ALL, until)
    assert len(factors.ex_us) == len(known)
    assert [session_date(int(ex_us)) for ex_us in factors.ex_us] == [a.ex_date for a in known]
    in_range = stock.bars.time_us <= session_label_us(until)
    adjusted = adjust_frame(stock.bars.take(in_range), factors)
    assert adjusted.close[-1] == stock.bars.close[in_range][-1]


def test_adjust_frames_given_five_stocks_equals_each_adjusted_alone(
    stocks: dict[str, SampleStock],
) -> None:
    """Many symbols at once, by their index, whatever the order of rows."""
    frame = merge_frames([stock.bars for stock in stocks.values()])
    factors = [factors_of(stock, Adjustment.ALL) for stock in stocks.values()]
    alone = [adjust_frame(s.bars, f) for s, f in zip(stocks.values(), factors, strict=True)]
    by_time = np.lexsort((frame.symbol_index, frame.time_us))
    for rows in (np.arange(len(frame)), by_time):
        adjusted = adjust_frames(frame.take(rows), factors)
        for column in BarColumn:
            expected = np.concatenate([one.column(column) for one in alone])[rows]
            np.testing.assert_array_equal(adjusted.column(column), expected, err_msg=column.value)


def test_adjust_given_sample_splits_only_leaves_dividends_in(stocks: dict[str, SampleStock]) -> None:
    """IBM pays dividends and never split in these years: split-adjusted prices are the raw ones."""
    stock = stocks["IBM"]
    assert {action.kind for action in stock.actions} == {CorporateActionKind.CASH_DIVIDEND}
    assert np.array_equal(
        adjust_frame(stock.bars, factors_of(stock, Adjustment.SPLIT)).close, stock.bars.close
    )
