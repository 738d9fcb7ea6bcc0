"""The columnar frame: what it holds its columns to, and how it picks, sorts and joins rows."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.bar_merge import merge_frames
from marketdata.domain.bars import (
    ALL_COLUMNS,
    COLUMN_DTYPES,
    BarColumn,
    BarFlag,
    BarFrame,
    column_names,
    full_columns,
)

SYMBOLS = ("MSFT", "AAPL", "BRK.B", "B")

# Rows as (index into SYMBOLS, time, open): few values, so that symbols and times meet.
Row = tuple[int, int, float]
ROWS = st.lists(
    st.tuples(st.integers(0, len(SYMBOLS) - 1), st.integers(0, 9), st.floats(1, 9)), max_size=30
)


def frame_of(rows: list[Row]) -> BarFrame:
    """Make a frame of many symbols with every column, its open telling rows apart."""
    given_columns: dict[BarColumn, Any] = {
        BarColumn.TIME: np.array([time for _, time, _ in rows], np.int64),
        BarColumn.OPEN: np.array([price for _, _, price in rows], np.float64),
    }
    index = np.array([symbol for symbol, _, _ in rows], np.int32)
    columns = full_columns(len(rows), given_columns)
    return BarFrame(SYMBOLS, **columns, symbol_index=index, feeds={0: "sample/eod"})


def rows_of(frame: BarFrame) -> list[tuple[str, int, float]]:
    """Read a frame back as (symbol, time, open)."""
    symbols = [frame.symbols[index] for index in frame.row_symbol_index()]
    return list(zip(symbols, frame.time_us.tolist(), frame.open.tolist(), strict=True))


def one_symbol(n: int, **columns: Any) -> BarFrame:
    """Make a frame of one symbol that has only the time and the columns given."""
    return BarFrame(("AAPL",), np.arange(n, dtype=np.int64), **columns)


def test_bar_frame_given_only_times_has_no_other_columns() -> None:
    """A column that was not asked for is an array of length 0 with its dtype."""
    frame = one_symbol(3)
    assert len(frame) == 3
    for column in ALL_COLUMNS - {BarColumn.TIME}:
        assert frame.column(column).shape == (0,)
        assert frame.column(column).dtype == COLUMN_DTYPES[column]


@pytest.mark.parametrize("column", list(BarColumn))
def test_bar_frame_given_column_of_another_dtype_raises_value_error(column: BarColumn) -> None:
    """Each column has one dtype; nothing is cast in passing."""
    wrong = np.zeros(2, np.uint8)
    columns = full_columns(2, {}) | {column.value: wrong}
    with pytest.raises(ValueError, match=rf"{column.value}: uint8\(2,\), expected"):
        BarFrame(("AAPL",), **columns)


@pytest.mark.parametrize("column", [c for c in BarColumn if c is not BarColumn.TIME])
@pytest.mark.parametrize("shape", [(1,), (3,), (2, 1)])
def test_bar_frame_given_column_of_another_shape_raises_value_error(
    column: BarColumn, shape: tuple[int, ...]
) -> None:
    """Each column has one value a bar."""
    columns = full_columns(2, {}) | {column.value: np.zeros(shape, COLUMN_DTYPES[column])}
    with pytest.raises(ValueError, match=f"{column.value}:"):
        BarFrame(("AAPL",), **columns)


@pytest.mark.parametrize(
    "index",
    [np.zeros(1, np.int32), np.zeros(3, np.int32), np.zeros((2, 1), np.int32), np.zeros(2)],
)
def test_bar_frame_given_another_symbol_index_raises_value_error(index: Any) -> None:
    """The symbol of each row is an int32, one a bar."""
    with pytest.raises(ValueError, match="symbol_index:"):
        one_symbol(2, symbol_index=index)


def test_row_symbol_index_given_one_symbol_is_zero_for_every_row() -> None:
    """Rows of one symbol need no index of their own."""
    assert one_symbol(3).row_symbol_index().tolist() == [0, 0, 0]
    assert one_symbol(3).row_symbol_index().dtype == np.int32


def test_row_symbol_index_given_many_symbols_is_the_column() -> None:
    """Rows of many symbols say theirs."""
    assert frame_of([(2, 0, 1.0), (0, 0, 1.0)]).row_symbol_index().tolist() == [2, 0]


@given(ROWS, st.data())
def test_take_given_mask_picks_the_rows_in_order(rows: list[Row], data: st.DataObject) -> None:
    """A mask picks every column alike."""
    mask = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    frame = frame_of(rows)
    expected = [row for row, wanted in zip(rows_of(frame), mask, strict=True) if wanted]
    picked = frame.take(np.array(mask, np.bool_))
    assert rows_of(picked) == expected
    assert {len(picked.column(column)) for column in BarColumn} == {len(expected)}


@given(ROWS.filter(bool), st.data())
def test_take_given_positions_picks_them_in_the_order_given(
    rows: list[Row], data: st.DataObject
) -> None:
    """Positions may repeat and go backwards."""
    positions = data.draw(st.lists(st.integers(0, len(rows) - 1)))
    frame = frame_of(rows)
    picked = frame.take(np.array(positions, np.int64))
    assert rows_of(picked) == [rows_of(frame)[position] for position in positions]


def test_take_given_absent_columns_leaves_them_absent() -> None:
    """What was not read is not made up."""
    picked = one_symbol(3, close=np.array([1.0, 2.0, 3.0])).take(np.array([2, 0]))
    assert picked.close.tolist() == [3.0, 1.0]
    assert (len(picked.open), len(picked.symbol_index)) == (0, 0)


def test_take_given_any_rows_keeps_the_dictionaries() -> None:
    """Symbols and feeds stay, so that indices and keys keep their meaning."""
    frame = frame_of([(1, 0, 1.0), (3, 0, 1.0)])
    picked = frame.take(np.array([1]))
    assert (picked.symbols, picked.feeds) == (frame.symbols, frame.feeds)


@given(ROWS)
def test_sorted_by_symbol_time_given_any_rows_equals_pythons_stable_sort(rows: list[Row]) -> None:
    """Rows order by the symbol's text, not its index, then by time; ties keep their order."""
    frame = frame_of(rows)
    expected = sorted(rows_of(frame), key=lambda row: row[:2])
    assert rows_of(frame.sorted_by_symbol_time()) == expected


@given(ROWS)
def test_sorted_by_symbol_time_given_sorted_rows_returns_the_frame_itself(rows: list[Row]) -> None:
    """Sorted input, the usual case, is not copied."""
    ordered = frame_of(rows).sorted_by_symbol_time()
    assert ordered.sorted_by_symbol_time() is ordered


def test_sorted_by_symbol_time_given_one_symbol_sorts_by_time() -> None:
    """A frame without an index sorts too, absent columns and all."""
    frame = BarFrame(("AAPL",), np.array([3, 1, 2]), close=np.array([3.0, 1.0, 2.0]))
    ordered = frame.sorted_by_symbol_time()
    assert ordered.time_us.tolist() == [1, 2, 3]
    assert ordered.close.tolist() == [1.0, 2.0, 3.0]
    assert len(ordered.open) == 0


def test_sorted_by_symbol_time_given_no_symbols_and_no_rows_is_itself() -> None:
    """The empty frame is sorted."""
    frame = BarFrame((), np.empty(0, np.int64))
    assert frame.sorted_by_symbol_time() is frame


@given(ROWS)
def test_with_used_symbols_given_any_rows_keeps_rows_and_drops_idle_symbols(
    rows: list[Row],
) -> None:
    """Every row keeps its symbol, and the dictionary holds no other, in its old order."""
    frame = frame_of(rows)
    slim = frame.with_used_symbols()
    used = {symbol for symbol, _, _ in rows_of(frame)}
    assert rows_of(slim) == rows_of(frame)
    assert slim.symbols == tuple(symbol for symbol in SYMBOLS if symbol in used)


def test_with_used_symbols_given_all_in_use_returns_the_frame_itself() -> None:
    """Nothing is copied where nothing is idle, with and without an index."""
    many = frame_of([(symbol, 0, 1.0) for symbol in range(len(SYMBOLS))])
    assert many.with_used_symbols() is many
    assert (one := one_symbol(2)).with_used_symbols() is one


def test_empty_given_symbols_is_a_frame_of_no_bars_of_them() -> None:
    """An empty answer still says of which symbols it is, and joins with others."""
    empty = BarFrame.empty(SYMBOLS)
    assert (len(empty), empty.symbols) == (0, SYMBOLS)
    frame = frame_of([(1, 0, 1.0)])
    assert rows_of(merge_frames([empty, frame])) == rows_of(frame)


def test_time_bounds_given_unsorted_times_are_the_least_and_the_greatest() -> None:
    """Both bounds are times of bars: the greatest is inclusive."""
    frame = BarFrame(("AAPL",), np.array([20, 10, 30]))
    assert frame.time_bounds() == (10, 30)
    assert all(type(bound) is int for bound in frame.time_bounds())


@given(st.lists(ROWS, min_size=1, max_size=4))
def test_concatenate_given_frames_joins_their_rows_in_order(parts: list[list[Row]]) -> None:
    """Joining is appending, empty frames included."""
    frames = [frame_of(rows) for rows in parts]
    joined = BarFrame.concatenate(frames)
    assert rows_of(joined) == [row for frame in frames for row in rows_of(frame)]
    assert (joined.symbols, joined.feeds) == (frames[0].symbols, frames[0].feeds)


def test_concatenate_given_absent_columns_leaves_them_absent() -> None:
    """Frames of the same few columns join to a frame of these columns."""
    joined = BarFrame.concatenate([one_symbol(2), one_symbol(1)])
    assert joined.time_us.tolist() == [0, 1, 0]
    assert len(joined.close) == 0


def test_full_columns_given_some_columns_marks_the_missing_values() -> None:
    """Volume and vwap are NaN where missing, the trade count -1, the rest 0."""
    columns = full_columns(2, {BarColumn.CLOSE: np.array([1.5, 2.5])})
    frame = BarFrame(("AAPL",), **columns)
    assert frame.close.tolist() == [1.5, 2.5]
    assert np.isnan(frame.volume).all()
    assert np.isnan(frame.vwap).all()
    assert frame.trade_count.tolist() == [-1, -1]
    assert frame.flags.tolist() == frame.feed.tolist() == frame.revision.tolist() == [0, 0]


def test_full_columns_given_another_dtype_casts_to_the_columns_own() -> None:
    """Integers as volumes or 64-bit flags become what the frame holds."""
    columns = full_columns(
        1, {BarColumn.VOLUME: np.array([100]), BarColumn.FLAGS: np.array([BarFlag.FINAL])}
    )
    assert {name: array.dtype for name, array in columns.items()} == {
        column.value: dtype for column, dtype in COLUMN_DTYPES.items()
    }


def test_full_columns_given_the_right_dtype_copies_nothing() -> None:
    """Columns that fit are handed on as they are."""
    close = np.array([1.0])
    assert full_columns(1, {BarColumn.CLOSE: close})["close"] is close


def test_column_names_given_any_order_follows_the_frames_order() -> None:
    """Names come in the order of the columns, once each."""
    wanted = [BarColumn.CLOSE, BarColumn.TIME, BarColumn.OPEN, BarColumn.CLOSE]
    assert column_names(wanted) == ["time_us", "open", "close"]
    assert column_names([]) == []


def test_bar_flag_given_its_bits_keeps_the_values_that_are_stored() -> None:
    """Stored rows hold these bits: they never change meaning."""
    assert {flag.name: int(flag) for flag in BarFlag} == {
        "FINAL": 1,
        "DERIVED": 2,
        "EXTENDED_SESSION": 4,
    }
