"""``marketdata coverage``: which bars are stored, by the calendar of their exchange."""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated, Any, Final

import typer
from rich.markup import escape

from marketdata.cli.connection import connected
from marketdata.cli.heat_map import heat_map, legend
from marketdata.cli.options import (
    Address,
    AsCsv,
    AsJson,
    AsOfOption,
    End,
    Start,
    TimeframeOption,
    as_of_point,
    refuse_several,
    utc,
)
from marketdata.cli.output import ERR, OUT, print_table
from marketdata.cli.rows import RowForm, RowWriter, iso_times, piped
from marketdata.client import Coverage, CoverageGap
from marketdata.client.times import AsOfPoint
from marketdata.domain.coverage import SessionCounts
from marketdata.domain.gaps import GapReason
from marketdata.domain.timeframe import Timeframe

_MOST_GAPS: Final = 10


class CoverageRows(Enum):
    """What the rows of a pipe are."""

    SESSIONS = "sessions"
    GAPS = "gaps"


_FIELDS: Final = {
    CoverageRows.SESSIONS: (
        "session_date",
        "present_count",
        "expected_count",
        "quarantined_count",
        "derived_count",
        "reason",
    ),
    CoverageRows.GAPS: (
        "start_time",
        "end_time",
        "missing_count",
        "reason",
        "provider",
        "retry_time",
        "message",
    ),
}


def coverage(
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="Ticker, such as AAPL")],
    *,
    timeframe: TimeframeOption = Timeframe.DAY_1,
    start: Start = None,
    end: End = None,
    gaps: Annotated[
        int, typer.Option("--gaps", min=0, metavar="COUNT", help="How many of the longest gaps to list")
    ] = _MOST_GAPS,
    rows: Annotated[
        CoverageRows, typer.Option("--rows", help="What --json and --csv write a line of")
    ] = CoverageRows.SESSIONS,
    as_of: AsOfOption = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    address: Address = None,
) -> None:
    """Show which bars of a symbol are stored, as a calendar, and the longest gaps with their reasons.

    Expected are the bars of regular hours of each session of the symbol's exchange calendar: one a
    session for 1d, 390 for 1m on a whole day in New York. Weekends and holidays are blank. The range
    is in UTC; without one it is from the first stored bar to the last. Timeframes that are stored
    are 1m, 1h and 1d.

    A gap ends where the reason changes: quarantined, failed (a provider, which may be worth asking
    again), no_trades, provider_has_none, beyond_history, or missing, of which nothing is known.

    --json writes an object a line, --csv a header and a line a session (or with --rows gaps a gap,
    its end exclusive). Times are ISO 8601 in UTC, of daily bars the session date.

    Example: marketdata coverage AAPL -t 1d --start 2005-01-01 --end 2007-01-01

    Example: marketdata coverage AAPL -t 1m --csv --rows gaps > gaps.csv
    """
    refuse_several({"--json": as_json, "--csv": as_csv})
    found = asyncio.run(_read(address, symbol, timeframe, utc(start), utc(end), as_of_point(as_of)))
    form = RowForm.chosen(as_json=as_json, as_csv=as_csv)
    if form is not None:
        _write(found, form, rows, symbol, timeframe)
        return
    if found.sessions is None or not len(found.sessions):
        ERR.print(
            f"No {timeframe.value} bars of {escape(symbol)} are stored or expected in this range."
        )
        return
    _print(found, found.sessions, symbol, timeframe, gaps)


async def _read(
    address: str | None,
    symbol: str,
    timeframe: Timeframe,
    start: datetime | None,
    end: datetime | None,
    as_of: AsOfPoint | None,
) -> Coverage:
    async with connected(address) as client:
        return await client.get_bar_coverage(
            symbol, timeframe, start, end, include_sessions=True, as_of=as_of
        )


def _write(
    found: Coverage, form: RowForm, rows: CoverageRows, symbol: str, timeframe: Timeframe
) -> None:
    lines = (
        _gap_rows(found.gaps, timeframe) if rows is CoverageRows.GAPS else _session_rows(found.sessions)
    )
    with piped():
        writer = RowWriter(form, ("symbol", "timeframe", *_FIELDS[rows]))
        writer.write((symbol, timeframe.value, *line) for line in lines)


def _session_rows(sessions: SessionCounts | None) -> Iterable[tuple[Any, ...]]:
    if sessions is None:
        return ()
    dates = iso_times(sessions.label_us, Timeframe.DAY_1)
    columns = (sessions.present, sessions.expected, sessions.quarantined, sessions.derived)
    reasons = (_session_reason(number) for number in sessions.reason.tolist())
    return zip(dates, *(column.tolist() for column in columns), reasons, strict=True)


def _session_reason(number: int) -> str | None:
    return GapReason(number).name.lower() if number else None


def _gap_rows(gaps: Iterable[CoverageGap], timeframe: Timeframe) -> Iterable[tuple[Any, ...]]:
    pattern = "%Y-%m-%d" if timeframe is Timeframe.DAY_1 else "%Y-%m-%dT%H:%M:%SZ"
    for gap in gaps:
        start, end = gap.start.strftime(pattern), gap.end.strftime(pattern)
        retry = f"{gap.retry:%Y-%m-%dT%H:%M:%SZ}" if gap.retry else None
        reason = gap.reason.name.lower()
        yield start, end, gap.missing_count, reason, gap.provider or None, retry, gap.message


def _print(
    found: Coverage, sessions: SessionCounts, symbol: str, timeframe: Timeframe, most_gaps: int
) -> None:
    for line in heat_map(sessions, OUT.width if OUT.is_terminal else 0):
        OUT.print(line, soft_wrap=True)
    for line in legend():
        OUT.print(line)
    OUT.print()
    _print_totals(found, sessions, symbol, timeframe)
    _print_gaps(found, timeframe, most_gaps)


def _print_totals(found: Coverage, sessions: SessionCounts, symbol: str, timeframe: Timeframe) -> None:
    present = int(sessions.present.sum())
    dates = iso_times(sessions.label_us[[0, -1]], Timeframe.DAY_1)
    share = present / found.expected_count
    beside = found.count - present
    OUT.print(
        f"{symbol} {timeframe.value}: {present:,} of {found.expected_count:,} expected bars are stored"
        f" ({_percent(share)}), {int((sessions.present == sessions.expected).sum()):,} of"
        f" {len(sessions):,} sessions complete, {dates[0]} to {dates[1]}."
        + (f" {beside:,} more are stored where the calendar expects none." if beside else "")
    )
    derived = int(sessions.derived.sum())
    if found.quarantined_count or derived:
        OUT.print(
            f"Of the missing ones {found.quarantined_count:,} are in quarantine"
            f" (marketdata ingest quarantine list), and reads make {derived:,} from minutes."
        )


def _percent(share: float) -> str:
    # Nothing but all of them is 100 %.
    return "100 %" if share == 1 else f"{min(share * 100, 99.99):.2f} %"


def _print_gaps(found: Coverage, timeframe: Timeframe, most_gaps: int) -> None:
    if not found.gaps:
        OUT.print("There is no gap.")
        return
    longest = sorted(found.gaps, key=lambda gap: (-gap.missing_count, gap.start))[:most_gaps]
    OUT.print("1 gap" if len(found.gaps) == 1 else f"{len(found.gaps):,} gaps, the longest first")
    if longest:
        unit = "" if timeframe is Timeframe.DAY_1 else ", UTC"
        rows = [_gap_cells(gap, timeframe) for gap in longest]
        headings = [f"from{unit}", f"to{unit}", "reason", "provider", "ask again, UTC", "missing bars"]
        print_table(headings, rows, numbers_from=5, spare=("ask again, UTC", "provider"))
        for message in dict.fromkeys(gap.message for gap in longest if gap.message):
            OUT.print(f"- {message}", markup=False, soft_wrap=True)


def _gap_cells(gap: CoverageGap, timeframe: Timeframe) -> list[str]:
    pattern = "%Y-%m-%d" if timeframe is Timeframe.DAY_1 else "%Y-%m-%d %H:%M"
    # People read both ends as within.
    last = gap.end - timedelta(microseconds=1)
    return [
        gap.start.strftime(pattern),
        last.strftime(pattern),
        gap.reason.name.lower(),
        gap.provider,
        f"{gap.retry:%Y-%m-%d %H:%M}" if gap.retry else "",
        f"{gap.missing_count:,}",
    ]
