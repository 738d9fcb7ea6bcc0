"""What SubscribeBars refuses: each request with the violations that it must be told."""

from typing import Final

from bifrost.marketdata.v1.bar_subscription_pb2 import SubscribeBarsRequest
from bifrost.marketdata.v1.timeframe_pb2 import TIMEFRAME_5_MINUTES as FIVE_MINUTES

from tests.contract.bad_reads import FOREIGN, SYMBOL_TEXTS, UNKNOWN, UNSERVED, Case
from tests.contract.requests import DAY, HOUR, stamp
from tests.contract.subscribing import subscribe

_CASES: Final = [
    *(
        Case(f"symbol: {name}", subscribe("AAPL", text), {("symbols[1]", reason)})
        for name, text, reason in SYMBOL_TEXTS
        if name != "star"
    ),
    Case("no symbols", subscribe(), {("symbols", "REQUIRED")}),
    Case("star and others", subscribe("AAPL", "*"), {("symbols[1]", "NOT_ALONE")}),
    Case("star twice", subscribe("*", "*"), {("symbols[0]", "NOT_ALONE")}),
    Case("symbol twice", subscribe("A", "B", "A"), {("symbols[2]", "DUPLICATE")}),
    Case("too many", subscribe(*(f"S{n}" for n in range(5_001))), {("symbols", "TOO_MANY")}),
    Case("no timeframes", subscribe("A", timeframes=[]), {("timeframes", "REQUIRED")}),
    Case(
        "timeframes that are none",
        subscribe("A", timeframes=[DAY, UNKNOWN, 0]),
        {("timeframes[1]", "UNKNOWN_TIMEFRAME"), ("timeframes[2]", "UNKNOWN_TIMEFRAME")},
    ),
    Case(
        "timeframe twice",
        subscribe("A", timeframes=[DAY, HOUR, DAY]),
        {("timeframes[2]", "DUPLICATE")},
    ),
    Case(
        "timeframes without end",
        subscribe("A", timeframes=[DAY] * 100_000),
        {("timeframes", "TOO_MANY")},
    ),
    Case(
        "timeframe that is derived",
        subscribe("A", timeframes=[FIVE_MINUTES]),
        {("timeframes[0]", "NOT_SUPPORTED")},
        UNSERVED,
    ),
    Case(
        "start of all symbols",
        subscribe("*", start_time=stamp("2020-01-01")),
        {("start_time", "NOT_SUPPORTED")},
        UNSERVED,
    ),
    Case(
        "start outside of time",
        subscribe("A", start_time=stamp("9999-01-01")),
        {("start_time", "TIME_OUT_OF_BOUNDS")},
    ),
    Case(
        "foreign token",
        subscribe("A", resume_token=FOREIGN),
        {("resume_token", "INVALID_RESUME_TOKEN")},
    ),
    Case(
        "negative heartbeat",
        subscribe("A", heartbeat_seconds=-1),
        {("heartbeat_seconds", "OUT_OF_BOUNDS")},
    ),
    Case(
        "rare heartbeat",
        subscribe("A", heartbeat_seconds=301),
        {("heartbeat_seconds", "OUT_OF_BOUNDS")},
    ),
    Case(
        "unknown policy",
        subscribe("A", slow_reader_policy=UNKNOWN),
        {("slow_reader_policy", "UNKNOWN_POLICY")},
    ),
    Case(
        "everything at once",
        SubscribeBarsRequest(
            symbols=["aapl"],
            start_time=stamp("9999-01-01"),
            heartbeat_seconds=-1,
            slow_reader_policy=UNKNOWN,  # type: ignore[arg-type]
        ),
        {
            ("symbols[0]", "MALFORMED_SYMBOL"),
            ("timeframes", "REQUIRED"),
            ("start_time", "TIME_OUT_OF_BOUNDS"),
            ("heartbeat_seconds", "OUT_OF_BOUNDS"),
            ("slow_reader_policy", "UNKNOWN_POLICY"),
        },
    ),
]
BAD_SUBSCRIPTIONS: Final = [case._replace(name=f"SubscribeBars: {case.name}") for case in _CASES]
