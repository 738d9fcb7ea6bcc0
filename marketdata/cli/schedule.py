"""``marketdata schedule``: what keeps targets current, and when."""

import asyncio

import typer

from marketdata.cli import schedule_run
from marketdata.cli.options import Address, AsCsv, AsJson, refuse_several
from marketdata.cli.rows import RowForm
from marketdata.cli.texts import help_of


def group() -> typer.Typer:
    """Assemble the commands."""
    commands = typer.Typer(help=help_of(schedule), callback=schedule, no_args_is_help=True)
    commands.command("show", help=help_of(show))(show)
    return commands


def schedule() -> None:
    """See what keeps targets current.

    Example: marketdata schedule show
    """


def show(*, as_json: AsJson = False, as_csv: AsCsv = False, address: Address = None) -> None:
    """Show of each target the last slot of each job and timeframe, its runs, and when the next is due.

    A slot has one run, and one more for each provider that was asked for what those before it left; the
    last one is below.

    The last runs are looked for among the newest thousands; next times are those of this release's
    calendars, of the machine's clock, and of the MARKETDATA_SCHEDULE_ settings that this command finds.

    Example: marketdata schedule show

    Example: marketdata schedule show --json
    """
    refuse_several({"--json": as_json, "--csv": as_csv})
    form = RowForm.chosen(as_json=as_json, as_csv=as_csv)
    asyncio.run(schedule_run.show(address, form))
