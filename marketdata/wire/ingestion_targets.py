"""Targets on the wire: requests checked, answers made."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bifrost.marketdata.v1 import ingestion_target_pb2

from marketdata.domain.ingestion_target import IngestionTarget, NewIngestionTarget
from marketdata.wire.bars_requests import MOST_SYMBOLS, check_symbols
from marketdata.wire.enums import TIMEFRAME_TO_PROTO
from marketdata.wire.ingestion_requests import check_provider, parse_timeframes
from marketdata.wire.page_token import encode_page_token, parse_page_size, parse_page_token
from marketdata.wire.session_dates import date_to_text, parse_session_date
from marketdata.wire.times import to_timestamp
from marketdata.wire.update_mask import parse_mask
from marketdata.wire.violations import Violations, under

MOST_PROVIDERS: Final = 5
_UPDATABLE: Final = ("symbols", "all_symbols", "timeframes", "providers", "history_start")
_NAME: Final = re.compile("[a-z0-9_-]{1,50}")


@dataclass(frozen=True, slots=True)
class ListTargetsRequest:
    """ListIngestionTargets: behind which name (None: from the first one), and how many."""

    after: str | None
    page_size: int


@dataclass(frozen=True, slots=True)
class UpdateTargetRequest:
    """UpdateIngestionTarget: the target's name, and new values by the names of `NewIngestionTarget`."""

    name: str
    values: Mapping[str, Any]


def parse_list_targets(
    request: ingestion_target_pb2.ListIngestionTargetsRequest,
) -> ListTargetsRequest:
    """Check a ListIngestionTargetsRequest.

    Raises
    ------
    InvalidRequestError
        With every violation.
    """
    violations = Violations()
    page_size = parse_page_size(request.page_size, violations)
    position = parse_page_token(request, violations)
    violations.raise_any()
    return ListTargetsRequest(position.decode() if position else None, page_size)


def parse_create_target(
    request: ingestion_target_pb2.CreateIngestionTargetRequest, violations: Violations
) -> NewIngestionTarget:
    """Read a CreateIngestionTargetRequest; stand-ins where there are violations.

    It does not raise: what the request names has to be looked up before all that is wrong is known.
    """
    _check_name(request.name, violations)
    return NewIngestionTarget(
        name=request.name,
        symbols=_parse_symbols(request, violations),
        timeframes=parse_timeframes(request.timeframes, violations),
        providers=_parse_providers(_named_providers(request, violations), violations),
        history_start=parse_session_date("history_start", request.history_start, violations),
    )


def parse_update_target(
    request: ingestion_target_pb2.UpdateIngestionTargetRequest,
) -> UpdateTargetRequest:
    """Check an UpdateIngestionTargetRequest; fields outside of the mask are not looked at.

    Raises
    ------
    InvalidRequestError
        With every violation that can be known without the database.
    """
    violations = Violations()
    _check_name(request.name, violations)
    if not request.HasField("target"):
        violations.add("target", "REQUIRED", "is not set; send the new values")
    fields = parse_mask(request.update_mask.paths, _UPDATABLE, violations)
    found = Violations()
    target, values = request.target, dict[str, Any]()
    if "symbols" in fields or "all_symbols" in fields:
        values["symbols"] = _parse_symbols(_masked(target, fields), found)
    if "timeframes" in fields:
        values["timeframes"] = parse_timeframes(target.timeframes, found)
    if "providers" in fields:
        values["providers"] = _parse_providers(target.providers, found)
    if "history_start" in fields:
        values["history_start"] = parse_session_date("history_start", target.history_start, found)
    violations.extend(under("target", found.found))
    violations.raise_any()
    return UpdateTargetRequest(request.name, values)


def parse_target_name(request: ingestion_target_pb2.DeleteIngestionTargetRequest) -> str:
    """Check a request about one target; return its name.

    Raises
    ------
    InvalidRequestError
        It is no name.
    """
    violations = Violations()
    _check_name(request.name, violations)
    violations.raise_any()
    return request.name


def to_list_targets_response(
    request: ingestion_target_pb2.ListIngestionTargetsRequest,
    targets: tuple[IngestionTarget, ...],
    *,
    has_more: bool,
) -> ingestion_target_pb2.ListIngestionTargetsResponse:
    """Make the answer of a page of targets."""
    token = encode_page_token(request, targets[-1].name.encode()) if has_more else ""
    return ingestion_target_pb2.ListIngestionTargetsResponse(
        targets=map(to_proto_target, targets), next_page_token=token
    )


def to_proto_target(target: IngestionTarget) -> ingestion_target_pb2.IngestionTarget:
    """Turn a target into its message."""
    return ingestion_target_pb2.IngestionTarget(
        target_id=target.target_id,
        name=target.name,
        symbols=target.symbols,
        all_symbols=not target.symbols,
        timeframes=[TIMEFRAME_TO_PROTO[timeframe] for timeframe in target.timeframes],
        provider=target.providers[0],
        providers=target.providers,
        history_start=date_to_text(target.history_start),
        create_time=to_timestamp(target.created_us),
    )


def _masked(
    target: ingestion_target_pb2.IngestionTarget, fields: Sequence[str]
) -> ingestion_target_pb2.IngestionTarget:
    """Leave out which symbols a target is for where the mask leaves it out."""
    return ingestion_target_pb2.IngestionTarget(
        symbols=target.symbols if "symbols" in fields else (),
        all_symbols=target.all_symbols and "all_symbols" in fields,
    )


def _parse_symbols(
    request: ingestion_target_pb2.CreateIngestionTargetRequest | ingestion_target_pb2.IngestionTarget,
    violations: Violations,
) -> tuple[str, ...]:
    if request.all_symbols and request.symbols:
        problem = "is set beside symbols; name the symbols, or take all"
        violations.add("all_symbols", "AMBIGUOUS", problem)
    if not request.all_symbols:
        check_symbols(request.symbols, violations)
    # Refused as a whole where there are more: not worth looking up.
    return tuple(request.symbols) if len(request.symbols) <= MOST_SYMBOLS else ()


def _named_providers(
    request: ingestion_target_pb2.CreateIngestionTargetRequest, violations: Violations
) -> Sequence[str]:
    """Give the providers of a new target, of which older clients name one in a field of its own."""
    if request.provider and request.providers:
        violations.add("provider", "AMBIGUOUS", "is set beside providers; name it among them")
    return request.providers or ([request.provider] if request.provider else ())


def _parse_providers(providers: Sequence[str], violations: Violations) -> tuple[str, ...]:
    if not providers:
        problem = "is empty; send one or more names, as ListProviders has them"
        violations.add("providers", "REQUIRED", problem)
    if len(providers) > MOST_PROVIDERS:
        problem = f"has {len(providers)} names, and {MOST_PROVIDERS} are the most; leave the last out"
        violations.add("providers", "TOO_MANY", problem)
        return ()
    for position, name in enumerate(providers):
        field = f"providers[{position}]"
        check_provider(name, violations, field)
        if name in providers[:position]:
            violations.add(field, "DUPLICATE", f"{name} is there already; send each once")
    return tuple(providers)


def _check_name(name: str, violations: Violations) -> None:
    if _NAME.fullmatch(name) is None:
        problem = "is not 1 to 50 of a-z, 0-9, - and _; send a name such as us-daily"
        violations.add("name", "MALFORMED" if name else "REQUIRED", problem)
