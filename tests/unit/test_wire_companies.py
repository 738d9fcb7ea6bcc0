"""Companies on the wire: there and back, and what of a request is read."""

from datetime import UTC, date, datetime

import pytest
from bifrost.marketdata.v1.company_pb2 import Company as CompanyMessage
from bifrost.marketdata.v1.symbol_service_pb2 import UpdateCompanyRequest
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.company import Company, CompanyFacts, FactOrigin
from marketdata.errors import InvalidRequestError
from marketdata.wire.companies import (
    FACT_FIELDS,
    from_proto_company,
    parse_update_company,
    to_proto_company,
    to_proto_facts,
)

# PostgreSQL has no NUL, and protobuf no halves of characters.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=100)
AMOUNTS = st.none() | st.floats(min_value=0, exclude_min=True, allow_infinity=False)
FACTS = st.builds(
    CompanyFacts,
    name=TEXTS,
    sector=TEXTS,
    industry=TEXTS,
    employees=st.none() | st.integers(0, 2**63 - 1),
    market_cap=AMOUNTS,
    shares_outstanding=AMOUNTS,
    currency=st.sampled_from(["", "USD", "JPY"]),
    ipo_date=st.none() | st.dates(),
    as_of=st.none() | st.dates(),
)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def request(paths: list[str], **facts: object) -> UpdateCompanyRequest:
    """Make a request about one company."""
    message = CompanyMessage(**facts)  # type: ignore[arg-type]
    return UpdateCompanyRequest(symbol="AAPL", company=message, update_mask=FieldMask(paths=paths))


@given(
    facts=FACTS,
    symbol_id=st.integers(1, 2**63 - 1),
    updated=st.none() | TIMES,
    origins=st.dictionaries(
        st.sampled_from(FACT_FIELDS), st.builds(FactOrigin, TEXTS, st.dates()), max_size=3
    ),
)
def test_company_given_message_of_a_stored_one_reads_back_to_it(
    facts: CompanyFacts,
    symbol_id: int,
    updated: datetime | None,
    origins: dict[str, FactOrigin],
) -> None:
    """Nothing is lost on the way; none of something stays apart from nothing known."""
    company = Company("AAPL", symbol_id, facts, "manual", updated, origins)
    assert from_proto_company(to_proto_company(company)) == company


@given(facts=FACTS, names=st.sets(st.sampled_from(FACT_FIELDS), min_size=1))
def test_update_company_given_facts_and_a_mask_parses_what_it_names(
    facts: CompanyFacts, names: set[str]
) -> None:
    """What a client wants changed is what the service reads, and nothing else."""
    parsed = parse_update_company(
        UpdateCompanyRequest(
            symbol="AAPL",
            company=to_proto_facts(facts),
            update_mask=FieldMask(paths=sorted(names)),
        )
    )
    assert parsed.values == {name: getattr(facts, name) for name in names}


def test_facts_given_domain_are_all_in_the_contract() -> None:
    """A fact that providers tell can be stored and sent."""
    assert set(FACT_FIELDS) == set(CompanyFacts.__dataclass_fields__)
    assert set(FACT_FIELDS) < set(CompanyMessage.DESCRIPTOR.fields_by_name)


def test_update_company_given_nonsense_outside_of_the_mask_does_not_look_at_it() -> None:
    """Only what is to change is judged."""
    parsed = parse_update_company(
        request(["sector"], sector="Energy", ipo_date="?", employees=-1, source="x", symbol="?")
    )
    assert (parsed.symbol, parsed.values) == ("AAPL", {"sector": "Energy"})


def test_update_company_given_limits_takes_them() -> None:
    """The longest texts, no employee at all, the smallest amounts."""
    facts = {
        "name": "é" * 200,
        "sector": "💥" * 100,
        "industry": "x" * 100,
        "employees": 0,
        "market_cap": 5e-324,
        "shares_outstanding": 1.7e308,
        "ipo_date": "0001-01-01",
        "as_of": "9999-12-31",
    }
    values = parse_update_company(request(list(facts), **facts)).values
    assert values == facts | {"ipo_date": date.min, "as_of": date.max}


@pytest.mark.parametrize("name", ["name", "sector", "industry"])
def test_update_company_given_one_character_more_refuses_it(name: str) -> None:
    """The bound is the contract's."""
    most = 200 if name == "name" else 100
    with pytest.raises(InvalidRequestError, match=f"has over {most} characters"):
        parse_update_company(request([name], **{name: "x" * (most + 1)}))
