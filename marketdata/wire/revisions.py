"""ListBarRevisions on the wire."""

from collections.abc import Sequence
from dataclasses import dataclass

from bifrost.marketdata.v1 import bars_service_pb2

from marketdata.domain.bar_version import BarVersion, VersionPosition
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.wire.bars_requests import check_symbol, parse_request_range, parse_timeframe
from marketdata.wire.bars_responses import to_proto_row
from marketdata.wire.page_token import encode_page_token, parse_page_size, parse_page_token
from marketdata.wire.times import to_timestamp
from marketdata.wire.violations import Violations

_NUMBER_BYTES = 8


@dataclass(frozen=True, slots=True)
class RevisionsRequest:
    """ListBarRevisions; `after` is the last version of the page before, None for the first page."""

    symbol: str
    timeframe: Timeframe
    range: TimeRange
    page_size: int
    after: VersionPosition | None


def parse_list_bar_revisions(
    request: bars_service_pb2.ListBarRevisionsRequest, now_us: int
) -> RevisionsRequest:
    """Check a ListBarRevisionsRequest.

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
    timeframe = parse_timeframe("timeframe", request.timeframe, violations)
    within = parse_request_range(request, timeframe, now_us, violations)
    page_size = parse_page_size(request.page_size, violations)
    position = parse_page_token(request, violations)
    violations.raise_any()
    return RevisionsRequest(request.symbol, timeframe, within, page_size, _decode(position))


def to_revisions_response(
    request: bars_service_pb2.ListBarRevisionsRequest,
    asked: RevisionsRequest,
    versions: Sequence[BarVersion],
    earliest_seq: int,
) -> bars_service_pb2.ListBarRevisionsResponse:
    """Make the answer of versions: one more than the page takes where there is another page.

    Parameters
    ----------
    earliest_seq : int
        Before it versions are not kept.
    """
    response = bars_service_pb2.ListBarRevisionsResponse(earliest_seq=earliest_seq)
    page = versions[: asked.page_size]
    for version in page:
        response.versions.append(_to_proto(version))
    if len(versions) > len(page):
        response.next_page_token = encode_page_token(request, _encode(page[-1]))
    return response


def _to_proto(version: BarVersion) -> bars_service_pb2.BarVersion:
    message = bars_service_pb2.BarVersion(
        bar=to_proto_row(version.bar),
        seq=version.seq,
        superseded_seq=version.superseded_seq,
        deleted=version.is_deleted,
    )
    if version.known_us is not None:
        message.known_time.CopyFrom(to_timestamp(version.known_us))
    if version.superseded_us is not None:
        message.superseded_time.CopyFrom(to_timestamp(version.superseded_us))
    return message


def _encode(version: BarVersion) -> bytes:
    numbers = (version.bar.time_us, version.seq)
    return b"".join(number.to_bytes(_NUMBER_BYTES, "big", signed=True) for number in numbers)


def _decode(position: bytes | None) -> VersionPosition | None:
    if position is None:
        return None
    numbers = (position[:_NUMBER_BYTES], position[_NUMBER_BYTES : 2 * _NUMBER_BYTES])
    return VersionPosition(*(int.from_bytes(number, "big", signed=True) for number in numbers))
