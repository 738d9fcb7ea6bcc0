"""Messages of SymbolService: requests made of domain values, answers turned into them."""

from collections.abc import Iterable
from datetime import date

from bifrost.marketdata.v1 import corporate_action_pb2, symbol_pb2, symbol_service_pb2

from marketdata.client.answers import ActionsCreated
from marketdata.client.enums import MATCH_KIND_FROM_PROTO, SYMBOL_VALIDITY_FROM_PROTO, known
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.symbol import AssetClass, Symbol, SymbolStatus
from marketdata.domain.symbol_query import SymbolMatch, SymbolOrder, SymbolVerdict
from marketdata.wire.enums import (
    ACTION_KIND_FROM_PROTO,
    ACTION_KIND_TO_PROTO,
    ASSET_CLASS_FROM_PROTO,
    ASSET_CLASS_TO_PROTO,
    STATUS_FROM_PROTO,
    STATUS_TO_PROTO,
)
from marketdata.wire.symbols import from_proto_symbol


def list_symbols_request(
    status: SymbolStatus | None,
    venue: str,
    asset_class: AssetClass | None,
    sector: str,
    order: SymbolOrder,
    page_size: int,
    *,
    descending: bool,
) -> symbol_service_pb2.ListSymbolsRequest:
    """Make the request for the first page of a list of symbols."""
    request = symbol_service_pb2.ListSymbolsRequest(
        venue=venue,
        sector=sector,
        order_by=f"{order.value} desc" if descending else order.value,
        page_size=page_size,
    )
    if status is not None:
        request.status = STATUS_TO_PROTO[status]
    if asset_class is not None:
        request.asset_class = ASSET_CLASS_TO_PROTO[asset_class]
    return request


def list_actions_request(
    symbol: str,
    kind: CorporateActionKind | None,
    start: date | None,
    end: date | None,
    page_size: int,
) -> symbol_service_pb2.ListCorporateActionsRequest:
    """Make the request for the first page of a symbol's corporate actions."""
    request = symbol_service_pb2.ListCorporateActionsRequest(
        symbol=symbol,
        start_date=start.isoformat() if start else "",
        end_date=end.isoformat() if end else "",
        page_size=page_size,
    )
    if kind is not None:
        request.kind = ACTION_KIND_TO_PROTO[kind]
    return request


def create_actions_request(
    symbol: str, actions: Iterable[CorporateAction]
) -> symbol_service_pb2.CreateCorporateActionsRequest:
    """Make the request that stores corporate actions of one symbol."""
    return symbol_service_pb2.CreateCorporateActionsRequest(
        symbol=symbol, actions=[_to_proto_action(action) for action in actions]
    )


def from_symbol(proto: symbol_pb2.Symbol) -> Symbol:
    """Turn the message of a symbol into it.

    Raises
    ------
    NotSupportedError
        It has an asset class or a status of a later release.
    """
    known(ASSET_CLASS_FROM_PROTO, proto.asset_class, "asset class")
    known(STATUS_FROM_PROTO, proto.status, "symbol status")
    return from_proto_symbol(proto)


def from_match(proto: symbol_service_pb2.SymbolMatch) -> SymbolMatch:
    """Turn the message of a match into it."""
    kind = known(MATCH_KIND_FROM_PROTO, proto.kind, "match kind")
    return SymbolMatch(from_symbol(proto.symbol), kind, proto.score)


def from_verdict(proto: symbol_service_pb2.SymbolVerdict) -> SymbolVerdict:
    """Turn the message of a verdict into it."""
    validity = known(SYMBOL_VALIDITY_FROM_PROTO, proto.validity, "symbol validity")
    return SymbolVerdict(proto.symbol, validity, proto.renamed_to, proto.problem)


def from_action(proto: corporate_action_pb2.CorporateAction) -> CorporateAction:
    """Turn the message of a corporate action into it."""
    return CorporateAction(
        kind=known(ACTION_KIND_FROM_PROTO, proto.kind, "corporate action kind"),
        ex_date=date.fromisoformat(proto.ex_date),
        split_ratio=proto.split_ratio if proto.HasField("split_ratio") else None,
        cash_amount=proto.cash_amount if proto.HasField("cash_amount") else None,
        currency=proto.currency,
        source=proto.source,
    )


def from_actions_created(
    proto: symbol_service_pb2.CreateCorporateActionsResponse,
) -> ActionsCreated:
    """Turn the answer of CreateCorporateActions into its counts."""
    return ActionsCreated(proto.accepted, proto.unchanged, proto.seq)


def _to_proto_action(action: CorporateAction) -> corporate_action_pb2.CorporateAction:
    return corporate_action_pb2.CorporateAction(
        kind=ACTION_KIND_TO_PROTO[action.kind],
        ex_date=action.ex_date.isoformat(),
        split_ratio=action.split_ratio,
        cash_amount=action.cash_amount,
        # Of a split it says nothing; of a dividend it is what the amount is in.
        currency=action.currency if action.cash_amount is not None else "",
        source=action.source,
    )
