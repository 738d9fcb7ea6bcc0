"""Seeded synthetic bars: the same on every machine and in every run."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import BarFlag, BarFrame
from marketdata.domain.time_range import TimeRange, to_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.read_sql import FIRST_WINDOW_BARS
from marketdata.storage.read_steps import BLOCK_ROWS

# Half a year of regular sessions: what one symbol's minutes of a request usually are.
SESSIONS: Final = 126
MINUTES_A_SESSION: Final = 390
MINUTE_BARS: Final = SESSIONS * MINUTES_A_SESSION
# Thirteen years of sessions.
DAILY_BARS: Final = 3_270
# The id of the feed manual/upload, which the first migration makes.
FEED_ID: Final = 1
FEEDS: Final = {FEED_ID: "manual/upload"}

_FIRST_MINUTE_SESSION: Final = datetime(2024, 1, 2, tzinfo=UTC)
_FIRST_DAILY_SESSION: Final = datetime(2000, 3, 1, tzinfo=UTC)
_OPEN_US: Final = (14 * 60 + 30) * 60_000_000
_FRIDAY: Final = 4


def minute_bars(symbol: str, count: int = MINUTE_BARS, seed: int = 1) -> BarFrame:
    """Make `count` minutes of regular sessions on weekdays, from 2024-01-02 on."""
    sessions = _weekdays(_FIRST_MINUTE_SESSION, -(-count // MINUTES_A_SESSION))
    minutes = np.arange(MINUTES_A_SESSION, dtype=np.int64) * Timeframe.MINUTE_1.duration_us
    time_us = (sessions[:, np.newaxis] + _OPEN_US + minutes).reshape(-1)[:count]
    return _bars(symbol, time_us, seed)


def daily_bars(symbol: str, count: int = DAILY_BARS, seed: int = 2) -> BarFrame:
    """Make `count` days, weekdays from 2000-03-01 on."""
    return _bars(symbol, _weekdays(_FIRST_DAILY_SESSION, count), seed)


def half_revised(frame: BarFrame) -> BarFrame:
    """Change the prices of every second bar by a cent."""
    cents = np.where(np.arange(len(frame)) % 2 == 0, 0.01, 0.0)
    return replace(frame, close=frame.close + cents, high=frame.high + cents)


def renamed(frame: BarFrame, *symbols: str) -> BarFrame:
    """Give the frame other tickers: a symbol each for equal, consecutive parts of its bars."""
    index = np.arange(len(frame), dtype=np.int32) * len(symbols) // len(frame)
    return replace(frame, symbols=symbols, symbol_index=index.astype(np.int32))


def repeated(frame: BarFrame, count: int) -> BarFrame:
    """Repeat the bars until there are `count`; times repeat too, which nothing in memory minds."""
    return frame.take(np.arange(count) % len(frame))


def blocks_of(frame: BarFrame) -> list[BarFrame]:
    """Cut bars into blocks of the sizes that a stream from the database has."""
    starts = [0, *range(FIRST_WINDOW_BARS, len(frame), BLOCK_ROWS), len(frame)]
    return [frame.take(np.arange(first, end)) for first, end in pairwise(starts)]


def range_of(frame: BarFrame, timeframe: Timeframe) -> TimeRange:
    """Range that holds exactly the bars of `frame`."""
    first, last = frame.time_bounds()
    return TimeRange(first, last + timeframe.duration_us)


def _weekdays(first: datetime, count: int) -> npt.NDArray[np.int64]:
    days: list[int] = []
    day = first
    while len(days) < count:
        if day.weekday() <= _FRIDAY:
            days.append(to_unix_us(day))
        day += timedelta(days=1)
    return np.array(days, np.int64)


def _bars(symbol: str, time_us: npt.NDArray[np.int64], seed: int) -> BarFrame:
    random = np.random.default_rng(seed)
    n = len(time_us)
    close = np.round(np.exp(np.cumsum(random.normal(0, 5e-4, n))) * 180, 2)
    opened = np.concatenate([[180.0], close[:-1]])
    wick: npt.NDArray[Any] = np.abs(random.normal(0, 0.05, (2, n)))
    trade_count = random.integers(20, 900, n)
    return BarFrame(
        symbols=(symbol,),
        feeds=FEEDS,
        time_us=time_us,
        open=opened,
        high=np.round(np.maximum(opened, close) + wick[0], 2),
        low=np.round(np.minimum(opened, close) - wick[1], 2),
        close=close,
        volume=(trade_count * random.integers(50, 150, n)).astype(np.float64),
        vwap=np.round((opened + close) / 2, 4),
        trade_count=trade_count.astype(np.int64),
        feed=np.full(n, FEED_ID, np.int16),
        flags=np.full(n, int(BarFlag.FINAL), np.int16),
        revision=np.zeros(n, np.int32),
    )
