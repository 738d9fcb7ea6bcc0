"""What ``marketdata storage`` does."""

from typing import Any, Final

from marketdata.cli.keeping import Table, day_text, iso_text, size_text
from marketdata.cli.output import ERR, OUT, print_table
from marketdata.cli.rows import RowForm, RowWriter, piped
from marketdata.cli.upkeep import opened_database
from marketdata.config import Settings
from marketdata.domain.calendar_span import CalendarSpan
from marketdata.storage.aggregates import settle_aggregates
from marketdata.storage.bar_storage import TableStorage
from marketdata.storage.columnstore import settle_columnstore
from marketdata.storage.roles import may_migrate
from marketdata.storage.table_sizes import TableSize, read_table_size, tables_held

_FIELDS: Final = (
    "table", "mode", "interval", "partitions", "compressed", "rows", "size_bytes", "bytes_before",
    "bytes_after", "rows_estimated", "oldest", "newest", "compress_after", "keep", "confirmed",
    "dropped_before",
)  # fmt: skip
_HEADINGS: Final = (
    "table", "confirmed", "keep", "interval", "partitions", "compressed", "rows", "size", "ratio",
    "oldest", "newest",
)  # fmt: skip


async def show(settings: Settings, *, as_json: bool) -> None:
    """Show what each bar table holds and how it is kept."""
    found: list[tuple[Table, TableStorage, TableSize]] = []
    async with opened_database(settings, "storage show") as opened:
        mode = opened.facts.mode.value
        kept = {table: await opened.upkeep.settings.get(table.timeframe) for table in Table}
        async with tables_held(opened.pools) as connection:
            for table in Table:
                size = await read_table_size(connection, table.timeframe)
                found.append((table, kept[table], size))
    if as_json:
        with piped():
            RowWriter(RowForm.JSON, _FIELDS).write(_row(mode, *one) for one in found)
        return
    rows = [table_row(*one) for one in found]
    print_table(_HEADINGS, rows, numbers_from=4, spare=("ratio", "interval", "newest"))
    OUT.print(f"\n{opened.facts}")


async def change(
    settings: Settings,
    table: Table,
    interval: CalendarSpan | None,
    compress_after: CalendarSpan | None,
    keep: CalendarSpan | None,
) -> None:
    """Change how a table is kept, and say what follows."""
    async with opened_database(settings, "storage set") as opened:
        before = await opened.upkeep.settings.get(table.timeframe)
        after = await opened.upkeep.settings.change(
            table.timeframe, interval=interval, compress_after=compress_after, keep=keep
        )
        is_settled = await may_migrate(opened.roles.owner())
        if is_settled:
            await settle_columnstore(opened.roles.owner(), opened.facts.mode)
            await settle_aggregates(opened.roles.owner(), opened.facts.mode)
    OUT.print(
        f"{table.value}: partitions of {after.interval_days}d, compressed after {after.compress_after},"
        f" kept for {after.keep}",
        soft_wrap=True,
    )
    if before.is_confirmed and not after.is_confirmed:
        ERR.print("Retention has to be confirmed again, since less is kept: marketdata retention show")
    if opened.facts.mode.has_hypertables and not is_settled:
        ERR.print("Chunks and policies follow when their owner runs marketdata migrate.")


def _row(mode: str, table: Table, kept: TableStorage, size: TableSize) -> tuple[Any, ...]:
    return (
        table.value,
        mode,
        f"{kept.interval_days}d",
        size.partitions,
        size.compressed,
        size.rows,
        size.size_bytes,
        size.bytes_before,
        size.bytes_after,
        size.is_estimate,
        iso_text(size.first_us),
        iso_text(size.last_us),
        str(kept.compress_after),
        str(kept.keep),
        iso_text(kept.confirmed_us),
        iso_text(kept.dropped_before_us),
    )


def table_row(table: Table, kept: TableStorage, size: TableSize) -> list[str]:
    """Write the line of a table for people."""
    ratio = f"{size.bytes_before / size.bytes_after:.1f}" if size.bytes_after else ""
    return [
        table.value,
        day_text(kept.confirmed_us) or "no",
        str(kept.keep),
        f"{kept.interval_days}d",
        f"{size.partitions:,}",
        f"{size.compressed:,}",
        f"{'~' if size.is_estimate else ''}{size.rows:,}",
        size_text(size.size_bytes),
        ratio,
        day_text(size.first_us),
        day_text(size.last_us),
    ]
