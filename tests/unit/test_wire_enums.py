"""Every value of every enum of the contract is served or refused on purpose, in both directions."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import pytest
from bifrost.marketdata.v1 import (
    bar_pb2,
    bars_service_pb2,
    corporate_action_pb2,
    symbol_pb2,
    symbol_service_pb2,
    timeframe_pb2,
)
from google.protobuf.descriptor import EnumDescriptor

from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bars import BarColumn
from marketdata.domain.calendar import SessionHours
from marketdata.domain.corporate_action import CorporateActionKind
from marketdata.domain.gaps import GapReason
from marketdata.domain.symbol import AssetClass, SymbolStatus
from marketdata.domain.symbol_query import MatchKind, SymbolValidity
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import InvalidRequestError
from marketdata.wire import enums
from marketdata.wire.bars_requests import parse_list_bars, parse_stream_bars
from marketdata.wire.latest_bars import parse_get_latest_bar
from marketdata.wire.symbol_requests import parse_create_symbol

NOW_US: Final = 1_704_240_000_000_000
FILES: Final = (
    bar_pb2,
    bars_service_pb2,
    corporate_action_pb2,
    symbol_pb2,
    symbol_service_pb2,
    timeframe_pb2,
)

# The values that a request refuses where the contract takes the enum; all others are served.
REFUSED: Final[Mapping[str, set[str]]] = {
    "Timeframe": {"TIMEFRAME_UNSPECIFIED"},
    "Adjustment": set(),
    "Session": set(),
    "BarOrder": set(),
    "BarColumn": {"BAR_COLUMN_UNSPECIFIED"},
    "AssetClass": set(),
    "SymbolStatus": set(),
}


class Table(NamedTuple):
    """How an enum of the contract stands in `marketdata.wire.enums`."""

    domain: Iterable[Any]
    to_proto: Mapping[Any, int]
    from_proto: Mapping[Any, Any]


TABLES: Final[Mapping[str, Table]] = {
    "Timeframe": Table(Timeframe, enums.TIMEFRAME_TO_PROTO, enums.TIMEFRAME_FROM_PROTO),
    "Adjustment": Table(Adjustment, enums.ADJUSTMENT_TO_PROTO, enums.ADJUSTMENT_FROM_PROTO),
    "Session": Table(SessionHours, enums.SESSION_TO_PROTO, enums.SESSION_FROM_PROTO),
    # Whether descending, whether times come first.
    "BarOrder": Table(
        list(itertools.product((False, True), repeat=2)),
        enums.ORDER_TO_PROTO,
        enums.ORDER_FROM_PROTO,
    ),
    # Times are always sent, so no request names their column.
    "BarColumn": Table(
        set(BarColumn) - {BarColumn.TIME}, enums.COLUMN_TO_PROTO, enums.COLUMN_FROM_PROTO
    ),
    "AssetClass": Table(AssetClass, enums.ASSET_CLASS_TO_PROTO, enums.ASSET_CLASS_FROM_PROTO),
    "SymbolStatus": Table(SymbolStatus, enums.STATUS_TO_PROTO, enums.STATUS_FROM_PROTO),
    "CorporateActionKind": Table(
        CorporateActionKind, enums.ACTION_KIND_TO_PROTO, enums.ACTION_KIND_FROM_PROTO
    ),
    "MatchKind": Table(MatchKind, enums.MATCH_KIND_TO_PROTO, {}),
    "SymbolValidity": Table(SymbolValidity, enums.SYMBOL_VALIDITY_TO_PROTO, {}),
    "GapReason": Table(GapReason, enums.GAP_REASON_TO_PROTO, {}),
}


def proto_enums() -> Iterator[EnumDescriptor]:
    """Walk the enums of the package, nested ones too."""
    for file in FILES:
        yield from file.DESCRIPTOR.enum_types_by_name.values()
        for message in file.DESCRIPTOR.message_types_by_name.values():
            yield from message.enum_types


def values_of(name: str) -> dict[str, int]:
    """List an enum's values by name."""
    found = next(enum for enum in proto_enums() if enum.name == name)
    return {value.name: value.number for value in found.values}


def answer(enum: str, number: int) -> None:
    """Ask for a value wherever the contract takes this enum."""
    stream: dict[str, Any] = {"symbols": ["A"], "timeframe": timeframe_pb2.TIMEFRAME_1_MINUTE}
    one: dict[str, Any] = {"symbol": "A", "timeframe": timeframe_pb2.TIMEFRAME_1_MINUTE}
    fields = {
        "Timeframe": "timeframe",
        "Adjustment": "adjustment",
        "Session": "session",
        "BarOrder": "order",
    }
    if enum in fields:
        changed = {fields[enum]: number}
        parse_stream_bars(bars_service_pb2.StreamBarsRequest(**(stream | changed)), NOW_US)
        parse_list_bars(bars_service_pb2.ListBarsRequest(**(one | changed)), NOW_US)
    elif enum == "BarColumn":
        stream["columns"] = [number]
        parse_stream_bars(bars_service_pb2.StreamBarsRequest(**stream), NOW_US)
    else:
        kind = {"AssetClass": "asset_class", "SymbolStatus": "status"}[enum]
        symbol_fields: dict[str, Any] = {"symbol": "A", kind: number}
        symbol = symbol_pb2.Symbol(**symbol_fields)
        parse_create_symbol(symbol_service_pb2.CreateSymbolRequest(symbol=symbol))


def test_contract_given_protos_has_no_enum_that_nobody_decided_upon() -> None:
    """An enum that is added to the contract has to be decided upon here."""
    names = {enum.name for enum in proto_enums()}
    assert names == set(TABLES)
    assert set(REFUSED) <= names


@pytest.mark.parametrize("enum", TABLES)
def test_table_given_enum_maps_every_value_there_and_back(enum: str) -> None:
    """Each value of the contract but the unset one is one value of the domain, and the other way."""
    domain, to_proto, from_proto = TABLES[enum]
    assert set(to_proto) == set(domain)
    assert sorted(to_proto.values()) == sorted(set(values_of(enum).values()) - {0})
    assert {number: from_proto.get(number) for number in from_proto if number} == (
        {number: value for value, number in to_proto.items()} if from_proto else {}
    )


@pytest.mark.parametrize(
    ("enum", "value"), [(enum, value) for enum in REFUSED for value in values_of(enum)]
)
def test_requests_given_enum_value_serve_it_or_refuse_it(enum: str, value: str) -> None:
    """What has to be said and is not is refused; every other value is served."""
    if value in REFUSED[enum]:
        with pytest.raises(InvalidRequestError):
            answer(enum, values_of(enum)[value])
    else:
        answer(enum, values_of(enum)[value])


@pytest.mark.parametrize("number", [-1, 99, 2**31 - 1])
@pytest.mark.parametrize("enum", REFUSED)
def test_requests_given_unknown_number_refuse_it(enum: str, number: int) -> None:
    """A number that no release of the contract has is refused, never taken as a default."""
    with pytest.raises(InvalidRequestError) as caught:
        answer(enum, number)
    assert type(caught.value) is InvalidRequestError
    assert str(number) in str(caught.value)


def test_get_latest_bar_given_no_timeframe_leaves_the_choice() -> None:
    """Here alone an unset timeframe means something: the finest that is stored."""
    request = bars_service_pb2.GetLatestBarRequest(symbol="A")
    assert parse_get_latest_bar(request, 0).timeframe is None


def test_timeframe_names_given_label_say_the_same() -> None:
    """The contract's names and the labels of commands and SQL agree."""
    spelled = {f"{t.value[:-1]}_{t.value[-1]}" for t in Timeframe}
    names = {
        "_".join((n.split("_")[1], n.split("_")[2][0].lower()))
        for n in list(values_of("Timeframe"))[1:]
    }
    assert names == spelled
