"""GetBarCoverage on the wire."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bifrost.marketdata.v1 import bars_service_pb2

from marketdata.domain.as_of import AsOf
from marketdata.domain.coverage import BarCoverage, SessionCounts
from marketdata.domain.gaps import Gaps
from marketdata.domain.timeframe import Timeframe
from marketdata.wire.as_of import parse_as_of
from marketdata.wire.bars_requests import check_symbol, page_position, parse_timeframe
from marketdata.wire.enums import GAP_REASON_TO_PROTO
from marketdata.wire.page_token import encode_page_token, parse_page_size, parse_page_token
from marketdata.wire.times import parse_range, to_timestamp
from marketdata.wire.violations import Violations

# 0 is that of a session without a gap.
_SESSION_REASONS: Final[Mapping[int, bars_service_pb2.GapReason.ValueType]] = {
    0: bars_service_pb2.GAP_REASON_UNSPECIFIED,
    **{int(reason): proto for reason, proto in GAP_REASON_TO_PROTO.items()},
}


@dataclass(frozen=True, slots=True)
class CoverageRequest:
    """GetBarCoverage.

    Attributes
    ----------
    start_us, end_us : int or None
        As asked for; None where not set.
    behind_us : int or None
        End of the last gap of the page before.
    with_sessions : bool
        Whether this page counts session by session: the first one, where that was asked for.
    as_of : AsOf or None
        When the bars were known; None for now.
    """

    symbol: str
    timeframe: Timeframe
    start_us: int | None
    end_us: int | None
    page_size: int
    behind_us: int | None
    with_sessions: bool
    as_of: AsOf | None


def parse_get_bar_coverage(
    request: bars_service_pb2.GetBarCoverageRequest, now_us: int
) -> CoverageRequest:
    """Check a GetBarCoverageRequest.

    Parameters
    ----------
    now_us : int
        Unix microseconds; a range that is not closed must at least begin before.

    Raises
    ------
    InvalidRequestError
        With every violation.
    """
    violations = Violations()
    check_symbol("symbol", request.symbol, violations)
    timeframe = parse_timeframe("timeframe", request.timeframe, violations)
    start = request.start_time if request.HasField("start_time") else None
    end = request.end_time if request.HasField("end_time") else None
    within = parse_range(start, end, timeframe, now_us, violations)
    page_size = parse_page_size(request.page_size, violations)
    position = parse_page_token(request, violations)
    as_of = parse_as_of(request.as_of, now_us, violations)
    violations.raise_any()
    return CoverageRequest(
        symbol=request.symbol,
        timeframe=timeframe,
        start_us=None if start is None else within.start_us,
        end_us=None if end is None else within.end_us,
        page_size=page_size,
        behind_us=None if position is None else int.from_bytes(position[:8], "big", signed=True),
        with_sessions=request.include_sessions and position is None,
        as_of=as_of,
    )


def to_coverage_response(
    request: bars_service_pb2.GetBarCoverageRequest,
    asked: CoverageRequest,
    found: BarCoverage,
    seq: int,
) -> bars_service_pb2.GetBarCoverageResponse:
    """Make the answer, read as of `seq`: the counts, and the page of gaps that was asked for."""
    response = bars_service_pb2.GetBarCoverageResponse(
        count=found.count,
        expected_count=found.expected,
        as_of_seq=seq,
        quarantined_count=found.quarantined,
    )
    if found.first_us is not None and found.last_us is not None:
        response.first_time.CopyFrom(to_timestamp(found.first_us))
        response.last_time.CopyFrom(to_timestamp(found.last_us))
    if found.sessions is not None:
        response.sessions.CopyFrom(_to_proto_sessions(found.sessions))
    gaps = found.gaps
    first = 0
    if asked.behind_us is not None:
        first = int(gaps.start_us.searchsorted(asked.behind_us))
    last = min(first + asked.page_size, len(gaps))
    response.gaps.extend(_to_proto_gap(gaps, gap) for gap in range(first, last))
    if last < len(gaps):
        # Where it ended, and not where it began: what lies behind has another reason by the next page.
        position = page_position(int(gaps.end_us[last - 1]))
        response.next_page_token = encode_page_token(request, position)
    return response


def _to_proto_gap(gaps: Gaps, gap: int) -> bars_service_pb2.BarGap:
    cause = gaps.causes[int(gaps.cause[gap])]
    return bars_service_pb2.BarGap(
        start_time=to_timestamp(int(gaps.start_us[gap])),
        end_time=to_timestamp(int(gaps.end_us[gap])),
        missing_count=int(gaps.missing[gap]),
        reason=GAP_REASON_TO_PROTO[cause.reason],
        provider=cause.provider,
        retry_time=None if cause.retry_us is None else to_timestamp(cause.retry_us),
        message=cause.message,
    )


def _to_proto_sessions(sessions: SessionCounts) -> bars_service_pb2.SessionCounts:
    return bars_service_pb2.SessionCounts(
        session_us=sessions.label_us.tolist(),
        present_count=sessions.present.tolist(),
        expected_count=sessions.expected.tolist(),
        quarantined_count=sessions.quarantined.tolist(),
        derived_count=sessions.derived.tolist(),
        reason=[_SESSION_REASONS[reason] for reason in sessions.reason.tolist()],
    )
