"""BarsService: what is read as rows."""

import math
import time
from typing import Final

import grpc
import pytest
from bifrost.marketdata.v1 import bar_pb2, bars_service_pb2, timeframe_pb2
from bifrost.marketdata.v1.bars_service_pb2 import GetLatestBarRequest, ListBarsRequest

from marketdata.storage.embedded import ServerAddress
from tests.contract.known import AAPL_DAYS_US, IBM_DAYS_US, MSFT_HOURS_US, MSFT_MINUTES_US, Known
from tests.contract.refusals import refusal_of
from tests.contract.requests import (
    DAY,
    HOUR,
    MINUTE,
    TUESDAY_US,
    add_bars,
    add_symbols,
    stamp_us,
)
from tests.contract.service import Service
from tests.support.bars import days
from tests.support.databases import connected

DESCENDING: Final = bar_pb2.BAR_ORDER_SYMBOL_TIME_DESCENDING


def times_us(bars: list[bar_pb2.Bar]) -> list[int]:
    """List the times of bars."""
    return [bar.time.ToMicroseconds() for bar in bars]


async def pages_of(service: Service, request: ListBarsRequest) -> list[list[bar_pb2.Bar]]:
    """List all pages."""
    pages = []
    while True:
        response = await service.bars.ListBars(request)
        pages.append(list(response.bars))
        if not response.next_page_token:
            return pages
        request.page_token = response.next_page_token


async def test_list_bars_given_daily_bars_gives_them_as_they_were_sent(known: Known) -> None:
    """A row says everything about its bar: the session date, the currency, the feed, finality."""
    before_us = time.time_ns() // 1_000
    request = ListBarsRequest(symbol="IBM", timeframe=DAY, page_size=1)
    response = await known.service.bars.ListBars(request)
    assert list(response.bars) == [
        bar_pb2.Bar(
            symbol="IBM",
            timeframe=DAY,
            time=stamp_us(IBM_DAYS_US[0]),
            session_date="2024-01-04",
            open=10.0,
            high=12.0,
            low=9.0,
            close=11.0,
            volume=100.0,
            currency="USD",
            feed="manual/upload",
            is_final=True,
        )
    ]
    assert not response.bars[0].HasField("vwap")
    assert not response.bars[0].HasField("trade_count")
    assert response.adjustment == bar_pb2.ADJUSTMENT_RAW
    assert response.source_timeframe == DAY
    assert before_us <= response.read_time.ToMicroseconds() <= time.time_ns() // 1_000


async def test_list_bars_given_missing_and_known_sizes_tells_them_apart(service: Service) -> None:
    """Unknown volume is NaN and nothing traded is 0; vwap and trade count are set where known."""
    await add_symbols(service, "AAPL")
    await add_bars(
        service,
        [TUESDAY_US, TUESDAY_US + days(1)],
        volume=[math.nan, 0.0],
        vwap=[math.nan, 10.5],
        trade_count=[-1, 7],
    )
    response = await service.bars.ListBars(ListBarsRequest(symbol="AAPL", timeframe=DAY))
    unknown, known_sizes = response.bars
    assert math.isnan(unknown.volume)
    assert not unknown.HasField("vwap")
    assert not unknown.HasField("trade_count")
    assert (known_sizes.volume, known_sizes.vwap, known_sizes.trade_count) == (0.0, 10.5, 7)


@pytest.mark.parametrize(
    ("timeframe", "expected"),
    [(DAY, AAPL_DAYS_US), (HOUR, MSFT_HOURS_US), (MINUTE, MSFT_MINUTES_US[:100])],
)
async def test_list_bars_given_timeframe_reads_its_own_bars(
    known: Known, timeframe: timeframe_pb2.Timeframe.ValueType, expected: tuple[int, ...]
) -> None:
    """Each stored timeframe has its bars, a hundred where no page size is given."""
    response = await known.service.bars.ListBars(ListBarsRequest(symbol="MSFT", timeframe=timeframe))
    assert times_us(list(response.bars)) == list(expected)
    assert {bar.timeframe for bar in response.bars} == {timeframe}
    assert {bool(bar.session_date) for bar in response.bars} == {timeframe == DAY}
    assert bool(response.next_page_token) == (timeframe == MINUTE)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("page_size", [1, 3, 9, 10, 11])
async def test_list_bars_given_page_size_pages_to_the_end(
    known: Known, page_size: int, *, descending: bool
) -> None:
    """Every bar comes once, in order, in full pages; the last page has no token and is not empty."""
    request = ListBarsRequest(
        symbol="AAPL",
        timeframe=DAY,
        page_size=page_size,
        order=DESCENDING if descending else bar_pb2.BAR_ORDER_SYMBOL_TIME,
    )
    pages = await pages_of(known.service, request)
    found = times_us([bar for page in pages for bar in page])
    assert found == sorted(AAPL_DAYS_US, reverse=descending)
    assert {len(page) for page in pages[:-1]} <= {page_size}
    assert 0 < len(pages[-1]) <= page_size


async def test_list_bars_given_page_size_above_the_most_takes_the_most(known: Known) -> None:
    """A larger page size is no error."""
    request = ListBarsRequest(symbol="MSFT", timeframe=MINUTE, page_size=2**31 - 1)
    response = await known.service.bars.ListBars(request)
    assert times_us(list(response.bars)) == list(MSFT_MINUTES_US)


async def test_list_bars_given_range_is_half_open(known: Known) -> None:
    """The start is in, the end is not; a microsecond more lets the last one in."""
    first, last = AAPL_DAYS_US[2], AAPL_DAYS_US[4]
    request = ListBarsRequest(
        symbol="AAPL", timeframe=DAY, start_time=stamp_us(first), end_time=stamp_us(last)
    )
    response = await known.service.bars.ListBars(request)
    assert times_us(list(response.bars)) == list(AAPL_DAYS_US[2:4])
    request.start_time.FromMicroseconds(first + 1)
    request.end_time.FromMicroseconds(last + 1)
    response = await known.service.bars.ListBars(request)
    assert times_us(list(response.bars)) == list(AAPL_DAYS_US[3:5])


@pytest.mark.parametrize(
    "request_",
    [
        ListBarsRequest(symbol="BRK.B", timeframe=DAY),
        ListBarsRequest(symbol="IBM", timeframe=MINUTE),
        ListBarsRequest(symbol="AAPL", timeframe=DAY, end_time=stamp_us(TUESDAY_US)),
        ListBarsRequest(symbol="AAPL", timeframe=DAY, start_time=stamp_us(AAPL_DAYS_US[-1] + 1)),
        ListBarsRequest(symbol="MSFT", timeframe=MINUTE, end_time=stamp_us(-days(10_000))),
    ],
)
async def test_list_bars_given_range_without_bars_is_an_empty_answer(
    known: Known, request_: ListBarsRequest
) -> None:
    """No bars are no error, whichever reason there are none for."""
    response = await known.service.bars.ListBars(request_)
    assert not response.bars
    assert not response.next_page_token


async def test_list_bars_given_revised_bar_says_how_often(service: Service) -> None:
    """A bar that changed says its revision."""
    await add_symbols(service, "AAPL")
    for close in (11.0, 11.5, 11.25):
        await add_bars(service, close=[close])
    response = await service.bars.ListBars(ListBarsRequest(symbol="AAPL", timeframe=DAY))
    assert [(bar.close, bar.revision) for bar in response.bars] == [(11.25, 2)]


@pytest.mark.parametrize(
    ("symbol", "timeframe", "answered", "time_us"),
    [
        ("MSFT", DAY, DAY, AAPL_DAYS_US[-1]),
        ("MSFT", HOUR, HOUR, MSFT_HOURS_US[-1]),
        ("MSFT", MINUTE, MINUTE, MSFT_MINUTES_US[-1]),
        ("MSFT", timeframe_pb2.TIMEFRAME_UNSPECIFIED, MINUTE, MSFT_MINUTES_US[-1]),
        ("IBM", timeframe_pb2.TIMEFRAME_UNSPECIFIED, DAY, IBM_DAYS_US[-1]),
    ],
)
async def test_get_latest_bar_given_timeframe_or_none_says_which_it_chose(
    known: Known,
    symbol: str,
    timeframe: timeframe_pb2.Timeframe.ValueType,
    answered: timeframe_pb2.Timeframe.ValueType,
    time_us: int,
) -> None:
    """The newest bar of the timeframe asked for; unset, of the finest that is stored."""
    request = GetLatestBarRequest(symbol=symbol, timeframe=timeframe)
    bar = (await known.service.bars.GetLatestBar(request)).bar
    assert (bar.symbol, bar.timeframe, bar.time.ToMicroseconds()) == (symbol, answered, time_us)
    assert (bar.is_final, bar.currency, bar.feed) == (True, "USD", "manual/upload")


@pytest.mark.parametrize(
    ("symbol", "timeframe"), [("BRK.B", timeframe_pb2.TIMEFRAME_UNSPECIFIED), ("IBM", MINUTE)]
)
async def test_get_latest_bar_given_none_stored_is_not_found(
    known: Known, symbol: str, timeframe: timeframe_pb2.Timeframe.ValueType
) -> None:
    """A known symbol without such a bar is told apart from an unknown one."""
    request = GetLatestBarRequest(symbol=symbol, timeframe=timeframe)
    refusal = await refusal_of(known.service.bars.GetLatestBar(request))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "BAR_NOT_FOUND")
    assert refusal.metadata == {"symbol": symbol}


async def test_get_latest_bar_given_older_write_keeps_the_newest(service: Service) -> None:
    """Bars that come in late do not become the latest."""
    await add_symbols(service, "AAPL")
    await add_bars(service, [TUESDAY_US + days(1)])
    await add_bars(service, [TUESDAY_US], close=[10.5])
    request = GetLatestBarRequest(symbol="AAPL")
    bar = (await service.bars.GetLatestBar(request)).bar
    assert bar.time.ToMicroseconds() == TUESDAY_US + days(1)


async def test_reads_given_renamed_symbol_give_one_series(
    service: Service, database: ServerAddress
) -> None:
    """FB and META are one identity: either ticker reads the bars of both, as the one asked for."""
    await add_symbols(service, "FB", "META")
    await add_bars(service, [TUESDAY_US, TUESDAY_US + days(1)], symbols=["FB"])
    await add_bars(service, [TUESDAY_US + days(2)], symbols=["META"])
    rename(database, "FB", "META", "2024-01-04")
    for ticker in ("FB", "META"):
        request = bars_service_pb2.ListBarsRequest(symbol=ticker, timeframe=DAY)
        response = await service.bars.ListBars(request)
        assert times_us(list(response.bars)) == [TUESDAY_US + days(n) for n in range(3)]
        assert {bar.symbol for bar in response.bars} == {ticker}
        latest = await service.bars.GetLatestBar(GetLatestBarRequest(symbol=ticker))
        assert latest.bar.time.ToMicroseconds() == TUESDAY_US + days(2)
        assert latest.bar.symbol == ticker


def rename(database: ServerAddress, old: str, new: str, session: str) -> None:
    """Make `new` the ticker of what `old` names, from `session` on, as a rename will store it."""
    with connected(database) as connection, connection.transaction():
        connection.execute("DELETE FROM market_symbol WHERE symbol = %s", [new])
        connection.execute(
            "UPDATE symbol_validity SET valid_to = %s::date WHERE symbol = %s", [session, old]
        )
        connection.execute(
            "INSERT INTO symbol_validity (symbol_id, symbol, valid_from) "
            "SELECT symbol_id, %s, %s::date FROM market_symbol WHERE symbol = %s",
            [new, session, old],
        )
        connection.execute("UPDATE market_symbol SET symbol = %s WHERE symbol = %s", [new, old])
