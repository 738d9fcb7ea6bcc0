"""Every bad input: its own status, reason and field, all violations at once, and nothing changed."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import grpc
import pytest
from bifrost.marketdata.v1 import bar_pb2, symbol_pb2, timeframe_pb2
from bifrost.marketdata.v1.bars_service_pb2 import (
    CreateBarsRequest,
    GetLatestBarRequest,
    ListBarsRequest,
    StreamBarsRequest,
)
from bifrost.marketdata.v1.symbol_service_pb2 import (
    CreateSymbolRequest,
    GetSymbolRequest,
    ListSymbolsRequest,
)
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from tests.contract.known import Known
from tests.contract.refusals import Refusal, refusal_of, stream_refusal_of
from tests.contract.requests import (
    DAY,
    HOUR,
    MINUTE,
    MINUTE_US,
    MONDAY_US,
    OPEN_US,
    TUESDAY_US,
    batch,
    create,
    stamp,
)
from tests.contract.service import CALL_SECONDS, Service, state
from tests.support.bars import days

NAN, INF = math.nan, math.inf
INVALID, UNSERVED = "INVALID_REQUEST", "NOT_SUPPORTED"
FOREIGN: Final = "CAFE"
UNKNOWN: Final = 99  # a number that no enum of the contract has
WEDNESDAY_US: Final = TUESDAY_US + days(1)


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


def create_symbol(**changes: Any) -> CreateSymbolRequest:
    """Make a good request but for `changes`."""
    fields: dict[str, Any] = {"symbol": "NEW"}
    return CreateSymbolRequest(symbol=symbol_pb2.Symbol(**(fields | changes)))


def prices(**changes: float) -> CreateBarsRequest:
    """Make a request of two bars, of which the second has `changes`."""
    columns = {name: [value, value] for name, value in GOOD_PRICES.items()}
    for name, value in changes.items():
        columns[name] = [columns[name][0], value]
    return create([TUESDAY_US, WEDNESDAY_US], **columns)


def now() -> datetime:
    """Tell the time of day."""
    return datetime.now(UTC)


def to_us(time: datetime) -> int:
    """Turn a time into Unix microseconds."""
    return round(time.timestamp()) * 1_000_000


GOOD_PRICES: Final = {
    "open": 10.0,
    "high": 12.0,
    "low": 9.0,
    "close": 11.0,
    "volume": 5.0,
    "vwap": 10.0,
}

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

SYMBOLS: Final = [
    Case(f"{kind}: {name}", request(text), {(field, reason)})
    for name, text, reason in SYMBOL_TEXTS
    for kind, field, request in (
        ("GetSymbol", "symbol", lambda text: GetSymbolRequest(symbol=text)),
        ("GetLatestBar", "symbol", lambda text: GetLatestBarRequest(symbol=text)),
        ("ListBars", "symbol", lambda text: list_bars(symbol=text)),
        ("StreamBars", "symbols[1]", lambda text: stream_bars(symbols=["AAPL", text])),
        ("CreateSymbol", "symbol.symbol", lambda text: create_symbol(symbol=text)),
        ("CreateBars", "batch.symbols[1]", lambda text: create(symbols=["AAPL", text])),
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

PRICES: Final = [
    *(
        Case(f"CreateBars: {column} {value}", prices(**{column: value}), {(f"batch.{column}[1]", rule)})
        for column in ("open", "high", "low", "close")
        for value, rule in (
            (NAN, "NOT_FINITE"),
            (INF, "NOT_FINITE"),
            (-INF, "NOT_FINITE"),
            (0.0, "NOT_POSITIVE"),
            (-1.0, "NOT_POSITIVE"),
        )
    ),
    Case(
        "CreateBars: high below the others",
        prices(high=9.5),
        {("batch.high[1]", "HIGH_NOT_HIGHEST")},
    ),
    Case("CreateBars: low above the others", prices(low=10.5), {("batch.low[1]", "LOW_NOT_LOWEST")}),
    Case("CreateBars: negative volume", prices(volume=-1), {("batch.volume[1]", "NEGATIVE_VOLUME")}),
    Case("CreateBars: infinite volume", prices(volume=INF), {("batch.volume[1]", "NEGATIVE_VOLUME")}),
    Case("CreateBars: zero vwap", prices(vwap=0), {("batch.vwap[1]", "VWAP_NOT_POSITIVE")}),
    Case("CreateBars: infinite vwap", prices(vwap=INF), {("batch.vwap[1]", "VWAP_NOT_POSITIVE")}),
    Case(
        "CreateBars: negative trade count",
        create([TUESDAY_US], trade_count=[-2]),
        {("batch.trade_count[0]", "NEGATIVE_TRADE_COUNT")},
    ),
    Case(
        "CreateBars: several rules in several bars",
        create([TUESDAY_US, WEDNESDAY_US], open=[NAN, 10.0], high=[12.0, 9.0], low=[0.0, 9.0]),
        {
            ("batch.open[0]", "NOT_FINITE"),
            ("batch.low[0]", "NOT_POSITIVE"),
            ("batch.high[1]", "HIGH_NOT_HIGHEST"),
        },
    ),
    Case(
        "CreateBars: one rule in many bars",
        create([TUESDAY_US + days(n) for n in range(8)], open=[NAN] * 8),
        {("batch.open", "NOT_FINITE"), *((f"batch.open[{n}]", "NOT_FINITE") for n in range(5))},
    ),
]

TIMES: Final = [
    Case(
        "CreateBars: unsorted times",
        create([WEDNESDAY_US, TUESDAY_US]),
        {("batch.time_us[1]", "TIME_NOT_ASCENDING")},
    ),
    Case(
        "CreateBars: duplicate times",
        create([TUESDAY_US, TUESDAY_US]),
        {("batch.time_us[1]", "DUPLICATE_TIME")},
    ),
    Case(
        "CreateBars: duplicate times between other symbols'",
        create([TUESDAY_US] * 3, symbols=["AAPL", "IBM"], symbol_index=[0, 1, 0]),
        {("batch.time_us[2]", "DUPLICATE_TIME")},
    ),
    Case(
        "CreateBars: a day off midnight",
        create([TUESDAY_US + 1]),
        {("batch.time_us[0]", "TIME_NOT_ALIGNED")},
    ),
    Case(
        "CreateBars: a day at New York's midnight",
        create([TUESDAY_US + 5 * 60 * MINUTE_US]),
        {("batch.time_us[0]", "TIME_NOT_ALIGNED")},
    ),
    Case(
        "CreateBars: a minute off the minute",
        create([OPEN_US + 1_000_000], MINUTE),
        {("batch.time_us[0]", "TIME_NOT_ALIGNED")},
    ),
    Case(
        "CreateBars: seconds for microseconds",
        create([TUESDAY_US // 1_000_000], MINUTE),
        {("batch.time_us[0]", "TIME_OUT_OF_BOUNDS")},
    ),
    Case(
        "CreateBars: nanoseconds for microseconds",
        create([TUESDAY_US * 1_000]),
        {("batch.time_us[0]", "TIME_OUT_OF_BOUNDS")},
    ),
    Case(
        "CreateBars: the ends of int64",
        create([-(2**63), 2**63 - 1]),
        {("batch.time_us[0]", "TIME_OUT_OF_BOUNDS"), ("batch.time_us[1]", "TIME_OUT_OF_BOUNDS")},
    ),
]

BATCHES: Final = [
    Case(
        "CreateBars: empty",
        CreateBarsRequest(),
        {
            ("batch.timeframe", "REQUIRED"),
            ("batch.symbols", "REQUIRED"),
            *((f"batch.{name}", "REQUIRED") for name in ("time_us", "open", "high", "low", "close")),
        },
    ),
    *(
        Case(f"CreateBars: no {name}", create(**{name: []}), {(f"batch.{name}", "REQUIRED")})
        for name in ("open", "high", "low", "close")
    ),
    *(
        Case(
            f"CreateBars: {name} too long",
            create([TUESDAY_US, WEDNESDAY_US], **{name: [1] * 3}),
            {(f"batch.{name}", "LENGTH_MISMATCH")},
        )
        for name in ("open", "high", "low", "close", "volume", "vwap", "trade_count")
    ),
    Case(
        "CreateBars: several columns too short",
        create([TUESDAY_US, WEDNESDAY_US], open=[1], volume=[1], symbol_index=[0], feed_index=[0]),
        {
            ("batch.open", "LENGTH_MISMATCH"),
            ("batch.volume", "LENGTH_MISMATCH"),
            ("batch.symbol_index", "LENGTH_MISMATCH"),
            ("batch.feed_index", "LENGTH_MISMATCH"),
            ("batch.feed_index", "INDEX_OUT_OF_RANGE"),
        },
    ),
    Case(
        "CreateBars: symbol index out of range",
        create(symbol_index=[1]),
        {("batch.symbol_index", "INDEX_OUT_OF_RANGE")},
    ),
    Case(
        "CreateBars: greatest symbol index",
        create(symbol_index=[2**32 - 1]),
        {("batch.symbol_index", "INDEX_OUT_OF_RANGE")},
    ),
    Case(
        "CreateBars: feed index out of range",
        create(feeds=["manual/upload"], feed_index=[1]),
        {("batch.feed_index", "INDEX_OUT_OF_RANGE")},
    ),
    Case(
        "CreateBars: symbol twice",
        create(symbols=["AAPL", "IBM", "AAPL"]),
        {("batch.symbols", "DUPLICATE")},
    ),
    Case("CreateBars: no symbols", create(symbols=[]), {("batch.symbols", "REQUIRED")}),
    Case(
        "CreateBars: too many bars",
        create([OPEN_US + n * MINUTE_US for n in range(5_001)], MINUTE),
        {("batch.time_us", "TOO_MANY")},
    ),
    Case(
        "CreateBars: dictionaries without end",
        create(symbols=["A"] * 100_000, feeds=["a/b"] * 5_001),
        {("batch.symbols", "TOO_MANY"), ("batch.feeds", "TOO_MANY")},
    ),
    *(
        Case(
            f"CreateBars: adjustment {adjustment}",
            create(adjustment=adjustment),
            {("batch.adjustment", "NOT_RAW")},
        )
        for adjustment in (
            bar_pb2.ADJUSTMENT_SPLIT,
            bar_pb2.ADJUSTMENT_DIVIDEND,
            bar_pb2.ADJUSTMENT_ALL,
            UNKNOWN,
        )
    ),
    Case("CreateBars: timeframe unset", create(timeframe=0), {("batch.timeframe", "REQUIRED")}),
    Case(
        "CreateBars: unknown timeframe",
        create(timeframe=UNKNOWN),
        {("batch.timeframe", "UNKNOWN_TIMEFRAME")},
    ),
    *(
        Case(
            f"CreateBars: derived timeframe {timeframe}",
            create([OPEN_US], timeframe),
            {("batch.timeframe", "NOT_STORED")},
        )
        for timeframe in (timeframe_pb2.TIMEFRAME_5_MINUTES, timeframe_pb2.TIMEFRAME_15_MINUTES)
    ),
    *(
        Case(
            f"CreateBars: encoding {encoding}",
            create(encoding=encoding),
            {("batch.encoding", UNSERVED)},
            UNSERVED,
        )
        for encoding in (1, 2**32 - 1)
    ),
    Case("CreateBars: unknown feed", create(feeds=["acme/fast"]), {("batch.feeds", "UNKNOWN_FEED")}),
    Case("CreateBars: empty feed", create(feeds=[""]), {("batch.feeds", "UNKNOWN_FEED")}),
    Case(
        "CreateBars: feed of a million characters",
        create(feeds=["💥" * 250_000]),
        {("batch.feeds", "UNKNOWN_FEED")},
    ),
    Case(
        "CreateBars: everything at once",
        CreateBarsRequest(
            batch=bar_pb2.BarBatch(
                symbols=["aapl", "IBM", "IBM"],
                symbol_index=[3],
                adjustment=bar_pb2.ADJUSTMENT_ALL,
                time_us=[TUESDAY_US],
                open=[1.0, 2.0],
                high=[1.0],
                low=[1.0],
                encoding=7,
            )
        ),
        {
            ("batch.timeframe", "REQUIRED"),
            ("batch.symbols[0]", "MALFORMED_SYMBOL"),
            ("batch.symbols", "DUPLICATE"),
            ("batch.symbol_index", "INDEX_OUT_OF_RANGE"),
            ("batch.adjustment", "NOT_RAW"),
            ("batch.open", "LENGTH_MISMATCH"),
            ("batch.close", "REQUIRED"),
            ("batch.encoding", UNSERVED),
        },
    ),
]

NEW_SYMBOLS: Final = [
    Case("CreateSymbol: empty", CreateSymbolRequest(), {("symbol.symbol", "REQUIRED")}),
    Case("CreateSymbol: long name", create_symbol(name="x" * 201), {("symbol.name", "TOO_LONG")}),
    Case("CreateSymbol: NUL in the name", create_symbol(name="a\0b"), {("symbol.name", "TOO_LONG")}),
    Case("CreateSymbol: venue", create_symbol(venue="NYSE!"), {("symbol.venue", "MALFORMED")}),
    Case("CreateSymbol: currency", create_symbol(currency="usd"), {("symbol.currency", "MALFORMED")}),
    Case("CreateSymbol: calendar", create_symbol(calendar="X Y"), {("symbol.calendar", "MALFORMED")}),
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
        for tick in (0.0, -0.01, NAN, INF)
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

CASES: Final = [*SYMBOLS, *READS, *PRICES, *TIMES, *BATCHES, *NEW_SYMBOLS]


async def refused(service: Service, request: Message) -> Refusal:
    """Send a request to the method that takes it, and say how it was refused."""
    name = type(request).__name__.removesuffix("Request")
    stub = service.bars if hasattr(service.bars, name) else service.symbols
    call = getattr(stub, name)(request, timeout=CALL_SECONDS)
    if isinstance(request, StreamBarsRequest):
        return await stream_refusal_of(call)
    return await refusal_of(call)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
async def test_calls_given_bad_input_say_all_of_it_and_change_nothing(known: Known, case: Case) -> None:
    """Each mistake has its own reason on its own field; nothing of the request was stored."""
    before = state(known.database)
    refusal = await refused(known.service, case.request)
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.reason == case.reason
    assert refusal.violations == case.violations
    assert refusal.retry_seconds is None
    assert refusal.message
    assert state(known.database) == before


@pytest.mark.parametrize(
    "request_",
    [
        GetSymbolRequest(symbol="NOPE"),
        GetLatestBarRequest(symbol="NOPE"),
        GetLatestBarRequest(symbol="NOPE", timeframe=DAY),
        list_bars(symbol="NOPE"),
    ],
    ids=lambda request: type(request).__name__,
)
async def test_calls_about_one_symbol_given_unknown_one_are_not_found(
    known: Known, request_: Message
) -> None:
    """An unknown symbol is told apart from a malformed one, and named."""
    refusal = await refused(known.service, request_)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "SYMBOL_NOT_FOUND")
    assert refusal.metadata == {"symbol": "NOPE"}
    assert not refusal.violations


@pytest.mark.parametrize(
    ("timeframe", "ago", "width"),
    [
        (MINUTE, timedelta(), timedelta(minutes=1)),
        (MINUTE, timedelta(minutes=-2), timedelta(minutes=1)),
        (HOUR, timedelta(minutes=30), timedelta(minutes=1)),
        (HOUR, timedelta(hours=-3), timedelta(hours=1)),
        (DAY, timedelta(), timedelta(days=1)),
        (DAY, timedelta(days=-1), timedelta(days=1)),
        (DAY, timedelta(days=-300), timedelta(days=1)),
    ],
)
async def test_create_bars_given_bar_that_has_not_ended_refuses_it(
    known: Known,
    timeframe: timeframe_pb2.Timeframe.ValueType,
    ago: timedelta,
    width: timedelta,
) -> None:
    """What is still forming, or lies ahead, is not final; a day is not before its date is over."""
    before = state(known.database)
    width_us = round(width.total_seconds() * 1e6)
    aligned_us = to_us(now() - ago) // width_us * width_us
    refusal = await refused(known.service, create([aligned_us], timeframe))
    assert refusal.violations == {("batch.time_us[0]", "BAR_NOT_ENDED")}
    assert state(known.database) == before


async def test_create_bars_given_bar_that_has_just_ended_takes_it(service: Service) -> None:
    """The minute before this one and yesterday can be stored."""
    await service.symbols.CreateSymbol(create_symbol(symbol="AAPL"))
    for timeframe, width_us in ((MINUTE, MINUTE_US), (DAY, days(1))):
        last_us = to_us(now()) // width_us * width_us - width_us
        request = create([last_us], timeframe)
        response = await service.bars.CreateBars(request, timeout=CALL_SECONDS)
        assert response.accepted == 1


async def test_create_bars_given_one_bad_bar_among_good_ones_stores_none(known: Known) -> None:
    """A batch is one transaction: nothing of it is stored where one bar breaks a rule."""
    before = state(known.database)
    times_us = [MONDAY_US - days(n) for n in range(100, 0, -1)]
    request = CreateBarsRequest(batch=batch(times_us))
    request.batch.close[57] = NAN
    refusal = await refused(known.service, request)
    assert refusal.violations == {("batch.close[57]", "NOT_FINITE")}
    assert state(known.database) == before


async def test_refusal_given_thousands_of_violations_arrives_whole(known: Known) -> None:
    """However much is wrong, the client gets a typed status with the first of it and a count."""
    refusal = await refused(known.service, stream_bars(symbols=[f"bad {n}" for n in range(5_000)]))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert ("symbols[0]", "MALFORMED_SYMBOL") in refusal.violations
    assert "MORE_VIOLATIONS" in {reason for _, reason in refusal.violations}
    assert len(refusal.everything) < 8_192


async def test_list_bars_given_token_of_another_list_refuses_it(known: Known) -> None:
    """A token goes with the parameters that it was given for."""
    first = await known.service.bars.ListBars(list_bars(page_size=2))
    for other in (
        list_bars(symbol="IBM"),
        list_bars(timeframe=HOUR),
        list_bars(start_time=stamp("2020-01-01")),
        list_bars(order=bar_pb2.BAR_ORDER_SYMBOL_TIME_DESCENDING),
        ListSymbolsRequest(),
    ):
        other.page_token = first.next_page_token
        refusal = await refused(known.service, other)
        assert refusal.violations == {("page_token", "INVALID_PAGE_TOKEN")}
        assert "other parameters" in refusal.message
