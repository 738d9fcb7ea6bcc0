"""UpdateIngestionTarget: what is changed, what is left alone, what is refused."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import Any, Final

import pytest
from bifrost.marketdata.v1 import ingestion_target_pb2 as messages
from bifrost.marketdata.v1 import timeframe_pb2
from google.protobuf.field_mask_pb2 import FieldMask

from marketdata.client import (
    MarketDataClient,
    NewIngestionTarget,
    SyncMarketDataClient,
    Timeframe,
)
from marketdata.domain.symbol import NewSymbol
from marketdata.errors import TargetNotFoundError
from marketdata.storage.embedded import ServerAddress
from tests.contract.refusals import refusal_of
from tests.contract.service import CALL_SECONDS, Service, serving, state

DAY: Final = timeframe_pb2.TIMEFRAME_1_DAY
HOUR: Final = timeframe_pb2.TIMEFRAME_1_HOUR
FIVE: Final = timeframe_pb2.TIMEFRAME_5_MINUTES
TECH: Final = NewIngestionTarget(
    "tech", ("AAPL", "GONE"), (Timeframe.DAY_1,), ("alpha_vantage", "yahoo"), date(2000, 1, 3)
)


@pytest.fixture
async def changing(database: ServerAddress) -> AsyncIterator[Service]:
    """Give a service with a target, of whose symbols one was deleted since."""
    async with serving(lambda: database) as running:
        for symbol in ("AAPL", "GONE", "MSFT"):
            await running.stores.symbols.create(NewSymbol(symbol))
        async with MarketDataClient(running.address) as client:
            await client.create_ingestion_target(TECH)
            await client.delete_symbol("GONE")
        yield running


def change(
    paths: Sequence[str], name: str = "tech", **fields: Any
) -> messages.UpdateIngestionTargetRequest:
    """Ask for new values of the paths."""
    return messages.UpdateIngestionTargetRequest(
        name=name,
        target=messages.IngestionTarget(**fields),
        update_mask=FieldMask(paths=list(paths)),
    )


async def stored_target(service: Service) -> messages.IngestionTarget:
    """Read the only target."""
    request = messages.ListIngestionTargetsRequest()
    answer = await service.ingestion.ListIngestionTargets(request, timeout=CALL_SECONDS)
    (target,) = answer.targets
    return target


@pytest.mark.parametrize(
    ("paths", "fields"),
    [
        (["symbols"], {"symbols": ["MSFT", "AAPL"], "all_symbols": False}),
        (["all_symbols"], {"symbols": [], "all_symbols": True}),
        (["symbols", "all_symbols"], {"symbols": ["MSFT"], "all_symbols": False}),
        (["providers"], {"providers": ["yahoo", "alpaca", "alpha_vantage"]}),
        (["timeframes", "history_start"], {"timeframes": [HOUR, DAY], "history_start": ""}),
        (["history_start"], {"history_start": "1999-12-31"}),
    ],
)
async def test_update_given_a_mask_changes_what_it_names(
    changing: Service, paths: Sequence[str], fields: dict[str, Any]
) -> None:
    """The rest stays, symbols that were deleted since among it; sent again it changes nothing."""
    expected = await stored_target(changing)
    for field in fields:
        expected.ClearField(field)  # type: ignore[arg-type]
    expected.MergeFrom(messages.IngestionTarget(**fields))
    expected.provider = expected.providers[0]
    ignored = {"target_id": 99, "history_start": "1950-01-03", **fields}
    for _ in range(2):
        answer = await changing.ingestion.UpdateIngestionTarget(
            change(paths, **ignored), timeout=CALL_SECONDS
        )
        assert answer.target == expected
    assert await stored_target(changing) == expected


BAD: Final[dict[str, tuple[messages.UpdateIngestionTargetRequest, set[tuple[str, str]]]]] = {
    "nothing said": (
        messages.UpdateIngestionTargetRequest(),
        {("name", "REQUIRED"), ("target", "REQUIRED"), ("update_mask", "REQUIRED")},
    ),
    "paths that cannot be changed": (
        change(["name", "target_id", "Providers"]),
        {(f"update_mask.paths[{position}]", "UNKNOWN_FIELD") for position in range(3)},
    ),
    "everything wrong at once": (
        change(
            ["symbols", "all_symbols", "timeframes", "providers", "history_start"],
            symbols=["AAPL", "a b"],
            all_symbols=True,
            timeframes=[FIVE],
            providers=["yahoo", "yahoo"],
            history_start="soon",
        ),
        {
            ("target.all_symbols", "AMBIGUOUS"),
            ("target.timeframes[0]", "NOT_STORED"),
            ("target.providers[1]", "DUPLICATE"),
            ("target.history_start", "INVALID_DATE"),
        },
    ),
    "values that are missing": (
        change(["symbols", "timeframes", "providers"]),
        {
            ("target.symbols", "REQUIRED"),
            ("target.timeframes", "REQUIRED"),
            ("target.providers", "REQUIRED"),
        },
    ),
    "neither symbols nor all": (
        change(["all_symbols"], symbols=["AAPL"]),
        {("target.symbols", "REQUIRED")},
    ),
    "what there is not": (
        change(["symbols", "providers"], symbols=["AAPL", "NOPE"], providers=["bloomberg"]),
        {("target.symbols[1]", "SYMBOL_NOT_FOUND"), ("target.providers[0]", "UNKNOWN_PROVIDER")},
    ),
    "a timeframe that its providers have not any more": (
        change(["timeframes", "providers"], timeframes=[DAY, HOUR], providers=["alpha_vantage"]),
        {("target.timeframes[1]", "NOT_OF_PROVIDER")},
    ),
}


@pytest.mark.parametrize("name", BAD)
async def test_update_given_bad_request_names_every_field(
    changing: Service, database: ServerAddress, name: str
) -> None:
    """INVALID_ARGUMENT by the paths of the request; the target stays as it is."""
    request, expected = BAD[name]
    before, target = state(database), await stored_target(changing)
    refusal = await refusal_of(changing.ingestion.UpdateIngestionTarget(request, timeout=CALL_SECONDS))
    assert (refusal.code.name, refusal.violations) == ("INVALID_ARGUMENT", expected)
    assert (state(database), await stored_target(changing)) == (before, target)


async def test_update_given_providers_that_lack_a_stored_timeframe_is_refused(
    changing: Service,
) -> None:
    """What is not in the mask counts as well: the target is checked as it would be."""
    more = change(["timeframes"], timeframes=[DAY, HOUR])
    await changing.ingestion.UpdateIngestionTarget(more, timeout=CALL_SECONDS)
    fewer = change(["providers"], providers=["alpha_vantage"])
    refusal = await refusal_of(changing.ingestion.UpdateIngestionTarget(fewer, timeout=CALL_SECONDS))
    assert refusal.violations == {("target.timeframes[1]", "NOT_OF_PROVIDER")}


async def test_update_given_unknown_name_is_not_found(changing: Service) -> None:
    """NOT_FOUND, with the name for programs."""
    request = change(["providers"], name="nope", providers=["yahoo"])
    refusal = await refusal_of(changing.ingestion.UpdateIngestionTarget(request, timeout=CALL_SECONDS))
    assert (refusal.code.name, refusal.reason) == ("NOT_FOUND", "TARGET_NOT_FOUND")
    assert refusal.metadata == {"name": "nope"}


async def test_clients_given_changes_update(changing: Service) -> None:
    """Both faces, in domain types and with the errors of the tree; no symbols stand for all."""
    changed = NewIngestionTarget("tech", (), (Timeframe.MINUTE_1,), ("yahoo",))
    async with MarketDataClient(changing.address) as client:
        stored = await client.update_ingestion_target(changed, ["symbols", "history_start"])
        assert (stored.symbols, stored.history_start) == ((), None)
        assert (stored.timeframes, stored.providers) == (TECH.timeframes, TECH.providers)
        with pytest.raises(TargetNotFoundError):
            await client.update_ingestion_target(
                NewIngestionTarget("nope", (), (), ("yahoo",)), ["providers"]
            )

    def update() -> tuple[Sequence[Timeframe], Sequence[str]]:
        with SyncMarketDataClient(changing.address) as client:
            found = client.update_ingestion_target(changed, ["timeframes", "providers"])
            return found.timeframes, found.providers

    assert await asyncio.to_thread(update) == ((Timeframe.MINUTE_1,), ("yahoo",))
