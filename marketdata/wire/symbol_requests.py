"""Requests of SymbolService about symbols, checked and turned into domain values."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from bifrost.marketdata.v1 import symbol_service_pb2

from marketdata.domain.symbol import BY_HAND, NewSymbol, StatusEvidence, Symbol, SymbolUpdate
from marketdata.domain.symbol_query import SymbolOrder, SymbolPosition, SymbolQuery
from marketdata.wire.bars_requests import check_symbol, check_symbol_count
from marketdata.wire.companies import MOST_SECTOR_CHARACTERS, check_text
from marketdata.wire.enums import ASSET_CLASS_FROM_PROTO, STATUS_FROM_PROTO
from marketdata.wire.page_token import parse_page_size, parse_page_token
from marketdata.wire.session_dates import parse_required_date
from marketdata.wire.symbol_fields import (
    MIC,
    UPDATABLE_FIELDS,
    check_new_symbol,
    check_updated_fields,
    symbol_values,
    to_new_symbol,
)
from marketdata.wire.times import parse_date
from marketdata.wire.update_mask import parse_mask
from marketdata.wire.violations import Violations

DEFAULT_MATCHES: Final = 10
MOST_MATCHES: Final = 100
MOST_QUERY_CHARACTERS: Final = 50
_MOST_REASON_CHARACTERS: Final = 500
_ID_BYTES: Final = 8
_ORDERS: Final = {
    (order.value, *suffix): (order, bool(suffix)) for order in SymbolOrder for suffix in ((), ("desc",))
}


@dataclass(frozen=True, slots=True)
class ListSymbolsRequest:
    """ListSymbols: what, behind which symbol the page begins (None: at the first), and its size."""

    query: SymbolQuery
    after: SymbolPosition | None
    page_size: int


@dataclass(frozen=True, slots=True)
class UpdateSymbolRequest:
    """UpdateSymbol: a ticker of the symbol, and what is to change."""

    symbol: str
    update: SymbolUpdate


@dataclass(frozen=True, slots=True)
class SearchSymbolsRequest:
    """SearchSymbols: what was typed, and how many matches are wanted."""

    text: str
    limit: int


def parse_symbol(
    request: symbol_service_pb2.GetSymbolRequest
    | symbol_service_pb2.DeleteSymbolRequest
    | symbol_service_pb2.GetCompanyRequest,
) -> str:
    """Check a request about one symbol; return its ticker.

    Raises
    ------
    InvalidRequestError
        With every violation.
    """
    violations = Violations()
    check_symbol("symbol", request.symbol, violations)
    violations.raise_any()
    return request.symbol


def parse_list_symbols(request: symbol_service_pb2.ListSymbolsRequest) -> ListSymbolsRequest:
    """Check a ListSymbolsRequest.

    Raises
    ------
    InvalidRequestError
        With every violation.
    """
    violations = Violations()
    order, descending = _parse_order(request.order_by, violations)
    _check_filters(request, violations)
    page_size = parse_page_size(request.page_size, violations)
    after = _parse_position(parse_page_token(request, violations), violations)
    violations.raise_any()
    query = SymbolQuery(
        status=STATUS_FROM_PROTO[request.status] if request.status else None,
        venue=request.venue or None,
        asset_class=ASSET_CLASS_FROM_PROTO[request.asset_class] if request.asset_class else None,
        sector=request.sector or None,
        order=order,
        descending=descending,
    )
    return ListSymbolsRequest(query, after, page_size)


def symbol_position(symbol: Symbol, query: SymbolQuery) -> bytes:
    """Encode where a page of symbols ended, for the token of the next page."""
    key = symbol.name if query.order is SymbolOrder.NAME else symbol.symbol
    return symbol.symbol_id.to_bytes(_ID_BYTES, "big") + key.encode()


def parse_create_symbol(request: symbol_service_pb2.CreateSymbolRequest) -> NewSymbol:
    """Check a CreateSymbolRequest and complete it by the defaults of the contract.

    Raises
    ------
    InvalidRequestError
        With every violation.
    """
    violations = Violations()
    check_new_symbol(request.symbol, violations)
    violations.raise_any()
    return to_new_symbol(request.symbol)


def parse_update_symbol(request: symbol_service_pb2.UpdateSymbolRequest) -> UpdateSymbolRequest:
    """Check an UpdateSymbolRequest; fields outside of the mask are not looked at.

    Raises
    ------
    InvalidRequestError
        With every violation.
    """
    violations = Violations()
    check_symbol("current_symbol", request.current_symbol, violations)
    if not request.HasField("symbol"):
        violations.add("symbol", "REQUIRED", "is not set; send the new values")
    names = parse_mask(request.update_mask.paths, UPDATABLE_FIELDS, violations)
    check_updated_fields(request.symbol, names, violations)
    effective_date = None
    if "symbol" in names:
        effective_date = parse_required_date("effective_date", request.effective_date, violations)
    elif request.effective_date:
        problem = "is of a rename, and symbol is not in the mask; leave it out"
        violations.add("effective_date", "NOT_APPLICABLE", problem)
    evidence = _parse_evidence(request, names, violations)
    violations.raise_any()
    update = SymbolUpdate(symbol_values(request.symbol, names), effective_date, evidence)
    return UpdateSymbolRequest(request.current_symbol, update)


def _parse_evidence(
    request: symbol_service_pb2.UpdateSymbolRequest, names: Collection[str], violations: Violations
) -> StatusEvidence | None:
    told = {"status_day": request.status_day, "status_reason": request.status_reason}
    if "status" not in names:
        for field in (name for name, text in told.items() if text):
            problem = "is of a status, and status is not in the mask; leave it out"
            violations.add(field, "NOT_APPLICABLE", problem)
        return None
    day = parse_date("status_day", request.status_day, violations)
    reason = request.status_reason
    if len(reason) > _MOST_REASON_CHARACTERS or "\0" in reason:
        problem = f"has over {_MOST_REASON_CHARACTERS} characters or a NUL; shorten it"
        violations.add("status_reason", "TOO_LONG", problem)
    return StatusEvidence(BY_HAND, day, reason) if day or reason else None


def parse_search_symbols(request: symbol_service_pb2.SearchSymbolsRequest) -> SearchSymbolsRequest:
    """Check a SearchSymbolsRequest.

    Raises
    ------
    InvalidRequestError
        With every violation.
    """
    violations = Violations()
    # What cannot be typed separates words like a blank; PostgreSQL takes no NUL.
    text = request.query.replace("\0", " ").strip()
    if not text:
        violations.add("query", "REQUIRED", "is empty; send a ticker, a name or the beginning of one")
    if len(request.query) > MOST_QUERY_CHARACTERS:
        problem = f"has {len(request.query)} characters; the most is {MOST_QUERY_CHARACTERS}"
        violations.add("query", "TOO_LONG", problem)
    if request.limit < 0:
        violations.add("limit", "NEGATIVE", f"is negative; leave it out for {DEFAULT_MATCHES}")
    violations.raise_any()
    return SearchSymbolsRequest(text, min(request.limit or DEFAULT_MATCHES, MOST_MATCHES))


def parse_validate_symbols(
    request: symbol_service_pb2.ValidateSymbolsRequest,
) -> Sequence[str]:
    """Check a ValidateSymbolsRequest; return its texts, none of which is judged.

    Raises
    ------
    InvalidRequestError
        With every violation.
    """
    violations = Violations()
    check_symbol_count(request.symbols, violations)
    violations.raise_any()
    return request.symbols


def _parse_order(order_by: str, violations: Violations) -> tuple[SymbolOrder, bool]:
    words = tuple(order_by.split())
    if words and words not in _ORDERS:
        known = ", ".join(" ".join(order) for order in _ORDERS)
        violations.add("order_by", "UNKNOWN_ORDER", f"is not known; the orders are {known}")
    return _ORDERS.get(words, (SymbolOrder.SYMBOL, False))


def _check_filters(request: symbol_service_pb2.ListSymbolsRequest, violations: Violations) -> None:
    if request.status not in STATUS_FROM_PROTO:
        problem = f"{request.status} is no status; leave it out for all"
        violations.add("status", "UNKNOWN_STATUS", problem)
    if request.venue and MIC.fullmatch(request.venue) is None:
        problem = "is not an ISO 10383 MIC; send four characters such as XNYS"
        violations.add("venue", "MALFORMED", problem)
    if request.asset_class not in ASSET_CLASS_FROM_PROTO:
        problem = f"{request.asset_class} is no asset class; leave it out for all"
        violations.add("asset_class", "UNKNOWN_ASSET_CLASS", problem)
    check_text("sector", request.sector, MOST_SECTOR_CHARACTERS, violations)


def _parse_position(position: bytes | None, violations: Violations) -> SymbolPosition | None:
    if position is None:
        return None
    symbol_id = int.from_bytes(position[:_ID_BYTES], "big", signed=True)
    key = position[_ID_BYTES:].decode(errors="replace")
    if "\0" in key:
        violations.add("page_token", "INVALID_PAGE_TOKEN", "is not a token of this service")
    return key, symbol_id
