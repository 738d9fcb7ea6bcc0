"""What ``marketdata import csv`` and ``parquet`` do; it needs pyarrow, an extra."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import typer
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from marketdata import app
from marketdata.cli.output import ERR, OUT, print_table
from marketdata.cli.rows import INTERRUPTED
from marketdata.cli.texts import named
from marketdata.clock import SystemClock
from marketdata.config import load_settings
from marketdata.domain.symbol import NewSymbol
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import BarFileError
from marketdata.ingestion.file_import import FileImport, FileImporter, ImportRequest
from marketdata.providers.files.bar_file import BarFile
from marketdata.providers.files.fields import FileKind
from marketdata.providers.files.mapping import parse_assignments
from marketdata.providers.files.options import CsvDialect, FileOptions
from marketdata.providers.files.reject_file import open_reject_file

__all__ = ["CsvDialect", "file_options", "request", "run_import"]


def file_options(
    timeframe: Timeframe,
    assignments: Sequence[str],
    symbol: str | None,
    feed: str | None,
    time_zone: str,
    time_format: str | None,
    dialect: CsvDialect = CsvDialect(),  # noqa: B008 -- frozen
) -> FileOptions:
    """Read the options of a command; see `FileOptions`."""
    if dialect.delimiter == "\\t":
        dialect = replace(dialect, delimiter="\t")
    assigned = parse_assignments(assignments)
    return FileOptions(timeframe, assigned, symbol, feed, time_zone, time_format, dialect)


def request(
    timeframe: Timeframe, feed: str | None, *, create_symbols: bool, dry_run: bool
) -> ImportRequest:
    """Read what a command is to do; see `ImportRequest`."""
    return ImportRequest(timeframe, feed, creates_symbols=create_symbols, is_dry_run=dry_run)


def run_import(
    path: Path, kind: FileKind, options: FileOptions, request: ImportRequest, rejects: Path | None
) -> None:
    """Import a file and say what became of it, also where it was interrupted or failed."""
    outcome = FileImport()
    with BarFile(path, kind, options) as file:
        OUT.print(f"Columns: {escape(file.columns.describe())}", soft_wrap=True)
        try:
            asyncio.run(_import(file, request, outcome, rejects))
        except KeyboardInterrupt:
            _say_stopped(outcome, request, "Interrupted.")
            raise typer.Exit(INTERRUPTED) from None
        except Exception:
            if outcome.rows:
                _say_stopped(outcome, request, "Stopped by an error.")
            raise
        _say_outcome(path, file, outcome, request)
    if outcome.rows and not outcome.good:
        raise BarFileError(f"nothing of {path.name} could be imported: every row was rejected")


async def _import(
    file: BarFile, request: ImportRequest, outcome: FileImport, rejects: Path | None
) -> None:
    with ExitStack() as stack:
        on_rejected = stack.enter_context(open_reject_file(rejects)).write if rejects else _ignore
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rows]:,} rows"),
            TimeRemainingColumn(),
        )
        bar = Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal)
        progress = stack.enter_context(bar)
        task = progress.add_task("importing", total=file.size, rows=0)

        def on_progress() -> None:
            progress.update(task, completed=outcome.position, rows=outcome.rows)

        command = f"import {file.kind.value}"
        opened = app.open_stores(load_settings(), command, migrates=not request.is_dry_run)
        async with opened as stores:
            importer = FileImporter(
                stores.pools,
                stores.symbols,
                stores.intake,
                request,
                outcome,
                on_progress=on_progress,
                on_rejected=on_rejected,
            )
            await importer.run(file.blocks(SystemClock().now_us()))


def _ignore(_: object) -> None:
    """Whoever asked for no file of rejected rows is shown the first ones."""


def _say_stopped(outcome: FileImport, request: ImportRequest, why: str) -> None:
    if request.is_dry_run or not outcome.committed:
        ERR.print(f"{why} Nothing was stored.")
        return
    ERR.print(
        f"{why} {outcome.committed:,} bars of the file are settled in the database:"
        f" {outcome.accepted:,} accepted, {outcome.revised:,} revised, {outcome.unchanged:,} unchanged,"
        f" {outcome.outranked:,} outranked. Running the same import again is safe: it goes over these"
        " without a change, and on to the rest.",
        soft_wrap=True,
    )


def _say_outcome(path: Path, file: BarFile, outcome: FileImport, request: ImportRequest) -> None:
    if outcome.rows == 0:
        OUT.print(f"{escape(path.name)} has no rows below its columns.", soft_wrap=True)
        return
    if file.epoch_unit is not None:
        OUT.print(f"Times were read as numbers since 1970, in {file.epoch_unit}.")
    stored = {
        "accepted": outcome.accepted,
        "unchanged": outcome.unchanged,
        "revised": outcome.revised,
        "outranked": outcome.outranked,
    }
    counts = {
        "rows": outcome.rows,
        **({"good": outcome.ready} if request.is_dry_run else stored),
        "duplicates": outcome.duplicates,
        "rejected": outcome.rejected,
    }
    print_table(list(counts), [[f"{count:,}" for count in counts.values()]], numbers_from=0)
    _say_created(outcome, request)
    if outcome.rejected:
        _say_rejected(file.line_name, outcome)
    if request.is_dry_run:
        OUT.print("It was a dry run: nothing was stored.")


def _say_created(outcome: FileImport, request: ImportRequest) -> None:
    if not outcome.created:
        return
    default = NewSymbol("")
    OUT.print(
        f"Symbols {'that would be ' if request.is_dry_run else ''}created, with venue {default.venue},"
        f" currency {default.currency} and calendar {default.calendar}: {named(outcome.created)}",
        soft_wrap=True,
    )


def _say_rejected(line_name: str, outcome: FileImport) -> None:
    rules = ", ".join(f"{rule} {count:,}" for rule, count in outcome.rules.most_common())
    OUT.print(f"\nRejected rows: {outcome.rejected:,}. By rule: {rules}", soft_wrap=True)
    rows = [[str(row.line), row.rule, row.field, row.value, row.description] for row in outcome.samples]
    headings = [line_name, "rule", "field", "value", "why"]
    print_table(headings, rows, wide="why", numbers_from=len(headings))
    if len(outcome.samples) < outcome.rules.total():
        OUT.print("These are the first ones; --rejects FILE writes all.")
