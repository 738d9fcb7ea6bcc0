"""Files of bars written, and read back as they were."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.bars import BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import BarFileError
from marketdata.providers.files import bar_sink
from marketdata.providers.files.bar_sink import open_sink, stream_sink
from marketdata.providers.files.fields import FileKind
from tests.support.bar_files import file_options, read_file
from tests.support.bars import Bar, frame_of, key_order, series

JAN_2 = 1_704_153_600_000_000
FEEDS = {3: "manual/upload", 7: "sample/eod"}
PRICES = st.floats(1e-300, 1e300)


@st.composite
def bars(draw: st.DrawFn, timeframe: Timeframe) -> list[Bar]:
    """Draw bars of several symbols that may be stored, with floats of all sizes."""
    steps = st.integers(0, 2_000).map(lambda step: JAN_2 + step * timeframe.alignment_us)
    keys = st.tuples(st.sampled_from(["AAPL", "BRK.B", "NULL", "NA"]), steps)
    drawn = []
    for symbol, time_us in draw(st.lists(keys, unique=True, max_size=20)):
        low, *middle, high = sorted(draw(st.lists(PRICES, min_size=4, max_size=4)))
        drawn.append(
            Bar(
                symbol,
                time_us,
                open=middle[0],
                high=high,
                low=low,
                close=middle[1],
                volume=draw(st.one_of(st.none(), st.floats(0, 1e300))),
                vwap=draw(st.one_of(st.none(), PRICES)),
                trade_count=draw(st.integers(-1, 2**53)),
                feed=draw(st.sampled_from(sorted(FEEDS))),
                flags=draw(st.sampled_from([1, 5])),
            )
        )
    return drawn


def framed(rows: list[Bar]) -> BarFrame:
    """Make a frame whose feeds have names."""
    return replace(frame_of(rows), feeds=FEEDS)


@pytest.mark.parametrize("kind", FileKind)
@pytest.mark.parametrize("timeframe", [Timeframe.MINUTE_1, Timeframe.HOUR_1, Timeframe.DAY_1])
@given(data=st.data())
def test_write_given_any_bars_reads_them_back_bit_by_bit(
    tmp_path_factory: pytest.TempPathFactory, kind: FileKind, timeframe: Timeframe, data: st.DataObject
) -> None:
    """Export then import: no number is rounded, no bar changes its symbol, time, feed or flags."""
    rows = data.draw(bars(timeframe))
    path = tmp_path_factory.mktemp("sink") / f"bars.{kind.value}"
    with open_sink(path, kind, timeframe) as sink:
        for part in (rows[::2], rows[1::2]):
            sink.write(framed(part))
    found = read_file(path, kind, file_options(timeframe.value, symbol=None))
    names = [found.feeds.index(FEEDS[bar.feed]) for bar in key_order(rows)]
    expected = [bar._replace(feed=feed) for bar, feed in zip(key_order(rows), names, strict=True)]
    assert (found.bars, found.rejected) == (expected, [])


def test_write_given_csv_is_readable_to_people() -> None:
    """Dates of daily bars, instants of others; what is missing is empty."""
    stream = io.BytesIO()
    sink = stream_sink(stream, FileKind.CSV, Timeframe.DAY_1)
    sink.write(
        framed([Bar("AAPL", JAN_2, 10.1, feed=3), Bar("IBM", JAN_2, vwap=11.5, trade_count=9, feed=7)])
    )
    sink.finish()
    assert stream.getvalue().decode().splitlines() == [
        "symbol,time,open,high,low,close,volume,vwap,trade_count,feed,flags,revision",
        "AAPL,2024-01-02,10.1,12,9,11,100,,,manual/upload,1,0",
        "IBM,2024-01-02,10,12,9,11,100,11.5,9,sample/eod,1,0",
    ]
    stream = io.BytesIO()
    stream_sink(stream, FileKind.CSV, Timeframe.MINUTE_1).write(
        framed([Bar("A", JAN_2 + 60_000_000, feed=3)])
    )
    assert stream.getvalue().decode().splitlines()[1].startswith("A,2024-01-02 00:01:00Z,10,")


def test_write_given_many_small_frames_makes_few_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream of small batches does not become a file of small groups."""
    monkeypatch.setattr(bar_sink, "_ROWS_A_GROUP", 10)
    path = tmp_path / "bars.parquet"
    rows = [bar._replace(feed=3) for bar in series("A", Timeframe.DAY_1, JAN_2, 25)]
    with open_sink(path, FileKind.PARQUET, Timeframe.DAY_1) as sink:
        for row in rows:
            sink.write(framed([row]))
    metadata = pyarrow.parquet.read_metadata(path)
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [10, 10, 5]


@pytest.mark.parametrize("kind", FileKind)
def test_write_given_no_bars_writes_a_complete_file(tmp_path: Path, kind: FileKind) -> None:
    """An empty table with its columns."""
    path = tmp_path / f"bars.{kind.value}"
    with open_sink(path, kind, Timeframe.DAY_1):
        pass
    assert read_file(path, kind, file_options(symbol=None)).rows == 0


@pytest.mark.parametrize("kind", FileKind)
def test_write_given_a_failure_leaves_the_former_file_and_nothing_else(
    tmp_path: Path, kind: FileKind
) -> None:
    """Half a file never has the name of a whole one."""
    path = tmp_path / f"bars.{kind.value}"
    path.write_text("former")
    with pytest.raises(RuntimeError), open_sink(path, kind, Timeframe.DAY_1) as sink:  # noqa: PT012 -- in it
        sink.write(framed([Bar("AAPL", JAN_2, feed=3)]))
        assert len(list(tmp_path.iterdir())) == 2
        raise RuntimeError
    assert (path.read_text(), list(tmp_path.iterdir())) == ("former", [path])


def test_open_given_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    """The system's reason, and the path that was asked for."""
    path = tmp_path / "none" / "bars.csv"
    with (
        pytest.raises(BarFileError, match=r"none/bars\.csv cannot be written: No such file"),
        open_sink(path, FileKind.CSV, Timeframe.DAY_1),
    ):
        pass


@pytest.mark.parametrize("kind", FileKind)
def test_write_given_a_full_disk_fails_as_the_system_does(kind: FileKind) -> None:
    """Whoever opened the stream gets its error, and nothing is written behind its back."""
    rows = [bar._replace(feed=3) for bar in series("A", Timeframe.DAY_1, JAN_2, 5_000)]
    with (
        Path("/dev/full").open("wb", buffering=0) as stream,
        pytest.raises(OSError, match="No space left"),
    ):
        write_all(stream, kind, rows)


def write_all(stream: Any, kind: FileKind, rows: list[Bar]) -> None:
    """Write rows to a stream as an export does."""
    sink = None
    try:
        sink = stream_sink(stream, kind, Timeframe.DAY_1)
        sink.write(framed(rows))
        sink.finish()
    finally:
        if sink is not None:
            sink.abandon()
