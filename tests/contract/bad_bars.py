"""What CreateBars refuses: each request with the violations that it must be told."""

import math
from typing import Final

from bifrost.marketdata.v1 import bar_pb2, timeframe_pb2
from bifrost.marketdata.v1.bars_service_pb2 import CreateBarsRequest

from tests.contract.bad_reads import SYMBOL_TEXTS, UNKNOWN, UNSERVED, Case
from tests.contract.requests import MINUTE, MINUTE_US, OPEN_US, TUESDAY_US, create
from tests.support.bars import days

NAN: Final = math.nan
INF: Final = math.inf
WEDNESDAY_US: Final = TUESDAY_US + days(1)
GOOD_PRICES: Final = {
    "open": 10.0,
    "high": 12.0,
    "low": 9.0,
    "close": 11.0,
    "volume": 5.0,
    "vwap": 10.0,
}


def prices(**changes: float) -> CreateBarsRequest:
    """Make a request of two bars, of which the second has `changes`."""
    columns = {name: [value, value] for name, value in GOOD_PRICES.items()}
    for name, value in changes.items():
        columns[name] = [columns[name][0], value]
    return create([TUESDAY_US, WEDNESDAY_US], **columns)


SYMBOLS: Final = [
    Case(
        f"CreateBars: {name}",
        create(symbols=["AAPL", text]),
        {("batch.symbols[1]", reason)},
    )
    for name, text, reason in SYMBOL_TEXTS
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

BAD_BARS: Final = [*SYMBOLS, *PRICES, *TIMES, *BATCHES]
