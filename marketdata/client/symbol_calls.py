"""The calls of SymbolService."""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import date
from typing import Final, Literal

from bifrost.marketdata.v1 import symbol_service_pb2 as messages
from google.protobuf.field_mask_pb2 import FieldMask

from marketdata.client import methods
from marketdata.client.answers import ActionsCreated
from marketdata.client.caller import Caller
from marketdata.client.symbol_messages import (
    create_actions_request,
    from_action,
    from_actions_created,
    from_match,
    from_symbol,
    from_verdict,
    list_actions_request,
    list_symbols_request,
)
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.symbol import AssetClass, NewSymbol, Symbol, SymbolStatus
from marketdata.domain.symbol_query import SymbolMatch, SymbolOrder, SymbolVerdict
from marketdata.wire.symbols import to_proto_new_symbol

SymbolField = Literal[
    "symbol",
    "name",
    "venue",
    "asset_class",
    "currency",
    "calendar",
    "time_zone",
    "tick_size",
    "status",
    "ipo_date",
    "provider_symbols",
]
"""A field of a symbol that `update_symbol` can change."""

# The most that a page has, so that a list takes as few calls as it can.
_PAGE_SIZE: Final = 1_000


class SymbolCalls(Caller):
    """Symbols, what they were called, and their corporate actions."""

    async def get_symbol(self, symbol: str, *, timeout_seconds: float | None = None) -> Symbol:
        """Get one symbol by its present or former ticker.

        Raises
        ------
        SymbolNotFoundError
            The ticker never named anything.
        """
        request = messages.GetSymbolRequest(symbol=symbol)
        response = await self._call(methods.GET_SYMBOL, request, timeout_seconds)
        return from_symbol(response.symbol)

    async def list_symbols(
        self,
        *,
        status: SymbolStatus | None = None,
        venue: str = "",
        asset_class: AssetClass | None = None,
        sector: str = "",
        order: SymbolOrder = SymbolOrder.SYMBOL,
        descending: bool = False,
        page_size: int = _PAGE_SIZE,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[Symbol]:
        """Yield the symbols that match all filters that are given, page by page.

        Parameters
        ----------
        status, asset_class : SymbolStatus, AssetClass, optional
            Only symbols of these.
        venue : str
            ISO 10383 MIC; only symbols of it. Empty: of all.
        sector : str
            Only symbols whose company is of it, spelled as its source spells it. Empty: of all.
        order : SymbolOrder
            By which field.
        page_size : int
            Symbols a call, at most 1,000.
        timeout_seconds : float, optional
            Deadline of each page.
        """
        request = list_symbols_request(
            status, venue, asset_class, sector, order, page_size, descending=descending
        )
        while True:
            page = await self._call(methods.LIST_SYMBOLS, request, timeout_seconds)
            for symbol in page.symbols:
                yield from_symbol(symbol)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def create_symbol(
        self,
        new: NewSymbol,
        *,
        valid_from: date | None = None,
        timeout_seconds: float | None = None,
    ) -> Symbol:
        """Create a symbol; return it as stored.

        Parameters
        ----------
        new : NewSymbol
            What to create.
        valid_from : date, optional
            First session during which the ticker names it; needed where it named another one before.

        Raises
        ------
        SymbolAlreadyExistsError
            The ticker names a symbol now.
        InvalidRequestError
            With every violation.
        """
        symbol = to_proto_new_symbol(new)
        symbol.valid_from = valid_from.isoformat() if valid_from else ""
        request = messages.CreateSymbolRequest(symbol=symbol)
        response = await self._call(methods.CREATE_SYMBOL, request, timeout_seconds)
        return from_symbol(response.symbol)

    async def update_symbol(
        self,
        current_symbol: str,
        new: NewSymbol,
        fields: Iterable[SymbolField],
        *,
        effective_date: date | None = None,
        status_day: date | None = None,
        status_reason: str = "",
        timeout_seconds: float | None = None,
    ) -> Symbol:
        """Change fields of a symbol; return it as stored.

        Parameters
        ----------
        current_symbol : str
            The ticker that it has, or had.
        new : NewSymbol
            The new values; only `fields` are read.
        fields : iterable of str
            What to change. With ``symbol`` the identity is renamed: its bars then read as one series
            under both tickers.
        effective_date : date, optional
            First session under the new ticker; required with ``symbol``, and only then.
        status_day, status_reason : date, optional, str
            When the new status began, and why, where that is known; only with ``status``.

        Raises
        ------
        SymbolNotFoundError
            `current_symbol` never named anything.
        SymbolAlreadyExistsError
            The new ticker names another symbol.
        InvalidRequestError
            With every violation.
        """
        request = messages.UpdateSymbolRequest(
            current_symbol=current_symbol,
            symbol=to_proto_new_symbol(new),
            update_mask=FieldMask(paths=list(fields)),
            effective_date=effective_date.isoformat() if effective_date else "",
            status_day=status_day.isoformat() if status_day else "",
            status_reason=status_reason,
        )
        response = await self._call(methods.UPDATE_SYMBOL, request, timeout_seconds)
        return from_symbol(response.symbol)

    async def delete_symbol(
        self, symbol: str, *, force: bool = False, timeout_seconds: float | None = None
    ) -> int:
        """Delete a symbol; return how many bars were deleted with it.

        Parameters
        ----------
        force : bool
            Whether to delete its bars too; without it a symbol that has bars stays.

        Raises
        ------
        SymbolNotFoundError
            The ticker never named anything.
        SymbolHasBarsError
            It has bars, and `force` is not set.
        """
        request = messages.DeleteSymbolRequest(symbol=symbol, force=force)
        response = await self._call(methods.DELETE_SYMBOL, request, timeout_seconds)
        return response.deleted_bars

    async def search_symbols(
        self, query: str, *, limit: int = 10, timeout_seconds: float | None = None
    ) -> list[SymbolMatch]:
        """Find symbols for a person who types; the best matches first.

        Parameters
        ----------
        query : str
            1 to 50 characters; case does not matter and no character is a wildcard.
        limit : int
            Most matches, at most 100.
        """
        request = messages.SearchSymbolsRequest(query=query, limit=limit)
        response = await self._call(methods.SEARCH_SYMBOLS, request, timeout_seconds)
        return [from_match(match) for match in response.matches]

    async def validate_symbols(
        self, symbols: Sequence[str], *, timeout_seconds: float | None = None
    ) -> list[SymbolVerdict]:
        """Say for each of 1 to 5,000 texts what it names, in their order; none makes it fail."""
        request = messages.ValidateSymbolsRequest(symbols=symbols)
        response = await self._call(methods.VALIDATE_SYMBOLS, request, timeout_seconds)
        return [from_verdict(verdict) for verdict in response.verdicts]

    async def list_corporate_actions(
        self,
        symbol: str,
        *,
        kind: CorporateActionKind | None = None,
        start: date | None = None,
        end: date | None = None,
        page_size: int = _PAGE_SIZE,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[CorporateAction]:
        """Yield the corporate actions of a symbol, ascending by ex-date, page by page.

        Parameters
        ----------
        kind : CorporateActionKind, optional
            Only of this kind.
        start, end : date, optional
            Ex-dates, start inclusive, end exclusive.
        page_size : int
            Actions a call, at most 1,000.
        timeout_seconds : float, optional
            Deadline of each page.

        Raises
        ------
        SymbolNotFoundError
            The ticker never named anything.
        """
        request = list_actions_request(symbol, kind, start, end, page_size)
        while True:
            page = await self._call(methods.LIST_CORPORATE_ACTIONS, request, timeout_seconds)
            for action in page.actions:
                yield from_action(action)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def create_corporate_actions(
        self,
        symbol: str,
        actions: Iterable[CorporateAction],
        *,
        timeout_seconds: float | None = None,
    ) -> ActionsCreated:
        """Store 1 to 1,000 corporate actions of one symbol in one transaction.

        Those that are stored already change nothing, so the call is retried when the connection is
        lost; what its first attempt stored then counts as unchanged.

        Raises
        ------
        SymbolNotFoundError
            The ticker never named anything.
        InvalidRequestError
            With every violation.
        """
        request = create_actions_request(symbol, actions)
        response = await self._call(methods.CREATE_CORPORATE_ACTIONS, request, timeout_seconds)
        return from_actions_created(response)
