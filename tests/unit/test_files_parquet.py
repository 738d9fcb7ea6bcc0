"""Parquet files read into bars."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from marketdata.errors import BarFileError
from marketdata.providers.files import parquet_source
from marketdata.providers.files.fields import FileKind
from tests.support.bar_files import file_options, read_file, read_parquet
from tests.support.bars import Bar

JAN_2 = 1_704_153_600_000_000
DAY = 86_400_000_000


def table(n: int = 1, **columns: pa.Array) -> pa.Table:
    """Make a table of `n` daily bars; columns can be replaced, and others come after."""
    given = {
        "Date": pa.array([JAN_2 + day * DAY for day in range(n)]).cast(pa.timestamp("us")),
        "Open": pa.array([10.0] * n),
        "High": pa.array([12.0] * n),
        "Low": pa.array([9.0] * n),
        "Close": pa.array([11.0] * n),
        "Volume": pa.array([100] * n),
    }
    return pa.table(given | columns)


def test_read_given_a_usual_file_gives_its_bars(tmp_path: Path) -> None:
    """Columns of a vendor's names and types."""
    found = read_parquet(tmp_path, table())
    assert (found.bars, found.lines, found.rejected) == ([Bar("AAPL", JAN_2, feed=0)], [1], [])


def test_read_given_many_blocks_counts_rows_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are numbered from 1 across blocks and row groups."""
    monkeypatch.setattr(parquet_source, "_BLOCK_ROWS", 3)
    closes = pa.array([11.0] * 4 + [50.0] + [11.0] * 3)
    found = read_parquet(tmp_path, table(8, Close=closes))
    assert found.lines == [1, 2, 3, 4, 6, 7, 8]
    assert found.rejected == [(5, "HIGH_NOT_HIGHEST", "high", "12.0")]


@pytest.mark.parametrize(
    "columns",
    [
        {"Open": pa.array([10], pa.int32())},
        {"Open": pa.array([10], pa.float32())},
        {"Open": pa.array(["10"])},
        {"Open": pa.array([10]).cast(pa.decimal128(30, 4))},
        {"Date": pa.array([19_724], pa.date32())},
        {"Date": pa.array(["2024-01-02"], pa.large_string())},
        {"Date": pa.array([JAN_2 * 1_000]).cast(pa.timestamp("ns", "UTC"))},
        {"Date": pa.array([20240102])},
        {"note": pa.array([[1, 2]])},
    ],
    ids=lambda columns: ", ".join(f"{name} {column.type}" for name, column in columns.items()),
)
def test_read_given_other_types_gives_the_same_bars(
    tmp_path: Path, columns: dict[str, pa.Array]
) -> None:
    """Any type of number or time will do; columns that nobody needs are not even read."""
    assert read_parquet(tmp_path, table(1, **columns)).bars == [Bar("AAPL", JAN_2, feed=0)]


def test_read_given_nulls_takes_them_for_missing(tmp_path: Path) -> None:
    """A missing price costs the bar, a missing volume does not; a row of nulls is blank."""
    columns = {
        name: pa.array([None, value, value], kind)
        for name, value, kind in (
            ("Open", 10.0, pa.float64()),
            ("High", 12.0, pa.float64()),
            ("Low", 9.0, pa.float64()),
        )
    }
    times = pa.array([None, JAN_2, JAN_2 + DAY]).cast(pa.timestamp("us"))
    closes, volumes = pa.array([None, 11.0, None], pa.float64()), pa.array([None, None, 5], pa.int64())
    found = read_parquet(tmp_path, table(3, **columns, Date=times, Close=closes, Volume=volumes))
    assert found.bars == [Bar("AAPL", JAN_2, volume=None, feed=0)]
    assert (found.rows, found.rejected) == (2, [(3, "NOT_FINITE", "close", "nan")])


def test_read_given_symbols_as_dictionary_reads_them(tmp_path: Path) -> None:
    """What pandas makes of a category."""
    symbols = pa.array(["IBM", "AAPL"]).dictionary_encode()
    found = read_parquet(tmp_path, table(2, Ticker=symbols), symbol=None)
    assert [bar.symbol for bar in found.bars] == ["AAPL", "IBM"]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ({"Date": pa.array([1.5])}, "the column of times holds double"),
        ({"Open": pa.array([[1.0]])}, "column 'Open' holds list<"),
        ({"Open": pa.array([True])}, "column 'Open' holds bool"),
    ],
)
def test_read_given_a_type_that_cannot_be_says_which_column(
    tmp_path: Path, column: dict[str, Any], said: str
) -> None:
    """The type of a column is wrong for all of its rows: the file is refused."""
    with pytest.raises(BarFileError, match=said):
        read_parquet(tmp_path, table(1, **column))


def test_read_given_a_column_twice_refuses(tmp_path: Path) -> None:
    """Nothing tells which of them is meant."""
    arrays = [*table().columns, pa.array([11.0])]
    twice = pa.Table.from_arrays(arrays, names=[*table().column_names, "Close"])
    with pytest.raises(BarFileError, match=r"several columns are called 'Close'"):
        read_parquet(tmp_path, twice, "close=#5")


def test_open_given_what_is_no_parquet_says_so(tmp_path: Path) -> None:
    """A CSV file by mistake, or a download that was cut."""
    path = tmp_path / "bars.parquet"
    path.write_text("Date,Open,High,Low,Close\n")
    with pytest.raises(BarFileError, match=r"bars\.parquet cannot be read: .*Parquet"):
        read_file(path, FileKind.PARQUET, file_options())


def test_read_given_a_damaged_file_stops_with_the_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came before the damage is good."""
    monkeypatch.setattr(parquet_source, "_BLOCK_ROWS", 100)
    path = tmp_path / "bars.parquet"
    pyarrow.parquet.write_table(table(1_000), path, row_group_size=100, compression="zstd")
    content = bytearray(path.read_bytes())
    middle = len(content) // 3
    content[middle : middle + 2_000] = bytes(2_000)
    path.write_bytes(content)
    with pytest.raises(BarFileError, match=r"bars\.parquet cannot be read past row \d00"):
        read_file(path, FileKind.PARQUET, file_options())
