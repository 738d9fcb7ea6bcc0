"""What ``marketdata watch`` shows: the latest bar of each symbol, and how its prices went."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from marketdata.client import BarsChange, RangeChange, SubscriptionUpdate, Timeframe
from marketdata.domain.bars import BarFrame
from marketdata.domain.time_range import from_unix_us

#: Bars that a sparkline shows.
SPARK_BARS: Final = 30
_SPARKS: Final = "▁▂▃▄▅▆▇█"
# Symbols that a terminal shows; those that changed last.
_MOST_LINES: Final = 50
_HEADINGS: Final = ("symbol", "", "time", "close", "change", "volume", "revision", "seq", "")


@dataclass
class _Line:
    """The bars of one symbol and timeframe that are shown."""

    closes: dict[int, float] = field(default_factory=dict)
    time_us: int = 0
    volume: float = 0.0
    revision: int = 0
    seq: int = 0


class WatchTable:
    """Keeps the newest bars of what is watched, and draws them."""

    def __init__(self) -> None:
        self._lines: OrderedDict[tuple[str, Timeframe], _Line] = OrderedDict()
        self.state = "connecting"
        self.seq = 0

    def add(self, update: SubscriptionUpdate) -> None:
        """Take in an update."""
        self.seq = max(self.seq, update.seq)
        change = update.change
        if isinstance(change, BarsChange):
            self.add_bars(change.frame, change.timeframe, update.seq)
        elif isinstance(change, RangeChange):
            self._forget(change)

    def add_bars(self, frame: BarFrame, timeframe: Timeframe, seq: int) -> None:
        """Take in bars: of each symbol the last rows are what counts."""
        index = frame.row_symbol_index()
        for position, symbol in enumerate(frame.symbols):
            rows = np.flatnonzero(index == position)[-SPARK_BARS:]
            if len(rows):
                self._add_rows((symbol, timeframe), frame, rows.tolist(), seq)

    def _add_rows(
        self, key: tuple[str, Timeframe], frame: BarFrame, rows: Sequence[int], seq: int
    ) -> None:
        line = self._lines.setdefault(key, _Line())
        for row in rows:
            time_us = int(frame.time_us[row])
            line.closes[time_us] = float(frame.close[row])
            if time_us >= line.time_us:
                line.time_us, line.volume = time_us, float(frame.volume[row])
                line.revision, line.seq = int(frame.revision[row]), seq
        line.closes = dict(sorted(line.closes.items())[-SPARK_BARS:])
        self._lines.move_to_end(key, last=False)

    def _forget(self, change: RangeChange) -> None:
        for (symbol, timeframe), line in self._lines.items():
            if timeframe is change.timeframe and (not change.symbols or symbol in change.symbols):
                kept = line.closes.items()
                line.closes = {t: c for t, c in kept if not change.start_us <= t < change.end_us}

    def drawn(self) -> Table:
        """Draw it as it is."""
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for position, heading in enumerate(_HEADINGS):
            is_number = 3 <= position < len(_HEADINGS) - 1  # noqa: PLR2004 -- from the close on
            table.add_column(heading, justify="right" if is_number else "left", no_wrap=True)
        for (symbol, timeframe), line in list(self._lines.items())[:_MOST_LINES]:
            if line.closes:
                table.add_row(Text(symbol), timeframe.value, *_cells(line, timeframe))
        table.caption = f"{self.state}, seq {self.seq:,}; Ctrl-C ends it"
        table.caption_justify = "left"
        return table


def sparkline(values: Sequence[float]) -> str:
    """Draw numbers as a line of blocks, from the least to the greatest of them."""
    least, greatest = min(values), max(values)
    if least == greatest:
        return _SPARKS[len(_SPARKS) // 2] * len(values)
    scale = (len(_SPARKS) - 1) / (greatest - least)
    return "".join(_SPARKS[round((value - least) * scale)] for value in values)


def time_text(time_us: int, timeframe: Timeframe) -> str:
    """Write the time of a bar: of daily ones the session date."""
    form = "%Y-%m-%d" if timeframe is Timeframe.DAY_1 else "%Y-%m-%d %H:%M"
    return from_unix_us(time_us).strftime(form)


def _cells(line: _Line, timeframe: Timeframe) -> tuple[str | Text, ...]:
    closes = list(line.closes.values())
    change = closes[-1] / closes[-2] - 1 if len(closes) > 1 else 0.0
    style = "green" if change > 0 else "red" if change < 0 else ""
    return (
        time_text(line.time_us, timeframe),
        f"{closes[-1]:,.2f}",
        Text(f"{change:+.2%}" if len(closes) > 1 else "", style=style),
        "" if np.isnan(line.volume) else f"{line.volume:,.0f}",
        str(line.revision) if line.revision else "",
        f"{line.seq:,}" if line.seq else "",
        sparkline(closes),
    )
