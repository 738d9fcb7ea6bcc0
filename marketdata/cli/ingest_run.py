"""What ``marketdata ingest`` does: starts runs, follows them, lists them."""

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import typer
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from marketdata.cli.connection import connected
from marketdata.cli.ingest_tables import (
    duration,
    print_providers,
    print_runs,
    say_outcome,
    what_is_fetched,
    write_runs,
)
from marketdata.cli.output import ERR, OUT
from marketdata.cli.rows import INTERRUPTED, RowForm, piped
from marketdata.client import MarketDataClient, RetryPolicy, RunStatus
from marketdata.domain.ingestion_run import IngestionMode, RunState
from marketdata.domain.symbol import SymbolStatus
from marketdata.domain.timeframe import Timeframe

# A run goes on without us: whoever watches waits through a restart of the service.
_PATIENT: Final = RetryPolicy()
# How long a cancelled run may take to end: a transaction, and the next look of the process.
_CANCEL_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Order:
    """What to fetch; see `MarketDataClient.start_ingestion`."""

    mode: IngestionMode
    provider: str
    timeframes: tuple[Timeframe, ...]
    start: datetime | None
    end: datetime | None
    refetches: bool
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """Of which symbols: those named, or all active ones."""

    symbols: tuple[str, ...]
    is_all: bool


async def order(address: str | None, order: Order, chosen: Chosen, *, is_detached: bool) -> None:
    """Start a run and, unless it is detached, follow it; Ctrl-C cancels it."""
    async with connected(address, _PATIENT) as client:
        symbols = await _active(client) if chosen.is_all else chosen.symbols
        run = await client.start_ingestion(
            order.mode,
            order.provider,
            symbols,
            order.timeframes,
            order.start,
            order.end,
            refetches=order.refetches,
            request_id=order.request_id,
        )
        if run.tasks == 0:
            OUT.print(f"Run {run.run_id}: everything was fetched already; --refetch does it again.")
            return
        if is_detached:
            OUT.print(
                f"Run {run.run_id} has started: {run.symbols:,} symbols, {run.tasks:,} tasks. "
                f"marketdata ingest watch {run.run_id} follows it."
            )
            return
        many = "s" if run.symbols > 1 else ""
        ERR.print(
            f"Run {run.run_id}: {run.symbols:,} symbol{many} from {run.provider}. Ctrl-C cancels it."
        )
        try:
            over = await _follow(client, run.run_id)
        except asyncio.CancelledError:
            # asyncio.run turns the first Ctrl-C into a cancellation of this task, and a second one
            # into KeyboardInterrupt.
            _uncancel()
            await _cancel_and_say(client, run.run_id)
            raise typer.Exit(INTERRUPTED) from None
        say_outcome(over)


async def watch(address: str | None, run_id: int) -> None:
    """Follow a run until it is over."""
    async with connected(address, _PATIENT) as client:
        try:
            over = await _follow(client, run_id)
        except asyncio.CancelledError:
            _uncancel()
            ERR.print(
                f"Run {run_id} goes on; marketdata ingest watch {run_id} follows it again, "
                f"marketdata ingest cancel {run_id} ends it."
            )
            raise typer.Exit(INTERRUPTED) from None
        say_outcome(over)


async def cancel(address: str | None, run_id: int) -> None:
    """Ask a run to end and wait until it has."""
    async with connected(address) as client:
        run = await client.get_ingestion_run(run_id)
        if run.state.is_over:
            OUT.print(f"Run {run_id} was over already: {run.state.value}.")
            return
        await _cancel_and_say(client, run_id)


async def list_runs(
    address: str | None, state: RunState | None, provider: str, form: RowForm | None
) -> None:
    """Print runs, the newest first."""
    async with connected(address) as client:
        found = [run async for run in client.list_ingestion_runs(state=state, provider=provider)]
    if form is not None:
        with piped():
            write_runs(found, form)
        return
    if not found:
        ERR.print("There are no such runs. marketdata ingest run --help shows how to start one.")
        return
    print_runs(found)


async def list_providers(address: str | None) -> None:
    """Print what each provider has, and what it lacks."""
    async with connected(address) as client:
        found = await client.list_providers()
    print_providers(found)


async def _active(client: MarketDataClient) -> list[str]:
    found = [symbol.symbol async for symbol in client.list_symbols(status=SymbolStatus.ACTIVE)]
    if not found:
        raise typer.BadParameter(
            "--all: the service has no symbols; marketdata import sample adds some"
        )
    return found


async def _follow(client: MarketDataClient, run_id: int) -> RunStatus:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[facts]}"),
    )
    with Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as progress:
        task = progress.add_task(f"run {run_id}", total=1.0, facts="")
        async for run in client.watch_ingestion_run(run_id):
            _show(progress, task, run)
    # Once more: a run that is over has its troubles.
    return await client.get_ingestion_run(run_id)


def _show(progress: Progress, task: TaskID, run: RunStatus) -> None:
    facts = [
        f"{run.symbols_done:,}/{run.symbols:,} symbols",
        f"{run.counts.fetched:,} {what_is_fetched(run)}",
        f"{run.bars_per_second:,.0f}/s",
    ]
    if run.seconds_left is not None:
        facts.append(f"{duration(run.seconds_left)} left")
    facts += [f"waits {duration(w.seconds_left)} ({w.reason})" for w in run.waits[:1]]
    if run.tasks_failed:
        facts.append(f"{run.tasks_failed:,} failed")
    progress.update(task, completed=run.share_done, facts="  ".join(facts))


async def _cancel_and_say(client: MarketDataClient, run_id: int) -> None:
    run = await client.cancel_ingestion_run(run_id)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_CANCEL_SECONDS):
            async for now in client.watch_ingestion_run(run_id):
                run = now
    if not run.state.is_over:
        ERR.print(f"Run {run_id} was asked to end and has not yet; marketdata ingest runs shows it.")
        return
    ERR.print(
        f"Run {run_id} is {run.state.value}: {run.counts.fetched:,} {what_is_fetched(run)} were "
        "fetched and stay. "
        "The same command again goes on behind them."
    )


def _uncancel() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
