"""Symbols on the wire, and requests of SymbolService checked."""

import re
import zoneinfo
from dataclasses import dataclass
from datetime import date
from typing import Final

from bifrost.marketdata.v1 import symbol_pb2, symbol_service_pb2

from marketdata.domain.symbol import NewSymbol, Symbol
from marketdata.wire.bars_requests import check_symbol
from marketdata.wire.enums import (
    ASSET_CLASS_FROM_PROTO,
    ASSET_CLASS_TO_PROTO,
    STATUS_FROM_PROTO,
    STATUS_TO_PROTO,
)
from marketdata.wire.page_token import parse_page_size, parse_page_token
from marketdata.wire.times import parse_date
from marketdata.wire.violations import Violations

MOST_NAME_CHARACTERS: Final = 200
MOST_PROVIDER_SYMBOLS: Final = 20
_MOST_PROVIDER_CHARACTERS: Final = 40
_MIC: Final = re.compile(r"[A-Z0-9]{4}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_CALENDAR: Final = re.compile(r"[A-Za-z0-9_/.\-]{1,30}")


@dataclass(frozen=True, slots=True)
class ListSymbolsRequest:
    """ListSymbols: behind which (ticker, symbol_id) the page begins, and its size."""

    after: tuple[str, int]
    page_size: int


def parse_get_symbol(request: symbol_service_pb2.GetSymbolRequest) -> str:
    """Check a GetSymbolRequest.

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
    page_size = parse_page_size(request.page_size, violations)
    position = parse_page_token(request, violations)
    after = ("", 0)
    if position is not None:
        symbol_id, symbol = int.from_bytes(position[:8], "big", signed=True), position[8:]
        after = (symbol.decode("ascii", "replace"), symbol_id)
        check_symbol("page_token", after[0], violations)
    violations.raise_any()
    return ListSymbolsRequest(after, page_size)


def symbol_position(symbol: Symbol) -> bytes:
    """Encode where a page of symbols ended, for the token of the next page."""
    return symbol.symbol_id.to_bytes(8, "big") + symbol.symbol.encode()


def parse_create_symbol(request: symbol_service_pb2.CreateSymbolRequest) -> NewSymbol:
    """Check a CreateSymbolRequest and complete it by the defaults of the contract.

    Raises
    ------
    InvalidRequestError
        With every violation.
    """
    violations = Violations()
    proto = request.symbol
    check_symbol("symbol.symbol", proto.symbol, violations)
    _check_texts(proto, violations)
    _check_enums(proto, violations)
    if proto.HasField("tick_size") and not 0 < proto.tick_size < float("inf"):
        violations.add("symbol.tick_size", "NOT_POSITIVE", "is no price step; leave it out")
    venue = proto.venue or "XNYS"
    ipo_date = parse_date("symbol.ipo_date", proto.ipo_date, violations)
    violations.raise_any()
    return NewSymbol(
        symbol=proto.symbol,
        name=proto.name,
        venue=venue,
        asset_class=ASSET_CLASS_FROM_PROTO[proto.asset_class],
        currency=proto.currency or "USD",
        calendar=proto.calendar or venue,
        time_zone=proto.time_zone or "America/New_York",
        tick_size=proto.tick_size if proto.HasField("tick_size") else None,
        status=STATUS_FROM_PROTO[proto.status],
        ipo_date=ipo_date,
        provider_symbols=dict(proto.provider_symbols),
    )


def from_proto_symbol(proto: symbol_pb2.Symbol) -> Symbol:
    """Turn the message of a stored symbol back into it."""
    return Symbol(
        symbol=proto.symbol,
        symbol_id=proto.symbol_id,
        name=proto.name,
        venue=proto.venue,
        asset_class=ASSET_CLASS_FROM_PROTO[proto.asset_class],
        currency=proto.currency,
        calendar=proto.calendar,
        time_zone=proto.time_zone,
        tick_size=proto.tick_size if proto.HasField("tick_size") else None,
        status=STATUS_FROM_PROTO[proto.status],
        ipo_date=_to_date(proto.ipo_date),
        valid_from=_to_date(proto.valid_from),
        valid_to=_to_date(proto.valid_to),
        provider_symbols=dict(proto.provider_symbols),
    )


def to_proto_new_symbol(new: NewSymbol) -> symbol_pb2.Symbol:
    """Turn a symbol that is to be created into its message."""
    return symbol_pb2.Symbol(
        symbol=new.symbol,
        name=new.name,
        venue=new.venue,
        asset_class=ASSET_CLASS_TO_PROTO[new.asset_class],
        currency=new.currency,
        calendar=new.calendar,
        time_zone=new.time_zone,
        tick_size=new.tick_size,
        status=STATUS_TO_PROTO[new.status],
        ipo_date=_to_text(new.ipo_date),
        provider_symbols=new.provider_symbols,
    )


def to_proto_symbol(symbol: Symbol) -> symbol_pb2.Symbol:
    """Turn a stored symbol into its message."""
    proto = to_proto_new_symbol(symbol)
    proto.symbol_id = symbol.symbol_id
    proto.valid_from = _to_text(symbol.valid_from)
    proto.valid_to = _to_text(symbol.valid_to)
    return proto


def _to_text(day: date | None) -> str:
    return day.isoformat() if day else ""


def _to_date(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def _check_texts(proto: symbol_pb2.Symbol, violations: Violations) -> None:
    if len(proto.name) > MOST_NAME_CHARACTERS or "\0" in proto.name:
        problem = f"has over {MOST_NAME_CHARACTERS} characters or a NUL; shorten it"
        violations.add("symbol.name", "TOO_LONG", problem)
    if proto.venue and _MIC.fullmatch(proto.venue) is None:
        problem = "is not an ISO 10383 MIC; send four characters such as XNYS"
        violations.add("symbol.venue", "MALFORMED", problem)
    if proto.currency and _CURRENCY.fullmatch(proto.currency) is None:
        problem = "is not an ISO 4217 code; send three letters such as USD"
        violations.add("symbol.currency", "MALFORMED", problem)
    if proto.calendar and _CALENDAR.fullmatch(proto.calendar) is None:
        violations.add("symbol.calendar", "MALFORMED", "is not a calendar's name such as XNYS")
    if proto.time_zone and not _is_time_zone(proto.time_zone):
        problem = "is not an IANA zone; send one such as America/New_York"
        violations.add("symbol.time_zone", "UNKNOWN_TIME_ZONE", problem)
    entries = proto.provider_symbols.items()
    if len(entries) > MOST_PROVIDER_SYMBOLS or any(
        not 0 < len(text) <= _MOST_PROVIDER_CHARACTERS or "\0" in text
        for pair in entries
        for text in pair
    ):
        problem = "takes at most 20 pairs of texts of 1 to 40 characters"
        violations.add("symbol.provider_symbols", "MALFORMED", problem)


def _check_enums(proto: symbol_pb2.Symbol, violations: Violations) -> None:
    if proto.asset_class not in ASSET_CLASS_FROM_PROTO:
        problem = f"{proto.asset_class} is no asset class; leave it out for equity"
        violations.add("symbol.asset_class", "UNKNOWN_ASSET_CLASS", problem)
    if proto.status not in STATUS_FROM_PROTO:
        problem = f"{proto.status} is no status; leave it out for active"
        violations.add("symbol.status", "UNKNOWN_STATUS", problem)


def _is_time_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
