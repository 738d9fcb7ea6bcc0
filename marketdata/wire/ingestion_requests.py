"""Requests of IngestionService about runs, checked and turned into domain values."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bifrost.marketdata.v1 import ingestion_pb2, ingestion_service_pb2

from marketdata.domain.ingestion_run import IngestionMode, IngestionRun, RunRequest, RunState
from marketdata.domain.timeframe import Timeframe
from marketdata.wire.bars_requests import check_symbols, parse_timeframe
from marketdata.wire.page_token import parse_page_size, parse_page_token
from marketdata.wire.times import parse_time
from marketdata.wire.violations import Violations

MOST_REQUEST_ID_CHARACTERS: Final = 100
MOST_PROVIDER_CHARACTERS: Final = 50
_ID_BYTES: Final = 8

MODE_TO_PROTO: Final = {
    IngestionMode.BATCH: ingestion_pb2.INGESTION_MODE_BATCH,
    IngestionMode.BACKFILL: ingestion_pb2.INGESTION_MODE_BACKFILL,
    IngestionMode.ACTIONS: ingestion_pb2.INGESTION_MODE_ACTIONS,
    IngestionMode.COMPANY: ingestion_pb2.INGESTION_MODE_COMPANY,
}
MODE_FROM_PROTO: Final = {proto: domain for domain, proto in MODE_TO_PROTO.items()}
STATE_TO_PROTO: Final = {
    RunState.QUEUED: ingestion_pb2.INGESTION_RUN_STATE_QUEUED,
    RunState.RUNNING: ingestion_pb2.INGESTION_RUN_STATE_RUNNING,
    RunState.SUCCEEDED: ingestion_pb2.INGESTION_RUN_STATE_SUCCEEDED,
    RunState.FAILED: ingestion_pb2.INGESTION_RUN_STATE_FAILED,
    RunState.CANCELLED: ingestion_pb2.INGESTION_RUN_STATE_CANCELLED,
}
STATE_FROM_PROTO: Final = {proto: domain for domain, proto in STATE_TO_PROTO.items()}

AboutOneRun = (
    ingestion_service_pb2.GetIngestionRunRequest
    | ingestion_service_pb2.WatchIngestionRunRequest
    | ingestion_service_pb2.CancelIngestionRunRequest
)


@dataclass(frozen=True, slots=True)
class ListRunsRequest:
    """ListIngestionRuns: from which run on backwards (None: the newest), how many, and which."""

    before: int | None
    page_size: int
    state: RunState | None
    provider: str | None


def parse_start_ingestion(request: ingestion_service_pb2.StartIngestionRequest) -> RunRequest:
    """Check a StartIngestionRequest; one without an id gets one.

    Raises
    ------
    InvalidRequestError, NotSupportedError
        With every violation that can be known without the database.
    """
    violations = Violations()
    mode = _parse_mode(request.mode, violations)
    check_provider(request.provider, violations)
    check_symbols(request.symbols, violations)
    timeframes: tuple[Timeframe, ...] = ()
    start_us = end_us = None
    if mode.is_reference:
        _refuse_bars(request, mode, violations)
    else:
        timeframes = parse_timeframes(request.timeframes, violations)
        start_us, end_us = _parse_range(request, mode, violations)
    _check_request_id(request.request_id, violations)
    violations.raise_any()
    return RunRequest(
        request_id=request.request_id or uuid.uuid4().hex,
        mode=mode,
        provider=request.provider,
        symbols=tuple(request.symbols),
        timeframes=timeframes,
        start_us=start_us,
        end_us=end_us,
        refetches=request.refetch,
    )


def parse_run_id(request: AboutOneRun) -> int:
    """Check a request about one run; return its number.

    Raises
    ------
    InvalidRequestError
        The number is none.
    """
    violations = Violations()
    if request.run_id < 1:
        problem = "is not the number of a run; ListIngestionRuns lists them"
        violations.add("run_id", "INVALID" if request.run_id else "REQUIRED", problem)
    violations.raise_any()
    return request.run_id


def parse_list_runs(request: ingestion_service_pb2.ListIngestionRunsRequest) -> ListRunsRequest:
    """Check a ListIngestionRunsRequest.

    Raises
    ------
    InvalidRequestError
        With every violation.
    """
    violations = Violations()
    page_size = parse_page_size(request.page_size, violations)
    position = parse_page_token(request, violations)
    if request.state and request.state not in STATE_FROM_PROTO:
        violations.add("state", "UNKNOWN_STATE", f"{request.state} is no state of a run; leave it out")
    if request.provider:
        check_provider(request.provider, violations)
    violations.raise_any()
    return ListRunsRequest(
        before=int.from_bytes(position, "big") if position else None,
        page_size=page_size,
        state=STATE_FROM_PROTO[request.state] if request.state else None,
        provider=request.provider or None,
    )


def run_position(run: IngestionRun) -> bytes:
    """Encode where a page of runs ended, for the token of the next page."""
    return run.run_id.to_bytes(_ID_BYTES, "big")


def _parse_mode(mode: ingestion_pb2.IngestionMode.ValueType, violations: Violations) -> IngestionMode:
    parsed = MODE_FROM_PROTO.get(mode)
    if parsed is None:
        problem = "is not set" if not mode else f"{mode} is no mode"
        remedy = (
            "send INGESTION_MODE_BATCH to bring up to now, INGESTION_MODE_BACKFILL to fill a range, "
            "INGESTION_MODE_ACTIONS or INGESTION_MODE_COMPANY for facts of symbols"
        )
        violations.add("mode", "UNKNOWN_MODE" if mode else "REQUIRED", f"{problem}; {remedy}")
    return parsed or IngestionMode.BATCH


def _refuse_bars(
    request: ingestion_service_pb2.StartIngestionRequest, mode: IngestionMode, violations: Violations
) -> None:
    given = {
        "timeframes": bool(request.timeframes),
        "start_time": request.HasField("start_time"),
        "end_time": request.HasField("end_time"),
    }
    for field in (name for name, is_given in given.items() if is_given):
        problem = f"is for bars, and the mode {mode.name} fetches none; leave it out"
        violations.add(field, "NOT_OF_MODE", problem)


def check_provider(provider: str, violations: Violations, field: str = "provider") -> None:
    """Note what is wrong with the text of a provider's name."""
    if not provider:
        violations.add(field, "REQUIRED", "is not set; ListProviders lists the names")
    elif len(provider) > MOST_PROVIDER_CHARACTERS or not provider.isprintable():
        violations.add(field, "MALFORMED", "is not a name; ListProviders lists the names")


def parse_timeframes(timeframes: Sequence[int], violations: Violations) -> tuple[Timeframe, ...]:
    """Read a list of stored timeframes; stand-ins where there are violations."""
    if not timeframes:
        problem = "is empty; send one or more of the provider's, as ListProviders has them"
        violations.add("timeframes", "REQUIRED", problem)
    if len(timeframes) > len(Timeframe):
        violations.add("timeframes", "TOO_MANY", "has more than there are; send each once")
        return ()
    parsed: list[Timeframe] = []
    for position, timeframe in enumerate(timeframes):
        field = f"timeframes[{position}]"
        one = parse_timeframe(field, timeframe, violations)  # type: ignore[arg-type]
        if timeframe in timeframes[:position]:
            violations.add(field, "DUPLICATE", f"{one.value} is there already; send each once")
        parsed.append(one)
    return tuple(parsed)


def _parse_range(
    request: ingestion_service_pb2.StartIngestionRequest, mode: IngestionMode, violations: Violations
) -> tuple[int | None, int | None]:
    times: dict[str, int | None] = {"start_time": None, "end_time": None}
    for field in times:
        if request.HasField(field):  # type: ignore[arg-type]
            times[field] = parse_time(field, getattr(request, field), violations)
    start_us, end_us = times.values()
    if mode is IngestionMode.BACKFILL and not request.HasField("start_time"):
        violations.add("start_time", "REQUIRED", "is not set; a backfill has to begin somewhere")
    if start_us is not None and end_us is not None and start_us >= end_us:
        problem = "is not before end_time; the range is [start_time, end_time)"
        violations.add("start_time", "RANGE_REVERSED", problem)
    return start_us, end_us


def _check_request_id(request_id: str, violations: Violations) -> None:
    if len(request_id) > MOST_REQUEST_ID_CHARACTERS or not request_id.isprintable():
        problem = f"is not 1 to {MOST_REQUEST_ID_CHARACTERS} printable characters; a UUID is best"
        violations.add("request_id", "MALFORMED", problem)
