"""What ``marketdata targets`` does: adds, changes, lists and removes them."""

from collections.abc import Sequence
from typing import Any, Final

from marketdata.cli.connection import connected
from marketdata.cli.output import ERR, OUT, print_table
from marketdata.cli.rows import RowForm, RowWriter, piped
from marketdata.client import IngestionTarget, MarketDataClient, NewIngestionTarget, TargetField
from marketdata.domain.time_range import from_unix_us

_FIELDS: Final = (
    "target_id", "name", "symbols", "all_symbols", "timeframes", "providers", "history_start",
    "created",
)  # fmt: skip


async def add(address: str | None, target: NewIngestionTarget) -> None:
    """Add a target, and say what is missing before it can be fetched."""
    async with connected(address) as client:
        stored = await client.create_ingestion_target(target)
        await _tell(client, "Added", stored)


async def update(
    address: str | None, target: NewIngestionTarget, fields: Sequence[TargetField]
) -> None:
    """Change a target, and say what it is now."""
    async with connected(address) as client:
        stored = await client.update_ingestion_target(target, fields)
        await _tell(client, "Changed", stored)


async def list_targets(address: str | None, form: RowForm | None) -> None:
    """Print the targets, by name."""
    async with connected(address) as client:
        found = [target async for target in client.list_ingestion_targets()]
    if form is not None:
        with piped():
            RowWriter(form, _FIELDS).write(map(_row, found))
        return
    if not found:
        ERR.print("There are no targets yet. marketdata targets add --help shows how to add one.")
        return
    headings = ["name", "providers", "timeframes", "symbols", "history from", "created (UTC)"]
    rows = [_table_row(target) for target in found]
    spare = ("created (UTC)", "history from")
    print_table(headings, rows, numbers_from=len(headings), spare=spare)


async def remove(address: str | None, name: str) -> None:
    """Remove a target."""
    async with connected(address) as client:
        await client.delete_ingestion_target(name)
    OUT.print(f"Removed {name}. What was fetched for it stays.", markup=False)


async def _tell(client: MarketDataClient, done: str, target: IngestionTarget) -> None:
    providers = await client.list_providers()
    OUT.print(
        f"{done} {target.name}: {_symbols(target)}, {_timeframes(target)} from {_providers(target)}."
    )
    for provider in providers:
        if provider.name in target.providers and provider.problem:
            # Another one of its providers may be asked meanwhile.
            waits = "It waits for" if len(target.providers) == 1 else "It does without"
            ERR.print(f"{waits} {provider.name}: {provider.problem}", soft_wrap=True, markup=False)


def _table_row(target: IngestionTarget) -> list[str]:
    return [
        target.name,
        _providers(target),
        _timeframes(target),
        _symbols(target),
        target.history_start.isoformat() if target.history_start else "",
        f"{from_unix_us(target.created_us):%Y-%m-%d %H:%M}",
    ]


def _row(target: IngestionTarget) -> tuple[Any, ...]:
    return (
        target.target_id,
        target.name,
        list(target.symbols),
        not target.symbols,
        [timeframe.value for timeframe in target.timeframes],
        list(target.providers),
        target.history_start and target.history_start.isoformat(),
        f"{from_unix_us(target.created_us):%Y-%m-%dT%H:%M:%S.%fZ}",
    )


def _symbols(target: IngestionTarget) -> str:
    if not target.symbols:
        return "all active symbols"
    return f"{len(target.symbols):,} symbol{'s' if len(target.symbols) > 1 else ''}"


def _timeframes(target: IngestionTarget) -> str:
    return ", ".join(timeframe.value for timeframe in target.timeframes)


def _providers(target: IngestionTarget) -> str:
    return ", ".join(target.providers)
