"""What ``marketdata schedule show`` does: joins targets, their runs, and the slots that come."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from marketdata.cli.connection import connected
from marketdata.cli.output import ERR, print_table
from marketdata.cli.rows import RowForm, RowWriter, piped
from marketdata.client import IngestionTarget, MarketDataClient, RunStatus
from marketdata.clock import SystemClock
from marketdata.config import load_settings
from marketdata.domain.exchange_hours import UnknownCalendarError, get_calendar
from marketdata.domain.schedule import (
    ScheduleTimes,
    SlotSeries,
    due_slots,
    reference_jobs,
    series_of,
)
from marketdata.domain.symbol import SymbolStatus
from marketdata.domain.time_range import TimeRange, from_unix_us
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY

_FIELDS: Final = ("target", "job", "timeframe", "last_slot", "run_id", "state", "next_slot")
# Newest runs among which the last ones are looked for: a day of minutes of some targets.
_MOST_RUNS: Final = 5_000
# No exchange of our time was closed for as long.
_AHEAD_US: Final = 14 * MICROSECONDS_PER_DAY


@dataclass(frozen=True, slots=True)
class _Line:
    target: IngestionTarget
    series: SlotSeries
    last: RunStatus | None
    next_us: int | None


async def show(address: str | None, form: RowForm | None) -> None:
    """Print what ran, runs and comes next of each target."""
    async with connected(address) as client:
        targets = [target async for target in client.list_ingestion_targets()]
        lines = await _lines(client, targets)
    if form is not None:
        with piped():
            RowWriter(form, _FIELDS).write(map(_row, lines))
        return
    if not targets:
        ERR.print("There are no targets yet. marketdata targets add --help shows how to add one.")
        return
    headings = ["target", "job", "bars", "last slot (UTC)", "run", "state", "next slot (UTC)"]
    print_table(headings, map(_table_row, lines), numbers_from=len(headings), spare=("run",))


async def _lines(client: MarketDataClient, targets: Sequence[IngestionTarget]) -> list[_Line]:
    providers = {provider.name: provider for provider in await client.list_providers()}
    of_target = []
    for target in targets:
        jobs = reference_jobs(providers[name] for name in target.providers if name in providers)
        of_target += [(target, series) for series in series_of(target, jobs)]
    last = await _last_runs(client.list_ingestion_runs(), {series for _, series in of_target})
    # Both what is active and what is named: a target may name a delisted one.
    symbols = [symbol async for symbol in client.list_symbols()] if targets else []
    calendar_of = {symbol.symbol: symbol.calendar for symbol in symbols}
    active = {symbol.calendar for symbol in symbols if symbol.status is SymbolStatus.ACTIVE}
    lines, times = [], load_settings().schedule_times
    for target, series in of_target:
        named = {calendar_of[symbol] for symbol in target.symbols if symbol in calendar_of}
        names = named if target.symbols else active
        next_us = await asyncio.to_thread(_next_us, series, sorted(names), times)
        lines.append(_Line(target, series, last.get(series), next_us))
    return lines


async def _last_runs(
    runs: AsyncIterator[RunStatus], wanted: set[SlotSeries]
) -> dict[SlotSeries, RunStatus]:
    """Find the newest run of each series, from runs in descending order."""
    by_prefix = {series.prefix: series for series in wanted}
    found: dict[SlotSeries, RunStatus] = {}
    looked = 0
    async for run in runs:
        looked += 1
        series = by_prefix.pop(run.request_id.rpartition("/")[0] + "/", None)
        if series is not None:
            found[series] = run
        if not by_prefix or looked >= _MOST_RUNS:
            break
    return found


def _next_us(series: SlotSeries, names: Iterable[str], times: ScheduleTimes) -> int | None:
    calendars = []
    for name in names:
        try:
            calendars.append(get_calendar(name))
        except UnknownCalendarError as error:
            ERR.print(str(error), markup=False)
    now_us = SystemClock().now_us()
    within = TimeRange(now_us + 1, now_us + _AHEAD_US)
    slots = due_slots(series, calendars, within, times)
    return slots[0].nominal_us if slots else None


def _row(line: _Line) -> tuple[str | int | None, ...]:
    last = line.last
    return (
        line.target.name,
        line.series.job.value,
        line.series.timeframe.value if line.series.timeframe is not None else None,
        _slot_of(last) if last else None,
        last.run_id if last else None,
        last.state.value if last else None,
        f"{from_unix_us(line.next_us):%Y-%m-%dT%H:%M:%SZ}" if line.next_us is not None else None,
    )


def _table_row(line: _Line) -> list[str]:
    texts = ["" if value is None else str(value) for value in _row(line)]
    return [text[:16].replace("T", " ") if n in {3, 6} else text for n, text in enumerate(texts)]


def _slot_of(run: RunStatus) -> str:
    """Tell the nominal time of a slot by the name of its run."""
    return run.request_id.rpartition("/")[2]
