"""What ``marketdata schedule show`` does: joins targets, their runs, and the slots that come."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

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
from marketdata.domain.slot_runs import parse_slot_name
from marketdata.domain.symbol import SymbolStatus
from marketdata.domain.time_range import TimeRange, from_unix_us
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY

_FIELDS: Final = (
    "target", "job", "timeframe", "last_slot", "run_id", "provider", "state", "next_slot", "runs",
)  # fmt: skip
_HEADINGS: Final = (
    "target", "job", "bars", "last slot (UTC)", "run", "provider", "state", "next slot (UTC)",
)  # fmt: skip
# Newest runs among which the last ones are looked for: a day of minutes of some targets.
_MOST_RUNS: Final = 5_000
# Further runs of a slot in the table: a provider that is down for days makes dozens.
_MOST_SHOWN: Final = 5
# No exchange of our time was closed for as long.
_AHEAD_US: Final = 14 * MICROSECONDS_PER_DAY


@dataclass(frozen=True, slots=True)
class _Line:
    target: IngestionTarget
    series: SlotSeries
    nominal: str | None
    runs: Sequence[RunStatus]
    next_us: int | None


class _LastSlots:
    """Collects the runs of the newest slot of each series, from runs in descending order."""

    def __init__(self, wanted: Iterable[SlotSeries]) -> None:
        self._by_prefix = {series.prefix: series for series in wanted}
        self._nominal: dict[SlotSeries, str] = {}
        self._runs: dict[SlotSeries, list[RunStatus]] = {}

    def add(self, run: RunStatus) -> None:
        name = parse_slot_name(run.request_id)
        series = self._by_prefix.get(name.prefix) if name else None
        if name is None or series is None:
            return
        if self._nominal.setdefault(series, name.nominal) == name.nominal:
            self._runs.setdefault(series, []).append(run)
        if name.attempt == 1:
            # The slot's own run is its first: those of slots before it are not wanted.
            del self._by_prefix[name.prefix]

    @property
    def is_complete(self) -> bool:
        return not self._by_prefix

    def of(self, series: SlotSeries) -> tuple[str | None, Sequence[RunStatus]]:
        """Give the nominal time and the runs, the first one first."""
        return self._nominal.get(series), self._runs.get(series, [])[::-1]


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
    rows = [row for line in lines for row in _table_rows(line)]
    print_table(list(_HEADINGS), rows, numbers_from=len(_HEADINGS), spare=("run",))


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
        lines.append(_Line(target, series, *last.of(series), next_us))
    return lines


async def _last_runs(runs: AsyncIterator[RunStatus], wanted: set[SlotSeries]) -> _LastSlots:
    found, looked = _LastSlots(wanted), 0
    async for run in runs:
        looked += 1
        found.add(run)
        if found.is_complete or looked >= _MOST_RUNS:
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


def _row(line: _Line) -> tuple[Any, ...]:
    last = line.runs[-1] if line.runs else None
    return (
        line.target.name,
        line.series.job.value,
        line.series.timeframe.value if line.series.timeframe is not None else None,
        line.nominal,
        last.run_id if last else None,
        last.provider if last else None,
        last.state.value if last else None,
        f"{from_unix_us(line.next_us):%Y-%m-%dT%H:%M:%SZ}" if line.next_us is not None else None,
        [
            {"run_id": run.run_id, "provider": run.provider, "state": run.state.value}
            for run in line.runs
        ],
    )


def _table_rows(line: _Line) -> list[list[str]]:
    """Give a row a series, and one for each further run of its slot."""
    name, job, timeframe, nominal, *_, next_slot, _ = _row(line)
    shown = [*line.runs[:1], *line.runs[1:][-_MOST_SHOWN:]]
    runs = [[str(run.run_id), run.provider, run.state.value] for run in shown] or [[""] * 3]
    first = [name, job, timeframe or "", _minute(nominal), *runs[0], _minute(next_slot)]
    return [first, *(["", "", "", "", *run, ""] for run in runs[1:])]


def _minute(time: str | None) -> str:
    return (time or "")[:16].replace("T", " ")
