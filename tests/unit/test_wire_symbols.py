"""Symbols and corporate actions on the wire: there and back, and what page tokens hold."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pytest
from bifrost.marketdata.v1 import corporate_action_pb2, symbol_pb2
from bifrost.marketdata.v1.symbol_service_pb2 import (
    CreateCorporateActionsRequest,
    CreateSymbolRequest,
    ListCorporateActionsRequest,
    ListSymbolsRequest,
    SearchSymbolsRequest,
    SymbolMatch,
    SymbolVerdict,
)
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain import symbol_query as query
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.symbol import AssetClass, NewSymbol, StatusEvidence, Symbol, SymbolStatus
from marketdata.errors import InvalidRequestError
from marketdata.wire.corporate_actions import (
    action_position,
    parse_create_actions,
    parse_list_actions,
    to_proto_action,
)
from marketdata.wire.page_token import encode_page_token
from marketdata.wire.symbol_fields import UPDATABLE_FIELDS
from marketdata.wire.symbol_requests import (
    parse_create_symbol,
    parse_list_symbols,
    parse_search_symbols,
    symbol_position,
)
from marketdata.wire.symbols import (
    from_proto_symbol,
    to_proto_match,
    to_proto_new_symbol,
    to_proto_symbol,
    to_proto_verdict,
)

# PostgreSQL has no NUL, and protobuf no halves of characters.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=200)
DATES = st.dates(date(1900, 1, 1), date(2099, 12, 31))
MAYBE_DATES = st.none() | DATES
NEW_SYMBOLS = st.builds(
    NewSymbol,
    symbol=st.sampled_from(["A", "BRK.B", "^GSPC", "EURUSD=X"]),
    name=TEXTS,
    venue=st.sampled_from(["XNYS", "XNAS", "360T"]),
    asset_class=st.sampled_from(AssetClass),
    currency=st.sampled_from(["USD", "JPY"]),
    calendar=st.sampled_from(["XNYS", "24/7", "us_futures"]),
    time_zone=st.sampled_from(["America/New_York", "UTC"]),
    tick_size=st.none() | st.floats(min_value=1e-12, max_value=1e6),
    status=st.sampled_from(SymbolStatus),
    ipo_date=MAYBE_DATES,
    provider_symbols=st.dictionaries(st.sampled_from(["yahoo", "alpaca"]), st.just("X")),
    valid_from=MAYBE_DATES,
)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
EVIDENCE = st.builds(StatusEvidence, TEXTS, MAYBE_DATES, TEXTS, st.none() | TIMES)
ORDERS: Final = {"symbol": "symbol", "name desc": "name"}
TAMPERED: Final = [b"", b"1234", b"\0" * 8, b"\0" * 9, b"\0" * 8 + b"\xff\xfe", b"\0" * 8 + b"A\0"]


@given(new=NEW_SYMBOLS)
def test_create_symbol_given_message_of_a_new_symbol_parses_back_to_it(new: NewSymbol) -> None:
    """What a client wants created is what the service reads."""
    assert parse_create_symbol(CreateSymbolRequest(symbol=to_proto_new_symbol(new))) == new


@given(
    new=NEW_SYMBOLS,
    symbol_id=st.integers(1, 2**63 - 1),
    valid_to=MAYBE_DATES,
    evidence=st.none() | EVIDENCE,
)
def test_symbol_given_message_of_a_stored_one_reads_back_to_it(
    new: NewSymbol, symbol_id: int, valid_to: date | None, evidence: StatusEvidence | None
) -> None:
    """Nothing of a stored symbol is lost on the way, and what is not known stays so."""
    fields = {name: getattr(new, name) for name in NewSymbol.__dataclass_fields__}
    stored = Symbol(**fields, symbol_id=symbol_id, valid_to=valid_to, status_evidence=evidence)
    assert from_proto_symbol(to_proto_symbol(stored)) == stored


def test_updatable_fields_given_the_contract_are_all_but_what_the_service_sets() -> None:
    """A field that is added to the contract has to be decided upon."""
    fields = {field.name for field in symbol_pb2.Symbol.DESCRIPTOR.fields}
    assert fields - set(UPDATABLE_FIELDS) == {
        "symbol_id",
        "valid_from",
        "valid_to",
        "status_evidence",
    }
    assert set(UPDATABLE_FIELDS) == set(NewSymbol.__dataclass_fields__) - {"valid_from"}


def test_answers_given_every_kind_have_a_value_of_the_contract() -> None:
    """No answer is ever UNSPECIFIED, and no two of them are the same."""
    symbol = Symbol("A")
    kinds = {to_proto_match(query.SymbolMatch(symbol, kind, 0.5)).kind for kind in query.MatchKind}
    verdicts = {
        to_proto_verdict(query.SymbolVerdict("A", validity)).validity
        for validity in query.SymbolValidity
    }
    for values, message, field in ((kinds, SymbolMatch, "kind"), (verdicts, SymbolVerdict, "validity")):
        contract = message.DESCRIPTOR.fields_by_name[field].enum_type
        assert contract is not None
        assert values == set(contract.values_by_number) - {0}


@given(name=TEXTS, symbol_id=st.integers(1, 2**63 - 1), order=st.sampled_from(list(ORDERS)))
def test_list_symbols_given_token_continues_behind_its_symbol(
    name: str, symbol_id: int, order: str
) -> None:
    """The place is the ordered field and the identity, whatever a name has in it."""
    request = ListSymbolsRequest(order_by=order)
    last = Symbol("BRK.B", name, symbol_id=symbol_id)
    position = symbol_position(last, parse_list_symbols(request).query)
    request.page_token = encode_page_token(request, position)
    assert parse_list_symbols(request).after == (getattr(last, ORDERS[order]), symbol_id)


@pytest.mark.parametrize("position", TAMPERED, ids=bytes.hex)
@pytest.mark.parametrize(
    ("request_", "parse"),
    [
        (ListSymbolsRequest(order_by="name"), parse_list_symbols),
        (ListCorporateActionsRequest(symbol="A"), parse_list_actions),
    ],
    ids=["symbols", "actions"],
)
def test_lists_given_token_that_somebody_made_refuse_or_read_it(
    request_: Message, parse: Any, position: bytes
) -> None:
    """A token's checksum is no secret: whatever is in one never reaches the database as it is."""
    copy = type(request_)()
    copy.CopyFrom(request_)
    setattr(copy, "page_token", encode_page_token(copy, position))  # noqa: B010 -- Message does not declare it
    assert what_is_behind(parse, copy) in ("INVALID_PAGE_TOKEN", "read")


def what_is_behind(parse: Any, request: Message) -> str:
    """Parse a request with a token; say why not, or that its place can be asked for."""
    try:
        after = parse(request).after
    except InvalidRequestError as error:
        return ", ".join(violation.reason for violation in error.violations)
    return "NUL" if any("\0" in str(part) for part in after) else "read"


@given(ex_date=DATES, kind=st.sampled_from(CorporateActionKind))
def test_list_actions_given_token_continues_behind_its_action(
    ex_date: date, kind: CorporateActionKind
) -> None:
    """The place is the ex-date and the kind."""
    request = ListCorporateActionsRequest(symbol="A")
    position = action_position(CorporateAction(kind, ex_date))
    request.page_token = encode_page_token(request, position)
    assert parse_list_actions(request).after == (ex_date, kind.value)


@given(size=st.floats(1e-300, 1e300), currency=st.sampled_from(["", "USD"]), source=TEXTS)
def test_create_actions_given_messages_of_actions_parses_back_to_them(
    size: float, currency: str, source: str
) -> None:
    """A split and a dividend come through with every digit."""
    actions = [
        CorporateAction(CorporateActionKind.SPLIT, date(2005, 2, 28), size, None, currency, source),
        CorporateAction(
            CorporateActionKind.CASH_DIVIDEND, date(2012, 8, 9), None, size, currency, source
        ),
    ]
    request: Any = {"symbol": "A", "actions": [to_proto_action(action) for action in actions]}
    parsed = parse_create_actions(CreateCorporateActionsRequest(**request))
    assert list(parsed.actions) == actions


def test_create_actions_given_weekly_dividends_refuses_equal_ones() -> None:
    """Of the same amount within a week one is a mistake; of another amount it is none."""
    first = date(2024, 1, 5)
    days = [(0, 0.5), (7, 0.6), (14, 0.7), (15, 0.7)]
    protos = [
        corporate_action_pb2.CorporateAction(
            kind=corporate_action_pb2.CORPORATE_ACTION_KIND_CASH_DIVIDEND,
            ex_date=(first + timedelta(days=later)).isoformat(),
            cash_amount=amount,
        )
        for later, amount in days
    ]
    assert (
        len(parse_create_actions(CreateCorporateActionsRequest(symbol="A", actions=protos[:3])).actions)
        == 3
    )
    with pytest.raises(InvalidRequestError) as caught:
        parse_create_actions(CreateCorporateActionsRequest(symbol="A", actions=protos))
    assert [(v.field, v.reason) for v in caught.value.violations] == [
        ("actions[3].ex_date", "DUPLICATE_DIVIDEND")
    ]


@pytest.mark.parametrize(("text", "read"), [(" a  b ", "a  b"), ("\0aapl\0", "aapl"), ("%_\\", "%_\\")])
def test_search_given_text_reads_it_without_what_surrounds_it(text: str, read: str) -> None:
    """NUL, which PostgreSQL does not take, separates like a blank; nothing is quoted."""
    assert parse_search_symbols(SearchSymbolsRequest(query=text)).text == read
