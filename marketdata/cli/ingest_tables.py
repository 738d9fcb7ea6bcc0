"""What ``marketdata ingest`` shows: providers, runs, and how one ended."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import typer
from rich.markup import escape
from rich.text import Text

from marketdata.cli.output import ERR, OUT, print_table
from marketdata.cli.rows import RowForm, RowWriter
from marketdata.client import ProviderDescription, RunStatus
from marketdata.domain.ingestion_run import IngestionMode, RunState

_SECONDS_PER_MINUTE: Final = 60
_FIELDS: Final = (
    "run_id", "request_id", "state", "mode", "provider", "symbols", "timeframes", "start", "end",
    "created", "begun", "finished", "share_done", "fetched", "accepted", "revised", "unchanged",
    "outranked", "quarantined", "flagged", "tasks", "tasks_done", "tasks_failed", "error",
)  # fmt: skip


def print_providers(providers: Sequence[ProviderDescription]) -> None:
    """Print what each provider has, then what it lacks or what its terms allow."""
    headings = ["provider", "ready", "bars, back", "calls", "what it is"]
    rows = [_provider_row(provider) for provider in providers]
    print_table(headings, rows, wide="what it is", numbers_from=len(headings), spare=("calls",))
    # Not in the table: a narrow one would cut the names of settings.
    for provider in providers:
        OUT.print(f"\n{provider.name}: {escape(provider.problem or provider.terms)}", soft_wrap=True)


def print_runs(runs: Iterable[RunStatus]) -> None:
    """Print a line a run."""
    headings = ["run", "state", "mode", "provider", "created (UTC)", "done", "symbols", "fetched",
                "accepted", "revised", "quarantined", "failed tasks"]  # fmt: skip
    spare = ("revised", "quarantined", "mode", "symbols")
    print_table(headings, map(_table_row, runs), numbers_from=5, spare=spare)


def write_runs(runs: Iterable[RunStatus], form: RowForm) -> None:
    """Write runs for a pipe."""
    RowWriter(form, _FIELDS).write(map(_row, runs))


def duration(seconds: float) -> str:
    """Write a time that people wait: 42s, 3m07s, 2h15m."""
    minutes, rest = divmod(round(seconds), _SECONDS_PER_MINUTE)
    hours, minutes = divmod(minutes, _SECONDS_PER_MINUTE)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def what_is_fetched(run: RunStatus) -> str:
    """Name what a run counts."""
    facts = {IngestionMode.ACTIONS: "corporate actions", IngestionMode.COMPANY: "facts"}
    return facts.get(run.mode, "bars")


def say_outcome(run: RunStatus) -> None:
    """Say what became of a run that is over; a failed one ends the command with exit code 1."""
    counts = {
        "fetched": run.counts.fetched,
        "accepted": run.counts.accepted,
        "revised": run.counts.revised,
        "unchanged": run.counts.unchanged,
        "outranked": run.counts.outranked,
        "quarantined": run.counts.quarantined,
        "flagged": run.counts.flagged,
    }
    print_table(list(counts), [[f"{count:,}" for count in counts.values()]], numbers_from=0)
    if run.begun and run.finished:
        took = duration((run.finished - run.begun).total_seconds())
        OUT.print(
            f"Run {run.run_id}: {run.state.value} after {took}, "
            f"{run.tasks_done:,} of {run.tasks:,} tasks done."
        )
    if run.counts.quarantined or run.counts.flagged:
        OUT.print(f"marketdata ingest quarantine list --run {run.run_id} shows what looks wrong.")
    _say_troubles(run)
    if run.state is not RunState.SUCCEEDED:
        if run.error:
            ERR.print(f"[bold red]error:[/] {escape(run.error)}", soft_wrap=True)
        raise typer.Exit(1)


def _say_troubles(run: RunStatus) -> None:
    if not run.troubles:
        return
    headings = ["symbol", "timeframe", "stored until", "ask again", "what"]
    rows: list[Sequence[str | Text]] = [
        [
            trouble.symbol,
            trouble.timeframe.value if trouble.timeframe else "",
            f"{trouble.done_until:%Y-%m-%d %H:%M}" if trouble.timeframe else "",
            f"{trouble.retry_time:%Y-%m-%d %H:%M}" if trouble.retry_time else "",
            trouble.message,
        ]
        for trouble in run.troubles
    ]
    print_table(headings, rows, wide="what", numbers_from=len(headings), spare=("ask again",))
    if run.tasks_failed > len(run.troubles):
        OUT.print(f"These are the first of {run.tasks_failed:,}.")


def _table_row(run: RunStatus) -> list[str]:
    return [
        str(run.run_id),
        run.state.value,
        run.mode.value,
        run.provider,
        f"{run.created:%Y-%m-%d %H:%M:%S}",
        f"{run.share_done:.0%}",
        f"{run.symbol_count:,}",
        f"{run.counts.fetched:,}",
        f"{run.counts.accepted:,}",
        f"{run.counts.revised:,}",
        f"{run.counts.quarantined:,}",
        f"{run.tasks_failed:,}",
    ]


def _row(run: RunStatus) -> tuple[Any, ...]:
    counts = run.counts
    return (
        run.run_id,
        run.request_id,
        run.state.value,
        run.mode.value,
        run.provider,
        run.symbol_count,
        ",".join(timeframe.value for timeframe in run.timeframes),
        *(t and t.isoformat() for t in (run.start, run.end, run.created, run.begun, run.finished)),
        run.share_done,
        counts.fetched,
        counts.accepted,
        counts.revised,
        counts.unchanged,
        counts.outranked,
        counts.quarantined,
        counts.flagged,
        run.tasks,
        run.tasks_done,
        run.tasks_failed,
        run.error,
    )


def _provider_row(provider: ProviderDescription) -> list[str | Text]:
    depths = {timeframe: provider.history.get(timeframe) for timeframe in provider.feeds}
    history = [f"{t.value} {f'{depth.days}d' if depth else 'all'}" for t, depth in depths.items()]
    limits = {"minute": provider.calls_a_minute, "day": provider.calls_a_day}
    return [
        provider.name,
        Text("no", "yellow") if provider.problem else Text("yes", "green"),
        ", ".join(history),
        ", ".join(f"{calls:,} a {unit}" for unit, calls in limits.items() if calls),
        provider.title,
    ]
