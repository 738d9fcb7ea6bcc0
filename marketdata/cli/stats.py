"""``marketdata stats``: how many bars a running service has, on how much disk."""

import asyncio
from typing import Annotated, Any, Final

import numpy as np
import typer

from marketdata.cli.connection import connected
from marketdata.cli.keeping import size_text
from marketdata.cli.options import Address, AsCsv, AsJson, refuse_several
from marketdata.cli.output import ERR, print_table
from marketdata.cli.rows import RowForm, RowWriter, iso_times, piped
from marketdata.client import TimeframeStatistics
from marketdata.domain.time_range import to_unix_us
from marketdata.domain.timeframe import Timeframe

_FIELDS: Final = (
    "timeframe", "rows", "rows_estimated", "symbols", "first_time", "last_time", "partitions",
    "compressed_partitions", "size_bytes", "bytes_before_compression", "bytes_after_compression",
    "compression_ratio",
)  # fmt: skip
_HEADINGS: Final = (
    "bars", "first", "last", "rows", "symbols", "size", "partitions", "compressed", "ratio",
)  # fmt: skip
# Of one symbol no size is told: its bars share their pages with others.
_OF_ONE: Final = 4


def stats(
    symbol: Annotated[
        str, typer.Argument(metavar="[SYMBOL]", help="Only of this ticker; else of all symbols")
    ] = "",
    *,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    address: Address = None,
) -> None:
    """Count the bars of a running service, a line a timeframe that has any.

    Rows are counted; where that would take longer than a call may, they are an estimate (~). Sizes
    are on disk, with indexes. "ratio" says how many times less the compressed partitions take than
    they took before.

    --json writes an object a line, --csv a header and a line a timeframe. Times are ISO 8601 in UTC,
    of daily bars the session date.

    Example: marketdata stats

    Example: marketdata stats AAPL --json | jq .rows
    """
    refuse_several({"--json": as_json, "--csv": as_csv})
    found = asyncio.run(_read(address, symbol))
    form = RowForm.chosen(as_json=as_json, as_csv=as_csv)
    if form is not None:
        with piped():
            RowWriter(form, _FIELDS).write(_row(line) for line in found)
        return
    if not found:
        ERR.print("There are no bars yet. Try: marketdata import sample")
        return
    shown = _OF_ONE if symbol else len(_HEADINGS)
    rows = [_table_row(line)[:shown] for line in found]
    print_table(_HEADINGS[:shown], rows, numbers_from=3, spare=("ratio", "compressed", "partitions"))


async def _read(address: str | None, symbol: str) -> list[TimeframeStatistics]:
    async with connected(address) as client:
        return await client.get_bar_statistics(symbol or None)


def _row(line: TimeframeStatistics) -> tuple[Any, ...]:
    first, last = _bounds(line)
    return (
        line.timeframe.value,
        line.rows,
        line.rows_estimated,
        line.symbols,
        first,
        last,
        line.partitions,
        line.compressed_partitions,
        line.size_bytes,
        line.bytes_before_compression,
        line.bytes_after_compression,
        line.compression_ratio,
    )


def _bounds(line: TimeframeStatistics) -> list[str]:
    times_us = np.array([to_unix_us(line.first), to_unix_us(line.last)], np.int64)
    return iso_times(times_us, line.timeframe)


def _table_row(line: TimeframeStatistics) -> list[str]:
    pattern = "%Y-%m-%d" if line.timeframe is Timeframe.DAY_1 else "%Y-%m-%d %H:%M"
    ratio = line.compression_ratio
    return [
        line.timeframe.value,
        line.first.strftime(pattern),
        line.last.strftime(pattern),
        f"{'~' if line.rows_estimated else ''}{line.rows:,}",
        f"{line.symbols:,}",
        size_text(line.size_bytes),
        f"{line.partitions:,}",
        f"{line.compressed_partitions:,}",
        "" if ratio is None else f"{ratio:.1f}",
    ]
