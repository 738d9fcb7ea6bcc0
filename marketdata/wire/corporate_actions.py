"""Corporate actions on the wire: requests checked, answers made."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from bifrost.marketdata.v1 import corporate_action_pb2, symbol_service_pb2

from marketdata.domain.action_rules import check_actions
from marketdata.domain.corporate_action import ActionQuery, CorporateAction, CorporateActionKind
from marketdata.wire.bars_requests import check_symbol
from marketdata.wire.enums import ACTION_KIND_FROM_PROTO, ACTION_KIND_TO_PROTO
from marketdata.wire.page_token import parse_page_size, parse_page_token
from marketdata.wire.session_dates import parse_required_date, parse_session_date
from marketdata.wire.symbol_fields import CURRENCY
from marketdata.wire.violations import Violations

MOST_ACTIONS: Final = 1_000
MOST_SOURCE_CHARACTERS: Final = 200

_DATE_BYTES: Final = 4
_KINDS: Final = {kind.value for kind in CorporateActionKind}
_AmountField = Literal["split_ratio", "cash_amount"]
_AMOUNTS: Final[Mapping[CorporateActionKind, _AmountField]] = {
    CorporateActionKind.SPLIT: "split_ratio",
    CorporateActionKind.CASH_DIVIDEND: "cash_amount",
}
# Which field of an action a rule of `check_actions` is about, where it is not its size.
_RULE_FIELDS: Final = {"DUPLICATE_SPLIT": "ex_date", "DUPLICATE_DIVIDEND": "ex_date"}

ActionPosition = tuple[date, str]


@dataclass(frozen=True, slots=True)
class ListActionsRequest:
    """ListCorporateActions: what, behind which (ex-date, kind) the page begins, and its size."""

    symbol: str
    query: ActionQuery
    after: ActionPosition | None
    page_size: int


@dataclass(frozen=True, slots=True)
class CreateActionsRequest:
    """CreateCorporateActions: of which symbol, and what; an empty currency is the symbol's."""

    symbol: str
    actions: Sequence[CorporateAction]


def parse_list_actions(
    request: symbol_service_pb2.ListCorporateActionsRequest,
) -> ListActionsRequest:
    """Check a ListCorporateActionsRequest.

    Raises
    ------
    InvalidRequestError
        With every violation.
    """
    violations = Violations()
    check_symbol("symbol", request.symbol, violations)
    kind = _parse_kind("kind", request.kind, violations) if request.kind else None
    start = parse_session_date("start_date", request.start_date, violations)
    end = parse_session_date("end_date", request.end_date, violations)
    if start and end and end <= start:
        problem = "is not before end_date; the range is [start_date, end_date)"
        violations.add("start_date", "RANGE_REVERSED", problem)
    page_size = parse_page_size(request.page_size, violations)
    after = _parse_position(parse_page_token(request, violations), violations)
    violations.raise_any()
    return ListActionsRequest(request.symbol, ActionQuery(kind, start, end), after, page_size)


def action_position(action: CorporateAction) -> bytes:
    """Encode where a page of actions ended, for the token of the next page."""
    return action.ex_date.toordinal().to_bytes(_DATE_BYTES, "big") + action.kind.value.encode()


def parse_create_actions(
    request: symbol_service_pb2.CreateCorporateActionsRequest,
) -> CreateActionsRequest:
    """Check a CreateCorporateActionsRequest, and its actions against each other.

    Raises
    ------
    InvalidRequestError
        With every violation.
    """
    violations = Violations()
    check_symbol("symbol", request.symbol, violations)
    if not request.actions:
        problem = f"is empty; send 1 to {MOST_ACTIONS} actions"
        violations.add("actions", "REQUIRED", problem)
    if len(request.actions) > MOST_ACTIONS:
        problem = f"has {len(request.actions)} entries; the most is {MOST_ACTIONS}: send them in parts"
        violations.add("actions", "TOO_MANY", problem)
        violations.raise_any()
    parsed = {}
    for position, proto in enumerate(request.actions):
        action = _parse_action(f"actions[{position}]", proto, violations)
        if action is not None:
            parsed[position] = action
    _check_together(parsed, violations)
    violations.raise_any()
    return CreateActionsRequest(request.symbol, list(parsed.values()))


def to_proto_action(action: CorporateAction) -> corporate_action_pb2.CorporateAction:
    """Turn a stored action into its message."""
    return corporate_action_pb2.CorporateAction(
        kind=ACTION_KIND_TO_PROTO[action.kind],
        ex_date=action.ex_date.isoformat(),
        split_ratio=action.split_ratio,
        cash_amount=action.cash_amount,
        currency=action.currency,
        source=action.source,
    )


def _parse_position(position: bytes | None, violations: Violations) -> ActionPosition | None:
    if position is None:
        return None
    ordinal, kind = int.from_bytes(position[:_DATE_BYTES], "big"), position[_DATE_BYTES:]
    if (
        not date.min.toordinal() <= ordinal <= date.max.toordinal()
        or kind.decode("latin-1") not in _KINDS
    ):
        violations.add("page_token", "INVALID_PAGE_TOKEN", "is not a token of this service")
        return None
    return date.fromordinal(ordinal), kind.decode()


def _parse_kind(
    field: str, kind: corporate_action_pb2.CorporateActionKind.ValueType, violations: Violations
) -> CorporateActionKind | None:
    parsed = ACTION_KIND_FROM_PROTO.get(kind)
    if parsed is None:
        known = " or ".join(
            corporate_action_pb2.CorporateActionKind.Name(proto) for proto in ACTION_KIND_FROM_PROTO
        )
        problem = f"{kind} is no kind" if kind else "is not set"
        violations.add(field, "UNKNOWN_KIND" if kind else "REQUIRED", f"{problem}; send {known}")
    return parsed


def _parse_action(
    path: str, proto: corporate_action_pb2.CorporateAction, violations: Violations
) -> CorporateAction | None:
    kind = _parse_kind(f"{path}.kind", proto.kind, violations)
    ex_date = parse_required_date(f"{path}.ex_date", proto.ex_date, violations)
    amounts = _parse_amounts(path, proto, kind, violations)
    if proto.currency and CURRENCY.fullmatch(proto.currency) is None:
        problem = "is not an ISO 4217 code; send three letters such as USD"
        violations.add(f"{path}.currency", "MALFORMED", problem)
    if len(proto.source) > MOST_SOURCE_CHARACTERS or "\0" in proto.source:
        problem = f"has over {MOST_SOURCE_CHARACTERS} characters or a NUL; shorten it"
        violations.add(f"{path}.source", "TOO_LONG", problem)
    if kind is None or ex_date is None or amounts is None:
        return None
    return CorporateAction(kind, ex_date, *amounts, currency=proto.currency, source=proto.source)


def _parse_amounts(
    path: str,
    proto: corporate_action_pb2.CorporateAction,
    kind: CorporateActionKind | None,
    violations: Violations,
) -> tuple[float | None, float | None] | None:
    is_sound = True
    found: list[float | None] = []
    for owner, name in _AMOUNTS.items():
        value = getattr(proto, name) if proto.HasField(name) else None
        found.append(value)
        problem = None
        if value is None and owner is kind:
            problem = "REQUIRED", f"is not set; a {kind.value} has one"
        elif value is not None and kind not in (owner, None):
            problem = "NOT_APPLICABLE", f"is of a {owner.value}; leave it out"
        elif value is not None and not (math.isfinite(value) and value > 0):
            problem = "NOT_POSITIVE", "is not a positive, finite number"
        if problem is not None:
            is_sound = False
            violations.add(f"{path}.{name}", *problem)
    return (found[0], found[1]) if is_sound else None


def _check_together(actions: dict[int, CorporateAction], violations: Violations) -> None:
    first: dict[tuple[CorporateActionKind, date], int] = {}
    for position, action in actions.items():
        earlier = first.setdefault((action.kind, action.ex_date), position)
        if earlier != position:
            problem = f"is of the kind and ex-date of actions[{earlier}]; send one of them"
            violations.add(f"actions[{position}]", "DUPLICATE", problem)
    distinct = {id(actions[position]): position for position in first.values()}
    for finding in check_actions([actions[position] for position in first.values()]):
        field = _RULE_FIELDS.get(finding.rule, _AMOUNTS[finding.action.kind])
        path = f"actions[{distinct[id(finding.action)]}].{field}"
        violations.add(path, finding.rule, finding.description)
