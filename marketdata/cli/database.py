"""``marketdata migrate`` and ``import sample``: use the database, beside a service or without."""

import asyncio
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn

from marketdata.cli.output import ERR, OUT, print_table
from marketdata.config import Settings, load_settings

if TYPE_CHECKING:
    from marketdata.ingestion.sample_import import SampleImport
    from marketdata.storage.migrate import Migration


def migrate() -> None:
    """Bring the database's schema to this release, as the role that owns it.

    A service that knows this role does the same when it starts; a command that only looks does not.
    Without DB_HOST it is the embedded database of the data folder. A second run changes nothing.

    Example: marketdata migrate

    Example: DB_HOST=db.example.com MARKETDATA_MIGRATOR_USERNAME=owner marketdata migrate
    """
    applied = asyncio.run(_migrate(load_settings()))
    for migration in applied:
        OUT.print(f"applied {migration.number:04} {migration.title}")
    OUT.print(f"{len(applied)} migrations applied" if applied else "The schema is up to date.")


def sample() -> None:
    """Load the sample: five real stocks, daily bars from 2000 to 2013, splits and dividends.

    Times are session dates, prices raw in USD a share, volumes in shares. What is there already
    stays as it is, so a second run changes nothing.

    Example: marketdata import sample
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


async def _migrate(settings: Settings) -> "list[Migration]":
    from marketdata import database  # noqa: PLC0415 -- 0.3 s that commands which only ask a service need not wait for

    async with database.open_database(settings, "migrate") as roles:
        return await database.migrate_database(roles, settings)


async def _import_sample(settings: Settings) -> "list[SampleImport]":
    from marketdata import app  # noqa: PLC0415 -- 0.3 s that commands which only ask a service need not wait for
    from marketdata.providers.sample.source import fetch_sample_stocks  # noqa: PLC0415 -- the same

    stocks = fetch_sample_stocks()
    imported: list[SampleImport] = []
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
    )
    # Without a terminal it would leave a line for every step.
    bar = Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal)
    with bar as progress:
        task = progress.add_task("importing stocks", total=len(stocks))

        def report(stock: "SampleImport") -> None:
            imported.append(stock)
            progress.advance(task)

        async with app.open_stores(settings, "import sample") as stores:
            await stores.sample.run(stocks, report)
    return imported
