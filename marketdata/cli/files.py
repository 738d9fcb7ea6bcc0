"""``marketdata import csv``, ``marketdata import parquet`` and ``marketdata export``: files of bars."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from marketdata.cli.options import (
    Address,
    AsOfOption,
    End,
    Start,
    Symbols,
    TimeframeOption,
    as_of_point,
    utc,
)
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import BarFileError
from marketdata.providers.files.fields import FileKind

_DEFAULT_ZONE: Final = "UTC"

File = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE", help="The file to read")
]
FileTimeframe = Annotated[
    Timeframe, typer.Option("--timeframe", "-t", help="What each bar of the file covers: 1m, 1h or 1d")
]
FileSymbol = Annotated[
    str | None,
    typer.Option("--symbol", "-s", help="Symbol of all rows, where the file has no column of symbols"),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="FIELD=COLUMN",
        help="Which column is what, by its header or as #3: time=Date close='Last Price'; repeat it for"
        " more. FIELD= leaves a recognised column out. Fields: symbol time date open high low close"
        " volume vwap trade_count feed flags",
    ),
]
TimeZone = Annotated[
    str,
    typer.Option(
        help="Time zone of times without an offset (America/New_York); for daily bars also where the"
        " exchange is, for times such as 05:00Z that are midnight there"
    ),
]
TimeFormat = Annotated[
    str | None,
    typer.Option(
        help="How times are written, such as '%d/%m/%Y %H:%M'; s, ms, us or ns: numbers since 1970"
        " (default: ISO 8601, or numbers whose unit their size tells)"
    ),
]
Delimiter = Annotated[
    str | None, typer.Option(help="Between cells: , ; | or \\t (default: told from the first line)")
]
Decimal = Annotated[str, typer.Option(help="Before the fraction of numbers: . or ,")]
Header = Annotated[bool, typer.Option(help="Whether the first line names the columns")]
FeedName = Annotated[
    str | None,
    typer.Option(
        "--feed", help="Feed of all bars (default: the file's column of feeds, else manual/upload)"
    ),
]
CreateSymbols = Annotated[
    bool, typer.Option("--create-symbols", help="Create unknown symbols, as US stocks in USD")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Read and check everything, store nothing")]
Rejects = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False, help="Write all rejected rows, with lines and reasons, to this CSV file"
    ),
]


def import_csv(
    file: File,
    timeframe: FileTimeframe,
    *,
    symbol: FileSymbol = None,
    assignments: Assignments = None,
    time_zone: TimeZone = _DEFAULT_ZONE,
    time_format: TimeFormat = None,
    delimiter: Delimiter = None,
    decimal: Decimal = ".",
    header: Header = True,
    feed: FeedName = None,
    create_symbols: CreateSymbols = False,
    dry_run: DryRun = False,
    rejects: Rejects = None,
) -> None:
    """Import bars from a CSV file, also compressed (.csv.gz).

    The time of a row is the open of its bar, in UTC unless --time-zone says another zone; of daily
    bars it is the session date. Prices are raw, as traded, in the symbol's currency a share; volumes
    are in shares. Usual headers are recognised.

    Good rows are stored in batches; bad ones are listed with their line and the reason. Running it
    again changes nothing, so an interrupted import is simply run again.

    Example: marketdata import csv aapl.csv -t 1d --symbol AAPL

    Example: marketdata import csv minutes.csv -t 1m --map time=Stamp --time-zone America/New_York
    """
    with _pyarrow_explained():
        from marketdata.cli import import_run  # noqa: PLC0415 -- pyarrow is an extra and takes 0.1 s
    import_run.run_import(
        file,
        FileKind.CSV,
        import_run.file_options(
            timeframe,
            assignments or (),
            symbol,
            feed,
            time_zone,
            time_format,
            import_run.CsvDialect(delimiter, decimal, has_header=header),
        ),
        import_run.request(timeframe, feed, create_symbols=create_symbols, dry_run=dry_run),
        rejects,
    )


def import_parquet(
    file: File,
    timeframe: FileTimeframe,
    *,
    symbol: FileSymbol = None,
    assignments: Assignments = None,
    time_zone: TimeZone = _DEFAULT_ZONE,
    time_format: TimeFormat = None,
    feed: FeedName = None,
    create_symbols: CreateSymbols = False,
    dry_run: DryRun = False,
    rejects: Rejects = None,
) -> None:
    """Import bars from a Parquet file.

    The time of a row is the open of its bar, in UTC unless --time-zone says another zone; of daily
    bars it is the session date. Prices are raw, as traded, in the symbol's currency a share; volumes
    are in shares. Usual names of columns are recognised.

    Good rows are stored in batches; bad ones are listed with their number and the reason.
    Running it again changes nothing, so an interrupted import is simply run again.

    Example: marketdata import parquet bars.parquet -t 1m --create-symbols
    """
    with _pyarrow_explained():
        from marketdata.cli import import_run  # noqa: PLC0415 -- pyarrow is an extra and takes 0.1 s
    import_run.run_import(
        file,
        FileKind.PARQUET,
        import_run.file_options(timeframe, assignments or (), symbol, feed, time_zone, time_format),
        import_run.request(timeframe, feed, create_symbols=create_symbols, dry_run=dry_run),
        rejects,
    )


def export(
    symbols: Symbols,
    timeframe: TimeframeOption,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write; - is standard output, as CSV")
    ],
    start: Start = None,
    end: End = None,
    as_of: AsOfOption = None,
    file_format: Annotated[
        FileKind | None, typer.Option("--format", help="(default: by the suffix of the file)")
    ] = None,
    address: Address = None,
) -> None:
    """Export bars of a running service to a CSV or Parquet file.

    The time of a bar is its open, in UTC; of daily bars it is the session date. Prices are raw, in the
    symbol's currency a share, volumes in shares, and all hours of the trading day are in the file.
    Importing it gives the same bars. A file of that name is replaced, once the new one is complete.

    Example: marketdata export AAPL IBM -t 1d --start 2005-01-01 -o bars.parquet

    Example: marketdata export AAPL -t 1d --as-of 2024-01-02T14:30:00 -o then.csv
    """
    with _pyarrow_explained():
        from marketdata.cli import export_run  # noqa: PLC0415 -- pyarrow is an extra and takes 0.1 s
    point = as_of_point(as_of)
    export_run.run_export(
        export_run.ExportRequest(
            symbols, timeframe, utc(start), utc(end), point, output, file_format, address
        )
    )


@contextmanager
def _pyarrow_explained() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        raise BarFileError(
            "files are read and written with pyarrow, which is not installed; the extra brings it:"
            " pip install 'bifrost-marketdata[files]'"
        ) from error
