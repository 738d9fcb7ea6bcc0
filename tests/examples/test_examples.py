"""The examples do what they say, against the real service."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import pytest

from marketdata.client import MarketDataClient, NewSymbol
from tests.contract.service import Service, serving
from tests.examples.follow_pages import active_tickers, pages_of_closes
from tests.examples.plain_script import highest_close
from tests.examples.read_to_pandas import daily_returns
from tests.examples.upload_frame import upload_closes
from tests.support.databases import Databases

DAYS: Final = ["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"]


@pytest.fixture(scope="module")
async def service(databases: Databases) -> AsyncIterator[Service]:
    """Give a service with two symbols, filled by the example that uploads."""
    database = await databases.migrated()
    async with serving(lambda: database) as running:
        async with MarketDataClient(running.address) as client:
            await client.create_symbol(NewSymbol("AAPL", name="Apple Inc."))
            await client.create_symbol(NewSymbol("IBM"))
        await upload_closes(running.address, "AAPL", DAYS, [100.0, 110.0, 121.0, 60.5])
        await upload_closes(running.address, "IBM", DAYS, [50.0, 50.0, 25.0, 50.0])
        yield running
    databases.drop(database)


async def test_upload_frame_given_bars_tells_what_became_of_them(service: Service) -> None:
    """The same bars again are unchanged; a broken one is rejected and told by its row."""
    lines = await upload_closes(service.address, "IBM", DAYS, [50.0, 50.0, 25.0, 50.0])
    assert lines == ["4 bars: 0 new, 0 rejected"]
    first, *rejects = await upload_closes(service.address, "IBM", DAYS[:2], [50.0, -1.0])
    assert first == "2 bars: 0 new, 1 rejected"
    assert rejects
    assert all("(rows 1)" in line for line in rejects)


async def test_read_to_pandas_given_symbols_gives_their_returns(service: Service) -> None:
    """A column a symbol, a row a session."""
    returns = await daily_returns(service.address, ["AAPL", "IBM"], 2024)
    assert returns["AAPL"].round(6).tolist() == [0.1, 0.1, -0.5]
    assert returns["IBM"].round(6).tolist() == [0.0, -0.5, 1.0]
    assert [str(day.date()) for day in returns.index] == DAYS[1:]
    with pytest.raises(ValueError, match="not known: NOPE"):
        await daily_returns(service.address, ["AAPL", "NOPE"], 2024)


async def test_follow_pages_given_lists_goes_through_all(service: Service) -> None:
    """All of them, once, in order."""
    assert await active_tickers(service.address) == ["AAPL", "IBM"]
    assert await pages_of_closes(service.address, "AAPL") == [[100.0, 110.0, 121.0], [60.5]]


async def test_plain_script_given_symbol_tells_its_best_day(service: Service) -> None:
    """Without an event loop; what is unknown is told in the service's own words."""
    told = await asyncio.to_thread(highest_close, service.address, "AAPL")
    assert told == "Apple Inc.: 121.00 on 2024-01-04"
    assert "NOPE" in await asyncio.to_thread(highest_close, service.address, "NOPE")
