"""``marketdata ingest``: bring bars and more in from providers, through a running service."""

import asyncio
from datetime import datetime
from typing import Annotated

import typer

from marketdata.cli import feeds_run, ingest_run
from marketdata.cli.chosen_symbols import (
    AllSymbols,
    Provider,
    SomeSymbols,
    SymbolFile,
    Timeframes,
    chosen_symbols,
)
from marketdata.cli.options import DATE_FORMATS, Address, AsCsv, AsJson, refuse_several, utc
from marketdata.cli.rows import RowForm
from marketdata.domain.ingestion_run import IngestionMode, RunState

Begin = Annotated[
    datetime | None,
    typer.Option(
        "--start",
        metavar="TIME",
        formats=DATE_FORMATS,
        help="Where to begin with symbols of which nothing was fetched yet, UTC (default: a year of "
        "days, 60 days of hours, a week of minutes)",
    ),
]
BackfillStart = Annotated[
    datetime, typer.Option("--start", metavar="TIME", formats=DATE_FORMATS, help="First time, UTC")
]
Until = Annotated[
    datetime | None,
    typer.Option(
        "--end", metavar="TIME", formats=DATE_FORMATS, help="Last time, UTC, exclusive (default: now)"
    ),
]
Refetch = Annotated[bool, typer.Option("--refetch", help="Also what was fetched already")]
AllYears = Annotated[bool, typer.Option("--refetch", help="Of all years, not of the last one")]
Detach = Annotated[bool, typer.Option("--detach", help="Start it and return at once")]
RequestId = Annotated[
    str | None,
    typer.Option("--request-id", metavar="ID", help="Starts it once, however often it is sent"),
]
RunId = Annotated[int, typer.Argument(metavar="RUN", help="Number of a run, as ingest runs lists them")]
State = Annotated[RunState | None, typer.Option(help="Only runs in this state")]
OfProvider = Annotated[str, typer.Option("--provider", "-p", help="Only runs of this provider")]


def run(
    provider: Provider,
    timeframe: Timeframes,
    symbol: SomeSymbols = None,
    symbols: SymbolFile = None,
    *,
    all_symbols: AllSymbols = False,
    start: Begin = None,
    detach: Detach = False,
    request_id: RequestId = None,
    address: Address = None,
) -> None:
    """Bring symbols up to now: go on where the last fetch ended, and fetch late corrections.

    The service does the work and goes on with it whatever becomes of this command; Ctrl-C cancels the
    run, and what it has fetched stays.

    Example: marketdata ingest run AAPL MSFT --provider yahoo -t 1d

    Example: marketdata ingest run --all --provider alpaca -t 1m -t 1d --detach
    """
    order = ingest_run.Order(
        IngestionMode.BATCH,
        provider,
        tuple(timeframe),
        utc(start),
        None,
        refetches=False,
        request_id=request_id,
    )
    named = chosen_symbols(symbol, symbols, all_symbols=all_symbols)
    chosen = ingest_run.Chosen(named, is_all=all_symbols)
    asyncio.run(ingest_run.order(address, order, chosen, is_detached=detach))


def backfill(
    provider: Provider,
    timeframe: Timeframes,
    start: BackfillStart,
    symbol: SomeSymbols = None,
    symbols: SymbolFile = None,
    *,
    all_symbols: AllSymbols = False,
    end: Until = None,
    refetch: Refetch = False,
    detach: Detach = False,
    request_id: RequestId = None,
    address: Address = None,
) -> None:
    """Fetch a range of history: what of it was not fetched yet.

    Started again after an interruption, or over a longer range, it fetches only what is missing.

    Example: marketdata ingest backfill AAPL --provider yahoo -t 1d --start 2000-01-01

    Example: marketdata ingest backfill AAPL -p alpaca -t 1m --start 2024-01-02 --end 2024-02-01
    """
    order = ingest_run.Order(
        IngestionMode.BACKFILL,
        provider,
        tuple(timeframe),
        utc(start),
        utc(end),
        refetches=refetch,
        request_id=request_id,
    )
    named = chosen_symbols(symbol, symbols, all_symbols=all_symbols)
    chosen = ingest_run.Chosen(named, is_all=all_symbols)
    asyncio.run(ingest_run.order(address, order, chosen, is_detached=detach))


def actions(
    provider: Provider,
    symbol: SomeSymbols = None,
    symbols: SymbolFile = None,
    *,
    all_symbols: AllSymbols = False,
    refetch: AllYears = False,
    detach: Detach = False,
    request_id: RequestId = None,
    address: Address = None,
) -> None:
    """Ask for corporate actions: all there are the first time, then new ones and corrections.

    Adjusted prices change with what is new or corrected, at once. Nothing is deleted: what a provider
    does not tell any more is remarked and stays.

    Example: marketdata ingest actions AAPL MSFT --provider yahoo

    Example: marketdata ingest actions --all --provider alpaca --refetch
    """
    order = ingest_run.Order(
        IngestionMode.ACTIONS, provider, (), None, None, refetches=refetch, request_id=request_id
    )
    named = chosen_symbols(symbol, symbols, all_symbols=all_symbols)
    chosen = ingest_run.Chosen(named, is_all=all_symbols)
    asyncio.run(ingest_run.order(address, order, chosen, is_detached=detach))


def company(
    provider: Provider,
    symbol: SomeSymbols = None,
    symbols: SymbolFile = None,
    *,
    all_symbols: AllSymbols = False,
    detach: Detach = False,
    request_id: RequestId = None,
    address: Address = None,
) -> None:
    """Ask for facts of companies: name, sector, employees, market cap and so on.

    What a provider does not tell erases nothing, and what was entered by hand stands: words until they
    are cleared, figures until the provider tells them of a later day. marketdata company shows them.

    Example: marketdata ingest company AAPL MSFT --provider yahoo
    """
    order = ingest_run.Order(
        IngestionMode.COMPANY, provider, (), None, None, refetches=False, request_id=request_id
    )
    named = chosen_symbols(symbol, symbols, all_symbols=all_symbols)
    chosen = ingest_run.Chosen(named, is_all=all_symbols)
    asyncio.run(ingest_run.order(address, order, chosen, is_detached=detach))


def feeds(*, as_json: AsJson = False, as_csv: AsCsv = False, address: Address = None) -> None:
    """List the live feeds: who follows each, how it is, and up to when its bars are complete.

    A feed is followed where a service or a worker has MARKETDATA_LIVE_FEED, for targets of minutes that
    name its provider.

    Example: marketdata ingest feeds
    """
    refuse_several({"--json": as_json, "--csv": as_csv})
    form = RowForm.chosen(as_json=as_json, as_csv=as_csv)
    asyncio.run(feeds_run.list_feeds(address, form))


def watch(run_id: RunId, *, address: Address = None) -> None:
    """Follow a run until it is over. Ctrl-C ends only the watching.

    Example: marketdata ingest watch 17
    """
    asyncio.run(ingest_run.watch(address, run_id))


def cancel(run_id: RunId, *, address: Address = None) -> None:
    """Ask a run to end; what it has fetched stays.

    Example: marketdata ingest cancel 17
    """
    asyncio.run(ingest_run.cancel(address, run_id))


def runs(
    *,
    state: State = None,
    provider: OfProvider = "",
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    address: Address = None,
) -> None:
    """List runs, the newest first.

    Example: marketdata ingest runs

    Example: marketdata ingest runs --state failed --json
    """
    refuse_several({"--json": as_json, "--csv": as_csv})
    form = RowForm.chosen(as_json=as_json, as_csv=as_csv)
    asyncio.run(ingest_run.list_runs(address, state, provider, form))


def providers(*, address: Address = None) -> None:
    """List the providers: what each has, what it lacks to be used, what its terms allow.

    Example: marketdata ingest providers
    """
    asyncio.run(ingest_run.list_providers(address))
