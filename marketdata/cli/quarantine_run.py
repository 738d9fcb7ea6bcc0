"""What ``marketdata ingest quarantine`` does: lists bars, releases and drops them."""

import math
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Final

import typer
from rich.markup import escape

from marketdata.cli.connection import connected
from marketdata.cli.output import ERR, OUT, print_table
from marketdata.cli.rows import RowForm, RowWriter, piped
from marketdata.client import QuarantinedBar, QuarantineFilter, RefusedDecision
from marketdata.domain.timeframe import Timeframe

_FIELDS: Final = (
    "quarantine_id", "symbol", "timeframe", "time", "open", "high", "low", "close", "volume", "vwap",
    "trade_count", "provider", "feed", "run_id", "severity", "rules", "detail", "remedies", "state",
    "reason", "found", "decided",
)  # fmt: skip
# More than a person reads; a filter or a pipe has the rest.
_MOST_SHOWN: Final = 200


async def list_bars(address: str | None, wanted: QuarantineFilter, form: RowForm | None) -> None:
    """Print quarantined bars, those found last first."""
    async with connected(address) as client:
        if form is not None:
            with piped():
                writer = RowWriter(form, _FIELDS)
                async for bar in client.list_quarantined_bars(wanted):
                    writer.write([_row(bar)])
            return
        found: list[QuarantinedBar] = []
        async for bar in client.list_quarantined_bars(wanted):
            found.append(bar)
            if len(found) > _MOST_SHOWN:
                break
    if not found:
        ERR.print("There are no such bars in the quarantine.")
        return
    _print_bars(found[:_MOST_SHOWN])
    if len(found) > _MOST_SHOWN:
        ERR.print(f"These are the first {_MOST_SHOWN}; filter them, or --json writes all.")


async def release(
    address: str | None, chosen: Sequence[int] | QuarantineFilter, reason: str, limit: int
) -> None:
    """Release bars and say what became of them; refused ones end the command with exit code 1."""
    async with connected(address) as client:
        done = await client.release_quarantined_bars(chosen, reason=reason, limit=limit)
    stored = f"{done.accepted:,} new, {done.revised:,} revised, {done.same:,} unchanged"
    if done.outranked:
        stored += f", {done.outranked:,} outranked by a better feed"
    OUT.print(f"Released {done.released:,} bars (stored: {stored}).{_before(done.unchanged)}")
    _say_rest(done.refused, done.refusals, has_more=done.has_more)


async def drop(
    address: str | None, chosen: Sequence[int] | QuarantineFilter, reason: str, limit: int
) -> None:
    """Drop bars and say what became of them; refused ones end the command with exit code 1."""
    async with connected(address) as client:
        done = await client.drop_quarantined_bars(chosen, reason=reason, limit=limit)
    OUT.print(f"Dropped {done.dropped:,} bars.{_before(done.unchanged)}")
    _say_rest(done.refused, done.refusals, has_more=done.has_more)


def _before(unchanged: int) -> str:
    return f" {unchanged:,} had been before." if unchanged else ""


def _say_rest(refused: int, refusals: Iterable[RefusedDecision], *, has_more: bool) -> None:
    if has_more:
        OUT.print("There are more of them; the same command again takes the next.")
    if not refused:
        return
    ERR.print(f"[bold red]error:[/] {refused:,} bars stay as they are:")
    for refusal in islice(refusals, _MOST_SHOWN):
        ERR.print(f"  {refusal.quarantine_id}: {escape(refusal.description)}", soft_wrap=True)
    raise typer.Exit(1)


def _print_bars(bars: Sequence[QuarantinedBar]) -> None:
    headings = ["id", "symbol", "time (UTC)", "timeframe", "severity", "state", "provider", "run",
                "rules", "detail", "open", "high", "low", "close", "volume"]  # fmt: skip
    spare = ("run", "provider", "volume", "open", "state", "timeframe", "high", "low")
    print_table(headings, map(_table_row, bars), wide="detail", numbers_from=10, spare=spare)
    remedies = {rule: text for bar in bars for rule, text in zip(bar.rules, bar.remedies, strict=False)}
    for rule, text in sorted(remedies.items()):
        ERR.print(f"[bold]{escape(rule)}[/]: {escape(text)}", soft_wrap=True)


def _table_row(bar: QuarantinedBar) -> list[str]:
    return [
        str(bar.quarantine_id),
        bar.symbol,
        _time(bar),
        bar.timeframe.value,
        bar.severity.value,
        bar.state.value,
        bar.provider,
        str(bar.run_id or ""),
        ", ".join(bar.rules),
        bar.detail,
        *(f"{price:.10g}" for price in (bar.open, bar.high, bar.low, bar.close)),
        f"{bar.volume:,.0f}" if math.isfinite(bar.volume) else "",
    ]


def _row(bar: QuarantinedBar) -> tuple[Any, ...]:
    numbers = (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.vwap)
    return (
        bar.quarantine_id,
        bar.symbol,
        bar.timeframe.value,
        _time(bar, "%Y-%m-%dT%H:%M:%SZ"),
        *(number if math.isfinite(number) else None for number in numbers),
        None if bar.trade_count < 0 else bar.trade_count,
        bar.provider,
        bar.feed,
        bar.run_id,
        bar.severity.value,
        list(bar.rules),
        bar.detail,
        list(bar.remedies),
        bar.state.value,
        bar.reason,
        f"{bar.found:%Y-%m-%dT%H:%M:%S.%fZ}",
        f"{bar.decided:%Y-%m-%dT%H:%M:%S.%fZ}" if bar.decided else None,
    )


def _time(bar: QuarantinedBar, pattern: str = "%Y-%m-%d %H:%M") -> str:
    return f"{bar.time:%Y-%m-%d}" if bar.timeframe is Timeframe.DAY_1 else f"{bar.time:{pattern}}"
