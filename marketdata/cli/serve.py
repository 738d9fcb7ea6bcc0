"""``marketdata serve``."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from marketdata.cli.logs import configure_logging
from marketdata.cli.output import OUT
from marketdata.config import load_settings

if TYPE_CHECKING:
    from marketdata.app import Serving
    from marketdata.ingestion.sample_import import SampleImport


def serve(
    *,
    with_sample: Annotated[
        bool,
        typer.Option("--with-sample", help="Load the sample bars first when the database is empty"),
    ] = False,
) -> None:
    """Serve market data over gRPC until Ctrl-C or SIGTERM.

    Without DB_HOST it runs a PostgreSQL of its own in the data folder. Settings come from the
    environment or from .env; .env.example lists them.

    Example: marketdata serve --with-sample

    Example: MARKETDATA_PORT=8002 MARKETDATA_DATA_DIR=~/other marketdata serve
    """
    from marketdata import app  # noqa: PLC0415 -- 0.3 s that commands which only ask a service need not wait for

    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    asyncio.run(
        app.serve(settings, with_sample=with_sample, on_sample=_say_imported, on_serving=_say_serving)
    )


def _say_imported(stock: "SampleImport") -> None:
    OUT.print(f"sample: {stock.symbol}  {stock.accepted} bars, {stock.actions} corporate actions")


def _say_serving(serving: "Serving") -> None:
    target = f"{serving.host}:{serving.port}"
    OUT.print(f"Serving on {target} with {serving.facts}. Ctrl-C stops.")
    if not serving.has_bars:
        OUT.print("The database is empty. Try: marketdata import sample")
        return
    request = '{"symbol": "AAPL", "timeframe": "TIMEFRAME_1_DAY", "pageSize": 3}'
    OUT.print(
        "Try, in another terminal:\n"
        f"  .venv/bin/marketdata bars AAPL --address {target}\n"
        f"  .venv/bin/grpcurl -plaintext -d '{request}' {target} "
        "bifrost.marketdata.v1.BarsService/ListBars",
        soft_wrap=True,
    )
