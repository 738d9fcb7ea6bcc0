"""Every bad input of the calls about symbols: its own reason on its own field, all at once."""

from collections.abc import Sequence
from typing import Any, Final

import pytest
from bifrost.marketdata.v1.symbol_pb2 import SYMBOL_STATUS_DELISTED, Symbol
from bifrost.marketdata.v1.symbol_service_pb2 import (
    CreateSymbolRequest,
    DeleteSymbolRequest,
    ListSymbolsRequest,
    SearchSymbolsRequest,
    UpdateSymbolRequest,
    ValidateSymbolsRequest,
)
from google.protobuf.field_mask_pb2 import FieldMask

from tests.contract.known import Known
from tests.contract.refusals import refusal_of
from tests.contract.symbol_calls import split, update
from tests.contract.symbol_cases import (
    DATES,
    NO_TOKEN,
    UNKNOWN,
    Case,
    actions,
    check,
    list_actions,
)

TICKERS: Final = [
    Case(f"{type(request('X')).__name__}: {text!r}", request(text), {(field, reason)})
    for text, reason in (
        ("", "REQUIRED"),
        ("aapl", "MALFORMED_SYMBOL"),
        ("A\0", "MALFORMED_SYMBOL"),
        ("A" * 21, "MALFORMED_SYMBOL"),
    )
    for field, request in (
        ("symbol", lambda text: DeleteSymbolRequest(symbol=text)),
        ("current_symbol", lambda text: update(text, ["name"], name="x")),
        ("symbol", lambda text: list_actions(symbol=text)),
        ("symbol", lambda text: actions(split("2005-02-28", 2.0), symbol=text)),
        ("symbol.symbol", lambda text: update("AAPL", ["symbol"], "2022-06-09", symbol=text)),
    )
]

LISTS: Final = [
    *(
        Case(
            f"ListSymbols: order {order!r}",
            ListSymbolsRequest(order_by=order),
            {("order_by", "UNKNOWN_ORDER")},
        )
        for order in (
            "venue",
            "symbol asc",
            "desc",
            "symbol, name",
            "symbol desc desc",
            "SYMBOL",
            "name;--",
            "\0",
        )
    ),
    Case("ListSymbols: status", ListSymbolsRequest(status=UNKNOWN), {("status", "UNKNOWN_STATUS")}),  # type: ignore[arg-type]
    Case("ListSymbols: venue", ListSymbolsRequest(venue="nyse"), {("venue", "MALFORMED")}),
    Case("ListSymbols: venue NUL", ListSymbolsRequest(venue="XNY\0"), {("venue", "MALFORMED")}),
    *(
        Case(f"ListSymbols: sector {name}", ListSymbolsRequest(sector=text), {("sector", "TOO_LONG")})
        for name, text in (("long", "x" * 101), ("NUL", "a\0"))
    ),
    Case("ListSymbols: size", ListSymbolsRequest(page_size=-1), {("page_size", "NEGATIVE")}),
    Case(
        "ListSymbols: everything at once",
        ListSymbolsRequest(
            status=UNKNOWN,  # type: ignore[arg-type]
            asset_class=UNKNOWN,  # type: ignore[arg-type]
            venue="?",
            sector="\0",
            order_by="?",
            page_size=-7,
            **NO_TOKEN,
        ),
        {
            ("status", "UNKNOWN_STATUS"),
            ("asset_class", "UNKNOWN_ASSET_CLASS"),
            ("venue", "MALFORMED"),
            ("sector", "TOO_LONG"),
            ("order_by", "UNKNOWN_ORDER"),
            ("page_size", "NEGATIVE"),
            ("page_token", "INVALID_PAGE_TOKEN"),
        },
    ),
]

SEARCHES: Final = [
    Case("SearchSymbols: empty", SearchSymbolsRequest(), {("query", "REQUIRED")}),
    Case("SearchSymbols: blank", SearchSymbolsRequest(query=" \t\u3000"), {("query", "REQUIRED")}),
    Case("SearchSymbols: NUL", SearchSymbolsRequest(query="\0\0"), {("query", "REQUIRED")}),
    Case("SearchSymbols: long", SearchSymbolsRequest(query="a" * 51), {("query", "TOO_LONG")}),
    Case(
        "SearchSymbols: everything at once",
        SearchSymbolsRequest(query=" " * 51, limit=-1),
        {("query", "REQUIRED"), ("query", "TOO_LONG"), ("limit", "NEGATIVE")},
    ),
    Case("ValidateSymbols: none", ValidateSymbolsRequest(), {("symbols", "REQUIRED")}),
    Case(
        "ValidateSymbols: too many",
        ValidateSymbolsRequest(symbols=["A"] * 5_001),
        {("symbols", "TOO_MANY")},
    ),
]

NEEDED: Final = ("venue", "asset_class", "currency", "calendar", "time_zone", "status")
BAD_VALUES: Final[dict[str, tuple[Any, str]]] = {
    "name": ("x" * 201, "TOO_LONG"),
    "venue": ("?", "MALFORMED"),
    "asset_class": (UNKNOWN, "UNKNOWN_ASSET_CLASS"),
    "currency": ("usd", "MALFORMED"),
    "calendar": ("X Y", "MALFORMED"),
    "time_zone": ("Mars/Olympus", "UNKNOWN_TIME_ZONE"),
    "tick_size": (-0.01, "NOT_POSITIVE"),
    "status": (UNKNOWN, "UNKNOWN_STATUS"),
    "ipo_date": ("2013-02-29", "INVALID_DATE"),
    "provider_symbols": ({"yahoo": ""}, "MALFORMED"),
}
UPDATES: Final = [
    Case(
        "UpdateSymbol: empty",
        UpdateSymbolRequest(),
        {("current_symbol", "REQUIRED"), ("symbol", "REQUIRED"), ("update_mask", "REQUIRED")},
    ),
    Case("UpdateSymbol: no mask", update("AAPL", [], name="x"), {("update_mask", "REQUIRED")}),
    *(
        Case(
            f"UpdateSymbol: path {path!r}"[:60],
            update("AAPL", ["name", path], name="x"),
            {("update_mask.paths[1]", "UNKNOWN_FIELD")},
        )
        for path in (
            "symbol_id",
            "valid_from",
            "*",
            "",
            "Name",
            "symbol.name",
            "provider_symbols.yahoo",
            "x" * 10**6,
        )
    ),
    Case(
        "UpdateSymbol: paths without end",
        update("AAPL", ["?"] * 100_000, name="x"),
        {("update_mask", "TOO_MANY")},
    ),
    *(
        Case(
            f"UpdateSymbol: {field} to nothing",
            update("AAPL", [field], symbol="AAPL"),
            {(f"symbol.{field}", "REQUIRED")},
        )
        for field in NEEDED
    ),
    *(
        Case(
            f"UpdateSymbol: {field}",
            update("AAPL", [field], **{field: bad}),
            {(f"symbol.{field}", reason)},
        )
        for field, (bad, reason) in BAD_VALUES.items()
    ),
    *(
        Case(
            f"UpdateSymbol: effective {text!r}",
            update("AAPL", ["symbol"], text, symbol="NEW"),
            {("effective_date", reason)},
        )
        for text, reason in {**DATES, "": "REQUIRED"}.items()
    ),
    Case(
        "UpdateSymbol: a date without a rename",
        update("AAPL", ["name"], "2022-06-09", name="x", symbol="NEW"),
        {("effective_date", "NOT_APPLICABLE")},
    ),
    Case(
        "UpdateSymbol: a reason without a status",
        UpdateSymbolRequest(
            current_symbol="AAPL",
            symbol=Symbol(name="x"),
            update_mask=FieldMask(paths=["name"]),
            status_day="2022-06-09",
            status_reason="x",
        ),
        {("status_day", "NOT_APPLICABLE"), ("status_reason", "NOT_APPLICABLE")},
    ),
    Case(
        "UpdateSymbol: a day that is none and a reason that is too long",
        UpdateSymbolRequest(
            current_symbol="AAPL",
            symbol=Symbol(status=SYMBOL_STATUS_DELISTED),
            update_mask=FieldMask(paths=["status"]),
            status_day="9 June",
            status_reason="x" * 501,
        ),
        {("status_day", "INVALID_DATE"), ("status_reason", "TOO_LONG")},
    ),
    Case(
        "UpdateSymbol: everything at once",
        update(
            "?",
            ["valid_to", "symbol", *BAD_VALUES],
            "?",
            symbol="?",
            **{field: bad for field, (bad, _) in BAD_VALUES.items()},
        ),
        {
            ("current_symbol", "MALFORMED_SYMBOL"),
            ("update_mask.paths[0]", "UNKNOWN_FIELD"),
            ("symbol.symbol", "MALFORMED_SYMBOL"),
            ("effective_date", "INVALID_DATE"),
            *((f"symbol.{field}", reason) for field, (_, reason) in BAD_VALUES.items()),
        },
    ),
    *(
        Case(
            f"CreateSymbol: valid from {text!r}",
            CreateSymbolRequest(symbol=Symbol(symbol="NEW", valid_from=text)),
            {("symbol.valid_from", reason)},
        )
        for text, reason in DATES.items()
    ),
]


CASES: Final[Sequence[Case]] = [*TICKERS, *LISTS, *SEARCHES, *UPDATES]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
async def test_calls_given_bad_input_say_all_of_it_and_change_nothing(known: Known, case: Case) -> None:
    """Each mistake has its own reason on its own field; nothing of the request was stored."""
    await check(known, case)


async def test_list_given_unknown_order_says_which_are_known(known: Known) -> None:
    """What to send instead stands in the refusal."""
    call = known.service.symbols.ListSymbols(ListSymbolsRequest(order_by="price"))
    refusal = await refusal_of(call)
    for order in ("symbol", "symbol desc", "name", "name desc"):
        assert order in refusal.message


async def test_update_given_unknown_path_says_which_are_known(known: Known) -> None:
    """What can be changed stands in the refusal."""
    refusal = await refusal_of(known.service.symbols.UpdateSymbol(update("AAPL", ["isin"], name="x")))
    assert "'isin' cannot be changed" in refusal.message
    assert "provider_symbols" in refusal.message
