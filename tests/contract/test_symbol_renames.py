"""FB becomes META: one series under both names, and a later holder of FB never joins it."""

from typing import Any, Final

import grpc
import pytest
from bifrost.marketdata.v1.bars_service_pb2 import GetLatestBarRequest

from tests.contract.refusals import refusal_of
from tests.contract.requests import DAY, HOUR, add_bars
from tests.contract.service import Service
from tests.contract.streams import daily, stream
from tests.contract.symbol_calls import (
    RENAMED,
    REUSED,
    create,
    day_us,
    get,
    latest_day,
    listed_days,
    rename,
)

BEFORE: Final = ["2022-06-07", "2022-06-08"]
AFTER: Final = ["2022-06-09", "2022-06-10"]
# The other company's.
LATER: Final = ["2023-07-03", "2023-07-05"]


async def add_days(service: Service, symbol: str, days: list[str]) -> None:
    """Store daily bars of some sessions."""
    await add_bars(service, [day_us(day) for day in days], symbols=[symbol])


@pytest.fixture
async def renamed(service: Service) -> Service:
    """Give a service where FB has become META, with bars before and after."""
    await create(service, "FB", name="Facebook")
    await add_days(service, "FB", BEFORE)
    await rename(service, "FB", "META", RENAMED)
    await add_days(service, "META", AFTER)
    return service


@pytest.fixture
async def reused(renamed: Service) -> Service:
    """Give the same where another company has the ticker FB a year later."""
    await create(renamed, "FB", name="ProShares", valid_from=REUSED)
    await add_days(renamed, "FB", LATER)
    return renamed


async def streamed(service: Service, *symbols: str) -> dict[str, list[int]]:
    """Stream the daily bars of symbols; list their times by the symbol asked for."""
    found: dict[str, list[int]] = {symbol: [] for symbol in symbols}
    for symbol, time_us in (await stream(service, daily(*symbols))).rows():
        found[symbol].append(time_us)
    return found


@pytest.mark.parametrize("symbol", ["FB", "META"])
async def test_reads_given_a_rename_are_one_series_by_both_names(renamed: Service, symbol: str) -> None:
    """Rows, columns and the newest bar are the same, whichever ticker is asked for."""
    assert await listed_days(renamed, symbol) == BEFORE + AFTER
    assert await streamed(renamed, symbol) == {symbol: [day_us(day) for day in BEFORE + AFTER]}
    assert await latest_day(renamed, symbol) == AFTER[-1]
    assert (await get(renamed, symbol)).symbol == "META"


async def test_stream_given_a_reused_ticker_keeps_the_two_apart(reused: Service) -> None:
    """Asked for together, each has its own bars and no other's."""
    assert await streamed(reused, "META", "FB") == {
        "META": [day_us(day) for day in BEFORE + AFTER],
        "FB": [day_us(day) for day in LATER],
    }


async def test_pages_given_a_reused_ticker_have_its_holder_only(reused: Service) -> None:
    """FB is the new company, whatever was stored under its ticker before."""
    assert await listed_days(reused, "FB") == LATER
    assert await listed_days(reused, "META") == BEFORE + AFTER
    assert (await get(reused, "FB")).name == "ProShares"


async def test_latest_bar_given_a_reused_ticker_is_its_holders(reused: Service) -> None:
    """The newest bar under the ticker FB is no longer META's, and META's is still found."""
    assert await latest_day(reused, "FB") == LATER[-1]
    assert await latest_day(reused, "META") == AFTER[-1]


async def test_latest_bar_given_reused_ticker_without_bars_finds_none(renamed: Service) -> None:
    """Before the new company has a bar, the old one's under the same ticker is not its."""
    await create(renamed, "FB", valid_from=REUSED)
    request = GetLatestBarRequest(symbol="FB", timeframe=DAY)
    refusal = await refusal_of(renamed.bars.GetLatestBar(request))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "BAR_NOT_FOUND")
    assert await listed_days(renamed, "FB") == []


async def test_latest_bar_given_only_bars_before_the_rename_is_of_the_old_ticker(
    service: Service,
) -> None:
    """A rename without a bar since loses nothing."""
    await create(service, "FB")
    await add_days(service, "FB", BEFORE)
    await rename(service, "FB", "META", RENAMED)
    assert await latest_day(service, "META") == BEFORE[-1]


async def test_intraday_bars_given_a_rename_change_tickers_at_local_midnight(service: Service) -> None:
    """A session's date is local: 02:00 UTC is still the evening before in New York."""
    hour_us = 3_600_000_000
    await create(service, "FB")
    evening_us, morning_us = day_us(RENAMED) + 2 * hour_us, day_us(RENAMED) + 14 * hour_us
    await add_bars(service, [evening_us], HOUR, symbols=["FB"])
    await rename(service, "FB", "META", RENAMED)
    await add_bars(service, [morning_us], HOUR, symbols=["META"])
    request: Any = daily("META", session="SESSION_ALL")
    request.timeframe = HOUR
    assert [time_us for _, time_us in (await stream(service, request)).rows()] == [
        evening_us,
        morning_us,
    ]


async def test_reads_given_two_renames_and_a_return_are_one_series(service: Service) -> None:
    """FB, META, FB again: the same ticker in two ranges of one identity."""
    await create(service, "FB")
    await add_days(service, "FB", BEFORE)
    await rename(service, "FB", "META", RENAMED)
    await add_days(service, "META", AFTER)
    await rename(service, "META", "FB", REUSED)
    await add_days(service, "FB", LATER)
    for symbol in ("FB", "META"):
        assert await listed_days(service, symbol) == BEFORE + AFTER + LATER
        assert await latest_day(service, symbol) == LATER[-1]
