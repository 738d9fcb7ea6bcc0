"""Bars drawn in a terminal: as many as fit, told by form where there are no colours."""

from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from marketdata.cli.bar_plot import BarPlot
from marketdata.client import AppliedRead
from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bar_order import BarOrder
from marketdata.domain.bars import BarFrame
from marketdata.domain.calendar import SessionHours
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.errors import PlotTooNarrowError

TUESDAY_US = 1_704_153_600_000_000
AXIS = 18
NOW = datetime(2024, 6, 1, tzinfo=UTC)
APPLIED = AppliedRead(
    timeframe=Timeframe.DAY_1,
    source_timeframe=Timeframe.DAY_1,
    adjustment=Adjustment.RAW,
    session=SessionHours.REGULAR,
    order=BarOrder.SYMBOL_TIME,
    start=NOW,
    end=NOW,
    unresolved_symbols=(),
    unadjusted_actions=(),
    read_time=NOW,
    snapshot_seq=1,
)


def zigzag(count: int, *, volume: float = 1_000.0) -> BarFrame:
    """Give days that rise and fall by turns, over the whole height of a plot."""
    low, high = np.full(count, 10.0), np.full(count, 20.0)
    is_rising = np.arange(count) % 2 == 0
    return BarFrame(
        symbols=("AAPL",),
        time_us=TUESDAY_US + np.arange(count) * MICROSECONDS_PER_DAY,
        open=np.where(is_rising, low, high),
        high=high,
        low=low,
        close=np.where(is_rising, high, low),
        volume=np.full(count, volume),
    )


def drawn(
    frame: BarFrame, columns: int, applied: AppliedRead = APPLIED, *, colors: bool = False
) -> str:
    """Draw bars on a terminal of so many columns and 30 lines."""
    console = Console(
        file=StringIO(),
        width=columns,
        height=30,
        force_terminal=True,
        color_system="256" if colors else None,
        _environ={},
    )
    BarPlot(console).draw(frame, applied)
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue()


@pytest.mark.parametrize("columns", [30, 60, 100, 237])
def test_bar_plot_given_width_stays_within_it(columns: int) -> None:
    """No line is cut or wrapped, and it takes no more lines than the terminal has."""
    lines = drawn(zigzag(500), columns).splitlines()
    assert max(len(line) for line in lines) <= columns
    assert len(lines) <= 30 - 1
    assert "AAPL 1d raw" in "\n".join(lines)


def test_bar_plot_given_more_bars_than_fit_draws_the_last_and_says_so() -> None:
    """Forty bars fit into sixty columns; the first time below is the one of the first bar drawn."""
    out = drawn(zigzag(50), 60)
    assert "the last 40 bars, more do not fit" in out
    (axis,) = (line for line in out.splitlines() if "╵20" in line)
    assert axis[AXIS:].startswith("╵2024-01-12")
    assert "do not fit" not in drawn(zigzag(40), 60)


def test_bar_plot_given_no_colors_tells_rising_from_falling() -> None:
    """Rising bars are hollow, falling ones are not, and there is no escape code."""
    out = drawn(zigzag(10), 60)
    assert "\x1b" not in out
    body = out.splitlines()[8]
    assert body[AXIS : AXIS + 10] == "║┃" * 5
    assert "║ rises, ┃ falls" in out


def test_bar_plot_given_colors_uses_them_and_no_legend() -> None:
    """Where there are colours the two kinds of bars have two."""
    out = drawn(zigzag(10), 60, colors=True)
    assert "\x1b[38;5;77m┃" in out
    assert "\x1b[38;5;167m┃" in out
    assert "rises" not in out


@pytest.mark.parametrize("volume", [np.nan, 0.0])
def test_bar_plot_given_no_volume_leaves_its_pane_out(volume: float) -> None:
    """An index has no volume: the prices get the room."""
    out = drawn(zigzag(10, volume=volume), 60)
    assert "volume" not in out
    assert "volume below, at most 1,000" in drawn(zigzag(10), 60)


def test_bar_plot_given_some_volumes_missing_draws_the_others() -> None:
    """One missing volume does not take the others away."""
    frame = zigzag(10)
    volume = frame.volume.copy()
    volume[3] = np.nan
    assert "at most 1,000" in drawn(replace(frame, volume=volume), 60)


def test_bar_plot_given_adjusted_minutes_says_what_they_are() -> None:
    """What the prices are, and which zone the times are in."""
    applied = replace(APPLIED, timeframe=Timeframe.MINUTE_1, adjustment=Adjustment.ALL)
    out = drawn(zigzag(10), 100, applied)
    assert "AAPL 1m adjusted: all" in out
    assert "times in UTC" in out
    assert "╵01-02 00:00" in out


def test_bar_plot_given_one_bar_draws_it() -> None:
    """The smallest series that there is."""
    assert "1 bar ·" in drawn(zigzag(1), 100)


def test_bar_plot_given_too_few_columns_says_how_many_it_takes() -> None:
    """A plot of three bars is none."""
    console = Console(file=StringIO(), width=29, height=30, force_terminal=True)
    with pytest.raises(PlotTooNarrowError, match="needs 30 columns and the terminal has 29"):
        BarPlot(console)
