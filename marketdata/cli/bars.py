"""``marketdata bars``: bars of a running service as a table, as a plot, or for pipes."""

from dataclasses import replace
from math import isnan
from typing import Annotated, Final

import typer

from marketdata.cli.bar_reads import BarsAsked, read_bars, write_bars
from marketdata.cli.options import (
    Address,
    AsCsv,
    AsJson,
    AsOfOption,
    End,
    Start,
    Symbols,
    TimeframeOption,
    as_of_point,
    refuse_several,
    utc,
)
from marketdata.cli.output import ERR, OUT, print_table
from marketdata.cli.rows import RowForm
from marketdata.cli.texts import named
from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bars import BarFrame
from marketdata.domain.calendar import SessionHours
from marketdata.domain.time_range import from_unix_us
from marketdata.domain.timeframe import Timeframe

_LAST_OF_A_TABLE: Final = 20


def bars(
    symbols: Symbols,
    *,
    timeframe: TimeframeOption = Timeframe.DAY_1,
    start: Start = None,
    end: End = None,
    last: Annotated[
        int | None,
        typer.Option(
            "--last",
            "-n",
            min=1,
            metavar="COUNT",
            help="Only the last so many bars of each symbol (default: 20; with --plot what fits the"
            " width; with --json and --csv all)",
        ),
    ] = None,
    adjustment: Annotated[
        Adjustment,
        typer.Option(help="Which corporate actions to take out of the prices; raw is as traded"),
    ] = Adjustment.RAW,
    session: Annotated[
        SessionHours,
        typer.Option(help="Which part of the trading day; extended is pre-market and after hours"),
    ] = SessionHours.REGULAR,
    as_of: AsOfOption = None,
    plot: Annotated[
        bool, typer.Option("--plot", help="Draw the bars of one symbol, and the volume below them")
    ] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    address: Address = None,
) -> None:
    """Show bars of a running service: as a table, as a plot, or for pipes.

    The time of a bar is its open, in UTC; of daily bars it is the session date. Prices are in the
    symbol's currency a share, volumes in shares. Without a range the last bars are shown.

    --json writes an object a line, --csv a header and a line a bar: all bars of the range, as they
    arrive, in full precision. Times are ISO 8601 (2024-01-02T14:30:00Z, daily 2024-01-02); what is
    missing is null, in CSV empty.

    Example: marketdata bars AAPL --start 2005-02-20 --end 2005-03-10

    --as-of shows bars, corporate actions and tickers as the service knew them at a seq of its change
    log or at a time; marketdata revisions shows how bars changed.

    Example: marketdata bars AAPL --plot --adjustment split

    Example: marketdata bars AAPL --as-of 2024-01-02T14:30:00

    Example: marketdata bars AAPL IBM -t 1d --csv | head
    """
    refuse_several({"--plot": plot, "--json": as_json, "--csv": as_csv})
    asked = BarsAsked(
        symbols, timeframe, utc(start), utc(end), last, adjustment, session, as_of_point(as_of), address
    )
    form = RowForm.chosen(as_json=as_json, as_csv=as_csv)
    if form is not None:
        write_bars(asked, form)
    elif plot:
        _plot(asked)
    else:
        _print(asked)


def _print(asked: BarsAsked) -> None:
    frame = read_bars(replace(asked, last=asked.last or _LAST_OF_A_TABLE)).frame
    if len(frame) == 0:
        _say_none(asked)
        return
    headings = ["symbol", "time", "open", "high", "low", "close", "volume", "feed"]
    if frame.revision.any():
        headings.append("revision")
    # What a narrow terminal can do without, the first ones first.
    spare = ["feed", *(["symbol"] if len(asked.symbols) == 1 else []), "volume", "open"]
    print_table(headings, _table_rows(frame, asked.timeframe), numbers_from=2, spare=spare)


def _plot(asked: BarsAsked) -> None:
    if len(asked.symbols) > 1:
        raise typer.BadParameter("--plot draws one symbol; call it once for each.")
    from marketdata.cli.bar_plot import BarPlot  # noqa: PLC0415 -- only a plot needs its library

    plot = BarPlot(OUT)
    # Of a range that is asked for, one more than fits tells that some are left out.
    last = asked.last or plot.most_bars + (asked.start is not None)
    bars = read_bars(replace(asked, last=last))
    if len(bars) == 0:
        _say_none(asked)
        return
    plot.draw(bars.frame, bars.applied)


def _say_none(asked: BarsAsked) -> None:
    ERR.print(f"No {asked.timeframe.value} bars of {named(asked.symbols)} in this range.")


def _table_rows(frame: BarFrame, timeframe: Timeframe) -> list[list[str]]:
    time_format = "%Y-%m-%d" if timeframe is Timeframe.DAY_1 else "%Y-%m-%d %H:%M"
    index = frame.row_symbol_index()
    return [
        [
            frame.symbols[index[row]],
            from_unix_us(int(frame.time_us[row])).strftime(time_format),
            f"{frame.open[row]:.2f}",
            f"{frame.high[row]:.2f}",
            f"{frame.low[row]:.2f}",
            f"{frame.close[row]:.2f}",
            "" if isnan(frame.volume[row]) else f"{frame.volume[row]:,.0f}",
            frame.feeds[int(frame.feed[row])],
            *([str(frame.revision[row])] if frame.revision.any() else []),
        ]
        for row in range(len(frame))
    ]
