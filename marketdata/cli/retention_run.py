"""What ``marketdata retention`` does."""

import asyncio
from collections.abc import Sequence
from typing import Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from marketdata.cli.keeping import Table, day_text, iso_text, size_text
from marketdata.cli.output import ERR, OUT, print_table
from marketdata.cli.rows import INTERRUPTED, RowForm, RowWriter, piped
from marketdata.cli.upkeep import OpenDatabase, opened_database
from marketdata.config import Settings
from marketdata.errors import StorageSettingError
from marketdata.storage.aggregates import settle_aggregates
from marketdata.storage.bar_storage import TableStorage
from marketdata.storage.retention import DroppedPartition, OldPartition
from marketdata.storage.roles import may_migrate

_FIELDS: Final = ("table", "partition", "start", "end", "rows", "size_bytes", "compressed", "confirmed")
_HEADINGS: Final = ("table", "keep", "confirmed", "from", "until", "partitions", "rows", "size")

_Found = tuple[Table, TableStorage, list[OldPartition]]


async def show(settings: Settings, tables: Sequence[Table], *, as_json: bool) -> None:
    """Show what would be dropped."""
    async with opened_database(settings, "retention show") as opened:
        found = await _find(opened, tables)
    if not as_json:
        _print(found)
        return
    with piped():
        rows = RowWriter(RowForm.JSON, _FIELDS)
        for table, kept, old in found:
            rows.write(
                (
                    table.value,
                    part.name,
                    iso_text(part.range.start_us),
                    iso_text(part.range.end_us),
                    part.rows,
                    part.size_bytes,
                    part.is_compressed,
                    kept.is_confirmed,
                )
                for part in old
            )


def run_apply(settings: Settings, tables: Sequence[Table], *, is_sure: bool) -> None:
    """Confirm retention and drop what is too old; say what became of it, also where it was stopped."""
    dropped: list[DroppedPartition] = []
    try:
        left, elsewhere = asyncio.run(_apply(settings, tables, dropped, is_sure=is_sure))
    except KeyboardInterrupt:
        ERR.print(
            f"Interrupted. {_said(dropped)} What is confirmed stays so: marketdata retention off"
            " withdraws it.",
            soft_wrap=True,
        )
        raise typer.Exit(INTERRUPTED) from None
    OUT.print(_said(dropped))
    if elsewhere:
        OUT.print(f"{elsewhere:,} more were dropped by a running service, which was faster.")
    if left:
        ERR.print(
            f"{left} partitions are in use and were left; the service tries again, or run this again."
        )
        raise typer.Exit(1)


async def withdraw(settings: Settings, tables: Sequence[Table]) -> None:
    """Withdraw the confirmation."""
    async with opened_database(settings, "retention off") as opened:
        for table in tables:
            was_on = await opened.upkeep.settings.withdraw_retention(table.timeframe)
            OUT.print(f"{table.value}: retention {'is off now' if was_on else 'was off already'}")


async def _apply(
    settings: Settings, tables: Sequence[Table], dropped: list[DroppedPartition], *, is_sure: bool
) -> tuple[int, int]:
    async with opened_database(settings, "retention apply") as opened:
        found = await _find(opened, tables)
        _print(found)
        if not is_sure:
            _ask()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        bar = Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal)
        left, total = 0, sum(len(old) for *_, old in found)
        with bar as progress:
            task = progress.add_task("dropping partitions", total=total)

            def on_dropped(partition: DroppedPartition) -> None:
                dropped.append(partition)
                progress.advance(task)

            for table, kept, _ in found:
                timeframe = table.timeframe
                await opened.upkeep.settings.confirm_retention(timeframe, kept.keep)
                if await may_migrate(opened.roles.owner()):
                    # Days that are dropped now are not counted anew.
                    await settle_aggregates(opened.roles.owner(), opened.facts.mode)
                reason = f"older than {kept.keep}, by an operator"
                result = await opened.upkeep.retention.apply(timeframe, reason, on_dropped)
                left += result.left
        # What was confirmed is dropped by whoever comes first.
        return left, max(0, total - left - len(dropped))


async def _find(opened: OpenDatabase, tables: Sequence[Table]) -> list[_Found]:
    return [
        (
            table,
            await opened.upkeep.settings.get(table.timeframe),
            await opened.upkeep.retention.find_old(table.timeframe),
        )
        for table in dict.fromkeys(tables)
    ]


def _ask() -> None:
    """Have a person confirm; in this thread, so that Ctrl-C ends the question."""
    try:
        is_sure = typer.confirm("Drop this for good, and what becomes too old from now on?", err=True)
    except typer.Abort:
        raise StorageSettingError(
            "nobody confirmed: answer the question on a terminal, or give --yes; nothing was dropped"
        ) from None
    if not is_sure:
        ERR.print("Nothing was dropped, and retention is as it was.")
        raise typer.Exit(1)


def _print(found: Sequence[_Found]) -> None:
    rows = [
        [
            table.value,
            str(kept.keep),
            day_text(kept.confirmed_us) or "no",
            day_text(old[0].range.start_us) if old else "",
            day_text(old[-1].range.end_us) if old else "",
            f"{len(old):,}",
            f"~{sum(part.rows for part in old):,}" if old else "0",
            size_text(sum(part.size_bytes for part in old)),
        ]
        for table, kept, old in found
    ]
    print_table(_HEADINGS, rows, numbers_from=5)


def _said(dropped: Sequence[DroppedPartition]) -> str:
    rows = sum(partition.rows for partition in dropped)
    return f"{len(dropped):,} partitions with {rows:,} bars were dropped."
