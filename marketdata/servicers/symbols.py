"""SymbolService."""

from typing import Any

import grpc
from bifrost.marketdata.v1 import symbol_service_pb2 as messages
from bifrost.marketdata.v1.symbol_service_pb2_grpc import SymbolServiceServicer

from marketdata.storage.symbols import SymbolStore
from marketdata.wire.page_token import encode_page_token
from marketdata.wire.symbols import (
    parse_create_symbol,
    parse_get_symbol,
    parse_list_symbols,
    symbol_position,
    to_proto_symbol,
)

Context = grpc.aio.ServicerContext[Any, Any]


class SymbolServicer(SymbolServiceServicer):
    """Serves symbols.

    Parameters
    ----------
    symbols : SymbolStore
        Where they are stored.
    """

    def __init__(self, symbols: SymbolStore) -> None:
        self._symbols = symbols

    async def GetSymbol(  # noqa: N802
        self,
        request: messages.GetSymbolRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.GetSymbolResponse:
        """Return one symbol; see the contract."""
        symbol = await self._symbols.get(parse_get_symbol(request))
        return messages.GetSymbolResponse(symbol=to_proto_symbol(symbol))

    async def ListSymbols(  # noqa: N802
        self,
        request: messages.ListSymbolsRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.ListSymbolsResponse:
        """Return a page of symbols; see the contract."""
        asked = parse_list_symbols(request)
        # One more than the page takes tells whether there is another page.
        found = await self._symbols.list_page(asked.after, asked.page_size + 1)
        page = found[: asked.page_size]
        token = ""
        if len(found) > len(page):
            token = encode_page_token(request, symbol_position(page[-1]))
        return messages.ListSymbolsResponse(
            symbols=[to_proto_symbol(symbol) for symbol in page], next_page_token=token
        )

    async def CreateSymbol(  # noqa: N802
        self,
        request: messages.CreateSymbolRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.CreateSymbolResponse:
        """Create a symbol; see the contract."""
        symbol = await self._symbols.create(parse_create_symbol(request))
        return messages.CreateSymbolResponse(symbol=to_proto_symbol(symbol))
