"""``marketdata storage``: how bar tables are kept, and what they hold."""

import asyncio
from typing import Annotated

import typer

from marketdata.cli.keeping import AsJson, Table, parse_span
from marketdata.config import load_settings
from marketdata.domain.calendar_span import CalendarSpan

_SPAN = "SPAN"


def show(*, as_json: AsJson = False) -> None:
    """Show each bar table: what it holds, on how much disk, and how it is kept.

    Rows are counted, or estimated (~) where counting would take long. Sizes are on disk, with
    indexes. "keep" is the age of what retention drops, and "confirmed" whether it does: until an
    operator confirms it with marketdata retention apply, nothing is ever dropped.

    Example: marketdata storage show

    Example: marketdata storage show --json | jq .size_bytes
    """
    from marketdata.cli import storage_run  # noqa: PLC0415 -- 0.3 s that commands which only ask a service need not wait for

    asyncio.run(storage_run.show(load_settings(), as_json=as_json))


def change(
    table: Annotated[Table, typer.Argument(help="Bars of a minute, an hour or a day")],
    *,
    interval: Annotated[
        CalendarSpan | None,
        typer.Option(
            parser=parse_span, metavar=_SPAN, help="What a new partition covers: 1d to 366d, whole days"
        ),
    ] = None,
    compress_after: Annotated[
        CalendarSpan | None,
        typer.Option(
            parser=parse_span,
            metavar=_SPAN,
            help="Age at which a partition is compressed, where there is a columnstore: 1d or more",
        ),
    ] = None,
    keep: Annotated[
        CalendarSpan | None,
        typer.Option(
            parser=parse_span,
            metavar=_SPAN,
            help="Age of what retention drops; the least is 7d for min, 90d for hour, 365d for day",
        ),
    ] = None,
) -> None:
    """Change how a bar table is kept, on a running system; what is not given stays as it is.

    A SPAN is a number and d, w, mo or y: 30d, 2w, 6mo, 10y. A new interval is that of partitions made
    from now on. A shorter keep has to be confirmed again before anything is dropped.

    Example: marketdata storage set min --interval 1d --compress-after 2d --keep 6mo

    Example: marketdata storage set day --keep 20y
    """
    if interval is compress_after is keep is None:
        raise typer.BadParameter("nothing to change: give --interval, --compress-after or --keep.")
    from marketdata.cli import storage_run  # noqa: PLC0415 -- as above

    asyncio.run(storage_run.change(load_settings(), table, interval, compress_after, keep))
