"""``marketdata log``: the change log, shown, followed, and begun anew after a restore."""

import asyncio
from typing import Annotated

import typer

from marketdata.cli.keeping import AsJson
from marketdata.config import load_settings


def show(*, as_json: AsJson = False) -> None:
    """Show what the change log holds: its last and its oldest entry, its generation, its size.

    Entries older than MARKETDATA_LOG_KEEP_DAYS are trimmed. A reader that stopped before the oldest
    one, or that read another generation, has to begin anew.

    Example: marketdata log show

    Example: marketdata log show --json | jq .head_seq
    """
    from marketdata.cli import change_log_run  # noqa: PLC0415 -- 0.3 s that commands which only ask a service need not wait for

    asyncio.run(change_log_run.show(load_settings(), as_json=as_json))


def tail(
    *,
    first: Annotated[
        int | None,
        typer.Option("--from", min=1, metavar="SEQ", help="First seq to print (default: the last ten)"),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C")
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="For pipes: a JSON object a line; inline_bars: null where they are elsewhere",
        ),
    ] = False,
) -> None:
    """Print entries of the change log: what was stored, revised, deleted or renamed, and when.

    Times are UTC, ranges half-open. Entries of one seq were committed together.

    Example: marketdata log tail --follow

    Example: marketdata log tail --from 1 --json | jq 'select(.kind == "deleted")'
    """
    from marketdata.cli import change_log_run  # noqa: PLC0415 -- as above

    change_log_run.run_tail(load_settings(), first, follow=follow, as_json=as_json)


def new_generation(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before readers are refused")] = False,
) -> None:
    """Begin another history of the change log; needed after a restore of PostgreSQL's files.

    Such a restore takes entries back that readers have read, and the log goes on with others under the
    same numbers. From now on positions of before are refused, and their readers begin anew.

    Example: marketdata log new-generation
    """
    from marketdata.cli import change_log_run  # noqa: PLC0415 -- as above

    asyncio.run(change_log_run.begin_generation(load_settings(), is_sure=yes))
