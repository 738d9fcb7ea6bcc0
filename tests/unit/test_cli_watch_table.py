"""The table of ``marketdata watch``: what it keeps of updates, and how it draws them."""

from io import StringIO
from typing import Final

from rich.console import Console

from marketdata.cli.watch_table import SPARK_BARS, WatchTable, sparkline
from marketdata.client import BarsChange, RangeChange, RangeReason, SubscriptionUpdate, Timeframe
from tests.support.bars import Bar, days, frame_of, series

DAY: Final = Timeframe.DAY_1
START_US: Final = days(20_000)


def drawn(table: WatchTable) -> str:
    """Draw a table as text."""
    console = Console(file=StringIO(), width=120, color_system=None)
    console.print(table.drawn())
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue()


def told(bars: list[Bar], seq: int) -> SubscriptionUpdate:
    """Make the update of some bars."""
    return SubscriptionUpdate(BarsChange((frame_of(bars),), DAY), seq, "")


def test_add_given_bars_shows_the_latest_of_each_symbol() -> None:
    """Its time, close, change to the bar before, and how the closes went."""
    table = WatchTable()
    table.add(told([*series("AAPL", DAY, START_US, 3), Bar("IBM", START_US, close=50.0)], 7))
    text = drawn(table)
    (apple,) = [line for line in text.splitlines() if "AAPL" in line]
    assert apple.split() == ["AAPL", "1d", "2024-10-06", "11.02", "+0.09%", "100", "7", "▁▅█"]
    assert "IBM" in text
    assert "seq 7" in text


def test_add_given_revisions_replaces_bars_and_keeps_the_latest() -> None:
    """An earlier bar that is revised changes the line of closes, not the bar that is shown."""
    table = WatchTable()
    bars = series("AAPL", DAY, START_US, 3)
    table.add(told(bars, 1))
    table.add(told([bars[0]._replace(close=99.0, revision=1)], 2))
    (apple,) = [line for line in drawn(table).splitlines() if "AAPL" in line]
    assert apple.split()[2:4] == ["2024-10-06", "11.02"]
    assert apple.split()[-1] == "█▁▁"
    table.add(told([bars[2]._replace(close=5.0, revision=1)], 3))
    (apple,) = [line for line in drawn(table).splitlines() if "AAPL" in line]
    assert apple.split()[3:] == ["5.00", "-54.59%", "100", "1", "3", "█▁▁"]


def test_add_given_deletion_forgets_its_bars() -> None:
    """What was deleted is not shown any more."""
    table = WatchTable()
    table.add(told(series("AAPL", DAY, START_US, 3), 1))
    whole = RangeChange((), DAY, START_US, START_US + days(3), RangeReason.DELETED)
    table.add(SubscriptionUpdate(whole, 2, ""))
    assert "AAPL" not in drawn(table)


def test_add_given_many_bars_keeps_those_that_are_drawn() -> None:
    """A table that lives for weeks does not grow."""
    table = WatchTable()
    for number in range(100):
        table.add(told([Bar("AAPL", START_US + days(number), close=10.0 + number)], number))
    (apple,) = [line for line in drawn(table).splitlines() if "AAPL" in line]
    assert len(apple.split()[-1]) == SPARK_BARS


def test_sparkline_given_numbers_spans_the_least_to_the_greatest() -> None:
    """Without a difference it is a line in the middle."""
    assert sparkline([1.0, 2.0, 3.0]) == "▁▅█"
    assert sparkline([2.0, 2.0]) == "▅▅"
