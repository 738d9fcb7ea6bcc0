"""Every bad input of SymbolService: its own reason on its own field, all at once, nothing changed."""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import grpc
import pytest
from bifrost.marketdata.v1.corporate_action_pb2 import CorporateAction
from bifrost.marketdata.v1.symbol_pb2 import Symbol
from bifrost.marketdata.v1.symbol_service_pb2 import (
    CreateCorporateActionsRequest,
    CreateSymbolRequest,
    DeleteSymbolRequest,
    ListCorporateActionsRequest,
    ListSymbolsRequest,
    SearchSymbolsRequest,
    UpdateSymbolRequest,
    ValidateSymbolsRequest,
)
from google.protobuf.message import Message

from tests.contract.known import Known
from tests.contract.refusals import refusal_of
from tests.contract.service import CALL_SECONDS, state
from tests.contract.symbol_calls import update
from tests.contract.test_symbol_actions import dividend, split

NAN, INF = math.nan, math.inf
UNKNOWN: Final = 99  # a number that no enum of the contract has
NO_TOKEN: Final[dict[str, Any]] = {"page_token": "?"}
DATES: Final = {
    "2013-02-29": "INVALID_DATE",
    "28.02.2013": "INVALID_DATE",
    "now": "INVALID_DATE",
    "2013-02-28T00:00:00": "INVALID_DATE",
    "0202-06-09": "DATE_OUT_OF_BOUNDS",
    "1899-12-31": "DATE_OUT_OF_BOUNDS",
    "2100-01-01": "DATE_OUT_OF_BOUNDS",
}


class Case(NamedTuple):
    """A request that must be refused."""

    name: str
    request: Message
    violations: set[tuple[str, str]]


def actions(*of: CorporateAction, symbol: str = "AAPL") -> CreateCorporateActionsRequest:
    """Make a request that stores actions."""
    return CreateCorporateActionsRequest(symbol=symbol, actions=of)


def list_actions(**changes: Any) -> ListCorporateActionsRequest:
    """Make a good request but for `changes`."""
    return ListCorporateActionsRequest(**({"symbol": "AAPL"} | changes))


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
    Case("ListSymbols: size", ListSymbolsRequest(page_size=-1), {("page_size", "NEGATIVE")}),
    Case(
        "ListSymbols: everything at once",
        ListSymbolsRequest(
            status=UNKNOWN,  # type: ignore[arg-type]
            asset_class=UNKNOWN,  # type: ignore[arg-type]
            venue="?",
            order_by="?",
            page_size=-7,
            **NO_TOKEN,
        ),
        {
            ("status", "UNKNOWN_STATUS"),
            ("asset_class", "UNKNOWN_ASSET_CLASS"),
            ("venue", "MALFORMED"),
            ("order_by", "UNKNOWN_ORDER"),
            ("page_size", "NEGATIVE"),
            ("page_token", "INVALID_PAGE_TOKEN"),
        },
    ),
    Case("ListCorporateActions: kind", list_actions(kind=UNKNOWN), {("kind", "UNKNOWN_KIND")}),
    *(
        Case(
            f"ListCorporateActions: {field} {text!r}", list_actions(**{field: text}), {(field, reason)}
        )
        for text, reason in DATES.items()
        for field in ("start_date", "end_date")
    ),
    *(
        Case(
            f"ListCorporateActions: until {end}",
            list_actions(start_date="2013-02-28", end_date=end),
            {("start_date", "RANGE_REVERSED")},
        )
        for end in ("2013-02-28", "2013-02-27")
    ),
    Case(
        "ListCorporateActions: everything at once",
        list_actions(symbol="?", kind=UNKNOWN, start_date="?", end_date="?", page_size=-1, **NO_TOKEN),
        {
            ("symbol", "MALFORMED_SYMBOL"),
            ("kind", "UNKNOWN_KIND"),
            ("start_date", "INVALID_DATE"),
            ("end_date", "INVALID_DATE"),
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


def one(name: str, action: CorporateAction, *violations: tuple[str, str]) -> Case:
    """Make a case of one action, whose violations are of its fields."""
    request = actions(dividend("2013-02-07", 1.0), action)
    return Case(
        f"CreateCorporateActions: {name}", request, {(f"actions[1].{f}", r) for f, r in violations}
    )


def sized(kind: int, **amounts: float) -> CorporateAction:
    """Make an action whose amounts may be anybody's."""
    return CorporateAction(kind=kind, ex_date="2005-02-28", **amounts)  # type: ignore[arg-type]


SPLIT, DIVIDEND = 1, 2
ACTIONS: Final = [
    Case("CreateCorporateActions: none", actions(), {("actions", "REQUIRED")}),
    Case(
        "CreateCorporateActions: too many",
        actions(*[split("2005-02-28", 2.0)] * 1_001),
        {("actions", "TOO_MANY")},
    ),
    one("empty", CorporateAction(), ("kind", "REQUIRED"), ("ex_date", "REQUIRED")),
    one("kind", sized(UNKNOWN, split_ratio=2.0), ("kind", "UNKNOWN_KIND")),
    *(one(f"ex_date {text!r}", split(text, 2.0), ("ex_date", why)) for text, why in DATES.items()),
    one("split without a ratio", sized(SPLIT), ("split_ratio", "REQUIRED")),
    one("dividend without an amount", sized(DIVIDEND), ("cash_amount", "REQUIRED")),
    one(
        "split with cash",
        sized(SPLIT, split_ratio=2.0, cash_amount=1.0),
        ("cash_amount", "NOT_APPLICABLE"),
    ),
    one(
        "dividend with a ratio",
        sized(DIVIDEND, split_ratio=2.0, cash_amount=1.0),
        ("split_ratio", "NOT_APPLICABLE"),
    ),
    one(
        "dividend as a split",
        sized(SPLIT, cash_amount=1.0),
        ("cash_amount", "NOT_APPLICABLE"),
        ("split_ratio", "REQUIRED"),
    ),
    *(
        one(f"ratio {ratio}", split("2005-02-28", ratio), ("split_ratio", "NOT_POSITIVE"))
        for ratio in (0.0, -2.0, NAN, INF, -INF)
    ),
    *(
        one(f"amount {amount}", dividend("2005-02-28", amount), ("cash_amount", "NOT_POSITIVE"))
        for amount in (0.0, -0.1, NAN, INF)
    ),
    # Its inverse, by which prices are multiplied, is infinite.
    one("smallest ratio", split("2005-02-28", 5e-324), ("split_ratio", "RATIO_NOT_POSITIVE")),
    one("currency", dividend("2005-02-28", 1.0, currency="usd"), ("currency", "MALFORMED")),
    one("source", split("2005-02-28", 2.0, source="x" * 201), ("source", "TOO_LONG")),
    one("source NUL", split("2005-02-28", 2.0, source="a\0"), ("source", "TOO_LONG")),
    one("same dividend again", dividend("2013-02-14", 1.0), ("ex_date", "DUPLICATE_DIVIDEND")),
    Case(
        "CreateCorporateActions: kind and date twice",
        actions(split("2005-02-28", 2.0), dividend("2005-02-28", 1.0), split("2005-02-28", 3.0)),
        {("actions[2]", "DUPLICATE")},
    ),
    Case(
        "CreateCorporateActions: everything at once",
        actions(
            CorporateAction(),
            sized(SPLIT, split_ratio=NAN, cash_amount=1.0),
            dividend("?", -1.0, currency="?", source="x" * 300),
            split("2005-02-28", 2.0),
            split("2005-02-28", 2.0),
            symbol="?",
        ),
        {
            ("symbol", "MALFORMED_SYMBOL"),
            ("actions[0].kind", "REQUIRED"),
            ("actions[0].ex_date", "REQUIRED"),
            ("actions[1].split_ratio", "NOT_POSITIVE"),
            ("actions[1].cash_amount", "NOT_APPLICABLE"),
            ("actions[2].ex_date", "INVALID_DATE"),
            ("actions[2].cash_amount", "NOT_POSITIVE"),
            ("actions[2].currency", "MALFORMED"),
            ("actions[2].source", "TOO_LONG"),
            ("actions[4]", "DUPLICATE"),
        },
    ),
]

CASES: Final[Sequence[Case]] = [*TICKERS, *LISTS, *SEARCHES, *UPDATES, *ACTIONS]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
async def test_calls_given_bad_input_say_all_of_it_and_change_nothing(known: Known, case: Case) -> None:
    """Each mistake has its own reason on its own field; nothing of the request was stored."""
    before = state(known.database)
    name = type(case.request).__name__.removesuffix("Request")
    call = getattr(known.service.symbols, name)
    refusal = await refusal_of(call(case.request, timeout=CALL_SECONDS))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert refusal.violations == case.violations
    assert refusal.message
    assert state(known.database) == before


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
