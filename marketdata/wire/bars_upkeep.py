"""DeleteBars, GetBarStatistics and UploadBars on the wire."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from bifrost.marketdata.v1 import bars_service_pb2

from marketdata.domain.bar_rules import BrokenRule
from marketdata.domain.bar_statistics import TimeframeStatistics
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import SymbolNotFoundError
from marketdata.wire.bars_requests import check_symbol, parse_timeframe
from marketdata.wire.enums import TIMEFRAME_TO_PROTO
from marketdata.wire.times import parse_range, to_timestamp
from marketdata.wire.violations import Violations

MOST_REASON_CHARACTERS: Final = 200
MOST_SAMPLE_ROWS: Final = 10


@dataclass(frozen=True, slots=True)
class DeleteBarsRequest:
    """DeleteBars: which bars, and why."""

    symbol: str
    timeframe: Timeframe
    range: TimeRange
    reason: str


def parse_delete_bars(request: bars_service_pb2.DeleteBarsRequest, now_us: int) -> DeleteBarsRequest:
    """Check a DeleteBarsRequest.

    Raises
    ------
    InvalidRequestError, NotSupportedError
        With every violation.
    """
    violations = Violations()
    check_symbol("symbol", request.symbol, violations)
    timeframe = parse_timeframe("timeframe", request.timeframe, violations, stored=True)
    for field in ("start_time", "end_time"):
        if not request.HasField(field):
            violations.add(field, "REQUIRED", "is not set; say exactly what is to be deleted")
    within = parse_range(
        request.start_time if request.HasField("start_time") else None,
        request.end_time if request.HasField("end_time") else None,
        timeframe,
        now_us,
        violations,
    )
    reason = request.reason.strip()
    if not 0 < len(reason) <= MOST_REASON_CHARACTERS or "\0" in reason:
        problem = f"says in 1 to {MOST_REASON_CHARACTERS} characters why; the change log keeps it"
        violations.add("reason", "REQUIRED" if not reason else "MALFORMED", problem)
    violations.raise_any()
    return DeleteBarsRequest(request.symbol, timeframe, within, reason)


def parse_get_bar_statistics(request: bars_service_pb2.GetBarStatisticsRequest) -> str:
    """Check a GetBarStatisticsRequest; return its symbol, empty for all.

    Raises
    ------
    InvalidRequestError
        With every violation.
    """
    violations = Violations()
    if request.symbol:
        check_symbol("symbol", request.symbol, violations)
    violations.raise_any()
    return request.symbol


def to_proto_statistics(
    statistics: TimeframeStatistics,
) -> bars_service_pb2.TimeframeStatistics:
    """Make the line of one timeframe."""
    before, after = statistics.bytes_before_compression, statistics.bytes_after_compression
    return bars_service_pb2.TimeframeStatistics(
        timeframe=TIMEFRAME_TO_PROTO[statistics.timeframe],
        rows=statistics.rows,
        symbols=statistics.symbols,
        first_time=to_timestamp(statistics.first_us),
        last_time=to_timestamp(statistics.last_us),
        size_bytes=statistics.size_bytes,
        partitions=statistics.partitions,
        rows_estimated=statistics.is_estimate,
        compressed_partitions=statistics.compressed_partitions,
        bytes_before_compression=before,
        bytes_after_compression=after,
        compression_ratio=before / after if after else None,
    )


def to_rejected_bars(
    broken: Sequence[BrokenRule], unknown_symbols: Mapping[str, int]
) -> list[bars_service_pb2.RejectedBars]:
    """Make the lines of why bars of an upload were rejected: one a rule, one an unknown symbol.

    Parameters
    ----------
    broken : sequence of BrokenRule
        `rows` are positions in the batch as sent.
    unknown_symbols : mapping of str to int
        Bars per symbol.
    """
    lines = [
        bars_service_pb2.RejectedBars(
            rule=rule.rule,
            bars=len(rule.rows),
            description=f"{rule.column.value} {rule.description}",
            sample_rows=np.sort(rule.rows)[:MOST_SAMPLE_ROWS].tolist(),
        )
        for rule in broken
    ]
    for symbol, bars in unknown_symbols.items():
        problem = f"{symbol} is not known; CreateSymbol adds it"
        lines.append(
            bars_service_pb2.RejectedBars(
                rule=SymbolNotFoundError.reason, bars=bars, description=problem
            )
        )
    return lines
