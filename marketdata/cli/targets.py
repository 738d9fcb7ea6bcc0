"""``marketdata targets``: what an operator wants kept current."""

import asyncio
from datetime import datetime
from typing import Annotated

import typer

from marketdata.cli import targets_run
from marketdata.cli.chosen_symbols import (
    PROVIDERS_HELP,
    AllSymbols,
    Providers,
    SomeSymbols,
    SymbolFile,
    Timeframes,
    chosen_symbols,
)
from marketdata.cli.options import Address, AsCsv, AsJson, refuse_several
from marketdata.cli.rows import RowForm
from marketdata.cli.texts import help_of
from marketdata.client import NewIngestionTarget, TargetField
from marketdata.domain.timeframe import Timeframe

NewName = Annotated[
    str, typer.Argument(metavar="NAME", help="1 to 50 of a-z, 0-9, - and _, such as us-daily")
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name, as targets list has it")]
HistoryStart = Annotated[
    datetime | None,
    typer.Option(
        "--history-start",
        metavar="DATE",
        formats=["%Y-%m-%d"],
        help="From when on history is wanted (default: none but what a run of its own would fetch)",
    ),
]

NoHistory = Annotated[bool, typer.Option("--no-history", help="No history is wanted any more")]
NewProviders = Annotated[
    list[str] | None,
    typer.Option("--provider", "-p", help=f"Instead of those it has: {PROVIDERS_HELP}"),
]
NewTimeframes = Annotated[
    list[Timeframe] | None,
    typer.Option("--timeframe", "-t", help="Instead of those it has; can be given more than once"),
]


def group() -> typer.Typer:
    """Assemble the commands."""
    commands = typer.Typer(help=help_of(targets), callback=targets, no_args_is_help=True)
    commands.command("add", help=help_of(add))(add)
    commands.command("update", help=help_of(update))(update)
    commands.command("list", help=help_of(list_targets))(list_targets)
    commands.command("remove", help=help_of(remove))(remove)
    return commands


def targets() -> None:
    """Say what is to be kept current: which symbols and timeframes, from which providers.

    Example: marketdata targets add tech AAPL MSFT --provider yahoo -t 1d

    Example: marketdata targets list
    """


def add(
    name: NewName,
    provider: Providers,
    timeframe: Timeframes,
    symbol: SomeSymbols = None,
    symbols: SymbolFile = None,
    *,
    all_symbols: AllSymbols = False,
    history_start: HistoryStart = None,
    address: Address = None,
) -> None:
    """Add a target. Its providers need not be ready yet; its symbols must be known.

    With --all it is for all active symbols, also those that are created later. Given more than once,
    --provider names first who is asked first: each other stands in for those before it.

    Example: marketdata targets add tech AAPL MSFT --provider yahoo -t 1d --history-start 2000-01-01

    Example: marketdata targets add everything --all --provider alpaca --provider yahoo -t 1m -t 1d
    """
    target = NewIngestionTarget(
        name,
        chosen_symbols(symbol, symbols, all_symbols=all_symbols),
        tuple(timeframe),
        tuple(provider),
        history_start.date() if history_start else None,
    )
    asyncio.run(targets_run.add(address, target))


def update(
    name: Name,
    symbol: SomeSymbols = None,
    provider: NewProviders = None,
    timeframe: NewTimeframes = None,
    symbols: SymbolFile = None,
    *,
    all_symbols: AllSymbols = False,
    history_start: HistoryStart = None,
    no_history: NoHistory = False,
    address: Address = None,
) -> None:
    """Change a target: what is named is replaced, the rest stays. What was fetched stays, too.

    Example: marketdata targets update tech --provider alpaca --provider yahoo

    Example: marketdata targets update tech AAPL MSFT GOOG --no-history
    """
    refuse_several({"--history-start": history_start is not None, "--no-history": no_history})
    is_symbols = bool(symbol) or symbols is not None or all_symbols
    changes: dict[TargetField, bool] = {
        "symbols": is_symbols,
        "timeframes": bool(timeframe),
        "providers": bool(provider),
        "history_start": history_start is not None or no_history,
    }
    if not any(changes.values()):
        raise typer.BadParameter("name what is to change: symbols, -t, -p, or --history-start")
    target = NewIngestionTarget(
        name,
        chosen_symbols(symbol, symbols, all_symbols=all_symbols) if is_symbols else (),
        tuple(timeframe or ()),
        tuple(provider or ()),
        history_start.date() if history_start else None,
    )
    fields = [field for field, is_changed in changes.items() if is_changed]
    asyncio.run(targets_run.update(address, target, fields))


def list_targets(*, as_json: AsJson = False, as_csv: AsCsv = False, address: Address = None) -> None:
    """List the targets, by name.

    Example: marketdata targets list

    Example: marketdata targets list --json
    """
    refuse_several({"--json": as_json, "--csv": as_csv})
    form = RowForm.chosen(as_json=as_json, as_csv=as_csv)
    asyncio.run(targets_run.list_targets(address, form))


def remove(name: Name, *, address: Address = None) -> None:
    """Remove a target. What was fetched for it stays.

    Example: marketdata targets remove tech
    """
    asyncio.run(targets_run.remove(address, name))
