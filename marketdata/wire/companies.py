"""Companies on the wire: requests checked, messages both directions."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any, Final

from bifrost.marketdata.v1 import company_pb2, symbol_service_pb2

from marketdata.domain.company import Company, CompanyFacts, FactOrigin
from marketdata.domain.time_range import from_unix_us, to_unix_us
from marketdata.wire.bars_requests import check_symbol
from marketdata.wire.session_dates import date_from_text, date_to_text
from marketdata.wire.symbol_fields import CURRENCY, MOST_NAME_CHARACTERS
from marketdata.wire.times import parse_date, to_timestamp
from marketdata.wire.update_mask import parse_mask
from marketdata.wire.violations import Violations

MOST_SECTOR_CHARACTERS: Final = 100

_Check = Callable[[company_pb2.Company, Violations], None]


@dataclass(frozen=True, slots=True)
class UpdateCompanyRequest:
    """UpdateCompany: a ticker of the company, and the new values by the names of `CompanyFacts`."""

    symbol: str
    values: Mapping[str, Any]


def parse_update_company(request: symbol_service_pb2.UpdateCompanyRequest) -> UpdateCompanyRequest:
    """Check an UpdateCompanyRequest; fields outside of the mask are not looked at.

    Raises
    ------
    InvalidRequestError
        With every violation.
    """
    violations = Violations()
    check_symbol("symbol", request.symbol, violations)
    if not request.HasField("company"):
        violations.add("company", "REQUIRED", "is not set; send the new values")
    names = parse_mask(request.update_mask.paths, FACT_FIELDS, violations)
    for name in names:
        _CHECKS[name](request.company, violations)
    violations.raise_any()
    return UpdateCompanyRequest(request.symbol, _values(request.company, names))


def check_text(field: str, text: str, most_characters: int, violations: Violations) -> None:
    """Note where a text is longer than `most_characters`, or holds what PostgreSQL cannot store."""
    if len(text) > most_characters or "\0" in text:
        problem = f"has over {most_characters} characters or a NUL; shorten it"
        violations.add(field, "TOO_LONG", problem)


def from_proto_facts(proto: company_pb2.Company) -> CompanyFacts:
    """Turn the message of a company, checked or of the service, into its facts."""
    return CompanyFacts(**_values(proto, FACT_FIELDS))


def from_proto_company(proto: company_pb2.Company) -> Company:
    """Turn the message of a stored company back into it."""
    updated = None
    if proto.HasField("update_time"):
        updated = from_unix_us(proto.update_time.ToMicroseconds())
    origins = {one.field: FactOrigin(one.source, date.fromisoformat(one.day)) for one in proto.origins}
    facts = from_proto_facts(proto)
    return Company(proto.symbol, proto.symbol_id, facts, proto.source, updated, origins)


def to_proto_facts(facts: CompanyFacts) -> company_pb2.Company:
    """Turn facts into the message that says them."""
    return company_pb2.Company(
        name=facts.name,
        sector=facts.sector,
        industry=facts.industry,
        employees=facts.employees,
        market_cap=facts.market_cap,
        shares_outstanding=facts.shares_outstanding,
        currency=facts.currency,
        ipo_date=date_to_text(facts.ipo_date),
        as_of=date_to_text(facts.as_of),
    )


def to_proto_company(company: Company) -> company_pb2.Company:
    """Turn a stored company into its message."""
    proto = to_proto_facts(company.facts)
    proto.symbol = company.symbol
    proto.symbol_id = company.symbol_id
    proto.source = company.source
    if company.updated is not None:
        proto.update_time.CopyFrom(to_timestamp(to_unix_us(company.updated)))
    for name, origin in sorted(company.origins.items()):
        proto.origins.add(field=name, source=origin.source, day=origin.day.isoformat())
    return proto


def _values(proto: company_pb2.Company, names: Iterable[str]) -> dict[str, Any]:
    return {name: _VALUES.get(name, getattr)(proto, name) for name in names}


def _optional(proto: company_pb2.Company, name: Any) -> Any:
    return getattr(proto, name) if proto.HasField(name) else None


def _date(proto: company_pb2.Company, name: str) -> date | None:
    return date_from_text(getattr(proto, name))


def _text_check(name: str, most_characters: int) -> _Check:
    def check(proto: company_pb2.Company, violations: Violations) -> None:
        check_text(f"company.{name}", getattr(proto, name), most_characters, violations)

    return check


def _positive_check(name: str, what: str) -> _Check:
    def check(proto: company_pb2.Company, violations: Violations) -> None:
        if proto.HasField(name) and not 0 < getattr(proto, name) < math.inf:  # type: ignore[arg-type]
            problem = f"is no {what}; send a positive number, or leave it out to clear it"
            violations.add(f"company.{name}", "NOT_POSITIVE", problem)

    return check


def _date_check(name: str) -> _Check:
    def check(proto: company_pb2.Company, violations: Violations) -> None:
        parse_date(f"company.{name}", getattr(proto, name), violations)

    return check


def _check_employees(proto: company_pb2.Company, violations: Violations) -> None:
    if proto.employees < 0:
        problem = "is negative; send how many there are, or leave it out to clear it"
        violations.add("company.employees", "NEGATIVE", problem)


def _check_currency(proto: company_pb2.Company, violations: Violations) -> None:
    if proto.currency and CURRENCY.fullmatch(proto.currency) is None:
        problem = "is not an ISO 4217 code; send three letters such as USD"
        violations.add("company.currency", "MALFORMED", problem)


_CHECKS: Final[Mapping[str, _Check]] = MappingProxyType(
    {
        "name": _text_check("name", MOST_NAME_CHARACTERS),
        "sector": _text_check("sector", MOST_SECTOR_CHARACTERS),
        "industry": _text_check("industry", MOST_SECTOR_CHARACTERS),
        "employees": _check_employees,
        "market_cap": _positive_check("market_cap", "value of a company"),
        "shares_outstanding": _positive_check("shares_outstanding", "number of shares"),
        "currency": _check_currency,
        "ipo_date": _date_check("ipo_date"),
        "as_of": _date_check("as_of"),
    }
)
# What a request can say of a company, by the names of both sides.
FACT_FIELDS: Final = tuple(_CHECKS)

_VALUES: Final[Mapping[str, Callable[[company_pb2.Company, str], Any]]] = MappingProxyType(
    {
        "employees": _optional,
        "market_cap": _optional,
        "shares_outstanding": _optional,
        "ipo_date": _date,
        "as_of": _date,
    }
)
