"""What ``marketdata log`` does."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import typer

from marketdata.cli.keeping import iso_text, size_text
from marketdata.cli.output import OUT, print_table
from marketdata.cli.rows import INTERRUPTED, RowForm, RowWriter, piped
from marketdata.cli.texts import named
from marketdata.cli.upkeep import OpenDatabase, opened_database
from marketdata.config import Settings
from marketdata.domain.log_position import LogPosition
from marketdata.domain.time_range import from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import DatabaseSetupError
from marketdata.storage.embedded import attach, default_data_folder
from marketdata.storage.log_entries import LogEntry
from marketdata.storage.log_facts import LogFacts, read_log_facts
from marketdata.storage.log_reader import LogReader, renew_generation
from marketdata.storage.log_session import log_session
from marketdata.streaming.tailer import LogTailer

_LAST: Final = 10
_SHOWN: Final = (
    "head_seq", "head_time", "oldest_seq", "oldest_time", "generation", "keep_days",
    "entries_bytes", "writes_bytes",
)  # fmt: skip
_PRINTED: Final = (
    "seq", "part", "time", "kind", "symbols", "timeframe", "start", "end", "accepted", "revised",
    "inline_bars", "reason",
)  # fmt: skip

_Print = Callable[[Sequence[LogEntry]], None]


async def show(settings: Settings, *, as_json: bool) -> None:
    """Show what the log holds."""
    async with (
        opened_database(settings, "log show") as opened,
        opened.pools.query() as connection,
    ):
        facts = await read_log_facts(connection)
    values = _facts_row(facts, settings)
    if as_json:
        with piped():
            RowWriter(RowForm.JSON, _SHOWN).write([values])
        return
    sizes = (size_text(facts.entries_bytes), size_text(facts.writes_bytes))
    shown = ["" if value is None else str(value) for value in (*values[:-2], *sizes)]
    print_table(("what", "value"), zip(_SHOWN, shown, strict=True), wide="value", numbers_from=2)


def run_tail(settings: Settings, first: int | None, *, follow: bool, as_json: bool) -> None:
    """Print entries; Ctrl-C ends it."""
    try:
        with piped():
            asyncio.run(_tail(settings, first, _printer(as_json=as_json), follow=follow))
    except KeyboardInterrupt:
        # The usual end of following: nothing to say about it.
        raise typer.Exit(INTERRUPTED) from None


async def begin_generation(settings: Settings, *, is_sure: bool) -> None:
    """Renew the generation, and say what follows."""
    async with opened_database(settings, "log new-generation") as opened:
        if not is_sure:
            typer.confirm(
                "Refuse every position of before? All readers of the log begin anew.",
                abort=True,
                err=True,
            )
        before, after = await renew_generation(opened.pools)
    OUT.print(
        f"generation {after.generation} instead of {before.generation}; the log goes on behind "
        f"{after.head_seq:,}",
        soft_wrap=True,
    )


async def _tail(settings: Settings, first: int | None, show_entries: _Print, *, follow: bool) -> None:
    if follow:
        await _refuse_unserved(settings)
    async with opened_database(settings, "log tail") as opened:
        bounds = await LogReader(opened.pools).bounds()
        begin = max(bounds.oldest_seq, bounds.head_seq - _LAST + 1) if first is None else first
        position = LogPosition(bounds.generation, begin - 1)
        bounds.admit(position)
        if follow:
            await _follow(opened, position, settings.log_poll_seconds, show_entries)
            return
        reader, seq = LogReader(opened.pools), position.seq
        while seq < bounds.head_seq:
            page = [entry for entry in await reader.page(seq) if entry.seq <= bounds.head_seq]
            show_entries(page)
            seq = page[-1].seq


async def _follow(
    opened: OpenDatabase, position: LogPosition, poll_seconds: float, show_entries: _Print
) -> None:
    reader = LogReader(opened.pools)
    tailer = LogTailer(lambda: log_session(opened.roles.service), reader, poll_seconds)
    async with tailer.running(), await tailer.attach(position) as consumer:
        while True:
            show_entries(await consumer.read())


async def _refuse_unserved(settings: Settings) -> None:
    """Refuse to keep an embedded database for oneself: a service could not start meanwhile."""
    if not settings.is_embedded:
        return
    folder = settings.data_dir or default_data_folder()
    if await asyncio.to_thread(attach, folder) is None:
        raise DatabaseSetupError(
            "no service runs on the embedded database, so nothing will come: start it with "
            "scripts/serve, or leave out --follow"
        )


def _printer(*, as_json: bool) -> _Print:
    if not as_json:
        return _print_lines
    writer = RowWriter(RowForm.JSON, _PRINTED)
    return lambda entries: writer.write(map(_row, entries))


def _print_lines(entries: Sequence[LogEntry]) -> None:
    for entry in entries:
        OUT.print(_line(entry), soft_wrap=True, markup=False)


def _line(entry: LogEntry) -> str:
    time = from_unix_us(entry.committed_us).strftime("%Y-%m-%d %H:%M:%S")
    parts = [
        f"{entry.seq:>8}  {time}  {entry.kind.value:<9}",
        f"{entry.timeframe.value if entry.timeframe else '':<3}",
        named(entry.symbols) or "all symbols",
        _range(entry),
        f"{entry.accepted:,} new" if entry.accepted else "",
        f"{entry.revised:,} revised" if entry.revised else "",
        "not inline" if entry.has_bars_elsewhere else "",
        f'"{entry.reason}"' if entry.reason else "",
    ]
    return "  ".join([parts[0], parts[1], *filter(None, parts[2:])])


def _range(entry: LogEntry) -> str:
    if entry.start_us is None or entry.end_us is None:
        return ""
    form = "%Y-%m-%d" if entry.timeframe is Timeframe.DAY_1 else "%Y-%m-%d %H:%M"
    bounds = (from_unix_us(bound).strftime(form) for bound in (entry.start_us, entry.end_us))
    return "[{}, {})".format(*bounds)


def _row(entry: LogEntry) -> tuple[Any, ...]:
    return (
        entry.seq,
        entry.part,
        iso_text(entry.committed_us),
        entry.kind.value,
        entry.symbols,
        entry.timeframe.value if entry.timeframe else None,
        iso_text(entry.start_us),
        iso_text(entry.end_us),
        entry.accepted,
        entry.revised,
        None if entry.bars is None else len(entry.bars),
        entry.reason or None,
    )


def _facts_row(facts: LogFacts, settings: Settings) -> tuple[Any, ...]:
    bounds = facts.bounds
    return (
        bounds.head_seq,
        iso_text(bounds.committed_us) if bounds.head_seq else None,
        bounds.oldest_seq,
        iso_text(facts.oldest_us),
        bounds.generation,
        settings.log_keep_days,
        facts.entries_bytes,
        facts.writes_bytes,
    )
