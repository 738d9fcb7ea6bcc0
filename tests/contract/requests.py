"""Requests as tests send them: good ones, to be changed in one thing."""

import itertools
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from bifrost.marketdata.v1 import bar_pb2, timeframe_pb2
from bifrost.marketdata.v1.bars_service_pb2 import CreateBarsRequest
from bifrost.marketdata.v1.symbol_pb2 import Symbol
from bifrost.marketdata.v1.symbol_service_pb2 import CreateSymbolRequest
from google.protobuf.timestamp_pb2 import Timestamp

from tests.contract.service import CALL_SECONDS, Service
from tests.support.bars import days

DAY: Final = timeframe_pb2.TIMEFRAME_1_DAY
HOUR: Final = timeframe_pb2.TIMEFRAME_1_HOUR
MINUTE: Final = timeframe_pb2.TIMEFRAME_1_MINUTE
# 2024-01-02 00:00:00 UTC, a Tuesday; and 14:30 UTC of it, when New York opens.
MONDAY_US: Final = 1_704_067_200_000_000
TUESDAY_US: Final = MONDAY_US + days(1)
OPEN_US: Final = TUESDAY_US + (14 * 60 + 30) * 60_000_000
MINUTE_US: Final = 60_000_000

_NEW_YORK: Final = ZoneInfo("America/New_York")
_SATURDAY: Final = 5
_MINUTES_A_SESSION: Final = 390
# Martin Luther King's, Washington's and Good Friday; there is no half day before July.
_HOLIDAYS: Final = {"2024-01-15", "2024-02-19", "2024-03-29"}


def batch(
    times_us: Sequence[int] = (TUESDAY_US,),
    timeframe: timeframe_pb2.Timeframe.ValueType = DAY,
    symbols: Iterable[str] = ("AAPL",),
    **changes: Any,
) -> bar_pb2.BarBatch:
    """Make a batch of good bars, each with another price; `changes` replace its fields."""
    n = len(times_us)
    fields: dict[str, Any] = {
        "symbols": symbols,
        "timeframe": timeframe,
        "time_us": times_us,
        "open": [10.0 + row for row in range(n)],
        "high": [12.0 + row for row in range(n)],
        "low": [9.0 + row for row in range(n)],
        "close": [11.0 + row for row in range(n)],
        "volume": [100.0 * (row + 1) for row in range(n)],
    }
    return bar_pb2.BarBatch(**(fields | changes))


def create(*arguments: Any, **changes: Any) -> CreateBarsRequest:
    """Make a CreateBarsRequest of `batch`."""
    return CreateBarsRequest(batch=batch(*arguments, **changes))


async def add_symbols(service: Service, *symbols: str) -> None:
    """Create symbols of nothing but their tickers."""
    for symbol in symbols:
        request = CreateSymbolRequest(symbol=Symbol(symbol=symbol))
        await service.symbols.CreateSymbol(request, timeout=CALL_SECONDS)


async def add_bars(service: Service, *arguments: Any, **changes: Any) -> int:
    """Store good bars of symbols that exist; return the seq of the write."""
    response = await service.bars.CreateBars(create(*arguments, **changes), timeout=CALL_SECONDS)
    return int(response.seq)


def session_minutes(count: int) -> list[int]:
    """List the opens of the first `count` minutes of New York's regular sessions from 2024-01-02 on.

    Reads leave out what lies outside of the sessions, unless they are asked for it.
    """
    opens = (datetime(2024, 1, 2, 9, 30, tzinfo=_NEW_YORK) + timedelta(days=n) for n in range(120))
    sessions = (o for o in opens if o.weekday() < _SATURDAY and o.date().isoformat() not in _HOLIDAYS)
    minutes = (
        round(opened.timestamp()) * 1_000_000 + minute * MINUTE_US
        for opened in sessions
        for minute in range(_MINUTES_A_SESSION)
    )
    return list(itertools.islice(minutes, count))


def stamp(text: str) -> Timestamp:
    """Make a Timestamp of ISO 8601 text, UTC."""
    made = Timestamp()
    made.FromDatetime(datetime.fromisoformat(text).replace(tzinfo=UTC))
    return made


def stamp_us(time_us: int) -> Timestamp:
    """Make a Timestamp of Unix microseconds."""
    made = Timestamp()
    made.FromMicroseconds(time_us)
    return made
