"""Every bad input: its own status, reason and field, all violations at once, and nothing changed."""

import math
from datetime import UTC, datetime, timedelta
from typing import Final

import grpc
import pytest
from bifrost.marketdata.v1 import bar_pb2, timeframe_pb2
from bifrost.marketdata.v1.bar_subscription_pb2 import SubscribeBarsRequest
from bifrost.marketdata.v1.bars_service_pb2 import (
    CreateBarsRequest,
    GetLatestBarRequest,
    StreamBarsRequest,
)
from bifrost.marketdata.v1.symbol_service_pb2 import GetSymbolRequest, ListSymbolsRequest
from google.protobuf.message import Message

from tests.contract.bad_bars import BAD_BARS
from tests.contract.bad_reads import BAD_READS, Case, list_bars, stream_bars
from tests.contract.bad_subscriptions import BAD_SUBSCRIPTIONS
from tests.contract.bad_symbols import BAD_SYMBOLS, create_symbol
from tests.contract.known import Known
from tests.contract.refusals import Refusal, refusal_of, stream_refusal_of
from tests.contract.requests import DAY, HOUR, MINUTE, MINUTE_US, MONDAY_US, batch, create, stamp
from tests.contract.service import CALL_SECONDS, Service, state
from tests.support.bars import days

CASES: Final = [*BAD_READS, *BAD_SUBSCRIPTIONS, *BAD_BARS, *BAD_SYMBOLS]


def now() -> datetime:
    """Tell the time of day."""
    return datetime.now(UTC)


def to_us(time: datetime) -> int:
    """Turn a time into Unix microseconds of its whole second: rounded up it would not have come yet."""
    return int(time.timestamp()) * 1_000_000


async def refused(service: Service, request: Message) -> Refusal:
    """Send a request to the method that takes it, and say how it was refused."""
    name = type(request).__name__.removesuffix("Request")
    stub = service.bars if hasattr(service.bars, name) else service.symbols
    call = getattr(stub, name)(request, timeout=CALL_SECONDS)
    if isinstance(request, StreamBarsRequest | SubscribeBarsRequest):
        return await stream_refusal_of(call)
    return await refusal_of(call)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
async def test_calls_given_bad_input_say_all_of_it_and_change_nothing(known: Known, case: Case) -> None:
    """Each mistake has its own reason on its own field; nothing of the request was stored."""
    before = state(known.database)
    refusal = await refused(known.service, case.request)
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.reason == case.reason
    assert refusal.violations == case.violations
    assert refusal.retry_seconds is None
    assert refusal.message
    assert state(known.database) == before


@pytest.mark.parametrize(
    "request_",
    [
        GetSymbolRequest(symbol="NOPE"),
        GetLatestBarRequest(symbol="NOPE"),
        GetLatestBarRequest(symbol="NOPE", timeframe=DAY),
        list_bars(symbol="NOPE"),
    ],
    ids=lambda request: type(request).__name__,
)
async def test_calls_about_one_symbol_given_unknown_one_are_not_found(
    known: Known, request_: Message
) -> None:
    """An unknown symbol is told apart from a malformed one, and named."""
    refusal = await refused(known.service, request_)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "SYMBOL_NOT_FOUND")
    assert refusal.metadata == {"symbol": "NOPE"}
    assert not refusal.violations


@pytest.mark.parametrize(
    ("timeframe", "ago", "width"),
    [
        (MINUTE, timedelta(), timedelta(minutes=1)),
        (MINUTE, timedelta(minutes=-2), timedelta(minutes=1)),
        (HOUR, timedelta(minutes=30), timedelta(minutes=1)),
        (HOUR, timedelta(hours=-3), timedelta(hours=1)),
        (DAY, timedelta(), timedelta(days=1)),
        (DAY, timedelta(days=-1), timedelta(days=1)),
        (DAY, timedelta(days=-300), timedelta(days=1)),
    ],
)
async def test_create_bars_given_bar_that_has_not_ended_refuses_it(
    known: Known,
    timeframe: timeframe_pb2.Timeframe.ValueType,
    ago: timedelta,
    width: timedelta,
) -> None:
    """What is still forming, or lies ahead, is not final; a day is not before its date is over."""
    before = state(known.database)
    width_us = round(width.total_seconds() * 1e6)
    aligned_us = to_us(now() - ago) // width_us * width_us
    refusal = await refused(known.service, create([aligned_us], timeframe))
    assert refusal.violations == {("batch.time_us[0]", "BAR_NOT_ENDED")}
    assert state(known.database) == before


async def test_create_bars_given_bar_that_has_just_ended_takes_it(service: Service) -> None:
    """The minute before this one and yesterday can be stored."""
    await service.symbols.CreateSymbol(create_symbol(symbol="AAPL"))
    for timeframe, width_us in ((MINUTE, MINUTE_US), (DAY, days(1))):
        last_us = to_us(now()) // width_us * width_us - width_us
        request = create([last_us], timeframe)
        response = await service.bars.CreateBars(request, timeout=CALL_SECONDS)
        assert response.accepted == 1


async def test_create_bars_given_one_bad_bar_among_good_ones_stores_none(known: Known) -> None:
    """A batch is one transaction: nothing of it is stored where one bar breaks a rule."""
    before = state(known.database)
    times_us = [MONDAY_US - days(n) for n in range(100, 0, -1)]
    request = CreateBarsRequest(batch=batch(times_us))
    request.batch.close[57] = math.nan
    refusal = await refused(known.service, request)
    assert refusal.violations == {("batch.close[57]", "NOT_FINITE")}
    assert state(known.database) == before


async def test_refusal_given_thousands_of_violations_arrives_whole(known: Known) -> None:
    """However much is wrong, the client gets a typed status with the first of it and a count."""
    refusal = await refused(known.service, stream_bars(symbols=[f"bad {n}" for n in range(5_000)]))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert ("symbols[0]", "MALFORMED_SYMBOL") in refusal.violations
    assert "MORE_VIOLATIONS" in {reason for _, reason in refusal.violations}
    assert len(refusal.everything) < 8_192


async def test_list_bars_given_token_of_another_list_refuses_it(known: Known) -> None:
    """A token goes with the parameters that it was given for."""
    first = await known.service.bars.ListBars(list_bars(page_size=2))
    for other in (
        list_bars(symbol="IBM"),
        list_bars(timeframe=HOUR),
        list_bars(start_time=stamp("2020-01-01")),
        list_bars(order=bar_pb2.BAR_ORDER_SYMBOL_TIME_DESCENDING),
        ListSymbolsRequest(),
    ):
        other.page_token = first.next_page_token
        refusal = await refused(known.service, other)
        assert refusal.violations == {("page_token", "INVALID_PAGE_TOKEN")}
        assert "other parameters" in refusal.message
