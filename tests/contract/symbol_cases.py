"""Requests of SymbolService that must be refused, and how a test holds a refusal to what it says."""

from typing import Any, Final, NamedTuple

import grpc
from bifrost.marketdata.v1.corporate_action_pb2 import CorporateAction
from bifrost.marketdata.v1.symbol_service_pb2 import (
    CreateCorporateActionsRequest,
    ListCorporateActionsRequest,
)
from google.protobuf.message import Message

from tests.contract.known import Known
from tests.contract.refusals import refusal_of
from tests.contract.service import CALL_SECONDS, state

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


async def check(known: Known, case: Case) -> None:
    """Send the request: it is refused for all that is wrong with it, and nothing was stored."""
    before = state(known.database)
    name = type(case.request).__name__.removesuffix("Request")
    call = getattr(known.service.symbols, name)
    refusal = await refusal_of(call(case.request, timeout=CALL_SECONDS))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert refusal.violations == case.violations
    assert refusal.message
    assert state(known.database) == before
