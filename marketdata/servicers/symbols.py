"""SymbolService."""

from typing import Any

import grpc
from bifrost.marketdata.v1 import symbol_service_pb2 as messages
from bifrost.marketdata.v1.symbol_service_pb2_grpc import SymbolServiceServicer

from marketdata.storage.actions import ActionStore
from marketdata.storage.calendars import refuse_unknown_calendar
from marketdata.storage.companies import CompanyStore
from marketdata.storage.symbol_deletion import SymbolDeleter
from marketdata.storage.symbols import SymbolStore
from marketdata.wire.companies import parse_update_company, to_proto_company
from marketdata.wire.corporate_actions import (
    action_position,
    parse_create_actions,
    parse_list_actions,
    to_proto_action,
)
from marketdata.wire.page_token import encode_page_token
from marketdata.wire.symbol_requests import (
    parse_create_symbol,
    parse_list_symbols,
    parse_search_symbols,
    parse_symbol,
    parse_update_symbol,
    parse_validate_symbols,
    symbol_position,
)
from marketdata.wire.symbols import to_proto_match, to_proto_symbol, to_proto_verdict

Context = grpc.aio.ServicerContext[Any, Any]


class SymbolServicer(SymbolServiceServicer):
    """Serves symbols, their corporate actions and their companies.

    Parameters
    ----------
    symbols : SymbolStore
        Where symbols are stored.
    deleter : SymbolDeleter
        Deletes them.
    actions : ActionStore
        Where corporate actions are stored.
    companies : CompanyStore
        Where companies are stored.
    """

    def __init__(
        self,
        symbols: SymbolStore,
        deleter: SymbolDeleter,
        actions: ActionStore,
        companies: CompanyStore,
    ) -> None:
        self._symbols = symbols
        self._deleter = deleter
        self._actions = actions
        self._companies = companies

    async def GetSymbol(  # noqa: N802
        self,
        request: messages.GetSymbolRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.GetSymbolResponse:
        """Return one symbol; see the contract."""
        symbol = await self._symbols.get(parse_symbol(request))
        return messages.GetSymbolResponse(symbol=to_proto_symbol(symbol))

    async def ListSymbols(  # noqa: N802
        self,
        request: messages.ListSymbolsRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.ListSymbolsResponse:
        """Return a page of symbols; see the contract."""
        asked = parse_list_symbols(request)
        # One more than the page takes tells whether there is another page.
        found = await self._symbols.list_page(asked.after, asked.page_size + 1, asked.query)
        page = found[: asked.page_size]
        token = ""
        if len(found) > len(page):
            token = encode_page_token(request, symbol_position(page[-1], asked.query))
        return messages.ListSymbolsResponse(
            symbols=[to_proto_symbol(symbol) for symbol in page], next_page_token=token
        )

    async def CreateSymbol(  # noqa: N802
        self,
        request: messages.CreateSymbolRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.CreateSymbolResponse:
        """Create a symbol; see the contract."""
        new = parse_create_symbol(request)
        await refuse_unknown_calendar(new.calendar)
        symbol = await self._symbols.create(new)
        return messages.CreateSymbolResponse(symbol=to_proto_symbol(symbol))

    async def UpdateSymbol(  # noqa: N802
        self,
        request: messages.UpdateSymbolRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.UpdateSymbolResponse:
        """Change or rename a symbol; see the contract."""
        asked = parse_update_symbol(request)
        if "calendar" in asked.update.values:
            await refuse_unknown_calendar(asked.update.values["calendar"])
        symbol = await self._symbols.update(asked.symbol, asked.update)
        return messages.UpdateSymbolResponse(symbol=to_proto_symbol(symbol))

    async def DeleteSymbol(  # noqa: N802
        self,
        request: messages.DeleteSymbolRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.DeleteSymbolResponse:
        """Delete a symbol; see the contract."""
        deleted = await self._deleter.delete(parse_symbol(request), force=request.force)
        return messages.DeleteSymbolResponse(deleted_bars=deleted)

    async def SearchSymbols(  # noqa: N802
        self,
        request: messages.SearchSymbolsRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.SearchSymbolsResponse:
        """Find symbols; see the contract."""
        asked = parse_search_symbols(request)
        matches = await self._symbols.search(asked.text, asked.limit)
        return messages.SearchSymbolsResponse(matches=[to_proto_match(match) for match in matches])

    async def ValidateSymbols(  # noqa: N802
        self,
        request: messages.ValidateSymbolsRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.ValidateSymbolsResponse:
        """Say what texts name; see the contract."""
        verdicts = await self._symbols.validate(parse_validate_symbols(request))
        return messages.ValidateSymbolsResponse(
            verdicts=[to_proto_verdict(verdict) for verdict in verdicts]
        )

    async def ListCorporateActions(  # noqa: N802
        self,
        request: messages.ListCorporateActionsRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.ListCorporateActionsResponse:
        """Return a page of corporate actions; see the contract."""
        asked = parse_list_actions(request)
        found = await self._actions.list_page(
            asked.symbol, asked.query, asked.after, asked.page_size + 1
        )
        page = found[: asked.page_size]
        token = ""
        if len(found) > len(page):
            token = encode_page_token(request, action_position(page[-1]))
        return messages.ListCorporateActionsResponse(
            actions=[to_proto_action(action) for action in page], next_page_token=token
        )

    async def CreateCorporateActions(  # noqa: N802
        self,
        request: messages.CreateCorporateActionsRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.CreateCorporateActionsResponse:
        """Store corporate actions; see the contract."""
        asked = parse_create_actions(request)
        result = await self._actions.create(asked.symbol, asked.actions)
        return messages.CreateCorporateActionsResponse(
            accepted=result.accepted, unchanged=result.unchanged, seq=result.seq
        )

    async def GetCompany(  # noqa: N802
        self,
        request: messages.GetCompanyRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.GetCompanyResponse:
        """Return what is known of a company; see the contract."""
        company = await self._companies.get(parse_symbol(request))
        return messages.GetCompanyResponse(company=to_proto_company(company))

    async def UpdateCompany(  # noqa: N802
        self,
        request: messages.UpdateCompanyRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.UpdateCompanyResponse:
        """Change facts of a company; see the contract."""
        asked = parse_update_company(request)
        company = await self._companies.update(asked.symbol, asked.values)
        return messages.UpdateCompanyResponse(company=to_proto_company(company))
