"""``marketdata revisions``: how the bars of a symbol changed."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Final

import typer
from rich.markup import escape

from marketdata.cli.connection import connected
from marketdata.cli.options import (
    Address,
    AsCsv,
    AsJson,
    End,
    Start,
    TimeframeOption,
    refuse_several,
    utc,
)
from marketdata.cli.output import ERR, OUT, print_table
from marketdata.cli.rows import RowForm, RowWriter, piped
from marketdata.client import Bar, BarVersion
from marketdata.domain.timeframe import Timeframe

_FIELDS: Final = (
    "symbol", "timeframe", "time", "revision", "open", "high", "low", "close", "volume", "vwap",
    "trade_count", "feed", "seq", "known_time", "superseded_seq", "superseded_time", "deleted",
)  # fmt: skip
_MOST_SHOWN: Final = 200
_INSTANT: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


def revisions(
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="Ticker, such as AAPL")],
    *,
    timeframe: TimeframeOption = Timeframe.DAY_1,
    start: Start = None,
    end: End = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    address: Address = None,
) -> None:
    """Show how the bars of a symbol changed: every version, and since when the service knew it.

    Bars that were never revised or deleted are left out. A version is known from its seq, the position
    of the write in the change log, until another write replaced or deleted it. marketdata bars --as-of
    SEQ shows all bars as they were then. Timeframes that are stored are 1m, 1h and 1d.

    --json writes an object a line, --csv a header and a line a version, times in UTC.

    Example: marketdata revisions AAPL

    Example: marketdata revisions AAPL -t 1m --start 2024-01-02 --csv
    """
    refuse_several({"--json": as_json, "--csv": as_csv})
    form = RowForm.chosen(as_json=as_json, as_csv=as_csv)
    found = asyncio.run(
        _read(address, symbol, timeframe, utc(start), utc(end), is_whole=form is not None)
    )
    if form is not None:
        with piped():
            RowWriter(form, _FIELDS).write(_row(version) for version in found)
    elif not found:
        ERR.print(
            f"No {timeframe.value} bar of {escape(symbol)} was ever revised or deleted in this range."
        )
    else:
        _print(found[:_MOST_SHOWN], timeframe)
        if len(found) > _MOST_SHOWN:
            ERR.print(
                f"Only the first {_MOST_SHOWN} versions are shown; give a range, or --csv for all."
            )


async def _read(
    address: str | None,
    symbol: str,
    timeframe: Timeframe,
    start: datetime | None,
    end: datetime | None,
    *,
    is_whole: bool,
) -> list[BarVersion]:
    found = []
    async with connected(address) as client:
        async for version in client.list_bar_revisions(symbol, timeframe, start, end):
            found.append(version)
            if not is_whole and len(found) > _MOST_SHOWN:
                break
    return found


def _row(version: BarVersion) -> tuple[Any, ...]:
    bar = version.bar
    return (
        bar.symbol,
        bar.timeframe.value,
        _time(bar),
        bar.revision,
        *(bar.open, bar.high, bar.low, bar.close),
        None if bar.volume != bar.volume else bar.volume,
        bar.vwap,
        bar.trade_count,
        bar.feed,
        version.seq,
        version.known_time and version.known_time.strftime(_INSTANT),
        version.superseded_seq or None,
        version.superseded_time and version.superseded_time.strftime(_INSTANT),
        version.is_deleted,
    )


def _print(versions: list[BarVersion], timeframe: Timeframe) -> None:
    headings = ["time", "seq", "known since", "open", "high", "low", "close", "volume", "until"]
    pattern = "%Y-%m-%d" if timeframe is Timeframe.DAY_1 else "%Y-%m-%d %H:%M"
    rows = [
        [
            version.bar.time.strftime(pattern),
            str(version.seq),
            version.known_time.strftime("%Y-%m-%d %H:%M:%S") if version.known_time else "",
            *(f"{price:g}" for price in _prices(version.bar)),
            "" if version.bar.volume != version.bar.volume else f"{version.bar.volume:,.0f}",
            _until(version),
        ]
        for version in versions
    ]
    print_table(headings, rows, numbers_from=3, spare=["open", "volume"])
    OUT.print(f"{len(versions)} versions")


def _until(version: BarVersion) -> str:
    if not version.superseded_seq:
        return "stands"
    return f"{'deleted' if version.is_deleted else 'revised'} with {version.superseded_seq}"


def _prices(bar: Bar) -> tuple[float, float, float, float]:
    return bar.open, bar.high, bar.low, bar.close


def _time(bar: Bar) -> str:
    if bar.session_date is not None:
        return bar.session_date.isoformat()
    return bar.time.strftime("%Y-%m-%dT%H:%M:%SZ")
