"""Targets by RPC and by the client: created, listed, deleted, refused."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from typing import Any, Final

import pytest
from bifrost.marketdata.v1 import ingestion_target_pb2 as messages
from bifrost.marketdata.v1 import timeframe_pb2

from marketdata.client import (
    IngestionTarget,
    MarketDataClient,
    NewIngestionTarget,
    SyncMarketDataClient,
    Timeframe,
)
from marketdata.domain.symbol import NewSymbol
from marketdata.errors import (
    InvalidRequestError,
    TargetAlreadyExistsError,
    TargetNotFoundError,
)
from marketdata.storage.embedded import ServerAddress
from tests.contract.refusals import refusal_of
from tests.contract.service import CALL_SECONDS, Service, serving, state

DAY: Final = timeframe_pb2.TIMEFRAME_1_DAY
HOUR: Final = timeframe_pb2.TIMEFRAME_1_HOUR
FIVE: Final = timeframe_pb2.TIMEFRAME_5_MINUTES
MOST: Final = 5_000


@pytest.fixture
async def targeting(database: ServerAddress) -> AsyncIterator[Service]:
    """Give a service with its own catalog of providers, of which most lack a key, and two symbols."""
    async with serving(lambda: database) as running:
        for symbol in ("AAPL", "MSFT"):
            await running.stores.symbols.create(NewSymbol(symbol))
        yield running


def create_request(**fields: Any) -> messages.CreateIngestionTargetRequest:
    """Ask for days of two symbols, unless told otherwise."""
    given: dict[str, Any] = {
        "name": "tech",
        "symbols": ["MSFT", "AAPL"],
        "timeframes": [DAY],
        "providers": ["yahoo"],
    }
    return messages.CreateIngestionTargetRequest(**{**given, **fields})


async def create(service: Service, **fields: Any) -> messages.IngestionTarget:
    """Create a target."""
    answer = await service.ingestion.CreateIngestionTarget(
        create_request(**fields), timeout=CALL_SECONDS
    )
    return answer.target


async def test_create_given_a_client_of_before_takes_its_one_provider(targeting: Service) -> None:
    """It names one in a field of its own, and finds the first of several there."""
    created = await create(targeting, provider="yahoo", providers=[])
    assert (created.provider, list(created.providers)) == ("yahoo", ["yahoo"])
    both = await refusal_of(
        targeting.ingestion.CreateIngestionTarget(create_request(provider="alpaca"))
    )
    assert both.violations == {("provider", "AMBIGUOUS")}


async def test_create_given_target_lists_it_as_created(targeting: Service) -> None:
    """Every field of the answer, and the same in the list."""
    created = await create(
        targeting,
        name="us_days-1",
        timeframes=[DAY, HOUR],
        history_start="2000-01-03",
        providers=["alpha_vantage", "yahoo"],
    )
    assert created.target_id > 0
    assert created.create_time.ToMicroseconds() > 0
    assert (created.name, list(created.providers), created.history_start) == (
        "us_days-1", ["alpha_vantage", "yahoo"], "2000-01-03",
    )  # fmt: skip
    assert (list(created.symbols), created.all_symbols) == (["MSFT", "AAPL"], False)
    assert list(created.timeframes) == [DAY, HOUR]
    everything = await create(targeting, name="all", symbols=[], all_symbols=True)
    assert (list(everything.symbols), everything.all_symbols) == ([], True)
    assert not everything.history_start
    request = messages.ListIngestionTargetsRequest()
    answer = await targeting.ingestion.ListIngestionTargets(request, timeout=CALL_SECONDS)
    assert list(answer.targets) == [everything, created]
    assert not answer.next_page_token


@pytest.mark.parametrize("provider", ["alpaca", "iex"])
async def test_create_given_provider_without_a_key_takes_it(targeting: Service, provider: str) -> None:
    """A run would be refused; a target waits, under the name that was given."""
    assert (await create(targeting, providers=[provider])).providers == [provider]


BAD: Final[dict[str, tuple[dict[str, Any], set[tuple[str, str]]]]] = {
    "nothing said": (
        {"name": "", "symbols": [], "timeframes": [], "providers": []},
        {
            ("name", "REQUIRED"),
            ("symbols", "REQUIRED"),
            ("timeframes", "REQUIRED"),
            ("providers", "REQUIRED"),
        },
    ),
    "everything wrong at once": (
        {
            "name": "US daily",
            "symbols": ["AAPL", "NOPE", "a b", "AAPL", "", "X\x00"],
            "timeframes": [FIVE, DAY, DAY, 99],
            "providers": ["yahoo", "bloomberg", "yahoo", ""],
            "history_start": "2000-13-01",
        },
        {
            ("name", "MALFORMED"),
            ("symbols[1]", "SYMBOL_NOT_FOUND"),
            ("symbols[2]", "MALFORMED_SYMBOL"),
            ("symbols[3]", "DUPLICATE"),
            ("symbols[4]", "REQUIRED"),
            ("symbols[5]", "MALFORMED_SYMBOL"),
            ("timeframes[0]", "NOT_STORED"),
            ("timeframes[2]", "DUPLICATE"),
            ("timeframes[3]", "UNKNOWN_TIMEFRAME"),
            ("providers[1]", "UNKNOWN_PROVIDER"),
            ("providers[2]", "DUPLICATE"),
            ("providers[3]", "REQUIRED"),
            ("history_start", "INVALID_DATE"),
        },
    ),
    "a timeframe that no provider has": (
        {"providers": ["alpha_vantage"], "timeframes": [DAY, HOUR], "name": "x" * 51},
        {("timeframes[1]", "NOT_OF_PROVIDER"), ("name", "MALFORMED")},
    ),
    "symbols beside all": ({"all_symbols": True}, {("all_symbols", "AMBIGUOUS")}),
    "more symbols than a target has": (
        {"symbols": [f"S{number}" for number in range(MOST + 1)]},
        {("symbols", "TOO_MANY")},
    ),
    "a name with a line break": ({"name": "tech\n"}, {("name", "MALFORMED")}),
    "a provider that is no name": ({"providers": ["x" * 51]}, {("providers[0]", "MALFORMED")}),
    "more providers than a target has": (
        {"providers": ["yahoo", "alpaca", "tiingo", "files", "iex", "alpha_vantage"]},
        {("providers", "TOO_MANY")},
    ),
    "history before there were bars": (
        {"history_start": "1800-01-01"},
        {("history_start", "DATE_OUT_OF_BOUNDS")},
    ),
}


@pytest.mark.parametrize("name", BAD)
async def test_create_given_bad_request_names_every_field(
    targeting: Service, database: ServerAddress, name: str
) -> None:
    """What is malformed and what there is not, all at once, and nothing is stored."""
    fields, expected = BAD[name]
    before = state(database)
    refusal = await refusal_of(
        targeting.ingestion.CreateIngestionTarget(create_request(**fields), timeout=CALL_SECONDS)
    )
    assert (refusal.code.name, refusal.violations) == ("INVALID_ARGUMENT", expected)
    assert state(database) == before


async def test_create_given_thousands_of_unknown_symbols_tells_the_first(targeting: Service) -> None:
    """As many as the headers of a status have room for, and that there are more."""
    symbols = [f"S{number}" for number in range(MOST)]
    refusal = await refusal_of(
        targeting.ingestion.CreateIngestionTarget(create_request(symbols=symbols), timeout=CALL_SECONDS)
    )
    assert {reason for _, reason in refusal.violations} == {"SYMBOL_NOT_FOUND", "MORE_VIOLATIONS"}
    assert ("symbols[0]", "SYMBOL_NOT_FOUND") in refusal.violations


async def test_create_given_name_that_is_taken_is_refused(targeting: Service) -> None:
    """ALREADY_EXISTS, with the name for programs."""
    await create(targeting)
    refusal = await refusal_of(
        targeting.ingestion.CreateIngestionTarget(create_request(), timeout=CALL_SECONDS)
    )
    assert (refusal.code.name, refusal.reason) == ("ALREADY_EXISTS", "TARGET_ALREADY_EXISTS")
    assert refusal.metadata == {"name": "tech"}


async def test_delete_given_target_is_gone_and_then_not_found(targeting: Service) -> None:
    """The second time there is nothing to delete; a name that cannot be is a mistake."""
    await create(targeting)
    request = messages.DeleteIngestionTargetRequest(name="tech")
    await targeting.ingestion.DeleteIngestionTarget(request, timeout=CALL_SECONDS)
    gone = await refusal_of(targeting.ingestion.DeleteIngestionTarget(request, timeout=CALL_SECONDS))
    assert (gone.code.name, gone.reason) == ("NOT_FOUND", "TARGET_NOT_FOUND")
    for name, reason in (("", "REQUIRED"), ("Tech", "MALFORMED"), ("x\x00", "MALFORMED")):
        bad = messages.DeleteIngestionTargetRequest(name=name)
        refusal = await refusal_of(targeting.ingestion.DeleteIngestionTarget(bad, timeout=CALL_SECONDS))
        assert (refusal.code.name, refusal.violations) == ("INVALID_ARGUMENT", {("name", reason)})


async def test_list_given_pages_has_each_target_once(targeting: Service) -> None:
    """By name; a token is this list's own."""
    names = [f"t{number}" for number in range(5)]
    for name in reversed(names):
        await create(targeting, name=name)
    listed: list[str] = []
    request = messages.ListIngestionTargetsRequest(page_size=2)
    while True:
        page = await targeting.ingestion.ListIngestionTargets(request, timeout=CALL_SECONDS)
        assert len(page.targets) <= 2
        listed += [target.name for target in page.targets]
        request.page_token = page.next_page_token
        if not request.page_token:
            break
    assert listed == names
    bad = messages.ListIngestionTargetsRequest(page_size=-1, page_token="?")  # noqa: S106
    refusal = await refusal_of(targeting.ingestion.ListIngestionTargets(bad, timeout=CALL_SECONDS))
    assert refusal.violations == {("page_size", "NEGATIVE"), ("page_token", "INVALID_PAGE_TOKEN")}


async def test_clients_given_targets_create_list_and_delete(targeting: Service) -> None:
    """Both faces, in domain types and with the errors of the tree."""
    new = NewIngestionTarget("tech", ("AAPL",), (Timeframe.DAY_1,), ("yahoo",), date(2000, 1, 3))
    everything = NewIngestionTarget("all", (), (Timeframe.DAY_1,), ("alpaca",))
    async with MarketDataClient(targeting.address) as client:
        stored = await client.create_ingestion_target(new)
        assert stored == IngestionTarget(
            "tech", ("AAPL",), (Timeframe.DAY_1,), ("yahoo",), date(2000, 1, 3),
            target_id=stored.target_id, created_us=stored.created_us,
        )  # fmt: skip
        assert stored.created_us > 0
        other = await client.create_ingestion_target(everything)
        assert (other.symbols, other.history_start) == ((), None)
        assert [one async for one in client.list_ingestion_targets()] == [other, stored]
        with pytest.raises(TargetAlreadyExistsError):
            await client.create_ingestion_target(new)
        with pytest.raises(InvalidRequestError, match="NOPE is not known"):
            await client.create_ingestion_target(
                NewIngestionTarget("nope", ("NOPE",), (Timeframe.DAY_1,), ("yahoo",))
            )

    def look_and_delete() -> list[IngestionTarget]:
        with SyncMarketDataClient(targeting.address) as client:
            client.delete_ingestion_target("all")
            with pytest.raises(TargetNotFoundError):
                client.delete_ingestion_target("all")
            return list(client.list_ingestion_targets())

    assert await asyncio.to_thread(look_and_delete) == [stored]
