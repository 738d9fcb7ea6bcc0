"""What reads refuse: each request with the violations that it must be told."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from bifrost.marketdata.v1 import bar_pb2
from bifrost.marketdata.v1.bars_service_pb2 import (
    GetLatestBarRequest,
    ListBarsRequest,
    StreamBarsRequest,
)
from bifrost.marketdata.v1.symbol_service_pb2 import GetSymbolRequest, ListSymbolsRequest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from tests.contract.requests import DAY, stamp

INVALID: Final = "INVALID_REQUEST"
UNSERVED: Final = "NOT_SUPPORTED"
FOREIGN: Final = "CAFE"
UNKNOWN: Final = 99  # a number that no enum of the contract has


class Case(NamedTuple):
    """A request that must be refused."""

    name: str
    request: Message
    violations: set[tuple[str, str]]
    reason: str = INVALID


def list_bars(**changes: Any) -> ListBarsRequest:
    """Make a good request but for `changes`."""
    fields: dict[str, Any] = {"symbol": "AAPL", "timeframe": DAY}
    return ListBarsRequest(**(fields | changes))


def stream_bars(**changes: Any) -> StreamBarsRequest:
    """Make a good request but for `changes`."""
    fields: dict[str, Any] = {"symbols": ["AAPL"], "timeframe": DAY}
    return StreamBarsRequest(**(fields | changes))


SYMBOL_TEXTS: Final = [
    ("lower case", "aapl", "MALFORMED_SYMBOL"),
    ("space", "BRK B", "MALFORMED_SYMBOL"),
    ("trailing dot", "BRK.", "MALFORMED_SYMBOL"),
    ("newline", "AAPL\n", "MALFORMED_SYMBOL"),
    ("NUL", "AAPL\0", "MALFORMED_SYMBOL"),
    ("not ASCII", "ÄAPL", "MALFORMED_SYMBOL"),
    ("SQL", "A';DROP TABLE bar_write;--", "MALFORMED_SYMBOL"),
    ("star", "*", "MALFORMED_SYMBOL"),
    ("too long", "A" * 21, "MALFORMED_SYMBOL"),
    ("very long", "A" * 1_000_000, "MALFORMED_SYMBOL"),
    ("empty", "", "REQUIRED"),
]

READ_SYMBOLS: Final = [
    Case(f"{kind}: {name}", request(text), {(field, reason)})
    for name, text, reason in SYMBOL_TEXTS
    for kind, field, request in (
        ("GetSymbol", "symbol", lambda text: GetSymbolRequest(symbol=text)),
        ("GetLatestBar", "symbol", lambda text: GetLatestBarRequest(symbol=text)),
        ("ListBars", "symbol", lambda text: list_bars(symbol=text)),
        ("StreamBars", "symbols[1]", lambda text: stream_bars(symbols=["AAPL", text])),
    )
]


def ranges(request: Callable[..., Message], kind: str) -> list[Case]:
    """List what can be wrong with the range of a read."""
    start, end = "start_time", "end_time"
    out_of_bounds = "TIME_OUT_OF_BOUNDS"
    return [
        Case(
            f"{kind}: reversed",
            request(start_time=stamp("2020-01-02"), end_time=stamp("2020-01-01")),
            {(start, "RANGE_REVERSED")},
        ),
        Case(
            f"{kind}: empty",
            request(start_time=stamp("2020-01-02"), end_time=stamp("2020-01-02")),
            {(start, "RANGE_REVERSED")},
        ),
        Case(
            f"{kind}: starts in the future",
            request(start_time=stamp("2099-01-01")),
            {(start, "RANGE_REVERSED")},
        ),
        Case(f"{kind}: year 1", request(start_time=stamp("0001-01-01")), {(start, out_of_bounds)}),
        Case(f"{kind}: year 9999", request(end_time=stamp("9999-12-31")), {(end, out_of_bounds)}),
        Case(
            f"{kind}: no time at all",
            request(start_time=Timestamp(seconds=-(2**63)), end_time=Timestamp(seconds=2**63 - 1)),
            {(start, out_of_bounds), (end, out_of_bounds)},
        ),
        Case(
            f"{kind}: impossible nanos",
            request(start_time=Timestamp(nanos=-1), end_time=Timestamp(nanos=10**9)),
            {(start, "INVALID_TIMESTAMP"), (end, "INVALID_TIMESTAMP")},
        ),
    ]


def enums(request: Callable[..., Message], kind: str) -> list[Case]:
    """List what can be wrong with the enums of a read."""
    return [
        Case(f"{kind}: timeframe unset", request(timeframe=0), {("timeframe", "REQUIRED")}),
        *(
            Case(
                f"{kind}: unknown {field} {number}",
                request(**{field: number}),
                {(field, f"UNKNOWN_{field.upper()}")},
            )
            for field in ("timeframe", "adjustment", "order", "session")
            for number in (UNKNOWN, -1)
        ),
    ]


READS: Final = [
    *ranges(list_bars, "ListBars"),
    *ranges(stream_bars, "StreamBars"),
    *enums(list_bars, "ListBars"),
    *enums(stream_bars, "StreamBars"),
    Case(
        "GetLatestBar: unknown timeframe",
        GetLatestBarRequest(symbol="AAPL", timeframe=UNKNOWN),  # type: ignore[arg-type]
        {("timeframe", "UNKNOWN_TIMEFRAME")},
    ),
    Case("ListBars: negative page size", list_bars(page_size=-1), {("page_size", "NEGATIVE")}),
    Case(
        "ListSymbols: negative page size", ListSymbolsRequest(page_size=-5), {("page_size", "NEGATIVE")}
    ),
    Case(
        "ListBars: foreign token",
        list_bars(page_token=FOREIGN),
        {("page_token", "INVALID_PAGE_TOKEN")},
    ),
    Case(
        "ListSymbols: foreign token",
        ListSymbolsRequest(page_token=FOREIGN + "ü"),
        {("page_token", "INVALID_PAGE_TOKEN")},
    ),
    Case("StreamBars: negative limit", stream_bars(limit=-1), {("limit", "NEGATIVE")}),
    Case("StreamBars: no symbols", stream_bars(symbols=[]), {("symbols", "REQUIRED")}),
    Case(
        "StreamBars: too many symbols",
        stream_bars(symbols=[f"S{n}" for n in range(5_001)]),
        {("symbols", "TOO_MANY")},
    ),
    Case(
        "StreamBars: symbols twice",
        stream_bars(symbols=["AAPL", "IBM", "AAPL", "IBM"]),
        {("symbols[2]", "DUPLICATE"), ("symbols[3]", "DUPLICATE")},
    ),
    Case(
        "StreamBars: unknown and unset columns",
        stream_bars(columns=[bar_pb2.BAR_COLUMN_OPEN, UNKNOWN, 0]),
        {("columns[1]", "UNKNOWN_COLUMN"), ("columns[2]", "UNKNOWN_COLUMN")},
    ),
    Case(
        "StreamBars: columns without end",
        stream_bars(columns=[UNKNOWN] * 100_000),
        {("columns", "TOO_MANY")},
    ),
    Case(
        "StreamBars: everything at once",
        StreamBarsRequest(
            symbols=["aapl", "IBM", "IBM"],
            start_time=stamp("2020-01-02"),
            end_time=stamp("2020-01-01"),
            limit=-1,
            order=UNKNOWN,  # type: ignore[arg-type]
            adjustment=UNKNOWN,  # type: ignore[arg-type]
            columns=[UNKNOWN],  # type: ignore[list-item]
        ),
        {
            ("symbols[0]", "MALFORMED_SYMBOL"),
            ("symbols[2]", "DUPLICATE"),
            ("timeframe", "REQUIRED"),
            ("start_time", "RANGE_REVERSED"),
            ("limit", "NEGATIVE"),
            ("order", "UNKNOWN_ORDER"),
            ("adjustment", "UNKNOWN_ADJUSTMENT"),
            ("columns[0]", "UNKNOWN_COLUMN"),
        },
    ),
    Case(
        "ListBars: everything at once",
        ListBarsRequest(
            symbol="BRK B",
            end_time=stamp("9999-01-01"),
            order=UNKNOWN,  # type: ignore[arg-type]
            adjustment=UNKNOWN,  # type: ignore[arg-type]
            page_size=-1,
            page_token=FOREIGN,
        ),
        {
            ("symbol", "MALFORMED_SYMBOL"),
            ("timeframe", "REQUIRED"),
            ("end_time", "TIME_OUT_OF_BOUNDS"),
            ("order", "UNKNOWN_ORDER"),
            ("adjustment", "UNKNOWN_ADJUSTMENT"),
            ("page_size", "NEGATIVE"),
            ("page_token", "INVALID_PAGE_TOKEN"),
        },
    ),
]

BAD_READS: Final = [*READ_SYMBOLS, *READS]
