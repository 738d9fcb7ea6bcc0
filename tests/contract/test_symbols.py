"""SymbolService: created, got, listed."""

from typing import Final

import grpc
import pytest
from bifrost.marketdata.v1 import symbol_pb2
from bifrost.marketdata.v1.symbol_service_pb2 import (
    CreateSymbolRequest,
    GetSymbolRequest,
    ListSymbolsRequest,
)

from marketdata.storage.embedded import ServerAddress
from tests.contract.refusals import refusal_of
from tests.contract.requests import add_symbols
from tests.contract.service import Service, state

FULL: Final = symbol_pb2.Symbol(
    symbol="BRK.B",
    name="Berkshire Hathaway",
    venue="XNAS",
    asset_class=symbol_pb2.ASSET_CLASS_ETF,
    currency="EUR",
    calendar="XETR",
    time_zone="Europe/Berlin",
    tick_size=0.01,
    status=symbol_pb2.SYMBOL_STATUS_DELISTED,
    ipo_date="1996-05-09",
    provider_symbols={"yahoo": "BRK-B"},
)


async def listed(service: Service, page_size: int) -> list[list[str]]:
    """List all symbols page by page."""
    request = ListSymbolsRequest(page_size=page_size)
    pages = []
    while True:
        response = await service.symbols.ListSymbols(request)
        pages.append([symbol.symbol for symbol in response.symbols])
        if not response.next_page_token:
            return pages
        request.page_token = response.next_page_token


async def test_create_symbol_given_all_fields_stores_them(service: Service) -> None:
    """What is created is answered, and got again, as it was sent; the identity is new."""
    created = (await service.symbols.CreateSymbol(CreateSymbolRequest(symbol=FULL))).symbol
    got = (await service.symbols.GetSymbol(GetSymbolRequest(symbol="BRK.B"))).symbol
    assert created.symbol_id > 0
    assert got == created
    created.ClearField("symbol_id")
    assert created == FULL


async def test_create_symbol_given_ticker_only_takes_the_defaults(service: Service) -> None:
    """Everything that is left out is what the contract says, and nothing is invented."""
    request = CreateSymbolRequest(symbol=symbol_pb2.Symbol(symbol="AAPL"))
    created = (await service.symbols.CreateSymbol(request)).symbol
    created.ClearField("symbol_id")
    assert created == symbol_pb2.Symbol(
        symbol="AAPL",
        venue="XNYS",
        asset_class=symbol_pb2.ASSET_CLASS_EQUITY,
        currency="USD",
        calendar="XNYS",
        time_zone="America/New_York",
        status=symbol_pb2.SYMBOL_STATUS_ACTIVE,
    )
    assert not created.HasField("tick_size")


async def test_create_symbol_given_venue_takes_it_as_the_calendar(service: Service) -> None:
    """A calendar that is left out is the venue's."""
    request = CreateSymbolRequest(symbol=symbol_pb2.Symbol(symbol="AAPL", venue="XNAS"))
    assert (await service.symbols.CreateSymbol(request)).symbol.calendar == "XNAS"


async def test_create_symbol_given_fields_of_the_service_ignores_them(service: Service) -> None:
    """Nobody chooses an identity."""
    symbol = symbol_pb2.Symbol(symbol="AAPL", symbol_id=-77)
    created = (await service.symbols.CreateSymbol(CreateSymbolRequest(symbol=symbol))).symbol
    assert created.symbol_id > 0


async def test_create_symbol_given_known_ticker_refuses_it(
    service: Service, database: ServerAddress
) -> None:
    """A second one of the same ticker is refused, and the first stays as it is."""
    await service.symbols.CreateSymbol(CreateSymbolRequest(symbol=FULL))
    before = state(database)
    again = symbol_pb2.Symbol(symbol="BRK.B", name="Another")
    refusal = await refusal_of(service.symbols.CreateSymbol(CreateSymbolRequest(symbol=again)))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "SYMBOL_ALREADY_EXISTS",
    )
    assert refusal.metadata == {"symbol": "BRK.B"}
    assert state(database) == before
    got = await service.symbols.GetSymbol(GetSymbolRequest(symbol="BRK.B"))
    assert got.symbol.name == "Berkshire Hathaway"


async def test_get_symbol_given_unknown_ticker_says_what_to_do(service: Service) -> None:
    """The refusal names the ticker for programs, and the way out for people."""
    refusal = await refusal_of(service.symbols.GetSymbol(GetSymbolRequest(symbol="NOPE")))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "SYMBOL_NOT_FOUND")
    assert refusal.metadata == {"symbol": "NOPE"}
    assert "CreateSymbol" in refusal.message


@pytest.mark.parametrize("page_size", [1, 2, 3, 5, 6, 100])
async def test_list_symbols_given_page_size_pages_to_the_end(service: Service, page_size: int) -> None:
    """Every symbol comes once, by ticker, and the last page has no token."""
    tickers = ["MSFT", "AAPL", "BRK.B", "BRK.A", "^GSPC"]
    await add_symbols(service, *tickers)
    pages = await listed(service, page_size)
    assert [ticker for page in pages for ticker in page] == sorted(tickers)
    assert {len(page) for page in pages[:-1]} <= {page_size}
    assert pages[-1]


async def test_list_symbols_given_symbol_created_between_pages_keeps_its_place(
    service: Service,
) -> None:
    """What comes in behind the page is seen, what comes in before it shifts nothing."""
    await add_symbols(service, "B", "C", "D", "E")
    first = await service.symbols.ListSymbols(ListSymbolsRequest(page_size=2))
    await add_symbols(service, "A", "CC")
    request = ListSymbolsRequest(page_size=10, page_token=first.next_page_token)
    rest = await service.symbols.ListSymbols(request)
    assert [symbol.symbol for symbol in first.symbols] == ["B", "C"]
    assert [symbol.symbol for symbol in rest.symbols] == ["CC", "D", "E"]


async def test_list_symbols_given_none_is_an_empty_answer(service: Service) -> None:
    """No symbols are no error."""
    response = await service.symbols.ListSymbols(ListSymbolsRequest())
    assert not response.symbols
    assert not response.next_page_token


async def test_list_symbols_given_more_than_the_default_takes_a_hundred(service: Service) -> None:
    """Without a page size a page has a hundred."""
    await add_symbols(service, *(f"S{number}" for number in range(101)))
    assert [len(page) for page in await listed(service, 0)] == [100, 1]
