"""GetLatestBar and BatchGetLatestBars on the wire."""

from collections.abc import Sequence
from dataclasses import dataclass

from bifrost.marketdata.v1 import bar_pb2, bars_service_pb2, timeframe_pb2

from marketdata.domain.as_of import AsOf
from marketdata.domain.symbol import symbol_problem
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import BarNotFoundError, SymbolNotFoundError
from marketdata.wire.as_of import parse_as_of
from marketdata.wire.bars_requests import (
    check_symbol,
    check_symbol_count,
    parse_timeframe,
)
from marketdata.wire.violations import Violations

MALFORMED_SYMBOL = "MALFORMED_SYMBOL"


@dataclass(frozen=True, slots=True)
class LatestBarsRequest:
    """Which symbols, and of which timeframe; None for the finest that each has.

    Attributes
    ----------
    symbols : tuple of str
        Well-formed ones, without repeats.
    as_of : AsOf or None
        When the bars were known; None for now.
    """

    symbols: tuple[str, ...]
    timeframe: Timeframe | None
    as_of: AsOf | None


def parse_get_latest_bar(
    request: bars_service_pb2.GetLatestBarRequest, now_us: int
) -> LatestBarsRequest:
    """Check a GetLatestBarRequest.

    Raises
    ------
    InvalidRequestError, NotSupportedError
        With every violation.
    """
    violations = Violations()
    check_symbol("symbol", request.symbol, violations)
    timeframe = _parse_optional(request.timeframe, violations, stored=False)
    as_of = parse_as_of(request.as_of, now_us, violations)
    violations.raise_any()
    return LatestBarsRequest((request.symbol,), timeframe, as_of)


def parse_batch_get_latest_bars(
    request: bars_service_pb2.BatchGetLatestBarsRequest, now_us: int
) -> LatestBarsRequest:
    """Check a BatchGetLatestBarsRequest; malformed symbols are left out, and told in the answer.

    Raises
    ------
    InvalidRequestError, NotSupportedError
        With every violation.
    """
    violations = Violations()
    check_symbol_count(request.symbols, violations)
    if len(set(request.symbols)) != len(request.symbols):
        violations.add("symbols", "DUPLICATE", "has repeats; send each symbol once")
    timeframe = _parse_optional(request.timeframe, violations, stored=True)
    as_of = parse_as_of(request.as_of, now_us, violations)
    violations.raise_any()
    well_formed = tuple(symbol for symbol in request.symbols if symbol_problem(symbol) is None)
    return LatestBarsRequest(well_formed, timeframe, as_of)


def to_batch_response(
    symbols: Sequence[str],
    bars: Sequence[bar_pb2.Bar],
    without_bars: frozenset[str],
    as_of_seq: int,
) -> bars_service_pb2.BatchGetLatestBarsResponse:
    """Make the answer: one entry a symbol of the request, in its order.

    Parameters
    ----------
    symbols : sequence of str
        As asked for.
    bars : sequence of Bar
        Those that were found.
    without_bars : frozenset of str
        Known symbols without a bar.
    as_of_seq : int
        What the point in time stands for; 0 where none was asked about.
    """
    found = {bar.symbol: bar for bar in bars}
    response = bars_service_pb2.BatchGetLatestBarsResponse(as_of_seq=as_of_seq)
    for symbol in symbols:
        entry = response.latest_bars.add(symbol=symbol)
        if symbol in found:
            entry.bar.CopyFrom(found[symbol])
        elif symbol in without_bars:
            entry.reason = BarNotFoundError.reason
        elif symbol_problem(symbol) is None:
            entry.reason = SymbolNotFoundError.reason
        else:
            entry.reason = MALFORMED_SYMBOL
    return response


def _parse_optional(
    timeframe: timeframe_pb2.Timeframe.ValueType, violations: Violations, *, stored: bool
) -> Timeframe | None:
    if timeframe == timeframe_pb2.TIMEFRAME_UNSPECIFIED:
        return None
    return parse_timeframe("timeframe", timeframe, violations, stored=stored)
