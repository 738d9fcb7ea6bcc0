"""Frames over sessions: minutes and days with prices that tell them apart."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import BarColumn, BarFlag, BarFrame, Int64Array, full_columns
from marketdata.domain.time_range import TimeRange, session_label_us, to_unix_us

MINUTE_US: Final = 60_000_000
NEW_YORK: Final = "America/New_York"
# After every bar of every test: all of them are final.
LONG_AFTER_US: Final = to_unix_us(datetime(2049, 1, 1, tzinfo=ZoneInfo("UTC")))


def local_us(text: str, zone: str = NEW_YORK) -> int:
    """Turn ``2013-07-03 09:30`` by the wall clock of `zone` into Unix microseconds."""
    return to_unix_us(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def local_text(time_us: int, zone: str = NEW_YORK) -> str:
    """Turn Unix microseconds into ``2013-07-03 09:30`` by the wall clock of `zone`."""
    return datetime.fromtimestamp(time_us / 1_000_000, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


def clock_times(times_us: Int64Array, zone: str = NEW_YORK) -> list[str]:
    """List times of day (``09:30``) by the wall clock of `zone`."""
    return [local_text(time_us, zone)[-5:] for time_us in times_us.tolist()]


def minutes_between(start: str, end: str, zone: str = NEW_YORK) -> Int64Array:
    """List every minute of a half-open range of local times, Unix microseconds."""
    return np.arange(local_us(start, zone), local_us(end, zone), MINUTE_US, dtype=np.int64)


def dates_between(start: str, end: str) -> TimeRange:
    """Give the range of session labels `[start, end)`."""
    return TimeRange(*(session_label_us(date.fromisoformat(text)) for text in (start, end)))


def labels_of(*dates: str) -> Int64Array:
    """Give the labels of some sessions, Unix microseconds."""
    return np.array([session_label_us(date.fromisoformat(text)) for text in dates], np.int64)


def walk(times_us: Int64Array, seed: int = 7, symbol: str = "AAPL", **columns: Any) -> BarFrame:
    """Make final bars at these times, prices a random walk, every column filled."""
    n = len(times_us)
    random = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(random.normal(0, 1e-3, n))), 2)
    first = np.round(close + random.normal(0, 0.05, n), 2)
    given: dict[BarColumn, npt.NDArray[Any]] = {
        BarColumn.TIME: times_us,
        BarColumn.OPEN: first,
        BarColumn.HIGH: np.maximum(first, close) + random.integers(0, 9, n) / 100,
        BarColumn.LOW: np.minimum(first, close) - random.integers(0, 9, n) / 100,
        BarColumn.CLOSE: close,
        BarColumn.VOLUME: random.integers(0, 1_000, n).astype(np.float64),
        BarColumn.VWAP: (first + close) / 2,
        BarColumn.TRADE_COUNT: random.integers(0, 50, n),
        BarColumn.FLAGS: np.full(n, BarFlag.FINAL),
    }
    frame = full_columns(n, given) | {name: np.asarray(values) for name, values in columns.items()}
    return BarFrame((symbol,), **frame, feeds={0: "test/tape", 1: "test/venue", 2: "test/late"})


def side_by_side(frames: Sequence[BarFrame]) -> BarFrame:
    """Join frames of one symbol each, with the same feeds, into one of many symbols."""
    symbols = tuple(frame.symbols[0] for frame in frames)
    index = np.repeat(np.arange(len(frames), dtype=np.int32), [len(frame) for frame in frames])
    columns = {
        column.value: np.concatenate([frame.column(column) for frame in frames]) for column in BarColumn
    }
    return BarFrame(symbols, **columns, symbol_index=index, feeds=frames[0].feeds)
