"""The ``marketdata`` command."""

import sys
from collections.abc import Mapping
from typing import Final

import typer
from rich.markup import escape

from marketdata.cli import change_log, quarantine, schedule, targets
from marketdata.cli import ingest as ingest_commands
from marketdata.cli import retention as retention_commands
from marketdata.cli import storage as storage_commands
from marketdata.cli.bars import bars
from marketdata.cli.company import company
from marketdata.cli.coverage import coverage
from marketdata.cli.database import migrate, sample
from marketdata.cli.doctor import doctor
from marketdata.cli.files import export, import_csv, import_parquet
from marketdata.cli.output import ERR
from marketdata.cli.revisions import revisions
from marketdata.cli.serve import serve
from marketdata.cli.stats import stats
from marketdata.cli.symbols import symbols
from marketdata.cli.texts import help_of
from marketdata.cli.watch import watch
from marketdata.cli.worker import worker
from marketdata.errors import (
    DeadlineExceededError,
    MarketDataError,
    ProviderNotReadyError,
    RunNotFoundError,
    ServiceUnavailableError,
    SymbolNotFoundError,
    TargetNotFoundError,
)

# What to do where an error comes from afar, and cannot know the commands of this one.
_REMEDIES: Final[Mapping[type[MarketDataError], str]] = {
    ServiceUnavailableError: (
        "Is the service running? scripts/serve starts it; marketdata doctor looks for it."
    ),
    DeadlineExceededError: (
        "The service or its database is too slow, or stands still: marketdata doctor tells which."
    ),
    SymbolNotFoundError: "marketdata symbols lists those that are known.",
    RunNotFoundError: "marketdata ingest runs lists them.",
    ProviderNotReadyError: "marketdata ingest providers says what each one needs.",
    TargetNotFoundError: "marketdata targets list shows those that there are.",
}


def build() -> typer.Typer:
    """Assemble the commands."""
    commands = typer.Typer(
        help="Bifrost's market-data service: serve it, load it, look into it.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    processes = (serve, worker, migrate)
    asked = (bars, watch, coverage, revisions, stats, symbols, company, export, doctor)
    for command in processes + asked:
        commands.command(help=help_of(command))(command)
    commands.add_typer(_ingest(), name="ingest")
    commands.add_typer(targets.group(), name="targets")
    commands.add_typer(schedule.group(), name="schedule")
    commands.add_typer(_imports(), name="import")
    commands.add_typer(_storage(), name="storage")
    commands.add_typer(_retention(), name="retention")
    commands.add_typer(_log(), name="log")
    return commands


def _imports() -> typer.Typer:
    imports = typer.Typer(help=help_of(import_), callback=import_, no_args_is_help=True)
    for name, command in (("csv", import_csv), ("parquet", import_parquet), ("sample", sample)):
        imports.command(name, help=help_of(command))(command)
    return imports


def _ingest() -> typer.Typer:
    group = typer.Typer(help=help_of(ingest), callback=ingest, no_args_is_help=True)
    for command in (
        ingest_commands.run,
        ingest_commands.backfill,
        ingest_commands.actions,
        ingest_commands.company,
        ingest_commands.feeds,
        ingest_commands.watch,
        ingest_commands.runs,
        ingest_commands.cancel,
        ingest_commands.providers,
    ):
        group.command(command.__name__, help=help_of(command))(command)
    group.add_typer(quarantine.group(), name="quarantine")
    return group


def _storage() -> typer.Typer:
    group = typer.Typer(help=help_of(storage), callback=storage, no_args_is_help=True)
    group.command("show", help=help_of(storage_commands.show))(storage_commands.show)
    group.command("set", help=help_of(storage_commands.change))(storage_commands.change)
    return group


def _retention() -> typer.Typer:
    group = typer.Typer(help=help_of(retention), callback=retention, no_args_is_help=True)
    for command in (retention_commands.show, retention_commands.apply, retention_commands.off):
        group.command(command.__name__, help=help_of(command))(command)
    return group


def _log() -> typer.Typer:
    group = typer.Typer(help=help_of(log), callback=log, no_args_is_help=True)
    group.command("show", help=help_of(change_log.show))(change_log.show)
    group.command("tail", help=help_of(change_log.tail))(change_log.tail)
    group.command("new-generation", help=help_of(change_log.new_generation))(change_log.new_generation)
    return group


def ingest() -> None:
    """Bring bars in from providers, checked and complete, through a running service.

    A run goes on whatever becomes of the command or the service; what it has fetched stays.

    Example: marketdata ingest providers

    Example: marketdata ingest run AAPL --provider yahoo -t 1d
    """


def storage() -> None:
    """See and change how bar tables are kept: partitions, compression, for how long.

    Example: marketdata storage show

    Example: marketdata storage set min --keep 6mo
    """


def retention() -> None:
    """Drop bars that are older than what is kept; off until an operator confirms it.

    Example: marketdata retention show

    Example: marketdata retention apply --table min
    """


def log() -> None:
    """See the change log: every write that changes an answer, in the order of commits.

    Example: marketdata log show

    Example: marketdata log tail --follow
    """


def import_() -> None:
    """Bring bars into the database, beside a running service or without one.

    Times are in UTC unless an option says another zone, prices raw, volumes in shares.

    Example: marketdata import sample

    Example: marketdata import csv aapl.csv -t 1d --symbol AAPL
    """


def main() -> None:
    """Run a command; a failure that the package names is said in its own words, without a trace."""
    try:
        build()()
    except MarketDataError as error:
        ERR.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        for kind, remedy in _REMEDIES.items():
            if isinstance(error, kind):
                ERR.print(remedy, soft_wrap=True)
        sys.exit(1)
