"""Which symbols and bars a command is about: named, in a file, or all active ones."""

from pathlib import Path
from typing import Annotated, Final

import typer

from marketdata.cli.options import refuse_several
from marketdata.domain.timeframe import Timeframe

_COMMENT: Final = "#"

Provider = Annotated[
    str, typer.Option("--provider", "-p", help="Where from; marketdata ingest providers lists them")
]
PROVIDERS_HELP: Final = "where from, in order; can be given more than once"
Providers = Annotated[
    list[str],
    typer.Option(
        "--provider",
        "-p",
        help=f"{PROVIDERS_HELP.capitalize()}; marketdata ingest providers lists them",
    ),
]
SomeSymbols = Annotated[
    list[str] | None, typer.Argument(metavar="SYMBOL", help="Tickers, such as AAPL IBM")
]
SymbolFile = Annotated[
    Path | None,
    typer.Option(
        "--symbols",
        metavar="FILE",
        help="A file of tickers, one a line; # begins a comment; - is stdin",
    ),
]
AllSymbols = Annotated[bool, typer.Option("--all", help="All active symbols that the service knows")]
Timeframes = Annotated[
    list[Timeframe], typer.Option("--timeframe", "-t", help="Which bars; can be given more than once")
]


def chosen_symbols(
    symbols: list[str] | None, path: Path | None, *, all_symbols: bool
) -> tuple[str, ...]:
    """Give the tickers that were named or stand in the file; none where all are wanted.

    Raises
    ------
    typer.BadParameter
        More than one way was taken, or none; the file cannot be read, or names no symbol.
    """
    given = {"SYMBOL": bool(symbols), "--symbols": path is not None, "--all": all_symbols}
    refuse_several(given)
    if not any(given.values()):
        raise typer.BadParameter("name the symbols, or give --symbols FILE or --all")
    return tuple(symbols or ()) if path is None else _read_symbols(path)


def _read_symbols(path: Path) -> tuple[str, ...]:
    try:
        text = typer.get_text_stream("stdin").read() if str(path) == "-" else path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"--symbols {path} cannot be read: {error}") from None
    lines = (line.split(_COMMENT, 1)[0].strip() for line in text.splitlines())
    found = tuple(dict.fromkeys(line for line in lines if line))
    if not found:
        # An empty list must not be taken for all symbols.
        raise typer.BadParameter(f"--symbols {path} names no symbol; write one a line")
    return found
