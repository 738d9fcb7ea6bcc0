"""``marketdata ingest quarantine``: bars that break a rule, and what a person decides of them."""

import asyncio
from typing import Annotated, Final

import typer

from marketdata.cli import quarantine_run
from marketdata.cli.options import Address, AsCsv, AsJson, refuse_several
from marketdata.cli.rows import RowForm
from marketdata.cli.texts import help_of
from marketdata.client import QualityRule, QuarantineFilter, QuarantineState, Severity
from marketdata.domain.timeframe import Timeframe

# Severities whose bars are in the quarantine; rules of others are only counted.
_SEVERITIES: Final = tuple(severity for severity in Severity if severity is not Severity.COUNT)

Numbers = Annotated[
    list[int] | None, typer.Argument(metavar="ID", help="Numbers of bars, as the list has them")
]
OfSymbol = Annotated[str | None, typer.Option("--symbol", help="Only bars of this ticker")]
OfTimeframe = Annotated[
    Timeframe | None, typer.Option("--timeframe", "-t", help="Only bars of this timeframe")
]
OfRule = Annotated[
    str | None,
    typer.Option("--rule", metavar="RULE", help="Only bars that break this rule, such as SPIKE"),
]
OfRun = Annotated[
    int | None, typer.Option("--run", metavar="RUN", help="Only bars that this run found first")
]
OfState = Annotated[QuarantineState, typer.Option("--state", help="Only bars in this state")]
AnyState = Annotated[bool, typer.Option("--any-state", help="Bars in every state")]
OfSeverity = Annotated[
    str | None,
    typer.Option(
        "--severity",
        metavar="SEVERITY",
        help=f"Only bars whose gravest rule is {', '.join(s.value for s in _SEVERITIES)}",
    ),
]
Limit = Annotated[
    int, typer.Option("--limit", help="Most bars of a filter, the oldest first", min=1, max=10_000)
]
WhyOptional = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for others")]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for others; required")]


def group() -> typer.Typer:
    """Assemble the commands."""
    commands = typer.Typer(help=help_of(quarantine), callback=quarantine, no_args_is_help=True)
    commands.command("list", help=help_of(list_bars))(list_bars)
    commands.command("release", help=help_of(release))(release)
    commands.command("drop", help=help_of(drop))(drop)
    return commands


def quarantine() -> None:
    """See the bars that break a rule of quality, and decide of them.

    What can never be a bar, and what looks wrong, is kept aside instead of being stored. What only
    looks strange (severity flag) is stored, and stands here to be looked at. docs/quality.md lists the
    rules.

    Example: marketdata ingest quarantine list

    Example: marketdata ingest quarantine release 17 18 --reason "the price did move so"
    """


def list_bars(
    *,
    symbol: OfSymbol = None,
    timeframe: OfTimeframe = None,
    rule: OfRule = None,
    run: OfRun = None,
    state: OfState = QuarantineState.OPEN,
    any_state: AnyState = False,
    severity: OfSeverity = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    address: Address = None,
) -> None:
    """List quarantined bars, those found last first; open ones, unless another state is asked for.

    --json writes an object a line, --csv a header and a line a bar, both with every field; a price that
    is NaN or infinite is null, or an empty cell.

    Example: marketdata ingest quarantine list --symbol AAPL --rule SPIKE

    Example: marketdata ingest quarantine list --run 17 --any-state --json
    """
    refuse_several({"--json": as_json, "--csv": as_csv})
    form = RowForm.chosen(as_json=as_json, as_csv=as_csv)
    wanted = _filter(symbol, timeframe, rule, run, severity, None if any_state else state)
    asyncio.run(quarantine_run.list_bars(address, wanted, form))


def release(
    number: Numbers = None,
    *,
    symbol: OfSymbol = None,
    timeframe: OfTimeframe = None,
    rule: OfRule = None,
    run: OfRun = None,
    severity: OfSeverity = None,
    limit: Limit = 1_000,
    reason: WhyOptional = "",
    address: Address = None,
) -> None:
    """Store bars that were kept aside; of flagged ones, which are stored, note that they were seen.

    By numbers, also ones that were dropped; or open ones by options, the oldest first. What can never
    be stored stays. The same command again changes nothing.

    Example: marketdata ingest quarantine release 17 18

    Example: marketdata ingest quarantine release --symbol BTC-USD --rule SCALE_100X --reason "it did"
    """
    chosen = _chosen(number, _filter(symbol, timeframe, rule, run, severity))
    asyncio.run(quarantine_run.release(address, chosen, reason, limit))


def drop(
    number: Numbers = None,
    *,
    reason: Why,
    symbol: OfSymbol = None,
    timeframe: OfTimeframe = None,
    rule: OfRule = None,
    run: OfRun = None,
    severity: OfSeverity = None,
    limit: Limit = 1_000,
    address: Address = None,
) -> None:
    """Keep bars out for good: fetched again, they are not asked about any more.

    By numbers, or open ones by options, the oldest first. Bars that are stored stay: marketdata has no
    command that deletes them, the call DeleteBars does.

    Example: marketdata ingest quarantine drop 17 18 --reason "pence"

    Example: marketdata ingest quarantine drop --rule NOT_FINITE --reason "no prices yet"
    """
    chosen = _chosen(number, _filter(symbol, timeframe, rule, run, severity))
    asyncio.run(quarantine_run.drop(address, chosen, reason, limit))


def _filter(
    symbol: str | None,
    timeframe: Timeframe | None,
    rule: str | None,
    run: int | None,
    severity: str | None,
    state: QuarantineState | None = None,
) -> QuarantineFilter:
    known = {severity.value: severity for severity in _SEVERITIES}
    if rule is not None and rule.upper() not in QualityRule.__members__:
        names = ", ".join(r.name for r in QualityRule if r.severity in _SEVERITIES)
        raise typer.BadParameter(f"--rule {rule!r} is no rule; there are {names}")
    if severity is not None and severity.lower() not in known:
        raise typer.BadParameter(f"--severity {severity!r} is none of {', '.join(known)}")
    return QuarantineFilter(
        symbol=symbol,
        timeframe=timeframe,
        rule=QualityRule[rule.upper()] if rule else None,
        run_id=run,
        state=state,
        severity=known[severity.lower()] if severity else None,
    )


def _chosen(numbers: list[int] | None, wanted: QuarantineFilter) -> list[int] | QuarantineFilter:
    has_filter = wanted != QuarantineFilter()
    refuse_several({"ID": bool(numbers), "an option that filters": has_filter})
    if not numbers and not has_filter:
        raise typer.BadParameter("name bars by their ID, or say which: --symbol, --rule, --run, ...")
    return numbers or wanted
