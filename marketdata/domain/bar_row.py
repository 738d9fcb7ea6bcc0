"""A bar as a row: where one is read by itself, and columns would cost more than they carry."""

from typing import NamedTuple

from marketdata.domain.bars import BarFrame
from marketdata.domain.timeframe import Timeframe


class BarRow(NamedTuple):
    """One bar, with what a frame keeps beside its columns.

    Attributes
    ----------
    symbol : str
        As asked for.
    timeframe : Timeframe
        What it covers.
    currency : str
        ISO 4217 code of its prices.
    time_us : int
        Its open, Unix microseconds.
    open, high, low, close, volume, vwap : float
        See `BarFrame`; a missing volume or vwap is NaN.
    trade_count : int
        -1 where it is missing.
    feed : str
        ``provider/feed``.
    flags : int
        Of `BarFlag`.
    revision : int
        How often it was revised.
    """

    symbol: str
    timeframe: Timeframe
    currency: str
    time_us: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float
    trade_count: int
    feed: str
    flags: int
    revision: int


def bar_row(frame: BarFrame, row: int, timeframe: Timeframe, currency: str) -> BarRow:
    """Take one bar out of a frame that has all columns."""
    return BarRow(
        symbol=frame.symbols[frame.symbol_index[row] if len(frame.symbol_index) else 0],
        timeframe=timeframe,
        currency=currency,
        time_us=int(frame.time_us[row]),
        open=float(frame.open[row]),
        high=float(frame.high[row]),
        low=float(frame.low[row]),
        close=float(frame.close[row]),
        volume=float(frame.volume[row]),
        vwap=float(frame.vwap[row]),
        trade_count=int(frame.trade_count[row]),
        feed=frame.feeds[int(frame.feed[row])],
        flags=int(frame.flags[row]),
        revision=int(frame.revision[row]),
    )
