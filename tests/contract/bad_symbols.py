"""What CreateSymbol refuses: each request with the violations that it must be told."""

import math
from typing import Any, Final

from bifrost.marketdata.v1 import symbol_pb2
from bifrost.marketdata.v1.symbol_service_pb2 import CreateSymbolRequest

from tests.contract.bad_reads import SYMBOL_TEXTS, UNKNOWN, Case


def create_symbol(**changes: Any) -> CreateSymbolRequest:
    """Make a good request but for `changes`."""
    fields: dict[str, Any] = {"symbol": "NEW"}
    return CreateSymbolRequest(symbol=symbol_pb2.Symbol(**(fields | changes)))


SYMBOLS: Final = [
    Case(f"CreateSymbol: {name}", create_symbol(symbol=text), {("symbol.symbol", reason)})
    for name, text, reason in SYMBOL_TEXTS
]

FIELDS: Final = [
    Case("CreateSymbol: empty", CreateSymbolRequest(), {("symbol.symbol", "REQUIRED")}),
    Case("CreateSymbol: long name", create_symbol(name="x" * 201), {("symbol.name", "TOO_LONG")}),
    Case("CreateSymbol: NUL in the name", create_symbol(name="a\0b"), {("symbol.name", "TOO_LONG")}),
    Case("CreateSymbol: venue", create_symbol(venue="NYSE!"), {("symbol.venue", "MALFORMED")}),
    Case("CreateSymbol: currency", create_symbol(currency="usd"), {("symbol.currency", "MALFORMED")}),
    Case("CreateSymbol: calendar", create_symbol(calendar="X Y"), {("symbol.calendar", "MALFORMED")}),
    Case(
        "CreateSymbol: calendar that nobody knows",
        create_symbol(calendar="XNYX"),
        {("symbol.calendar", "UNKNOWN_CALENDAR")},
    ),
    *(
        Case(
            f"CreateSymbol: time zone {zone!r}",
            create_symbol(time_zone=zone),
            {("symbol.time_zone", "UNKNOWN_TIME_ZONE")},
        )
        for zone in ("Mars/Olympus", "/etc/passwd", "../UTC", "America", "A\0B", "x" * 5_000)
    ),
    *(
        Case(
            f"CreateSymbol: tick size {tick}",
            create_symbol(tick_size=tick),
            {("symbol.tick_size", "NOT_POSITIVE")},
        )
        for tick in (0.0, -0.01, math.nan, math.inf)
    ),
    Case(
        "CreateSymbol: date of no calendar",
        create_symbol(ipo_date="2013-02-29"),
        {("symbol.ipo_date", "INVALID_DATE")},
    ),
    Case(
        "CreateSymbol: asset class",
        create_symbol(asset_class=UNKNOWN),
        {("symbol.asset_class", "UNKNOWN_ASSET_CLASS")},
    ),
    Case("CreateSymbol: status", create_symbol(status=UNKNOWN), {("symbol.status", "UNKNOWN_STATUS")}),
    *(
        Case(
            f"CreateSymbol: provider symbols, {name}",
            create_symbol(provider_symbols=pairs),
            {("symbol.provider_symbols", "MALFORMED")},
        )
        for name, pairs in (
            ("too many", {f"p{n}": "X" for n in range(21)}),
            ("empty", {"yahoo": ""}),
            ("long", {"yahoo": "X" * 41}),
            ("NUL", {"yahoo": "X\0"}),
        )
    ),
    Case(
        "CreateSymbol: everything at once",
        create_symbol(symbol="x", venue="?", currency="?", time_zone="?", ipo_date="?", status=UNKNOWN),
        {
            ("symbol.symbol", "MALFORMED_SYMBOL"),
            ("symbol.venue", "MALFORMED"),
            ("symbol.currency", "MALFORMED"),
            ("symbol.time_zone", "UNKNOWN_TIME_ZONE"),
            ("symbol.ipo_date", "INVALID_DATE"),
            ("symbol.status", "UNKNOWN_STATUS"),
        },
    ),
]

BAD_SYMBOLS: Final = [*SYMBOLS, *FIELDS]
