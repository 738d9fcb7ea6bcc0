"""Bars as plain Python rows: how tests say what they store, and compare what they get."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from marketdata.domain.bars import COLUMN_DTYPES, BarColumn, BarFlag, BarFrame
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe

NAN: Final = float("nan")
MANUAL_FEED: Final = 1
SAMPLE_FEED: Final = 2


class Bar(NamedTuple):
    """One bar, columns in the frame's order after its symbol. Numbers that are missing are None."""

    symbol: str
    time_us: int
    open: float = 10.0
    high: float = 12.0
    low: float = 9.0
    close: float = 11.0
    volume: float | None = 100.0
    vwap: float | None = None
    trade_count: int = -1
    feed: int = MANUAL_FEED
    flags: int = int(BarFlag.FINAL)
    revision: int = 0

    @property
    def key(self) -> tuple[str, int]:
        """What is unique of a bar within its timeframe."""
        return self.symbol, self.time_us


def frame_of(bars: Sequence[Bar]) -> BarFrame:
    """Make a frame of these bars in their order, with a dictionary in order of appearance."""
    symbols = tuple(dict.fromkeys(bar.symbol for bar in bars))
    positions = {symbol: position for position, symbol in enumerate(symbols)}
    columns: dict[str, Any] = {
        column.value: np.array(
            [NAN if (value := getattr(bar, column.value)) is None else value for bar in bars], dtype
        )
        for column, dtype in COLUMN_DTYPES.items()
    }
    index = np.array([positions[bar.symbol] for bar in bars], np.int32)
    return BarFrame(symbols=symbols, symbol_index=index, **columns)


def bars_of(frame: BarFrame) -> list[Bar]:
    """List the bars of a frame that has all columns, in its order."""
    columns = [frame.column(column).tolist() for column in BarColumn]
    symbols = [frame.symbols[index] for index in frame.row_symbol_index()]
    return [bar_of(*row) for row in zip(symbols, *columns, strict=True)]


def bar_of(symbol: str, *values: Any) -> Bar:
    """Make a bar of its values, NaN as None: NaN is not equal to itself."""
    known: list[Any] = [None if value != value else value for value in values]  # noqa: PLR0124
    return Bar(symbol, *known)


def series(
    symbol: str, timeframe: Timeframe, start_us: int, count: int, first_open: float = 10.0
) -> list[Bar]:
    """List `count` bars without a gap from `start_us` on, each with another price."""
    return [
        Bar(
            symbol,
            start_us + number * timeframe.duration_us,
            open=first_open + number / 100,
            high=first_open + number / 100 + 2,
            low=first_open + number / 100 - 1,
            close=first_open + number / 100 + 1,
        )
        for number in range(count)
    ]


def days(number: float) -> int:
    """Microseconds of so many days."""
    return round(number * MICROSECONDS_PER_DAY)


def key_order(bars: Iterable[Bar]) -> list[Bar]:
    """Sort bars by symbol, then time."""
    return sorted(bars, key=lambda bar: bar.key)
