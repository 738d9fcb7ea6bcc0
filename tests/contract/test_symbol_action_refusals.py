"""Every bad input of the calls about corporate actions, refused as the contract says."""

import math
from collections.abc import Sequence
from typing import Final

import pytest
from bifrost.marketdata.v1.corporate_action_pb2 import CorporateAction

from tests.contract.known import Known
from tests.contract.symbol_calls import dividend, split
from tests.contract.symbol_cases import (
    DATES,
    NO_TOKEN,
    UNKNOWN,
    Case,
    actions,
    check,
    list_actions,
)

NAN, INF = math.nan, math.inf

LISTS: Final = [
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

CASES: Final[Sequence[Case]] = [*LISTS, *ACTIONS]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
async def test_calls_given_bad_input_say_all_of_it_and_change_nothing(known: Known, case: Case) -> None:
    """Each mistake has its own reason on its own field; nothing of the request was stored."""
    await check(known, case)
