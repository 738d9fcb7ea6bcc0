"""The ``marketdata`` command."""

import sys

import typer
from rich.markup import escape

from marketdata.cli.bars import bars, symbols
from marketdata.cli.database import IMPORT, migrate
from marketdata.cli.doctor import doctor
from marketdata.cli.files import export
from marketdata.cli.output import ERR
from marketdata.cli.serve import serve
from marketdata.errors import MarketDataError, ServiceUnavailableError


def build() -> typer.Typer:
    """Assemble the commands."""
    commands = typer.Typer(
        help="Bifrost's market-data service: serve it, load it, look into it.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for command in (serve, migrate, bars, symbols, export, doctor):
        commands.command()(command)
    commands.add_typer(IMPORT, name="import")
    return commands


def main() -> None:
    """Run a command; a failure that the package names is said in its own words, without a trace."""
    try:
        build()()
    except ServiceUnavailableError as error:
        ERR.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        ERR.print("Is the service running? scripts/serve starts it; marketdata doctor looks for it.")
        sys.exit(1)
    except MarketDataError as error:
        ERR.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)
