"""``marketdata migrate`` and ``marketdata import``: use the database, beside a service or without."""

import asyncio
from typing import Final

import typer
from rich.progress import BarColumn, Progress, TextColumn

from marketdata import app
from marketdata.cli.files import import_csv, import_parquet
from marketdata.cli.output import ERR, OUT, print_table
from marketdata.config import Settings, load_settings
from marketdata.ingestion.sample_import import SampleImport
from marketdata.providers.sample.source import fetch_sample_stocks
from marketdata.storage.migrate import Migration

IMPORT: Final = typer.Typer(help="Bring bars into the database.", no_args_is_help=True)


def migrate() -> None:
    """Bring the database's schema to this release. A service does the same when it starts."""
    applied = asyncio.run(_migrate(load_settings()))
    for migration in applied:
        OUT.print(f"applied {migration.number:04} {migration.title}")
    OUT.print(f"{len(applied)} migrations applied" if applied else "The schema is up to date.")


@IMPORT.callback()
def import_() -> None:
    """Bring bars into the database."""


IMPORT.command("csv")(import_csv)
IMPORT.command("parquet")(import_parquet)


@IMPORT.command()
def sample() -> None:
    """Load the sample: five real stocks, daily bars from 2000 to 2013, splits and dividends.

    What is there already stays as it is, so a second run changes nothing.
    """
    imported = asyncio.run(_import_sample(load_settings()))
    headings = ["symbol", "accepted", "unchanged", "revised", "outranked", "new actions"]
    rows = [
        [
            stock.symbol,
            str(stock.accepted),
            str(stock.unchanged),
            str(stock.revised),
            str(stock.outranked),
            str(stock.actions),
        ]
        for stock in imported
    ]
    print_table(headings, rows, numbers_from=1)


async def _migrate(settings: Settings) -> list[Migration]:
    async with app.open_database(settings, "migrate") as address:
        return await app.migrate_database(address)


async def _import_sample(settings: Settings) -> list[SampleImport]:
    stocks = fetch_sample_stocks()
    imported: list[SampleImport] = []
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
    )
    with Progress(*columns, console=ERR, transient=True) as progress:
        task = progress.add_task("importing stocks", total=len(stocks))

        def report(stock: SampleImport) -> None:
            imported.append(stock)
            progress.advance(task)

        async with app.open_stores(settings, "import sample") as stores:
            await stores.sample.run(stocks, report)
    return imported
