"""``marketdata bars`` and ``marketdata symbols``: ask a running service."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from marketdata.cli.output import ERR, OUT, print_table
from marketdata.client import MarketDataClient
from marketdata.config import load_settings
from marketdata.domain.bars import BarFrame
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import from_unix_us
from marketdata.domain.timeframe import Timeframe

_DATE_FORMATS: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]

Address = Annotated[
    str | None, typer.Option(help="host:port of the service [default: MARKETDATA_HOST and _PORT]")
]


def bars(
    symbols: Annotated[list[str], typer.Argument(help="Tickers, such as AAPL IBM")],
    timeframe: Annotated[
        Timeframe, typer.Option("--timeframe", "-t", help="What each bar covers")
    ] = Timeframe.DAY_1,
    start: Annotated[
        datetime | None, typer.Option(formats=_DATE_FORMATS, help="First time, UTC, inclusive")
    ] = None,
    end: Annotated[
        datetime | None, typer.Option(formats=_DATE_FORMATS, help="Last time, UTC, exclusive")
    ] = None,
    last: Annotated[
        int, typer.Option("--last", "-n", min=1, help="Only the last so many bars of each symbol")
    ] = 20,
    address: Address = None,
) -> None:
    """Show bars of a running service.

    Times are the open of each bar, UTC; of daily bars the session date. Prices are raw: as traded.

    Example: marketdata bars AAPL --start 2005-02-20 --end 2005-03-10
    """
    frame = asyncio.run(_read_bars(address, symbols, timeframe, start, end, last))
    if len(frame) == 0:
        ERR.print(f"No {timeframe.value} bars of {', '.join(symbols)} in this range.")
        return
    headings = ["symbol", "time", "open", "high", "low", "close", "volume", "feed"]
    if frame.revision.any():
        headings.append("revision")
    print_table(headings, _bar_rows(frame, timeframe), numbers_from=2)


def symbols(address: Address = None) -> None:
    """List the symbols of a running service."""
    found = asyncio.run(_read_symbols(address))
    if not found:
        ERR.print("The service has no symbols yet. Try: marketdata import sample")
        return
    headings = ["symbol", "name", "venue", "currency", "asset class", "status", "listed"]
    rows = [_symbol_row(symbol) for symbol in found]
    print_table(headings, rows, wide="name", numbers_from=len(headings))
    OUT.print(f"{len(found)} symbols")


async def _read_bars(
    address: str | None,
    symbols: list[str],
    timeframe: Timeframe,
    start: datetime | None,
    end: datetime | None,
    last: int,
) -> BarFrame:
    async with MarketDataClient(address or _own_address()) as client:
        return (await client.bars(symbols, timeframe, _utc(start), _utc(end), limit=last)).frame


async def _read_symbols(address: str | None) -> list[Symbol]:
    async with MarketDataClient(address or _own_address()) as client:
        return [symbol async for symbol in client.list_symbols()]


def _own_address() -> str:
    settings = load_settings()
    return f"{settings.host}:{settings.port}"


def _utc(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time else None


def _bar_rows(frame: BarFrame, timeframe: Timeframe) -> list[list[str]]:
    time_format = "%Y-%m-%d" if timeframe is Timeframe.DAY_1 else "%Y-%m-%d %H:%M"
    index = frame.row_symbol_index()
    return [
        [
            frame.symbols[index[row]],
            from_unix_us(int(frame.time_us[row])).strftime(time_format),
            f"{frame.open[row]:.2f}",
            f"{frame.high[row]:.2f}",
            f"{frame.low[row]:.2f}",
            f"{frame.close[row]:.2f}",
            f"{frame.volume[row]:,.0f}",
            frame.feeds[int(frame.feed[row])],
            *([str(frame.revision[row])] if frame.revision.any() else []),
        ]
        for row in range(len(frame))
    ]


def _symbol_row(symbol: Symbol) -> list[str]:
    return [
        symbol.symbol,
        symbol.name,
        symbol.venue,
        symbol.currency,
        symbol.asset_class.value,
        symbol.status.value,
        symbol.ipo_date.isoformat() if symbol.ipo_date else "",
    ]
