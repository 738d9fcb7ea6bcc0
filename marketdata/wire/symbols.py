"""Symbols on the wire: the messages of answers, both directions."""

from bifrost.marketdata.v1 import symbol_pb2, symbol_service_pb2

from marketdata.domain.symbol import NewSymbol, StatusEvidence, Symbol
from marketdata.domain.symbol_query import SymbolMatch, SymbolVerdict
from marketdata.domain.time_range import from_unix_us, to_unix_us
from marketdata.wire.enums import (
    ASSET_CLASS_FROM_PROTO,
    ASSET_CLASS_TO_PROTO,
    MATCH_KIND_TO_PROTO,
    STATUS_FROM_PROTO,
    STATUS_TO_PROTO,
    SYMBOL_VALIDITY_TO_PROTO,
)
from marketdata.wire.session_dates import date_from_text, date_to_text
from marketdata.wire.times import to_timestamp


def from_proto_symbol(proto: symbol_pb2.Symbol) -> Symbol:
    """Turn the message of a stored symbol back into it."""
    return Symbol(
        symbol=proto.symbol,
        symbol_id=proto.symbol_id,
        name=proto.name,
        venue=proto.venue,
        asset_class=ASSET_CLASS_FROM_PROTO[proto.asset_class],
        currency=proto.currency,
        calendar=proto.calendar,
        time_zone=proto.time_zone,
        tick_size=proto.tick_size if proto.HasField("tick_size") else None,
        status=STATUS_FROM_PROTO[proto.status],
        ipo_date=date_from_text(proto.ipo_date),
        valid_from=date_from_text(proto.valid_from),
        valid_to=date_from_text(proto.valid_to),
        provider_symbols=dict(proto.provider_symbols),
        status_evidence=_from_evidence(proto),
    )


def to_proto_new_symbol(new: NewSymbol) -> symbol_pb2.Symbol:
    """Turn a symbol that is to be created into its message."""
    return symbol_pb2.Symbol(
        symbol=new.symbol,
        name=new.name,
        venue=new.venue,
        asset_class=ASSET_CLASS_TO_PROTO[new.asset_class],
        currency=new.currency,
        calendar=new.calendar,
        time_zone=new.time_zone,
        tick_size=new.tick_size,
        status=STATUS_TO_PROTO[new.status],
        ipo_date=date_to_text(new.ipo_date),
        provider_symbols=new.provider_symbols,
        valid_from=date_to_text(new.valid_from),
    )


def to_proto_symbol(symbol: Symbol) -> symbol_pb2.Symbol:
    """Turn a stored symbol into its message."""
    proto = to_proto_new_symbol(symbol)
    proto.symbol_id = symbol.symbol_id
    proto.valid_to = date_to_text(symbol.valid_to)
    evidence = symbol.status_evidence
    if evidence is not None:
        proto.status_evidence.source = evidence.source
        proto.status_evidence.day = date_to_text(evidence.day)
        proto.status_evidence.text = evidence.text
        if evidence.noted is not None:
            proto.status_evidence.note_time.CopyFrom(to_timestamp(to_unix_us(evidence.noted)))
    return proto


def _from_evidence(proto: symbol_pb2.Symbol) -> StatusEvidence | None:
    if not proto.HasField("status_evidence"):
        return None
    told = proto.status_evidence
    noted = None
    if told.HasField("note_time"):
        noted = from_unix_us(told.note_time.ToMicroseconds())
    return StatusEvidence(told.source, date_from_text(told.day), told.text, noted)


def to_proto_match(match: SymbolMatch) -> symbol_service_pb2.SymbolMatch:
    """Turn a symbol that a search found into its message."""
    return symbol_service_pb2.SymbolMatch(
        symbol=to_proto_symbol(match.symbol),
        kind=MATCH_KIND_TO_PROTO[match.kind],
        score=match.score,
    )


def to_proto_verdict(verdict: SymbolVerdict) -> symbol_service_pb2.SymbolVerdict:
    """Turn a verdict into its message."""
    return symbol_service_pb2.SymbolVerdict(
        symbol=verdict.symbol,
        validity=SYMBOL_VALIDITY_TO_PROTO[verdict.validity],
        renamed_to=verdict.renamed_to,
        problem=verdict.problem,
    )
