"""The calls of SymbolService about companies."""

from collections.abc import Iterable
from typing import Literal

from bifrost.marketdata.v1 import symbol_service_pb2 as messages
from google.protobuf.field_mask_pb2 import FieldMask

from marketdata.client import methods
from marketdata.client.caller import Caller
from marketdata.domain.company import Company, CompanyFacts
from marketdata.wire.companies import from_proto_company, to_proto_facts

CompanyField = Literal[
    "name",
    "sector",
    "industry",
    "employees",
    "market_cap",
    "shares_outstanding",
    "currency",
    "ipo_date",
    "as_of",
]
"""A fact of a company that `update_company` can change."""


class CompanyCalls(Caller):
    """The companies behind symbols."""

    async def get_company(self, symbol: str, *, timeout_seconds: float | None = None) -> Company:
        """Get what is known of the company behind a symbol, by its present or former ticker.

        Raises
        ------
        SymbolNotFoundError
            The ticker never named anything.
        CompanyNotFoundError
            Nothing is known of its company.
        """
        request = messages.GetCompanyRequest(symbol=symbol)
        response = await self._call(methods.GET_COMPANY, request, timeout_seconds)
        return from_proto_company(response.company)

    async def update_company(
        self,
        symbol: str,
        facts: CompanyFacts,
        fields: Iterable[CompanyField],
        *,
        timeout_seconds: float | None = None,
    ) -> Company:
        """Change facts of a company; return it as stored.

        Facts that it has already change nothing, so the call is retried when the connection is lost.

        Parameters
        ----------
        symbol : str
            The ticker that it has, or had.
        facts : CompanyFacts
            The new values; only `fields` are read, and one that is empty or None is cleared.
        fields : iterable of str
            What to change. With a figure (employees, market_cap, shares_outstanding) send ``as_of``,
            the day for which it holds: otherwise the stored day stays.

        Raises
        ------
        SymbolNotFoundError
            The ticker never named anything.
        InvalidRequestError
            With every violation.
        """
        request = messages.UpdateCompanyRequest(
            symbol=symbol,
            company=to_proto_facts(facts),
            update_mask=FieldMask(paths=list(fields)),
        )
        response = await self._call(methods.UPDATE_COMPANY, request, timeout_seconds)
        return from_proto_company(response.company)
