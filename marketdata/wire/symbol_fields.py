"""The fields of a Symbol that a request brings: checked, completed, turned into domain values."""

import re
import zoneinfo
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

from bifrost.marketdata.v1 import symbol_pb2

from marketdata.domain.symbol import NewSymbol, symbol_problem
from marketdata.wire.enums import ASSET_CLASS_FROM_PROTO, STATUS_FROM_PROTO
from marketdata.wire.session_dates import date_from_text, parse_session_date
from marketdata.wire.times import parse_date
from marketdata.wire.violations import Violations

MOST_NAME_CHARACTERS: Final = 200
MOST_PROVIDER_SYMBOLS: Final = 20
_MOST_PROVIDER_CHARACTERS: Final = 40
MIC: Final = re.compile(r"[A-Z0-9]{4}")
CURRENCY: Final = re.compile(r"[A-Z]{3}")
_CALENDAR: Final = re.compile(r"[A-Za-z0-9_/.\-]{1,30}")
_PATH: Final = "symbol."
# Everything else can be unsaid: an empty value in an update clears it.
_NEEDED: Final = ("symbol", "venue", "asset_class", "currency", "calendar", "time_zone", "status")

_Check = Callable[[symbol_pb2.Symbol, Violations], None]


def check_new_symbol(proto: symbol_pb2.Symbol, violations: Violations) -> None:
    """Note what is wrong with a symbol that is to be created."""
    _check(proto, UPDATABLE_FIELDS, violations)
    parse_session_date("symbol.valid_from", proto.valid_from, violations)


def to_new_symbol(proto: symbol_pb2.Symbol) -> NewSymbol:
    """Turn a symbol that was checked into the domain's, completed by the defaults of the contract."""
    values = symbol_values(proto, UPDATABLE_FIELDS)
    given = {name: value for name, value in values.items() if value != ""}
    if "venue" in given:
        given.setdefault("calendar", given["venue"])
    return NewSymbol(**given, valid_from=date_from_text(proto.valid_from))


def check_updated_fields(
    proto: symbol_pb2.Symbol, names: Collection[str], violations: Violations
) -> None:
    """Note what is wrong with the new values of the fields that an update names."""
    _check(proto, names, violations)
    for name in _NEEDED:
        if name in names and name != "symbol" and not getattr(proto, name):
            problem = "is in the mask and not set; send its new value"
            violations.add(f"{_PATH}{name}", "REQUIRED", problem)


def symbol_values(proto: symbol_pb2.Symbol, names: Collection[str]) -> dict[str, Any]:
    """Turn fields that were checked into values of `NewSymbol`, by name."""
    return {name: _VALUES.get(name, getattr)(proto, name) for name in names}


def _check(proto: symbol_pb2.Symbol, names: Collection[str], violations: Violations) -> None:
    for name in UPDATABLE_FIELDS:
        if name in names:
            _CHECKS[name](proto, violations)


def _check_symbol(proto: symbol_pb2.Symbol, violations: Violations) -> None:
    problem = symbol_problem(proto.symbol)
    if problem is not None:
        violations.add("symbol.symbol", "MALFORMED_SYMBOL" if proto.symbol else "REQUIRED", problem)


def _check_name(proto: symbol_pb2.Symbol, violations: Violations) -> None:
    if len(proto.name) > MOST_NAME_CHARACTERS or "\0" in proto.name:
        problem = f"has over {MOST_NAME_CHARACTERS} characters or a NUL; shorten it"
        violations.add("symbol.name", "TOO_LONG", problem)


def _pattern_check(name: str, pattern: re.Pattern[str], problem: str) -> _Check:
    def check(proto: symbol_pb2.Symbol, violations: Violations) -> None:
        text = getattr(proto, name)
        if text and pattern.fullmatch(text) is None:
            violations.add(f"{_PATH}{name}", "MALFORMED", problem)

    return check


def _check_time_zone(proto: symbol_pb2.Symbol, violations: Violations) -> None:
    if proto.time_zone and not _is_time_zone(proto.time_zone):
        problem = "is not an IANA zone; send one such as America/New_York"
        violations.add("symbol.time_zone", "UNKNOWN_TIME_ZONE", problem)


def _check_asset_class(proto: symbol_pb2.Symbol, violations: Violations) -> None:
    if proto.asset_class not in ASSET_CLASS_FROM_PROTO:
        problem = f"{proto.asset_class} is no asset class; a new symbol without one is an equity"
        violations.add("symbol.asset_class", "UNKNOWN_ASSET_CLASS", problem)


def _check_status(proto: symbol_pb2.Symbol, violations: Violations) -> None:
    if proto.status not in STATUS_FROM_PROTO:
        problem = f"{proto.status} is no status; a new symbol without one is active"
        violations.add("symbol.status", "UNKNOWN_STATUS", problem)


def _check_tick_size(proto: symbol_pb2.Symbol, violations: Violations) -> None:
    if proto.HasField("tick_size") and not 0 < proto.tick_size < float("inf"):
        violations.add("symbol.tick_size", "NOT_POSITIVE", "is no price step; leave it out")


def _check_ipo_date(proto: symbol_pb2.Symbol, violations: Violations) -> None:
    parse_date("symbol.ipo_date", proto.ipo_date, violations)


def _check_provider_symbols(proto: symbol_pb2.Symbol, violations: Violations) -> None:
    entries = proto.provider_symbols.items()
    if len(entries) > MOST_PROVIDER_SYMBOLS or any(
        not 0 < len(text) <= _MOST_PROVIDER_CHARACTERS or "\0" in text
        for pair in entries
        for text in pair
    ):
        problem = "takes at most 20 pairs of texts of 1 to 40 characters"
        violations.add("symbol.provider_symbols", "MALFORMED", problem)


def _is_time_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


_CHECKS: Final[Mapping[str, _Check]] = MappingProxyType(
    {
        "symbol": _check_symbol,
        "name": _check_name,
        "venue": _pattern_check(
            "venue", MIC, "is not an ISO 10383 MIC; send four characters such as XNYS"
        ),
        "asset_class": _check_asset_class,
        "currency": _pattern_check(
            "currency", CURRENCY, "is not an ISO 4217 code; send three letters such as USD"
        ),
        "calendar": _pattern_check("calendar", _CALENDAR, "is not a calendar's name such as XNYS"),
        "time_zone": _check_time_zone,
        "tick_size": _check_tick_size,
        "status": _check_status,
        "ipo_date": _check_ipo_date,
        "provider_symbols": _check_provider_symbols,
    }
)
# What a request can say of a symbol; all but the identity and its validity, by the names of both sides.
UPDATABLE_FIELDS: Final = tuple(_CHECKS)

_VALUES: Final[Mapping[str, Callable[[symbol_pb2.Symbol, str], Any]]] = MappingProxyType(
    {
        "asset_class": lambda proto, _: ASSET_CLASS_FROM_PROTO[proto.asset_class],
        "status": lambda proto, _: STATUS_FROM_PROTO[proto.status],
        "tick_size": lambda proto, _: proto.tick_size if proto.HasField("tick_size") else None,
        "ipo_date": lambda proto, _: date_from_text(proto.ipo_date),
        "provider_symbols": lambda proto, _: dict(proto.provider_symbols),
    }
)
