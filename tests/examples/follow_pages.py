"""Go through all symbols without thinking of pages, and through bars a page at a time."""

from marketdata.client import MarketDataClient, SymbolStatus


async def active_tickers(address: str) -> list[str]:
    """List the tickers that are traded; the client asks for page after page."""
    async with MarketDataClient(address) as client:
        symbols = client.list_symbols(status=SymbolStatus.ACTIVE)
        return [symbol.symbol async for symbol in symbols]


async def pages_of_closes(address: str, symbol: str) -> list[list[float]]:
    """List closes page by page, as a screen would that shows three at a time."""
    pages: list[list[float]] = []
    token = ""
    async with MarketDataClient(address) as client:
        while True:
            page = await client.list_bars(symbol, "1d", page_size=3, page_token=token)
            pages.append([bar.close for bar in page.bars])
            token = page.next_page_token
            if not token:
                return pages
