"""Bars and corporate actions of the provider `yahoo`, through the real yfinance and a played site."""

from dataclasses import replace
from datetime import date
from itertools import pairwise

import numpy as np
import pytest

from marketdata.domain.bars import PRICE_COLUMNS, BarFlag
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import TimeRange, session_label_us
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.errors import (
    ProviderSymbolError,
)
from marketdata.providers.protocol import BarsRequest
from tests.support.providers.yahoo.played import (
    AAPL,
    NO_BARS,
    NOW_US,
    apple,
    pages_of,
    played_yahoo,
    sample_of,
    sample_stock,
    stock_of_minutes,
)
from tests.support.providers.yahoo.site import PlayedStock, YahooDialect
from tests.support.sessions import dates_between, local_us

# After the sample's last bar, and so in all of its prices.
_LATER_SPLITS = tuple(
    CorporateAction(CorporateActionKind.SPLIT, date.fromisoformat(day), split_ratio=ratio)
    for day, ratio in (("2014-06-09", 7.0), ("2020-08-31", 4.0))
)


@pytest.mark.parametrize(
    ("ticker", "later"),
    [("AAPL", _LATER_SPLITS), ("MSFT", ()), ("IBM", ())],
    ids=["AAPL", "MSFT", "IBM"],
)
async def test_days_given_thirteen_years_are_the_traded_prices_at_every_session(
    ticker: str, later: tuple[CorporateAction, ...]
) -> None:
    """Rule 11: raw, as Yahoo keeps it (AAPL divided by up to 112), and raw again: equal to the cent.

    Prices off the cent, as the sample has some, come back within the stated error; volumes exactly.
    """
    sample = sample_of(ticker)
    async with played_yahoo({ticker: sample_stock(sample, later)}) as played:
        request = BarsRequest(
            Symbol(ticker, venue="XNAS"), Timeframe.DAY_1, dates_between("2000-03-01", "2013-03-02")
        )
        (page,) = await pages_of(played, request)

    frame = page.frame
    assert frame.time_us.tolist() == sample.bars.time_us.tolist()
    assert frame.volume.tolist() == sample.bars.volume.tolist()
    for column in PRICE_COLUMNS:
        raw, fetched = sample.bars.column(column), frame.column(column)
        is_cent = np.abs(np.round(raw, 2) - raw) < 1e-9
        assert np.mean(is_cent) > 0.95
        assert fetched[is_cent].tolist() == np.round(raw[is_cent], 2).tolist()
        assert np.abs(fetched - raw).max() <= 2e-4
    assert (frame.flags == BarFlag.FINAL).all()


@pytest.mark.parametrize("ticker", ["AAPL", "MSFT"])
async def test_actions_given_dividends_before_splits_are_as_declared(ticker: str) -> None:
    """Rule 11: 3.08 dollars of 2004 come as what they are a share of today; ratios as they were."""
    sample = sample_of(ticker)
    async with played_yahoo({ticker: sample_stock(sample, _LATER_SPLITS)}) as played:
        actions = await played.provider.fetch_actions(
            Symbol(ticker, venue="XNAS"), date(2000, 3, 1), date(2013, 3, 2)
        )

    declared = {
        (action.ex_date, action.kind): action.split_ratio or action.cash_amount
        for action in sample.actions
    }
    fetched = {
        (action.ex_date, action.kind): action.split_ratio or action.cash_amount for action in actions
    }
    assert fetched.keys() == declared.keys()
    assert all(abs((fetched[key] or 0) - (declared[key] or 0)) < 2e-5 for key in declared)


async def test_days_given_a_range_before_a_split_know_it_all_the_same() -> None:
    """The request ends years before the splits of 2014 and 2020, and its prices hold both."""
    sample = sample_of("AAPL")
    wanted = dates_between("2012-03-01", "2012-04-01")
    async with played_yahoo({"AAPL": sample_stock(sample, _LATER_SPLITS)}) as played:
        (page,) = await pages_of(played, BarsRequest(AAPL, Timeframe.DAY_1, wanted))

        assert played.asked() == ["/v8/finance/chart/AAPL 1d"]
    bars = sample.bars
    rows = (bars.time_us >= wanted.start_us) & (bars.time_us < wanted.end_us)
    assert page.frame.close.tolist() == np.round(bars.close[rows], 2).tolist()
    assert page.range == wanted
    assert [action.kind for action in page.actions] == []


async def test_days_given_a_session_that_opens_the_day_before_by_utc_are_asked_for() -> None:
    """In Auckland it does, at 22:00: what is asked for begins a day before the label."""
    wanted = dates_between("2012-03-01", "2012-04-01")
    async with played_yahoo(apple()) as played:
        await pages_of(played, BarsRequest(AAPL, Timeframe.DAY_1, wanted))

        start_s = int(played.server.calls[0].query["period1"])
    assert start_s * 1_000_000 <= wanted.start_us - MICROSECONDS_PER_DAY // 2


async def test_calls_given_a_symbol_for_the_first_time_ask_for_no_time_zone() -> None:
    """One cookie, one crumb, one chart; after that one call an answer."""
    async with played_yahoo(apple()) as played:
        request = BarsRequest(AAPL, Timeframe.DAY_1, dates_between("2012-03-01", "2012-04-01"))
        for _ in range(3):
            await pages_of(played, request)

        assert [call.path.rstrip("/") for call in played.door.calls] == [
            "/fc.yahoo.com",
            "/query1.finance.yahoo.com/v1/test/getcrumb",
        ]
        assert played.asked() == ["/v8/finance/chart/AAPL 1d"] * 3


async def test_days_given_a_bar_that_was_revised_see_it() -> None:
    """The same question twice is asked twice: yfinance's own history answers from its memory."""
    sample = sample_of("AAPL")
    stocks = {"AAPL": sample_stock(sample)}
    async with played_yahoo(stocks) as played:
        request = BarsRequest(AAPL, Timeframe.DAY_1, dates_between("2012-03-01", "2012-03-02"))
        await pages_of(played, request)
        revised = replace(sample.bars, volume=sample.bars.volume + 1)
        stocks["AAPL"] = replace(sample_stock(sample), bars={**NO_BARS, Timeframe.DAY_1: revised})
        played.server._dialect = YahooDialect(stocks)
        (page,) = await pages_of(played, request)

    row = sample.bars.time_us == session_label_us(date(2012, 3, 1))
    assert page.frame.volume.tolist() == (sample.bars.volume[row] + 1).tolist()


async def test_minutes_given_three_weeks_come_by_weeks_and_one_call_for_the_splits() -> None:
    """Yahoo gives a week of minutes a call; the pages join, and hold every minute once."""
    stock = stock_of_minutes("2024-11-04 09:30", "2024-11-22 16:00")
    start_us, end_us = local_us("2024-11-04 00:00"), local_us("2024-11-23 00:00")
    async with played_yahoo({"AAPL": stock}) as played:
        pages = await pages_of(
            played, BarsRequest(AAPL, Timeframe.MINUTE_1, TimeRange(start_us, end_us))
        )

        assert played.asked() == ["/v8/finance/chart/AAPL 1d"] + ["/v8/finance/chart/AAPL 1m"] * 3
        assert {call.query["includePrePost"] for call in played.server.calls[1:]} == {"true"}
    times = np.concatenate([page.frame.time_us for page in pages])
    assert times.tolist() == stock.bars[Timeframe.MINUTE_1].time_us.tolist()
    edges = [(page.range.start_us, page.range.end_us) for page in pages]
    assert edges[0][0] == start_us
    assert edges[-1][1] == end_us
    assert all(one[1] == other[0] for one, other in pairwise(edges))


async def test_minutes_given_a_range_up_to_now_take_one_call() -> None:
    """What is fetched again and again, the last hours, needs no call for splits: none can be since."""
    async with played_yahoo(
        {"AAPL": stock_of_minutes("2024-11-26 09:30", "2024-11-26 16:00")}
    ) as played:
        wanted = TimeRange(local_us("2024-11-26 00:00"), NOW_US + MICROSECONDS_PER_DAY)
        (page,) = await pages_of(played, BarsRequest(AAPL, Timeframe.MINUTE_1, wanted))

        assert played.asked() == ["/v8/finance/chart/AAPL 1m"]
    assert len(page.frame) == 390
    assert page.range == wanted


async def test_hours_given_a_split_since_are_as_traded() -> None:
    """An hour of before the split reads as it was paid (rule 11)."""
    split = CorporateAction(CorporateActionKind.SPLIT, date(2024, 11, 25), split_ratio=10.0)
    stock = replace(stock_of_minutes("2024-11-20 09:30", "2024-11-20 16:00"), actions=(split,))
    async with played_yahoo({"AAPL": stock}) as played:
        wanted = TimeRange(local_us("2024-11-20 00:00"), local_us("2024-11-21 00:00"))
        (page,) = await pages_of(played, BarsRequest(AAPL, Timeframe.HOUR_1, wanted))

    raw = stock.bars[Timeframe.HOUR_1]
    assert page.frame.close.tolist() == raw.close.tolist()
    assert page.frame.volume.tolist() == raw.volume.tolist()


async def test_bars_given_a_range_that_has_not_begun_ask_nobody() -> None:
    """There is nothing, and the page says so."""
    wanted = dates_between("2024-12-01", "2024-12-10")
    async with played_yahoo({}) as played:
        (page,) = await pages_of(played, BarsRequest(AAPL, Timeframe.DAY_1, wanted))

        assert (len(page.frame), page.range, played.asked()) == (0, wanted, [])


async def test_bars_given_an_unknown_symbol_raise_and_one_without_bars_is_empty() -> None:
    """Yahoo tells the two apart, by 404 and 400."""
    stocks = {"AAPL": PlayedStock(NO_BARS)}
    wanted = dates_between("2012-03-01", "2012-04-01")
    async with played_yahoo(stocks) as played:
        (page,) = await pages_of(played, BarsRequest(AAPL, Timeframe.DAY_1, wanted))
        with pytest.raises(ProviderSymbolError, match="NOSUCH"):
            await pages_of(played, BarsRequest(Symbol("NOSUCH"), Timeframe.DAY_1, wanted))

    assert len(page.frame) == 0


async def test_bars_given_another_currency_are_refused() -> None:
    """Pence taken for pounds would be a hundred times the price."""
    stock = replace(sample_stock(sample_of("AAPL")), meta={"currency": "GBp"})
    async with played_yahoo({"AAPL": stock}) as played:
        with pytest.raises(ProviderSymbolError, match="GBX"):
            await played.provider.fetch_actions(AAPL, date(2012, 3, 1), date(2013, 3, 1))
