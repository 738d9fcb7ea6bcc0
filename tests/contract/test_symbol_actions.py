"""Corporate actions: stored once, listed by ex-date, refused where they cannot be true."""

from typing import Any

import grpc
import pytest
from bifrost.marketdata.v1.corporate_action_pb2 import CorporateAction
from bifrost.marketdata.v1.symbol_service_pb2 import (
    CreateCorporateActionsRequest,
    CreateCorporateActionsResponse,
    ListCorporateActionsRequest,
)

from marketdata.storage.embedded import ServerAddress
from tests.contract.refusals import refusal_of
from tests.contract.requests import add_bars
from tests.contract.service import Service, state
from tests.contract.symbol_calls import (
    DIVIDEND,
    RENAMED,
    create,
    create_actions,
    day_us,
    dividend,
    rename,
    split,
)


async def listed(
    service: Service, symbol: str, page_size: int = 0, **filters: Any
) -> list[CorporateAction]:
    """List actions, page by page to the end."""
    request = ListCorporateActionsRequest(symbol=symbol, page_size=page_size, **filters)
    found: list[CorporateAction] = []
    while True:
        response = await service.symbols.ListCorporateActions(request)
        assert not page_size or len(response.actions) <= page_size
        found += response.actions
        if not response.next_page_token:
            return found
        request.page_token = response.next_page_token


async def test_create_given_actions_stores_each_with_its_fields(service: Service) -> None:
    """Listed by ex-date; a currency that is left out is the symbol's."""
    await create(service, "SAP", currency="EUR")
    response = await create_actions(
        service,
        "SAP",
        dividend("2012-08-09", 2.65, currency="USD", source="a test"),
        split("2005-02-28", 2.0),
        dividend("2005-02-28", 0.1),
    )
    assert response == CreateCorporateActionsResponse(accepted=3, seq=2)
    assert await listed(service, "SAP") == [
        dividend("2005-02-28", 0.1, currency="EUR"),
        split("2005-02-28", 2.0, currency="EUR"),
        dividend("2012-08-09", 2.65, currency="USD", source="a test"),
    ]


async def test_create_given_known_actions_changes_nothing(
    service: Service, database: ServerAddress
) -> None:
    """The stored one stays, also where another is sent for its ex-date."""
    await create(service, "AAPL")
    await create_actions(service, "AAPL", split("2005-02-28", 2.0))
    before = state(database)
    again = await create_actions(service, "AAPL", split("2005-02-28", 3.0))
    assert again == CreateCorporateActionsResponse(unchanged=1)
    assert state(database) == before
    both = await create_actions(service, "AAPL", split("2005-02-28", 2.0), split("2014-06-09", 7.0))
    assert both == CreateCorporateActionsResponse(accepted=1, unchanged=1, seq=3)
    assert [action.split_ratio for action in await listed(service, "AAPL")] == [2.0, 7.0]


async def test_create_given_a_former_ticker_stores_it_of_the_identity(service: Service) -> None:
    """Actions go through a rename."""
    await create(service, "FB")
    await rename(service, "FB", "META", RENAMED)
    await create_actions(service, "FB", dividend("2024-02-21", 0.5))
    assert await listed(service, "META") == await listed(service, "FB")
    assert len(await listed(service, "META")) == 1


@pytest.mark.parametrize("page_size", [1, 2, 3, 4, 100])
async def test_list_given_page_size_pages_to_the_end(service: Service, page_size: int) -> None:
    """Every action comes once; two of one ex-date are told apart by their kind."""
    await create(service, "AAPL")
    actions = [
        dividend("2012-08-09", 2.65),
        dividend("2014-06-09", 0.4),
        split("2014-06-09", 7.0),
        split("2020-08-31", 4.0),
    ]
    await create_actions(service, "AAPL", *actions)
    found = await listed(service, "AAPL", page_size)
    assert [(a.ex_date, a.kind) for a in found] == [(a.ex_date, a.kind) for a in actions]


async def test_list_given_filters_lists_what_matches_all(service: Service) -> None:
    """The start counts, the end does not."""
    await create(service, "AAPL")
    dates = ["2012-08-09", "2012-11-07", "2013-02-07"]
    await create_actions(
        service,
        "AAPL",
        *(dividend(day, 2.0 + number) for number, day in enumerate(dates)),
        split("2012-11-07", 2.0),
    )
    found = await listed(service, "AAPL", 1, kind=DIVIDEND, start_date=dates[0], end_date=dates[2])
    assert [action.ex_date for action in found] == dates[:2]
    assert await listed(service, "AAPL", start_date="2014-01-01") == []


@pytest.mark.parametrize(
    "request_",
    [
        ListCorporateActionsRequest(symbol="NOPE"),
        CreateCorporateActionsRequest(symbol="NOPE", actions=[split("2005-02-28", 2.0)]),
    ],
    ids=lambda request: type(request).__name__,
)
async def test_actions_given_unknown_symbol_are_not_found(service: Service, request_: Any) -> None:
    """The refusal names the ticker."""
    name = type(request_).__name__.removesuffix("Request")
    refusal = await refusal_of(getattr(service.symbols, name)(request_))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "SYMBOL_NOT_FOUND")
    assert refusal.metadata == {"symbol": "NOPE"}


async def test_create_given_what_contradicts_stored_ones_says_all_of_it(
    service: Service, database: ServerAddress
) -> None:
    """The same dividend under another date, and one that is more than the price, are no dividends."""
    await create(service, "AAPL")
    await create_actions(service, "AAPL", dividend("2012-08-09", 2.65), split("2014-06-09", 7.0))
    await add_bars(service, [day_us("2013-02-05"), day_us("2013-02-06")])  # closes 11 and 12
    before = state(database)
    refusal = await refusal_of(
        create_actions(
            service,
            "AAPL",
            dividend("2012-08-06", 2.65),
            dividend("2012-08-10", 1.0),
            dividend("2013-02-07", 12.0),
            split("2014-06-10", 7.0),
        )
    )
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.violations == {
        ("actions[0].ex_date", "DUPLICATE_DIVIDEND"),
        ("actions[2].cash_amount", "FACTOR_NOT_POSITIVE"),
        ("actions[3].ex_date", "DUPLICATE_SPLIT"),
    }
    assert state(database) == before


async def test_create_given_dividend_below_the_close_stores_it(service: Service) -> None:
    """Just below the last close before is a dividend; so is one without a close, or in other money."""
    await create(service, "AAPL")
    await add_bars(service, [day_us("2013-02-06")])  # close 11
    response = await create_actions(
        service,
        "AAPL",
        dividend("2013-02-07", 10.99),
        dividend("2013-02-06", 500.0),
        dividend("2013-02-11", 900.0, currency="GBX"),
    )
    assert response.accepted == 3


async def test_create_given_split_on_the_same_date_compares_on_its_basis(service: Service) -> None:
    """After 1:10 a share that closed at 11 is worth 110, so a dividend of 50 is possible."""
    await create(service, "AAPL")
    await add_bars(service, [day_us("2013-02-06")])
    refusal = await refusal_of(create_actions(service, "AAPL", dividend("2013-02-07", 50.0)))
    assert refusal.violations == {("actions[0].cash_amount", "FACTOR_NOT_POSITIVE")}
    response = await create_actions(
        service, "AAPL", dividend("2013-02-07", 50.0), split("2013-02-07", 0.1)
    )
    assert response.accepted == 2


async def test_create_given_bars_of_another_holder_does_not_compare_with_them(service: Service) -> None:
    """The close before the ex-date must be of the same symbol, not of the same ticker."""
    await create(service, "FB")
    await add_bars(service, [day_us("2022-06-08")], symbols=["FB"])
    await rename(service, "FB", "META", "2022-06-09")
    await create(service, "FB", valid_from="2022-06-10")
    assert (await create_actions(service, "FB", dividend("2022-06-13", 50.0))).accepted == 1


async def test_create_given_a_thousand_actions_stores_them(service: Service) -> None:
    """As many as the contract takes, in one transaction."""
    await create(service, "AAPL")
    days = [f"{1900 + n // 12}-{1 + n % 12:02}-15" for n in range(1_000)]
    response = await create_actions(
        service, "AAPL", *(dividend(day, 0.01 * (1 + n)) for n, day in enumerate(days))
    )
    assert response.accepted == 1_000
    assert [action.ex_date for action in await listed(service, "AAPL", 400)] == days
