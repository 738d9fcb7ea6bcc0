"""Requests of BarsService that read, checked and turned into domain queries."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from bifrost.marketdata.v1 import bar_pb2, bars_service_pb2, timeframe_pb2

from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bar_query import BarPosition, BarQuery
from marketdata.domain.bars import ALL_COLUMNS, BarColumn
from marketdata.domain.calendar import SessionHours
from marketdata.domain.symbol import symbol_problem
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.wire.as_of import parse_as_of
from marketdata.wire.enums import (
    ADJUSTMENT_FROM_PROTO,
    COLUMN_FROM_PROTO,
    ORDER_FROM_PROTO,
    SESSION_FROM_PROTO,
    TIMEFRAME_FROM_PROTO,
)
from marketdata.wire.page_token import parse_page_size, parse_page_token
from marketdata.wire.times import parse_range
from marketdata.wire.violations import Violations

MOST_SYMBOLS: Final = 5_000
# More than there are; four megabytes hold four million, and each wrong one would be described.
_MOST_COLUMNS: Final = 100

# Whatever the timeframe, no bar lies outside of the daily bounds.
_EARLIEST_US: Final = Timeframe.DAY_1.earliest_us
_LATEST_US: Final = Timeframe.DAY_1.latest_us
_POSITION_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class ListBarsRequest:
    """ListBars: the rest of the list from its page on, and how many bars the page takes."""

    query: BarQuery
    page_size: int


def parse_list_bars(request: bars_service_pb2.ListBarsRequest, now_us: int) -> ListBarsRequest:
    """Check a ListBarsRequest.

    Parameters
    ----------
    now_us : int
        Unix microseconds: the end of a range that has none.

    Raises
    ------
    InvalidRequestError, NotSupportedError
        With every violation.
    """
    violations = Violations()
    check_symbol("symbol", request.symbol, violations)
    timeframe = parse_timeframe("timeframe", request.timeframe, violations, stored=False)
    query = BarQuery(
        symbols=(request.symbol,),
        timeframe=timeframe,
        range=parse_request_range(request, timeframe, now_us, violations),
        descending=_parse_order(request.order, violations)[0],
        session=_parse_session(request.session, timeframe, violations),
        adjustment=_parse_adjustment(request.adjustment, violations),
        now_us=now_us,
        as_of=parse_as_of(request.as_of, now_us, violations),
    )
    page_size = parse_page_size(request.page_size, violations)
    position = parse_page_token(request, violations)
    violations.raise_any()
    return ListBarsRequest(_behind(query, position), page_size)


def page_position(time_us: int) -> bytes:
    """Encode the time of a page's last bar, for the token of the next page."""
    return time_us.to_bytes(_POSITION_BYTES, "big", signed=True)


def parse_stream_bars(request: bars_service_pb2.StreamBarsRequest, now_us: int) -> BarQuery:
    """Check a StreamBarsRequest.

    Parameters
    ----------
    now_us : int
        Unix microseconds: the end of a range that has none.

    Raises
    ------
    InvalidRequestError, NotSupportedError
        With every violation.
    """
    violations = Violations()
    check_symbols(request.symbols, violations)
    if request.limit < 0:
        violations.add("limit", "NEGATIVE", "is negative; leave it out for all bars")
    timeframe = parse_timeframe("timeframe", request.timeframe, violations, stored=False)
    descending, by_time = _parse_order(request.order, violations)
    query = BarQuery(
        symbols=tuple(request.symbols),
        timeframe=timeframe,
        range=parse_request_range(request, timeframe, now_us, violations),
        limit=request.limit or None,
        descending=descending,
        by_time=by_time,
        columns=_parse_columns(request.columns, violations),
        session=_parse_session(request.session, timeframe, violations),
        adjustment=_parse_adjustment(request.adjustment, violations),
        resume_after=_parse_resume_after(request, violations),
        now_us=now_us,
        as_of=parse_as_of(request.as_of, now_us, violations),
    )
    violations.raise_any()
    return query


def check_symbol(field: str, symbol: str, violations: Violations) -> None:
    """Note what is wrong with the text of a symbol."""
    problem = symbol_problem(symbol)
    if problem is not None:
        violations.add(field, "MALFORMED_SYMBOL" if symbol else "REQUIRED", problem)


def parse_timeframe(
    field: str,
    timeframe: timeframe_pb2.Timeframe.ValueType,
    violations: Violations,
    *,
    stored: bool = True,
) -> Timeframe:
    """Read a timeframe; a stand-in where there are violations.

    Parameters
    ----------
    stored : bool
        Whether it must be one that bars are stored of.
    """
    parsed = TIMEFRAME_FROM_PROTO.get(timeframe)
    labels = ", ".join(t.value for t in Timeframe if t.is_stored or not stored)
    if parsed is None:
        reason = "UNKNOWN_TIMEFRAME" if timeframe else "REQUIRED"
        problem = f"{timeframe} is no timeframe" if timeframe else "is not set"
        violations.add(field, reason, f"{problem}; send one of {labels}")
    elif stored and not parsed.is_stored:
        problem = f"{parsed.value} bars are derived on read, not stored; send one of {labels}"
        violations.add(field, "NOT_STORED", problem)
    return parsed or Timeframe.DAY_1


def parse_request_range(
    request: (
        bars_service_pb2.ListBarsRequest
        | bars_service_pb2.StreamBarsRequest
        | bars_service_pb2.ListBarRevisionsRequest
    ),
    timeframe: Timeframe,
    now_us: int,
    violations: Violations,
) -> TimeRange:
    """Read the range of a request; see `parse_range`."""
    start = request.start_time if request.HasField("start_time") else None
    end = request.end_time if request.HasField("end_time") else None
    return parse_range(start, end, timeframe, now_us, violations)


def _behind(query: BarQuery, position: bytes | None) -> BarQuery:
    if position is None:
        return query
    time_us = int.from_bytes(position[:_POSITION_BYTES], "big", signed=True)
    start_us, end_us = query.range.start_us, query.range.end_us
    if query.descending:
        rest = TimeRange(start_us, max(start_us, min(end_us, time_us)))
    else:
        rest = TimeRange(min(end_us, max(start_us, time_us + 1)), end_us)
    return replace(query, range=rest)


def check_symbol_count(symbols: Sequence[str], violations: Violations) -> bool:
    """Note a list of symbols that is empty or too long; return whether it is neither."""
    if not symbols:
        violations.add("symbols", "REQUIRED", "is empty; send 1 to 5,000 tickers")
    if len(symbols) > MOST_SYMBOLS:
        problem = f"has {len(symbols)} entries; the most is {MOST_SYMBOLS}: send them in parts"
        violations.add("symbols", "TOO_MANY", problem)
    return 0 < len(symbols) <= MOST_SYMBOLS


def check_symbols(symbols: Sequence[str], violations: Violations) -> None:
    """Note what is wrong with a list of symbols: its length, each text, repeats."""
    if not check_symbol_count(symbols, violations):
        return
    seen: dict[str, int] = {}
    for position, symbol in enumerate(symbols):
        check_symbol(f"symbols[{position}]", symbol, violations)
        first = seen.setdefault(symbol, position)
        if first != position:
            problem = f"repeats symbols[{first}]; send each symbol once"
            violations.add(f"symbols[{position}]", "DUPLICATE", problem)


def _parse_adjustment(adjustment: bar_pb2.Adjustment.ValueType, violations: Violations) -> Adjustment:
    if adjustment not in ADJUSTMENT_FROM_PROTO:
        problem = f"{adjustment} is no adjustment; leave it out for raw prices"
        violations.add("adjustment", "UNKNOWN_ADJUSTMENT", problem)
    return ADJUSTMENT_FROM_PROTO.get(adjustment, Adjustment.RAW)


def _parse_session(
    session: bar_pb2.Session.ValueType, timeframe: Timeframe, violations: Violations
) -> SessionHours:
    if timeframe is Timeframe.DAY_1 and session == bar_pb2.SESSION_EXTENDED:
        problem = "has no 1d bars: a day is its regular session; ask for 1h or finer"
        violations.add("session", "NO_SUCH_BARS", problem)
    if session not in SESSION_FROM_PROTO:
        problem = f"{session} is no session; leave it out for SESSION_REGULAR"
        violations.add("session", "UNKNOWN_SESSION", problem)
    return SESSION_FROM_PROTO.get(session, SessionHours.REGULAR)


def _parse_order(order: bar_pb2.BarOrder.ValueType, violations: Violations) -> tuple[bool, bool]:
    """Read an order: whether it descends, and whether times come first."""
    if order not in ORDER_FROM_PROTO:
        problem = f"{order} is no order; leave it out for BAR_ORDER_SYMBOL_TIME"
        violations.add("order", "UNKNOWN_ORDER", problem)
    return ORDER_FROM_PROTO.get(order, (False, False))


def _parse_resume_after(
    request: bars_service_pb2.StreamBarsRequest, violations: Violations
) -> BarPosition | None:
    if not request.HasField("resume_after"):
        return None
    position = request.resume_after
    if position.symbol not in request.symbols:
        problem = "is not one of symbols; repeat the request that was interrupted"
        violations.add("resume_after.symbol", "UNKNOWN_POSITION", problem)
    if not _EARLIEST_US <= position.time_us < _LATEST_US:
        problem = "is not the time of a bar, in Unix microseconds"
        violations.add("resume_after.time_us", "TIME_OUT_OF_BOUNDS", problem)
    return BarPosition(position.symbol, position.time_us)


def _parse_columns(
    columns: Sequence[bar_pb2.BarColumn.ValueType], violations: Violations
) -> frozenset[BarColumn]:
    if len(columns) > _MOST_COLUMNS:
        problem = f"has {len(columns)} entries; the most is {_MOST_COLUMNS}: send each column once"
        violations.add("columns", "TOO_MANY", problem)
        return ALL_COLUMNS
    for position, column in enumerate(columns):
        if column not in COLUMN_FROM_PROTO:
            problem = f"{column} is no column; leave columns out for all"
            violations.add(f"columns[{position}]", "UNKNOWN_COLUMN", problem)
    if not columns:
        return ALL_COLUMNS
    asked = {COLUMN_FROM_PROTO[column] for column in columns if column in COLUMN_FROM_PROTO}
    return frozenset(asked | {BarColumn.TIME})
