"""What ``marketdata bars`` asks for, read for a table or row by row."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
from rich.markup import escape

from marketdata.cli.connection import connected
from marketdata.cli.output import ERR
from marketdata.cli.rows import RowForm, RowWriter, iso_times, piped
from marketdata.cli.texts import named
from marketdata.client import AppliedRead, Bars, RetryPolicy
from marketdata.client.times import AsOfPoint
from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bars import MISSING_TRADE_COUNT, BarFlag, BarFrame, Float64Array
from marketdata.domain.calendar import SessionHours
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import SymbolNotFoundError

_FIELDS: Final = (
    "symbol", "time", "open", "high", "low", "close", "volume", "vwap", "trade_count", "feed",
    "is_final", "is_derived", "is_extended", "revision",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BarsAsked:
    """The bars that a command is to show.

    Attributes
    ----------
    symbols : sequence of str
        Tickers.
    timeframe : Timeframe
        What each bar covers.
    start, end : datetime or None
        Half-open, UTC; None: all there is, up to now.
    last : int or None
        Only the last so many bars of each symbol; None: all.
    adjustment : Adjustment
        What is taken out of the prices.
    session : SessionHours
        Which part of the trading day.
    as_of : int, datetime or None
        When it was known; None: now.
    address : str or None
        ``host:port`` of the service; None: as the settings have it.
    """

    symbols: Sequence[str]
    timeframe: Timeframe
    start: datetime | None
    end: datetime | None
    last: int | None
    adjustment: Adjustment
    session: SessionHours
    as_of: AsOfPoint | None
    address: str | None


def read_bars(asked: BarsAsked) -> Bars:
    """Read all bars at once; say what was left out and what the prices are not adjusted for."""
    bars = asyncio.run(_read(asked))
    unknown = bars.applied.unresolved_symbols
    if unknown:
        ERR.print(f"Left out, since no such symbol is known: {named(unknown)}", soft_wrap=True)
    _say_unadjusted(bars.applied)
    return bars


def write_bars(asked: BarsAsked, form: RowForm) -> None:
    """Write bars to a pipe as they arrive, in bounded memory.

    Raises
    ------
    SymbolNotFoundError
        A symbol is unknown; nothing was written.
    """
    with piped():
        asyncio.run(_write(asked, form))


def bar_rows(frame: BarFrame, timeframe: Timeframe) -> Iterator[tuple[Any, ...]]:
    """Turn columns into rows of `_FIELDS`; None where a value is missing."""
    index = frame.row_symbol_index().tolist()
    flags = frame.flags
    return zip(
        [frame.symbols[i] for i in index],
        iso_times(frame.time_us, timeframe),
        frame.open.tolist(),
        frame.high.tolist(),
        frame.low.tolist(),
        frame.close.tolist(),
        _known(frame.volume),
        _known(frame.vwap),
        [None if count == MISSING_TRADE_COUNT else count for count in frame.trade_count.tolist()],
        [frame.feeds[key] for key in frame.feed.tolist()],
        (flags & BarFlag.FINAL != 0).tolist(),
        (flags & BarFlag.DERIVED != 0).tolist(),
        (flags & BarFlag.EXTENDED_SESSION != 0).tolist(),
        frame.revision.tolist(),
        strict=True,
    )


def _known(values: Float64Array) -> list[float | None]:
    return [
        None if missing else value
        for value, missing in zip(values.tolist(), np.isnan(values).tolist(), strict=True)
    ]


async def _read(asked: BarsAsked) -> Bars:
    async with connected(asked.address) as client:
        return await client.bars(
            asked.symbols,
            asked.timeframe,
            asked.start,
            asked.end,
            adjustment=asked.adjustment,
            session=asked.session,
            limit=asked.last,
            as_of=asked.as_of,
        )


async def _write(asked: BarsAsked, form: RowForm) -> None:
    # The client's own patience: a service that is restarted must not cost the rest of a long answer.
    async with (
        connected(asked.address, RetryPolicy()) as client,
        client.stream_bars(
            asked.symbols,
            asked.timeframe,
            asked.start,
            asked.end,
            adjustment=asked.adjustment,
            session=asked.session,
            limit=asked.last,
            as_of=asked.as_of,
        ) as stream,
    ):
        frame = await anext(stream, None)
        applied = stream.applied
        if applied is not None:
            _refuse_unknown(applied)
            _say_unadjusted(applied)
        rows = RowWriter(form, _FIELDS)
        while frame is not None:
            rows.write(bar_rows(frame, asked.timeframe))
            frame = await anext(stream, None)


def _refuse_unknown(applied: AppliedRead) -> None:
    # Whoever reads a pipe reads no messages: a mistyped symbol must not be left out without a word.
    if applied.unresolved_symbols:
        raise SymbolNotFoundError(f"{named(applied.unresolved_symbols)}: no such symbol is known")


def _say_unadjusted(applied: AppliedRead) -> None:
    for action in applied.unadjusted_actions:
        ERR.print(
            f"{action.symbol}: prices are not adjusted for what happened on {action.ex_date}:"
            f" {escape(action.reason)}",
            soft_wrap=True,
        )
