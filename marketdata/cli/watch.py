"""``marketdata watch``: bars as they change."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated, Any, Final

import typer
from rich.live import Live

from marketdata.cli.connection import connected
from marketdata.cli.keeping import iso_text
from marketdata.cli.options import DATE_FORMATS, Address, AsJson, utc
from marketdata.cli.output import ERR, OUT
from marketdata.cli.rows import INTERRUPTED, RowForm, RowWriter, piped
from marketdata.cli.texts import named
from marketdata.cli.watch_table import SPARK_BARS, WatchTable, time_text
from marketdata.client import (
    ActionsChange,
    BarsChange,
    CaughtUp,
    MarketDataClient,
    RangeChange,
    RetryPolicy,
    Subscribed,
    SubscriptionState,
    SubscriptionUpdate,
    SymbolsChange,
    Timeframe,
)
from marketdata.errors import ServiceError

# Whoever watches waits through a restart of the service.
_PATIENT: Final = RetryPolicy(most_attempts=1_000)
_FIELDS: Final = (
    "event", "seq", "symbol", "timeframe", "time", "open", "high", "low", "close", "volume", "vwap",
    "trade_count", "revision", "stored", "end", "what", "resume_token",
)  # fmt: skip
_COLUMNS: Final = ("open", "high", "low", "close", "volume", "vwap")
_Show = Callable[[SubscriptionUpdate], None]
_FRAMES_A_SECOND: Final = 4


def watch(
    symbols: Annotated[
        list[str], typer.Argument(metavar="SYMBOL", help="Tickers, such as AAPL MSFT; '*' is all")
    ],
    *,
    timeframe: Annotated[
        list[Timeframe] | None,
        typer.Option("--timeframe", "-t", help="Which bars: 1m, 1h, 1d; several (default: 1d)"),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            metavar="TIME",
            formats=DATE_FORMATS,
            help="First the stored bars from then on, UTC (default: what changes from now on)",
        ),
    ] = None,
    resume_token: Annotated[
        str, typer.Option(metavar="TOKEN", help="Go on behind it, as --json writes them")
    ] = "",
    as_json: AsJson = False,
    address: Address = None,
) -> None:
    """Follow bars as they change: a table that lives, or lines for pipes. Ctrl-C ends it.

    Each line of the table is the latest bar of a symbol, with the change to the bar before it and the
    closes of the last bars. A lost connection is taken up again, without a gap.

    --json writes an object a line, for bars, deleted ranges, corporate actions and symbols; the last
    line of each event has a resume_token, behind which --resume-token goes on.

    Example: marketdata watch AAPL MSFT -t 1m
    """
    asked = _Asked(symbols, timeframe or [Timeframe.DAY_1], utc(since), resume_token)
    try:
        with piped():
            asyncio.run(asked.follow(address, as_json=as_json))
    except KeyboardInterrupt:
        # The usual end of following: nothing to say about it.
        raise typer.Exit(INTERRUPTED) from None


class _Asked:
    """What is to be watched."""

    def __init__(
        self,
        symbols: list[str],
        timeframes: list[Timeframe],
        since: datetime | None,
        resume_token: str,
    ) -> None:
        self._symbols = symbols
        self._timeframes = timeframes
        self._since = since
        self._resume_token = resume_token

    async def follow(self, address: str | None, *, as_json: bool) -> None:
        async with connected(address, _PATIENT) as client:
            if as_json:
                writer = RowWriter(RowForm.JSON, _FIELDS)
                await self._tell(client, lambda update: writer.write(_rows(update)), _say)
            elif OUT.is_terminal:
                await self._draw(client)
            else:
                await self._tell(client, _print_lines, _say)

    async def _draw(self, client: MarketDataClient) -> None:
        table = WatchTable()

        def on_state(state: SubscriptionState, error: ServiceError | None) -> None:
            table.state = state.value if error is None else f"{state.value}: {error.message}"

        with Live(get_renderable=table.drawn, console=OUT, refresh_per_second=_FRAMES_A_SECOND):
            subscription = self._subscribe(client, on_state)
            async with subscription:
                async for update in subscription:
                    table.add(update)
                    # Read once the subscription has begun: nothing lies between.
                    if isinstance(update.change, Subscribed):
                        _say_unknown(update)
                        known = [symbol for symbol, is_known in update.change.known if is_known]
                        await self._read_last(client, table, known)

    async def _read_last(self, client: MarketDataClient, table: WatchTable, known: list[str]) -> None:
        if self._since is not None or not known:
            return
        for timeframe in self._timeframes:
            bars = await client.bars(known, timeframe, limit=SPARK_BARS)
            table.add_bars(bars.frame, timeframe, 0)

    async def _tell(
        self,
        client: MarketDataClient,
        show: _Show,
        on_state: Callable[[SubscriptionState, ServiceError | None], None],
    ) -> None:
        subscription = self._subscribe(client, on_state)
        async with subscription:
            async for update in subscription:
                _say_unknown(update)
                show(update)

    def _subscribe(
        self,
        client: MarketDataClient,
        on_state: Callable[[SubscriptionState, ServiceError | None], None],
    ) -> Any:
        return client.subscribe(
            self._symbols,
            self._timeframes,
            since=self._since,
            resume_token=self._resume_token,
            on_state=on_state,
        )


def _say(state: SubscriptionState, error: ServiceError | None) -> None:
    """Tell a person beside the pipe what went wrong."""
    if error is not None:
        ERR.print(f"{state.value}: {error.message}", soft_wrap=True, markup=False)


def _say_unknown(update: SubscriptionUpdate) -> None:
    """Tell a person which symbols bring nothing for now; a later reconnection says it again."""
    if not isinstance(update.change, Subscribed):
        return
    unknown = [symbol for symbol, is_known in update.change.known if not is_known]
    if unknown:
        ERR.print(
            f"{named(unknown)}: no such symbol is known; its bars come once it is. marketdata symbols "
            "lists those that are known.",
            soft_wrap=True,
            markup=False,
        )


def _rows(update: SubscriptionUpdate) -> list[tuple[Any, ...]]:
    """List the lines of an update, the last one with the token."""
    rows = [dict(row) for row in _values(update)]
    if rows:
        rows[-1]["resume_token"] = update.resume_token or None
    return [
        tuple(row.get(name, update.seq if name == "seq" else None) for name in _FIELDS) for row in rows
    ]


def _values(update: SubscriptionUpdate) -> Iterator[dict[str, Any]]:
    change = update.change
    if isinstance(change, BarsChange):
        yield from _bar_values(change)
    elif isinstance(change, RangeChange):
        what = change.description or change.reason.value
        shared = {"event": "range_changed", "timeframe": change.timeframe.value, "what": what}
        bounds = {"time": iso_text(change.start_us), "end": iso_text(change.end_us)}
        for symbol in change.symbols or (None,):
            yield {**shared, **bounds, "symbol": symbol}
    elif isinstance(change, ActionsChange):
        for action in change.actions:
            what = f"{action.kind.value} {action.split_ratio or action.cash_amount}"
            time = action.ex_date.isoformat()
            yield {"event": "action", "symbol": change.symbol, "time": time, "what": what}
    elif isinstance(change, SymbolsChange):
        for symbol, is_known in change.known:
            what = "known" if is_known else "unknown"
            yield {"event": "symbol_changed", "symbol": symbol, "what": what}
    elif isinstance(change, CaughtUp):
        yield {"event": "caught_up"}


def _bar_values(change: BarsChange) -> Iterator[dict[str, Any]]:
    frame, index = change.frame, change.frame.row_symbol_index()
    for row in range(len(frame)):
        numbers = {name: float(getattr(frame, name)[row]) for name in _COLUMNS}
        count = int(frame.trade_count[row])
        yield {
            "event": "bar",
            "symbol": frame.symbols[index[row]],
            "timeframe": change.timeframe.value,
            "time": iso_text(int(frame.time_us[row])),
            "time_us": int(frame.time_us[row]),
            **{name: None if value != value else value for name, value in numbers.items()},  # noqa: PLR0124 -- NaN
            "trade_count": None if count < 0 else count,
            "revision": int(frame.revision[row]),
            "stored": change.is_stored,
        }


def _print_lines(update: SubscriptionUpdate) -> None:
    change = update.change
    if isinstance(change, BarsChange):
        for row in _bar_values(change):
            revised = f"  revision {row['revision']}" if row["revision"] else ""
            OUT.print(
                f"{update.seq:>8}  {row['symbol']:<6}  {row['timeframe']}  "
                f"{time_text(row['time_us'], change.timeframe)}  {row['close']:,.2f}{revised}",
                soft_wrap=True,
                markup=False,
            )
    elif isinstance(change, RangeChange):
        start, end = (time_text(t, change.timeframe) for t in (change.start_us, change.end_us))
        what = f"{change.reason.value} {change.timeframe.value} [{start}, {end})"
        symbols = named(change.symbols) or "all symbols"
        OUT.print(f"{update.seq:>8}  {what}  {symbols}", soft_wrap=True, markup=False)
    elif isinstance(change, ActionsChange | SymbolsChange):
        for row in _values(update):
            text = f"{update.seq:>8}  {row['symbol']:<6}  {row['event']}  {row['what']}"
            OUT.print(text, soft_wrap=True, markup=False)
