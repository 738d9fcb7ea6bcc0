"""``marketdata retention``: what is older than what is kept, shown and dropped."""

import asyncio
from typing import Annotated

import typer

from marketdata.cli.keeping import AsJson, Table
from marketdata.config import load_settings

_Tables = Annotated[
    list[Table] | None,
    typer.Option("--table", help="Of which table; may be given several times (default: all)"),
]


def show(*, table: _Tables = None, as_json: AsJson = False) -> None:
    """Show what retention would drop now, whether or not it is confirmed; a dry run.

    A partition goes as a whole, when all of its bars are older than what is kept.

    Example: marketdata retention show

    Example: marketdata retention show --table min --json
    """
    from marketdata.cli import retention_run  # noqa: PLC0415 -- 0.3 s that commands which only ask a service need not wait for

    asyncio.run(retention_run.show(load_settings(), table or list(Table), as_json=as_json))


def apply(
    *,
    table: _Tables = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before anything is dropped")] = False,
) -> None:
    """Confirm retention, and drop what is older than what is kept, for good.

    From then on the service drops what becomes too old by itself, until marketdata retention off.
    Ctrl-C ends it between two partitions. What a reader keeps is left for the next run.

    Example: marketdata retention apply --table min

    Example: marketdata retention apply --yes
    """
    from marketdata.cli import retention_run  # noqa: PLC0415 -- as above

    retention_run.run_apply(load_settings(), table or list(Table), is_sure=yes)


def off(*, table: _Tables = None) -> None:
    """Withdraw the confirmation: nothing is dropped any more. What was dropped is gone.

    Example: marketdata retention off

    Example: marketdata retention off --table day
    """
    from marketdata.cli import retention_run  # noqa: PLC0415 -- as above

    asyncio.run(retention_run.withdraw(load_settings(), table or list(Table)))
