"""Bars drawn in a terminal: prices above, volume below, times at the foot."""

from collections.abc import Sequence
from textwrap import wrap
from typing import Final

import numpy as np
from candlestick_chart import Candle, Chart, constants
from candlestick_chart.candle_set import CandleSet
from candlestick_chart.info_bar import InfoBar
from rich.color import Color
from rich.console import Console
from rich.segment import Segment, Segments

from marketdata.client import AppliedRead
from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bars import BarFrame
from marketdata.domain.time_range import from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import PlotTooNarrowError

# Taller ones say no more, and push away what stood above.
_MOST_LINES: Final = 40
_LEAST_LINES: Final = 12
# Of a pipe, which has no size.
_PIPE_COLUMNS, _PIPE_LINES = 100, 30
_LEAST_BARS: Final = 10
# A price, its tick and a margin stand to the left of the first bar.
_AXIS_COLUMNS: Final = constants.CHAR_PRECISION + constants.DEC_PRECISION + 3 + constants.MARGIN_RIGHT
# What the library itself leaves free beside the bars.
_OTHER_COLUMNS: Final = constants.WIDTH + constants.MARGIN_RIGHT
_TIME_TICK: Final = "╵"
_LEAST_BETWEEN_TIMES: Final = 2
_BETWEEN: Final = " · "
_LIBRARY_LINES: Final = constants.MARGIN_TOP + constants.HEIGHT
_RISING, _FALLING = (52, 208, 88), (234, 74, 90)
_RISING_COLOR: Final = Color.from_rgb(*_RISING)
# Where there are no colours, rising bars are hollow, as on paper.
_HOLLOW: Final = str.maketrans({constants.UNICODE_BODY: "║"})
_LEGEND: Final = f"║ rises, {constants.UNICODE_BODY} falls"


class BarPlot:
    """Draws bars onto a console.

    Parameters
    ----------
    console : Console
        Where to; its size is the plot's. Without colours (a pipe, ``NO_COLOR``) rising bars are told
        by their form.

    Raises
    ------
    PlotTooNarrowError
        The console takes less than ten bars.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        is_terminal = console.is_terminal
        self._columns = console.width if is_terminal else _PIPE_COLUMNS
        lines = console.height - 2 if is_terminal else _PIPE_LINES  # the command and the next prompt
        self._lines = max(_LEAST_LINES, min(lines, _MOST_LINES))
        if self.most_bars < _LEAST_BARS:
            needed = _OTHER_COLUMNS + _LEAST_BARS
            raise PlotTooNarrowError(
                f"--plot needs {needed} columns and the terminal has {self._columns}; widen it"
            )

    @property
    def most_bars(self) -> int:
        """How many bars fit; of more the last ones are drawn."""
        return self._columns - _OTHER_COLUMNS

    def draw(self, frame: BarFrame, applied: AppliedRead) -> None:
        """Draw the last bars of a frame of one symbol that has at least one.

        Parameters
        ----------
        frame : BarFrame
            With times, prices and volumes; a missing volume is drawn as none.
        applied : AppliedRead
            What the bars are.
        """
        count = min(len(frame), self.most_bars)
        is_plain = self._console.color_system is None or self._console.no_color
        foot = _Foot(
            [*_parts(frame, applied, count), *([_LEGEND] if is_plain else [])],
            _times(frame, applied.timeframe)[-count:],
        )
        # The library counts two lines for its own foot, and three that it leaves free.
        lines = self._lines - len(foot.lines(self._columns)) + _LIBRARY_LINES
        chart = Chart(_bars(frame, count), width=self._columns, height=lines)
        for set_color in (chart.set_bull_color, chart.set_vol_bull_color):
            set_color(*_RISING)
        for set_color in (chart.set_bear_color, chart.set_vol_bear_color):
            set_color(*_FALLING)
        chart.set_volume_pane_enabled(bool(np.any(frame.volume[-count:] > 0)))
        if not chart.volume_pane.enabled:
            chart.set_volume_pane_height(0)
        chart.info_bar = foot
        options = self._console.options.update(width=self._columns, height=lines)
        segments = list(self._console.render(chart, options))
        if is_plain:
            segments = [_told_by_form(segment) for segment in segments]
        # The first line is empty.
        first = next(n for n, segment in enumerate(segments) if segment.text == "\n")
        self._console.print(Segments(segments[first + 1 :]))


class _Foot(InfoBar):
    """Times and words below the bars; the library's own foot breaks off within words."""

    __slots__ = ("_parts", "_times")

    def __init__(self, parts: Sequence[str], times: Sequence[str]) -> None:
        super().__init__("")
        self._parts = parts
        self._times = times

    def lines(self, columns: int) -> list[str]:
        """Lay them out within so many columns."""
        lines = [self._axis(columns), ""]
        for part in self._parts:
            joined = f"{lines[-1]}{_BETWEEN if lines[-1] else ''}{part}"
            if len(joined) <= columns:
                lines[-1] = joined
            else:
                lines += wrap(part, columns)
        return lines

    def render(self, candle_set: CandleSet, available_width: int) -> str:  # noqa: ARG002
        """Give what the library puts below the bars."""
        return "\n" + "\n".join(self.lines(available_width))

    def _axis(self, columns: int) -> str:
        axis = ""
        for place, time in enumerate(self._times):
            column = _AXIS_COLUMNS + place
            has_room = not axis or column >= len(axis) + _LEAST_BETWEEN_TIMES
            if has_room and column + len(time) < columns:
                axis = f"{axis:<{column}}{_TIME_TICK}{time}"
        return axis


def _bars(frame: BarFrame, count: int) -> list[Candle]:
    """Make what the library, which calls a bar a candle, draws."""
    columns = (frame.open, frame.high, frame.low, frame.close, np.nan_to_num(frame.volume))
    rows = zip(*(column[-count:].tolist() for column in columns), strict=True)
    return [Candle(open=o, high=h, low=lo, close=c, volume=v) for o, h, lo, c, v in rows]


def _parts(frame: BarFrame, applied: AppliedRead, count: int) -> list[str]:
    """Say what is drawn, the most important first."""
    first, last = float(frame.open[-count]), float(frame.close[-1])
    volume = frame.volume[-count:]
    adjusted = (
        "raw" if applied.adjustment is Adjustment.RAW else f"adjusted: {applied.adjustment.value}"
    )
    bars = "1 bar" if count == 1 else f"{count} bars"
    if count < len(frame):
        bars = f"the last {bars}, more do not fit the width"
    parts = [
        f"{frame.symbols[0]} {applied.timeframe.value} {adjusted}",
        bars,
        f"close {last:,.2f} ({(last / first - 1) * 100:+.2f} % since the first open)",
        f"high {frame.high[-count:].max():,.2f}",
        f"low {frame.low[-count:].min():,.2f}",
    ]
    if np.any(volume > 0):
        parts.append(f"volume below, at most {np.nanmax(volume):,.0f}")
    if applied.timeframe is not Timeframe.DAY_1:
        parts.append("times in UTC")
    return parts


def _times(frame: BarFrame, timeframe: Timeframe) -> list[str]:
    time_format = "%Y-%m-%d" if timeframe is Timeframe.DAY_1 else "%m-%d %H:%M"
    return [from_unix_us(time_us).strftime(time_format) for time_us in frame.time_us.tolist()]


def _told_by_form(segment: Segment) -> Segment:
    is_rising = segment.style is not None and segment.style.color == _RISING_COLOR
    return Segment(segment.text.translate(_HOLLOW) if is_rising else segment.text)
