"""CreateSymbol and UpdateSymbol: what is changed, what is left alone, what is refused."""

from typing import Any, Final

import grpc
import pytest
from bifrost.marketdata.v1 import symbol_pb2
from bifrost.marketdata.v1.symbol_pb2 import Symbol

from marketdata.storage.embedded import ServerAddress
from marketdata.wire.symbol_fields import UPDATABLE_FIELDS
from tests.contract.refusals import refusal_of
from tests.contract.requests import DAY, HOUR, add_bars
from tests.contract.service import Service, state
from tests.contract.symbol_calls import (
    RENAMED,
    REUSED,
    create,
    day_us,
    get,
    list_pages,
    rename,
    update,
)
from tests.support.databases import connected

OLD: Final[dict[str, Any]] = {
    "name": "Facebook, Inc.",
    "venue": "XNAS",
    "asset_class": symbol_pb2.ASSET_CLASS_EQUITY,
    "currency": "USD",
    "calendar": "XNYS",
    "time_zone": "America/New_York",
    "tick_size": 0.01,
    "status": symbol_pb2.SYMBOL_STATUS_ACTIVE,
    "ipo_date": "2012-05-18",
    "provider_symbols": {"yahoo": "FB"},
}
NEW: Final[dict[str, Any]] = {
    "name": "Meta Platforms, Inc.",
    "venue": "XETR",
    "asset_class": symbol_pb2.ASSET_CLASS_ETF,
    "currency": "EUR",
    "calendar": "XFRA",
    "time_zone": "Europe/Berlin",
    "tick_size": 0.5,
    "status": symbol_pb2.SYMBOL_STATUS_DELISTED,
    "ipo_date": "2012-05-19",
    "provider_symbols": {"alpaca": "META"},
}
# What an update can leave a field at: nothing.
CLEARED: Final[dict[str, Any]] = {"name": "", "tick_size": None, "ipo_date": "", "provider_symbols": {}}


def changes_logged(database: ServerAddress) -> list[tuple[object, ...]]:
    """List the change log: kind and symbols of each entry, in its order."""
    with connected(database) as connection:
        query = """
            SELECT kind, symbols FROM bar_change JOIN bar_write USING (write_id) ORDER BY seq, part
        """
        return [(kind, tuple(symbols)) for kind, symbols in connection.execute(query)]  # type: ignore[call-overload]


@pytest.mark.parametrize("field", list(OLD))
async def test_update_symbol_given_one_field_changes_only_that(service: Service, field: str) -> None:
    """What the mask does not name stays, whatever the request has in it."""
    created = await create(service, "FB", **OLD)
    response = await service.symbols.UpdateSymbol(update("FB", [field], **NEW))
    expected = Symbol(symbol="FB", symbol_id=created.symbol_id, **(OLD | {field: NEW[field]}))
    assert response.symbol.HasField("status_evidence") == (field == "status")
    if field == "status":
        expected.status_evidence.CopyFrom(response.symbol.status_evidence)
    assert response.symbol == expected
    assert await get(service, "FB") == expected


async def test_update_symbol_given_every_field_changes_all(service: Service) -> None:
    """A mask may name every field, the ticker too; the identity stays."""
    created = await create(service, "FB", **OLD)
    request = update("FB", UPDATABLE_FIELDS, RENAMED, symbol="META", **NEW)
    updated = (await service.symbols.UpdateSymbol(request)).symbol
    expected = Symbol(symbol="META", symbol_id=created.symbol_id, valid_from=RENAMED, **NEW)
    updated.ClearField("status_evidence")
    assert updated == expected


@pytest.mark.parametrize("field", list(CLEARED))
async def test_update_symbol_given_field_that_is_not_set_clears_it(
    service: Service, field: str
) -> None:
    """What can be unknown becomes unknown: the mask names it and the symbol does not have it."""
    await create(service, "FB", **OLD)
    updated = (await service.symbols.UpdateSymbol(update("FB", [field]))).symbol
    expected = Symbol(symbol="FB", symbol_id=updated.symbol_id, **(OLD | {field: CLEARED[field]}))
    assert updated == expected


async def test_update_symbol_given_the_same_values_changes_nothing(
    service: Service, database: ServerAddress
) -> None:
    """The same input twice leaves no trace: the log has no entry, and a rename is known to be done."""
    await create(service, "FB", **OLD)
    request = update("FB", UPDATABLE_FIELDS, RENAMED, symbol="META", **NEW)
    first = (await service.symbols.UpdateSymbol(request)).symbol
    before = state(database)
    assert (await service.symbols.UpdateSymbol(request)).symbol == first
    assert state(database) == before
    assert changes_logged(database) == [("symbol", ("FB",)), ("symbol", ("FB", "META"))]


async def test_update_symbol_given_former_ticker_changes_the_identity(service: Service) -> None:
    """A symbol is found by what it was called, as in reads."""
    await create(service, "FB")
    await rename(service, "FB", "META", RENAMED)
    await service.symbols.UpdateSymbol(update("FB", ["name"], name="Meta"))
    assert (await get(service, "META")).name == "Meta"


async def test_update_symbol_given_unknown_ticker_is_not_found(service: Service) -> None:
    """The refusal names the ticker."""
    refusal = await refusal_of(service.symbols.UpdateSymbol(update("NOPE", ["name"], name="x")))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "SYMBOL_NOT_FOUND")
    assert refusal.metadata == {"symbol": "NOPE"}


async def test_rename_given_ticker_of_another_symbol_is_refused(
    service: Service, database: ServerAddress
) -> None:
    """Two symbols never have one ticker at a time."""
    await create(service, "FB")
    await create(service, "META")
    before = state(database)
    refusal = await refusal_of(rename(service, "FB", "META", RENAMED))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "SYMBOL_ALREADY_EXISTS",
    )
    assert refusal.metadata == {"symbol": "META"}
    assert state(database) == before
    assert (await get(service, "FB")).valid_to == ""


async def test_rename_given_ticker_that_another_one_had_later_says_from_when_it_is_free(
    service: Service,
) -> None:
    """A ticker is taken from the day on which its last holder left it."""
    await create(service, "FB")
    await rename(service, "FB", "META", RENAMED)
    await create(service, "OTHER")
    refusal = await refusal_of(rename(service, "OTHER", "FB", "2022-06-08"))
    assert refusal.reason == "SYMBOL_ALREADY_EXISTS"
    assert f"effective_date {RENAMED} or later" in refusal.message
    assert (await rename(service, "OTHER", "FB", RENAMED)).valid_from == RENAMED


@pytest.mark.parametrize("effective_date", ["2022-06-08", RENAMED])
async def test_rename_given_date_not_after_the_present_validity_is_refused(
    service: Service, database: ServerAddress, effective_date: str
) -> None:
    """A ticker that named it for no session at all would be none."""
    await create(service, "FB")
    await rename(service, "FB", "META", RENAMED)
    before = state(database)
    refusal = await refusal_of(rename(service, "META", "M", effective_date))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RENAME_REFUSED")
    assert RENAMED in refusal.message
    assert state(database) == before


async def test_rename_given_another_date_for_the_same_ticker_is_refused(service: Service) -> None:
    """A rename that is done is not moved to another day in silence."""
    await create(service, "FB")
    await rename(service, "FB", "META", RENAMED)
    refusal = await refusal_of(rename(service, "META", "META", "2022-06-10"))
    assert refusal.reason == "RENAME_REFUSED"
    assert RENAMED in refusal.message


@pytest.mark.parametrize("timeframe", [DAY, HOUR])
async def test_rename_given_bars_from_the_date_on_is_refused(service: Service, timeframe: Any) -> None:
    """They would belong to no symbol: bars stand under the ticker as quoted then."""
    await create(service, "FB")
    # Midnight in New York is 04:00 UTC in June.
    time_us = day_us(RENAMED) + (0 if timeframe == DAY else 4 * 3_600_000_000)
    await add_bars(service, [time_us], timeframe, symbols=["FB"])
    refusal = await refusal_of(rename(service, "FB", "META", RENAMED))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RENAME_REFUSED")
    assert "DeleteBars" in refusal.message
    assert (await rename(service, "FB", "META", "2022-06-10")).symbol == "META"


async def test_rename_given_a_ticker_it_had_before_takes_it_again(service: Service) -> None:
    """FB, META, FB: three ranges of one identity."""
    created = await create(service, "FB")
    await rename(service, "FB", "META", RENAMED)
    back = await rename(service, "META", "FB", REUSED)
    assert (back.symbol_id, back.valid_from, back.valid_to) == (created.symbol_id, REUSED, "")
    assert (await get(service, "META")).symbol == "FB"


async def test_create_symbol_given_former_ticker_needs_to_say_from_when(service: Service) -> None:
    """Without a date, or with one before the ticker is free, the refusal says the first possible."""
    await create(service, "FB")
    await rename(service, "FB", "META", RENAMED)
    for fields in ({}, {"valid_from": "2022-06-08"}):
        refusal = await refusal_of(create(service, "FB", **fields))
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.ALREADY_EXISTS,
            "SYMBOL_ALREADY_EXISTS",
        )
        assert f"META before {RENAMED}; say valid_from {RENAMED} or later" in refusal.message
    created = await create(service, "FB", valid_from=RENAMED)
    assert (created.valid_from, created.valid_to) == (RENAMED, "")
    assert (await get(service, "FB")) == created
    assert (await get(service, "META")).symbol_id != created.symbol_id


async def test_create_symbol_given_ticker_of_a_present_one_says_how_to_free_it(
    service: Service,
) -> None:
    """A date does not help against a holder that still has the ticker."""
    await create(service, "FB", status=symbol_pb2.SYMBOL_STATUS_DELISTED)
    refusal = await refusal_of(create(service, "FB", valid_from=REUSED))
    assert refusal.reason == "SYMBOL_ALREADY_EXISTS"
    assert "UpdateSymbol" in refusal.message
    await rename(service, "FB", "FB.OLD", REUSED)
    assert (await create(service, "FB", valid_from=REUSED)).valid_from == REUSED
    assert await list_pages(service, 10) == [["FB", "FB.OLD"]]


async def test_create_symbol_given_valid_from_of_a_new_ticker_stores_it(service: Service) -> None:
    """A beginning may be said of any symbol."""
    created = await create(service, "ARM", valid_from="2023-09-14")
    assert (await get(service, "ARM")).valid_from == created.valid_from == "2023-09-14"
