"""A line of ``marketdata storage show``."""

from dataclasses import replace
from typing import Final

from marketdata.cli.keeping import Table
from marketdata.cli.storage_run import table_row
from marketdata.domain.calendar_span import CalendarSpan
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_storage import TableStorage
from marketdata.storage.table_sizes import TableSize

KEPT: Final = TableStorage(
    Timeframe.MINUTE_1, 1, CalendarSpan(days=1), CalendarSpan(months=6), None, None
)
SIZE: Final = TableSize(
    timeframe=Timeframe.MINUTE_1,
    partitions=4,
    compressed=3,
    rows=12_154,
    is_estimate=False,
    symbols=5,
    size_bytes=2_048,
    bytes_before=9_000,
    bytes_after=3_000,
    first_us=0,
    last_us=1_704_229_140_000_000,
)


def test_table_row_given_an_estimate_says_so() -> None:
    """A number that was not counted is told apart from one that was."""
    assert table_row(Table.MIN, KEPT, SIZE)[6:9] == ["12,154", "2.0 kB", "3.0"]
    assert table_row(Table.MIN, KEPT, replace(SIZE, is_estimate=True))[6] == "~12,154"
