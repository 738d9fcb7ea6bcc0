"""The provider `yahoo` against a server that plays Yahoo's site, through the real yfinance."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise

import numpy as np
import pytest
from yfinance import cache

from marketdata.clock import ManualClock
from marketdata.domain.bars import PRICE_COLUMNS, BarFlag, BarFrame
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import TimeRange, session_label_us
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.errors import (
    ProviderLimitError,
    ProviderSymbolError,
    ProviderUnavailableError,
)
from marketdata.providers.http.breaker import Breaker
from marketdata.providers.http.caller import Patience, ProviderCaller
from marketdata.providers.http.pace import Pace
from marketdata.providers.http.redaction import Redactor
from marketdata.providers.protocol import BarsPage, BarsRequest, Limits
from marketdata.providers.sample.parse import SampleStock
from marketdata.providers.sample.source import fetch_sample_stocks
from marketdata.providers.yahoo.client import YahooClient
from marketdata.providers.yahoo.provider import YahooProvider
from marketdata.providers.yahoo.session import SiteAnswer
from tests.support.providers.adapters import NotedWaits
from tests.support.providers.asking import is_true
from tests.support.providers.faults import Fault, FaultPlan, always, at_call, never
from tests.support.providers.played import LoopbackServer, loopback
from tests.support.providers.yahoo import DoorDialect, LoopbackTransport, PlayedStock, YahooDialect
from tests.support.sessions import dates_between, local_us, minutes_between, walk
from tests.support.waiting import until

_NOW_US = local_us("2024-11-27 10:05") + 30_000_000
_AAPL = Symbol("AAPL", venue="XNAS", symbol_id=1)
# After the sample's last bar, and so in all of its prices.
_LATER_SPLITS = tuple(
    CorporateAction(CorporateActionKind.SPLIT, date.fromisoformat(day), split_ratio=ratio)
    for day, ratio in (("2014-06-09", 7.0), ("2020-08-31", 4.0))
)
_NO_BARS = {timeframe: BarFrame.empty(("AAPL",)) for timeframe in Timeframe}


@dataclass(frozen=True)
class _Played:
    provider: YahooProvider
    client: YahooClient
    server: LoopbackServer
    door: LoopbackServer

    def asked(self) -> list[str]:
        return [f"{call.path} {call.query.get('interval', '')}".strip() for call in self.server.calls]


@asynccontextmanager
async def _played(
    stocks: dict[str, PlayedStock],
    faults: FaultPlan = never,
    *,
    timeout_seconds: float = 10.0,
    patience: Patience | None = None,
) -> AsyncIterator[_Played]:
    clock = ManualClock(_NOW_US)
    async with (
        loopback(YahooDialect(stocks), faults) as server,
        loopback(DoorDialect(), never) as door,
    ):
        transport = LoopbackTransport(server.address, door.address)
        client = YahooClient(clock, threads=2, transport=transport, timeout_seconds=timeout_seconds)
        waits = NotedWaits()
        caller = ProviderCaller(
            "yahoo",
            client,
            pace=Pace("yahoo", Limits(), waits),
            breaker=Breaker("yahoo"),
            waits=waits,
            patience=patience or Patience(3, 0.002),
            redactor=Redactor(()),
        )
        provider = YahooProvider(caller, clock)
        try:
            yield _Played(provider, client, server, door)
        finally:
            await provider.aclose()


async def _pages(played: _Played, request: BarsRequest) -> list[BarsPage]:
    return [page async for page in played.provider.fetch_bars(request)]


def _stock(sample: SampleStock, later: tuple[CorporateAction, ...] = ()) -> PlayedStock:
    return PlayedStock({**_NO_BARS, Timeframe.DAY_1: sample.bars}, (*sample.actions, *later))


def _sample(symbol: str) -> SampleStock:
    return next(stock for stock in fetch_sample_stocks() if stock.symbol.symbol == symbol)


def _minutes(first: str, last: str) -> PlayedStock:
    minutes = walk(minutes_between(first, last))
    return PlayedStock(
        {
            **_NO_BARS,
            Timeframe.MINUTE_1: minutes,
            Timeframe.HOUR_1: walk(
                np.arange(local_us(first), local_us(last), 3_600_000_000, dtype=np.int64)
            ),
        }
    )


@pytest.mark.parametrize(
    ("ticker", "later"),
    [("AAPL", _LATER_SPLITS), ("MSFT", ()), ("IBM", ())],
    ids=["AAPL", "MSFT", "IBM"],
)
async def test_days_given_thirteen_years_are_the_traded_prices_at_every_session(
    ticker: str, later: tuple[CorporateAction, ...]
) -> None:
    """Raw, then as Yahoo keeps it (AAPL divided by up to 112), then raw again: equal to the cent.

    Prices off the cent, as the sample has some, come back within the stated error; volumes exactly.
    """
    sample = _sample(ticker)
    async with _played({ticker: _stock(sample, later)}) as played:
        request = BarsRequest(
            Symbol(ticker, venue="XNAS"), Timeframe.DAY_1, dates_between("2000-03-01", "2013-03-02")
        )
        (page,) = await _pages(played, request)

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
    """Yahoo has 3.08 dollars of 2004 as what they are a share of today; the ratios as they were."""
    sample = _sample(ticker)
    async with _played({ticker: _stock(sample, _LATER_SPLITS)}) as played:
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
    sample = _sample("AAPL")
    wanted = dates_between("2012-03-01", "2012-04-01")
    async with _played({"AAPL": _stock(sample, _LATER_SPLITS)}) as played:
        (page,) = await _pages(played, BarsRequest(_AAPL, Timeframe.DAY_1, wanted))

        assert played.asked() == ["/v8/finance/chart/AAPL 1d"]
    bars = sample.bars
    rows = (bars.time_us >= wanted.start_us) & (bars.time_us < wanted.end_us)
    assert page.frame.close.tolist() == np.round(bars.close[rows], 2).tolist()
    assert page.range == wanted
    assert [action.kind for action in page.actions] == []


async def test_calls_given_a_symbol_for_the_first_time_ask_for_no_time_zone() -> None:
    """One cookie, one crumb, one chart; after that one call an answer."""
    async with _played({"AAPL": _stock(_sample("AAPL"))}) as played:
        request = BarsRequest(_AAPL, Timeframe.DAY_1, dates_between("2012-03-01", "2012-04-01"))
        for _ in range(3):
            await _pages(played, request)

        assert [call.path.rstrip("/") for call in played.door.calls] == [
            "/fc.yahoo.com",
            "/query1.finance.yahoo.com/v1/test/getcrumb",
        ]
        assert played.asked() == ["/v8/finance/chart/AAPL 1d"] * 3


async def test_days_given_a_bar_that_was_revised_see_it() -> None:
    """The same question twice is asked twice: yfinance's own history answers from its memory."""
    sample = _sample("AAPL")
    stocks = {"AAPL": _stock(sample)}
    async with _played(stocks) as played:
        request = BarsRequest(_AAPL, Timeframe.DAY_1, dates_between("2012-03-01", "2012-03-02"))
        await _pages(played, request)
        revised = replace(sample.bars, volume=sample.bars.volume + 1)
        stocks["AAPL"] = replace(_stock(sample), bars={**_NO_BARS, Timeframe.DAY_1: revised})
        played.server._dialect = YahooDialect(stocks)
        (page,) = await _pages(played, request)

    row = sample.bars.time_us == session_label_us(date(2012, 3, 1))
    assert page.frame.volume.tolist() == (sample.bars.volume[row] + 1).tolist()


async def test_minutes_given_three_weeks_come_by_weeks_and_one_call_for_the_splits() -> None:
    """Yahoo gives a week of minutes a call; the pages join, and hold every minute once."""
    stock = _minutes("2024-11-04 09:30", "2024-11-22 16:00")
    start_us, end_us = local_us("2024-11-04 00:00"), local_us("2024-11-23 00:00")
    async with _played({"AAPL": stock}) as played:
        pages = await _pages(
            played, BarsRequest(_AAPL, Timeframe.MINUTE_1, TimeRange(start_us, end_us))
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
    async with _played({"AAPL": _minutes("2024-11-26 09:30", "2024-11-26 16:00")}) as played:
        wanted = TimeRange(local_us("2024-11-26 00:00"), _NOW_US + MICROSECONDS_PER_DAY)
        (page,) = await _pages(played, BarsRequest(_AAPL, Timeframe.MINUTE_1, wanted))

        assert played.asked() == ["/v8/finance/chart/AAPL 1m"]
    assert len(page.frame) == 390
    assert page.range == wanted


async def test_hours_given_a_split_since_are_as_traded() -> None:
    """An hour of before the split reads as it was paid."""
    split = CorporateAction(CorporateActionKind.SPLIT, date(2024, 11, 25), split_ratio=10.0)
    stock = replace(_minutes("2024-11-20 09:30", "2024-11-20 16:00"), actions=(split,))
    async with _played({"AAPL": stock}) as played:
        wanted = TimeRange(local_us("2024-11-20 00:00"), local_us("2024-11-21 00:00"))
        (page,) = await _pages(played, BarsRequest(_AAPL, Timeframe.HOUR_1, wanted))

    raw = stock.bars[Timeframe.HOUR_1]
    assert page.frame.close.tolist() == raw.close.tolist()
    assert page.frame.volume.tolist() == raw.volume.tolist()


async def test_bars_given_a_range_that_has_not_begun_ask_nobody() -> None:
    """There is nothing, and the page says so."""
    wanted = dates_between("2024-12-01", "2024-12-10")
    async with _played({}) as played:
        (page,) = await _pages(played, BarsRequest(_AAPL, Timeframe.DAY_1, wanted))

        assert (len(page.frame), page.range, played.asked()) == (0, wanted, [])


async def test_bars_given_an_unknown_symbol_raise_and_one_without_bars_is_empty() -> None:
    """Yahoo tells the two apart, by 404 and 400."""
    stocks = {"AAPL": PlayedStock(_NO_BARS)}
    wanted = dates_between("2012-03-01", "2012-04-01")
    async with _played(stocks) as played:
        (page,) = await _pages(played, BarsRequest(_AAPL, Timeframe.DAY_1, wanted))
        with pytest.raises(ProviderSymbolError, match="NOSUCH"):
            await _pages(played, BarsRequest(Symbol("NOSUCH"), Timeframe.DAY_1, wanted))

    assert len(page.frame) == 0


async def test_bars_given_another_currency_are_refused() -> None:
    """Pence taken for pounds would be a hundred times the price."""
    stock = replace(_stock(_sample("AAPL")), meta={"currency": "GBp"})
    async with _played({"AAPL": stock}) as played:
        with pytest.raises(ProviderSymbolError, match="GBX"):
            await played.provider.fetch_actions(_AAPL, date(2012, 3, 1), date(2013, 3, 1))


async def test_calls_given_a_429_that_stays_raise_once_and_then_leave_yahoo_alone() -> None:
    """Yfinance asks twice by itself; after that nothing is asked until Yahoo may answer again."""
    async with _played({"AAPL": _stock(_sample("AAPL"))}, always(Fault.TOO_MANY)) as played:
        for _ in range(3):
            with pytest.raises(ProviderLimitError) as refusal:
                await played.provider.fetch_actions(_AAPL, date(2012, 3, 1), date(2013, 3, 1))

        assert len(played.server.calls) == 2
    assert 800 < (refusal.value.retry_after_seconds or 0) <= 900


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.RESET, Fault.TRUNCATED, Fault.DRIP])
async def test_calls_given_a_site_that_fails_end_unavailable(fault: Fault) -> None:
    """Whatever it does instead of answering, the error is ours and holds no crumb."""
    stocks = {"AAPL": _stock(_sample("AAPL"))}
    async with _played(
        stocks, always(fault), timeout_seconds=0.3, patience=Patience(2, 0.002)
    ) as played:
        with pytest.raises(ProviderUnavailableError) as failure:
            await played.provider.fetch_actions(_AAPL, date(2012, 3, 1), date(2013, 3, 1))

    assert "crumb" not in failure.value.message


async def test_calls_given_a_site_that_lets_nobody_in_say_so() -> None:
    """401 is not about a key: there is none."""
    stocks = {"AAPL": _stock(_sample("AAPL"))}
    async with _played(stocks, always(Fault.KEY_REFUSED)) as played:
        with pytest.raises(ProviderUnavailableError, match="lets nobody in"):
            await played.provider.fetch_actions(_AAPL, date(2012, 3, 1), date(2013, 3, 1))


async def test_calls_given_a_failure_once_end_in_the_answer() -> None:
    """Yfinance's own second attempt, or ours."""
    async with _played({"AAPL": _stock(_sample("AAPL"))}, at_call(0, Fault.SERVER_ERROR)) as played:
        actions = await played.provider.fetch_actions(_AAPL, date(2005, 1, 1), date(2006, 1, 1))

        assert len(played.server.calls) == 2
    assert [action.split_ratio for action in actions] == [2.0]


async def test_calls_given_threads_leave_the_event_loop_to_others() -> None:
    """While a call waits for the site, the loop goes on: it beats, and the call is elsewhere."""
    release = asyncio.Event()
    sides: set[int] = set()
    beats = 0

    async with _played({"AAPL": _stock(_sample("AAPL"))}) as played:
        asked = played.client._ask

        def held(path: str, parameters: dict[str, str], stop: threading.Event) -> SiteAnswer:
            sides.add(threading.get_ident())
            asyncio.run_coroutine_threadsafe(release.wait(), loop).result()
            return asked(path, parameters, stop)

        loop = asyncio.get_running_loop()
        played.client._ask = held  # type: ignore[method-assign]
        call = asyncio.create_task(
            played.provider.fetch_actions(_AAPL, date(2005, 1, 1), date(2006, 1, 1))
        )
        while not sides or beats < 1_000:
            await asyncio.sleep(0)
            beats += 1
        assert not call.done()
        release.set()
        assert len(await call) == 1
    assert threading.get_ident() not in sides


async def test_calls_given_a_cancellation_end_at_once_and_leave_no_thread() -> None:
    """The caller does not wait for the site; its thread ends with the next bytes, not the timeout."""
    async with _played(
        {"AAPL": _stock(_sample("AAPL"))}, always(Fault.DRIP), timeout_seconds=1
    ) as played:
        call = asyncio.create_task(
            played.provider.fetch_actions(_AAPL, date(2005, 1, 1), date(2006, 1, 1))
        )
        await until(lambda: is_true(bool(played.server.calls)))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda: is_true(played.server.open_connections() == 0))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("yahoo")]


async def test_calls_given_a_failure_write_nothing_to_stderr_nor_into_the_users_folders(
    capfd: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Yfinance's cache of cookies is a pickle in a folder of the user's: it is not used."""
    folder = tmp_path_factory.mktemp("cache") / "yfinance"
    cache.set_cache_location(str(folder))
    async with _played({}) as played:
        with pytest.raises(ProviderSymbolError):
            await played.provider.fetch_actions(_AAPL, date(2005, 1, 1), date(2006, 1, 1))

    assert not folder.exists()
    assert capfd.readouterr() == ("", "")
