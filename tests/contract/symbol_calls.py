"""Calls of SymbolService as tests make them."""

from collections.abc import Sequence
from typing import Any, Final

from bifrost.marketdata.v1 import corporate_action_pb2
from bifrost.marketdata.v1 import symbol_service_pb2 as messages
from bifrost.marketdata.v1.bars_service_pb2 import GetLatestBarRequest, ListBarsRequest
from bifrost.marketdata.v1.company_pb2 import Company
from bifrost.marketdata.v1.corporate_action_pb2 import CorporateAction
from bifrost.marketdata.v1.symbol_pb2 import Symbol
from google.protobuf.field_mask_pb2 import FieldMask

from marketdata.domain.time_range import session_date, session_label_us
from tests.contract.requests import DAY
from tests.contract.service import CALL_SECONDS, Service

# FB became META, and its ticker is taken by another company a year later.
RENAMED: Final = "2022-06-09"
REUSED: Final = "2023-07-03"
SPLIT: Final = corporate_action_pb2.CORPORATE_ACTION_KIND_SPLIT
DIVIDEND: Final = corporate_action_pb2.CORPORATE_ACTION_KIND_CASH_DIVIDEND


async def create(service: Service, symbol: str, **fields: Any) -> Symbol:
    """Create a symbol; return it as stored."""
    request = messages.CreateSymbolRequest(symbol=Symbol(symbol=symbol, **fields))
    return (await service.symbols.CreateSymbol(request, timeout=CALL_SECONDS)).symbol


async def get(service: Service, symbol: str) -> Symbol:
    """Get a symbol."""
    request = messages.GetSymbolRequest(symbol=symbol)
    return (await service.symbols.GetSymbol(request, timeout=CALL_SECONDS)).symbol


def update(
    current: str, paths: Sequence[str], effective_date: str = "", **fields: Any
) -> messages.UpdateSymbolRequest:
    """Make a request that changes what `paths` name."""
    return messages.UpdateSymbolRequest(
        current_symbol=current,
        symbol=Symbol(**fields),
        update_mask=FieldMask(paths=paths),
        effective_date=effective_date,
    )


async def rename(service: Service, current: str, symbol: str, effective_date: str) -> Symbol:
    """Rename a symbol; return it as stored."""
    request = update(current, ["symbol"], effective_date, symbol=symbol)
    return (await service.symbols.UpdateSymbol(request, timeout=CALL_SECONDS)).symbol


async def delete(service: Service, symbol: str, *, force: bool = False) -> int:
    """Delete a symbol; return how many bars went with it."""
    request = messages.DeleteSymbolRequest(symbol=symbol, force=force)
    return (await service.symbols.DeleteSymbol(request, timeout=CALL_SECONDS)).deleted_bars


def company(symbol: str, paths: Sequence[str], **facts: Any) -> messages.UpdateCompanyRequest:
    """Make a request that changes the facts that `paths` name."""
    return messages.UpdateCompanyRequest(
        symbol=symbol, company=Company(**facts), update_mask=FieldMask(paths=paths)
    )


async def update_company(service: Service, symbol: str, paths: Sequence[str], **facts: Any) -> Company:
    """Change facts of a company; return it as stored."""
    request = company(symbol, paths, **facts)
    return (await service.symbols.UpdateCompany(request, timeout=CALL_SECONDS)).company


async def get_company(service: Service, symbol: str) -> Company:
    """Get a company."""
    request = messages.GetCompanyRequest(symbol=symbol)
    return (await service.symbols.GetCompany(request, timeout=CALL_SECONDS)).company


async def list_pages(service: Service, page_size: int, **filters: Any) -> list[list[str]]:
    """List the tickers of symbols page by page, to the end."""
    request = messages.ListSymbolsRequest(page_size=page_size, **filters)
    pages = []
    while True:
        response = await service.symbols.ListSymbols(request, timeout=CALL_SECONDS)
        pages.append([symbol.symbol for symbol in response.symbols])
        if not response.next_page_token:
            return pages
        request.page_token = response.next_page_token


async def search(service: Service, query: str, limit: int = 0) -> list[messages.SymbolMatch]:
    """Search for symbols."""
    request = messages.SearchSymbolsRequest(query=query, limit=limit)
    return list((await service.symbols.SearchSymbols(request, timeout=CALL_SECONDS)).matches)


def split(ex_date: str, ratio: float, **fields: Any) -> CorporateAction:
    """Make a split."""
    return CorporateAction(kind=SPLIT, ex_date=ex_date, split_ratio=ratio, **fields)


def dividend(ex_date: str, amount: float, **fields: Any) -> CorporateAction:
    """Make a cash dividend."""
    return CorporateAction(kind=DIVIDEND, ex_date=ex_date, cash_amount=amount, **fields)


async def create_actions(
    service: Service, symbol: str, *actions: CorporateAction
) -> messages.CreateCorporateActionsResponse:
    """Store corporate actions of one symbol."""
    request = messages.CreateCorporateActionsRequest(symbol=symbol, actions=actions)
    return await service.symbols.CreateCorporateActions(request, timeout=CALL_SECONDS)


async def listed_days(service: Service, symbol: str) -> list[str]:
    """List the session dates of all daily bars that ListBars has of a symbol."""
    request = ListBarsRequest(symbol=symbol, timeframe=DAY, page_size=1_000)
    return [bar.session_date for bar in (await service.bars.ListBars(request)).bars]


async def latest_day(service: Service, symbol: str) -> str:
    """Tell the session date of the newest daily bar of a symbol."""
    request = GetLatestBarRequest(symbol=symbol, timeframe=DAY)
    return (await service.bars.GetLatestBar(request, timeout=CALL_SECONDS)).bar.session_date


def day_us(text: str, later: int = 0) -> int:
    """Label a session date, or one some days later, as the time of its daily bar."""
    return session_label_us(session_date(0).fromisoformat(text)) + later * 86_400_000_000
