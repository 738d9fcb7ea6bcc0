"""Every bad input of the calls about companies: its own reason on its own field, all at once."""

import math
from collections.abc import Sequence
from typing import Any, Final

import pytest
from bifrost.marketdata.v1.symbol_service_pb2 import GetCompanyRequest, UpdateCompanyRequest

from tests.contract.known import Known
from tests.contract.refusals import refusal_of
from tests.contract.symbol_calls import company
from tests.contract.symbol_cases import Case, check

TICKERS: Final = [
    Case(f"{type(request('X')).__name__}: {text!r}", request(text), {("symbol", reason)})
    for text, reason in (
        ("", "REQUIRED"),
        ("aapl", "MALFORMED_SYMBOL"),
        ("A\0", "MALFORMED_SYMBOL"),
        ("A" * 21, "MALFORMED_SYMBOL"),
    )
    for request in (
        lambda text: GetCompanyRequest(symbol=text),
        lambda text: company(text, ["name"], name="x"),
    )
]

BAD_VALUES: Final[Sequence[tuple[str, Any, str]]] = [
    ("name", "x" * 201, "TOO_LONG"),
    ("name", "a\0b", "TOO_LONG"),
    ("sector", "x" * 101, "TOO_LONG"),
    ("sector", "\0", "TOO_LONG"),
    ("industry", "x" * 101, "TOO_LONG"),
    ("industry", "\0", "TOO_LONG"),
    ("employees", -1, "NEGATIVE"),
    *(
        (field, value, "NOT_POSITIVE")
        for field in ("market_cap", "shares_outstanding")
        for value in (0.0, -1.0, math.nan, math.inf, -math.inf)
    ),
    ("currency", "usd", "MALFORMED"),
    ("currency", "USDX", "MALFORMED"),
    ("ipo_date", "2013-02-29", "INVALID_DATE"),
    ("ipo_date", "28.02.2013", "INVALID_DATE"),
    ("as_of", "now", "INVALID_DATE"),
    ("as_of", "2013-02-28T00:00:00", "INVALID_DATE"),
]
ONE_EACH: Final = {field: (value, reason) for field, value, reason in BAD_VALUES}

UPDATES: Final = [
    Case(
        "UpdateCompany: empty",
        UpdateCompanyRequest(),
        {("symbol", "REQUIRED"), ("company", "REQUIRED"), ("update_mask", "REQUIRED")},
    ),
    Case("UpdateCompany: no mask", company("AAPL", [], name="x"), {("update_mask", "REQUIRED")}),
    *(
        Case(
            f"UpdateCompany: path {path!r}"[:60],
            company("AAPL", ["name", path], name="x"),
            {("update_mask.paths[1]", "UNKNOWN_FIELD")},
        )
        for path in ("symbol", "symbol_id", "source", "update_time", "*", "", "Name", "company.name")
    ),
    Case(
        "UpdateCompany: paths without end",
        company("AAPL", ["?"] * 100_000, name="x"),
        {("update_mask", "TOO_MANY")},
    ),
    *(
        Case(
            f"UpdateCompany: {field} {value!r}"[:60],
            company("AAPL", [field], **{field: value}),
            {(f"company.{field}", reason)},
        )
        for field, value, reason in BAD_VALUES
    ),
    Case(
        "UpdateCompany: everything at once",
        company("?", ["isin", *ONE_EACH], **{field: value for field, (value, _) in ONE_EACH.items()}),
        {
            ("symbol", "MALFORMED_SYMBOL"),
            ("update_mask.paths[0]", "UNKNOWN_FIELD"),
            *((f"company.{field}", reason) for field, (_, reason) in ONE_EACH.items()),
        },
    ),
]

CASES: Final[Sequence[Case]] = [*TICKERS, *UPDATES]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
async def test_calls_given_bad_input_say_all_of_it_and_change_nothing(known: Known, case: Case) -> None:
    """Each mistake has its own reason on its own field; nothing of the request was stored."""
    await check(known, case)


async def test_update_company_given_unknown_path_says_which_are_known(known: Known) -> None:
    """What can be changed stands in the refusal."""
    request = company("AAPL", ["source"], name="x")
    refusal = await refusal_of(known.service.symbols.UpdateCompany(request))
    assert "'source' cannot be changed" in refusal.message
    assert "shares_outstanding" in refusal.message
