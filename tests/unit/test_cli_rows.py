"""Rows for pipes: exact numbers, plain times, and nothing where a value is missing."""

import csv
import json

import numpy as np
import pytest

from marketdata.cli.bar_reads import bar_rows
from marketdata.cli.rows import RowForm, RowWriter, iso_times
from marketdata.domain.bars import BarFlag, BarFrame
from marketdata.domain.timeframe import Timeframe

FIELDS = ("symbol", "close", "count", "is_final", "other")
# Open of 2024-01-02 in New York, and the label of its session.
OPEN_US, LABEL_US = 1_704_205_800_000_000, 1_704_153_600_000_000


def test_row_writer_given_json_writes_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the text and however long the number, it reads back as it was."""
    rows: list[tuple[object, ...]] = [
        ('Söhne "&"\n', 0.1 + 0.2, 3, True, {}),
        ("B", 1e-9, None, False, None),
    ]
    RowWriter(RowForm.JSON, FIELDS).write(rows)
    lines = capsys.readouterr().out.splitlines()
    assert [tuple(json.loads(line).values()) for line in lines] == rows
    assert tuple(json.loads(lines[0])) == FIELDS


def test_row_writer_given_csv_writes_a_header_and_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    """Missing is empty, truth is spelt as in JSON, and a comma stays within its cell."""
    RowWriter(RowForm.CSV, FIELDS).write([("A, B", 0.1 + 0.2, None, True, {"yahoo": "A"})])
    out = capsys.readouterr().out
    assert list(csv.reader(out.splitlines())) == [
        list(FIELDS),
        ["A, B", "0.30000000000000004", "", "true", '{"yahoo":"A"}'],
    ]
    assert "\r" not in out


def test_row_writer_given_no_rows_writes_only_a_header(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty answer is a table without rows, and no lines of JSON."""
    RowWriter(RowForm.CSV, FIELDS).write([])
    RowWriter(RowForm.JSON, FIELDS).write([])
    assert capsys.readouterr().out == ",".join(FIELDS) + "\n"


def test_row_writer_given_nan_refuses_it() -> None:
    """NaN is no JSON: it must have been turned into null before."""
    with pytest.raises(ValueError, match="JSON"):
        RowWriter(RowForm.JSON, ("x",)).write([(float("nan"),)])


def test_iso_times_given_timeframe_writes_instants_or_dates() -> None:
    """The label of a daily bar is a date; everything else is an instant in UTC."""
    assert iso_times(np.array([OPEN_US]), Timeframe.MINUTE_1) == ["2024-01-02T14:30:00Z"]
    assert iso_times(np.array([LABEL_US]), Timeframe.DAY_1) == ["2024-01-02"]
    assert iso_times(np.empty(0, np.int64), Timeframe.HOUR_1) == []


def test_bar_rows_given_missing_values_have_none() -> None:
    """NaN and -1 stand for missing in columns; flags become words."""
    frame = BarFrame(
        symbols=("IBM", "AAPL"),
        time_us=np.array([OPEN_US, OPEN_US + 60_000_000]),
        open=np.array([1.5, 2.0]),
        high=np.array([3.0, 3.0]),
        low=np.array([1.0, 1.0]),
        close=np.array([2.0, 2.5]),
        volume=np.array([np.nan, 0.0]),
        vwap=np.array([1.25, np.nan]),
        trade_count=np.array([-1, 7]),
        feed=np.array([4, 2], np.int16),
        flags=np.array([BarFlag.FINAL, BarFlag.DERIVED | BarFlag.EXTENDED_SESSION], np.int16),
        revision=np.array([0, 3], np.int32),
        symbol_index=np.array([1, 0], np.int32),
        feeds={2: "manual/upload", 4: "sample/eod"},
    )
    assert list(bar_rows(frame, Timeframe.MINUTE_1)) == [
        (
            "AAPL", "2024-01-02T14:30:00Z", 1.5, 3.0, 1.0, 2.0, None, 1.25, None, "sample/eod",
            True, False, False, 0,
        ),
        (
            "IBM", "2024-01-02T14:31:00Z", 2.0, 3.0, 1.0, 2.5, 0.0, None, 7, "manual/upload",
            False, True, True, 3,
        ),
    ]  # fmt: skip
