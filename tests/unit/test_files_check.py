"""Rows of a file held to the rules: every row is counted once, and the good ones are kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.errors import BarFileError
from marketdata.providers.files.blocks import BarBlock
from marketdata.providers.files.check import check_block
from tests.support.bar_files import HEADER, NOW_US, read_csv, rows_of
from tests.support.bars import Bar, bars_of, frame_of, key_order

JAN_2 = 1_704_153_600_000_000
MANY = "Symbol,Date,Open,High,Low,Close,Volume"
JAN = "2024-01-{:02}".format


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (("2024-01-02", "", 12, 9, 11, 1), ("NOT_FINITE", "open", "nan")),
        (("2024-01-02", "inf", 12, 9, 11, 1), ("NOT_FINITE", "open", "inf")),
        (("2024-01-02", 0, 12, 9, 11, 1), ("NOT_POSITIVE", "open", "0.0")),
        (("2024-01-02", 10, 10.9, 9, 11, 1), ("HIGH_NOT_HIGHEST", "high", "10.9")),
        (("2024-01-02", 10, 12, 10.1, 11, 1), ("LOW_NOT_LOWEST", "low", "10.1")),
        (("2024-01-02", 10, 12, 9, 11, -1), ("NEGATIVE_VOLUME", "volume", "-1.0")),
        (("2024-01-02T09:30", 10, 12, 9, 11, 1), ("TIME_NOT_ALIGNED", "time", "2024-01-02T09:30:00")),
        (("1850-01-02", 10, 12, 9, 11, 1), ("TIME_OUT_OF_BOUNDS", "time", "1850-01-02T00:00:00")),
        (("2099-01-02", 10, 12, 9, 11, 1), ("BAR_NOT_ENDED", "time", "2099-01-02T00:00:00")),
    ],
)  # fmt: skip
def test_check_given_a_bar_that_breaks_a_rule_names_the_rule_and_the_value(
    tmp_path: Path, row: tuple[object, ...], expected: tuple[str, str, str]
) -> None:
    """The rules are those of every bar, whatever way it takes."""
    found = read_csv(tmp_path, rows_of(row, (JAN(3), 10, 12, 9, 11, 1)))
    assert (2, *expected) in found.rejected
    assert (found.lines, found.rejected_rows) == ([3], 1)


def test_check_given_rows_out_of_order_sorts_them(tmp_path: Path) -> None:
    """By symbol, then time; each bar keeps its line."""
    rows = [("IBM", JAN(3)), ("AAPL", JAN(4)), ("IBM", JAN(2)), ("AAPL", JAN(2))]
    content = rows_of(*((*row, 10, 12, 9, 11, 1) for row in rows), header=MANY)
    found = read_csv(tmp_path, content, symbol=None)
    assert [bar.symbol for bar in found.bars] == ["AAPL", "AAPL", "IBM", "IBM"]
    assert found.lines == [5, 3, 4, 2]


def test_check_given_the_same_row_again_drops_and_counts_it(tmp_path: Path) -> None:
    """What is said twice is said; missing values are equal to missing ones."""
    row = (JAN(2), 10, 12, 9, 11, "")
    found = read_csv(tmp_path, rows_of(row, (JAN(3), 10, 12, 9, 11, 1), row, row))
    assert (found.lines, found.duplicates, found.rejected) == ([2, 3], 2, [])


def test_check_given_rows_that_contradict_each_other_rejects_all_of_them(tmp_path: Path) -> None:
    """Nothing tells which of them is right, also where two of three agree."""
    row, other = (JAN(2), 10, 12, 9, 11, 1), (JAN(2), 10, 12, 9, 11, 2)
    found = read_csv(tmp_path, rows_of(row, other, row, (JAN(3), 10, 12, 9, 11, 1)))
    assert found.rejected == [
        (line, "CONFLICTING_BARS", "time", "2024-01-02T00:00:00") for line in (2, 3, 4)
    ]
    assert (found.lines, found.duplicates) == ([5], 0)


def test_check_given_a_wrong_row_beside_the_right_one_keeps_the_right_one(tmp_path: Path) -> None:
    """A bar that breaks a rule contradicts nobody."""
    found = read_csv(tmp_path, rows_of((JAN(2), 10, 5, 9, 11, 1), (JAN(2), 10, 12, 9, 11, 1)))
    assert [rule for _, rule, *_ in found.rejected] == ["HIGH_NOT_HIGHEST"]
    assert found.lines == [3]


def test_check_given_symbols_that_are_none_rejects_their_rows(tmp_path: Path) -> None:
    """A symbol is stored as it is written, so it must be well-formed; spaces around it do not count."""
    symbols = ("AAPL", " AAPL", "aapl", "", "NULL", "NA")
    rows = ((symbol, JAN(2 + i), 10, 12, 9, 11, 1) for i, symbol in enumerate(symbols))
    found = read_csv(tmp_path, rows_of(*rows, header=MANY), symbol=None)
    assert [bar.symbol for bar in found.bars] == ["AAPL", "AAPL", "NA", "NULL"]
    assert found.rejected == [
        (4, "MALFORMED_SYMBOL", "symbol", "aapl"),
        (5, "MALFORMED_SYMBOL", "symbol", ""),
    ]


@pytest.mark.parametrize(
    ("flags", "rule"),
    [("3", "DERIVED_BAR"), ("0", "NOT_FINAL"), ("9", "UNKNOWN_FLAG"), ("x", "NOT_A_NUMBER")],
)
def test_check_given_flags_of_bars_that_are_not_stored_rejects_them(
    tmp_path: Path, flags: str, rule: str
) -> None:
    """What was rolled up or still forming when it was exported does not come back as a provider's."""
    found = read_csv(
        tmp_path, f"{HEADER},flags\n2024-01-02,10,12,9,11,1,{flags}\n2024-01-03,10,12,9,11,1,5\n"
    )
    assert found.rejected == [(2, rule, "flags", flags)]
    assert [bar.flags for bar in found.bars] == [5]


def test_check_given_a_column_of_feeds_keeps_them(tmp_path: Path) -> None:
    """Each bar keeps its feed; none is the default; one that is asked for goes before all."""
    content = f"{HEADER},feed\n2024-01-02,10,12,9,11,1,sample/eod\n2024-01-03,10,12,9,11,1,\n"
    assert read_csv(tmp_path, content).feeds == ("manual/upload", "sample/eod")
    assert [bar.feed for bar in read_csv(tmp_path, content).bars] == [1, 0]
    assert read_csv(tmp_path, content, feed="a/b").feeds == ("a/b",)


def test_check_given_a_column_of_feeds_that_is_none_says_how_to_leave_it_out(tmp_path: Path) -> None:
    """A file can have a column of that name with notes in it."""
    rows = "".join(f"2024-01-02,10,12,9,11,1,note {n}\n" for n in range(1_001))
    with pytest.raises(BarFileError, match=r"1001 different texts, such as 'note 999'.* --map feed="):
        read_csv(tmp_path, f"{HEADER},feed\n{rows}")


def bar(symbol: str, day: int, price: float, volume: float | None) -> Bar:
    """One of few bars, so that many are the same or contradict each other."""
    return Bar(symbol, JAN_2 + day * MICROSECONDS_PER_DAY, price, volume=volume, feed=0)


ROWS = st.builds(
    bar,
    st.sampled_from(["A", "B"]),
    st.integers(0, 3),
    st.sampled_from([10.0, 11.0, float("nan"), -1.0]),
    st.sampled_from([1.0, None]),
)


def parsed(rows: list[Bar]) -> BarBlock:
    """Make a block as parsing leaves it: symbols ascending, rows as in the file."""
    frame = frame_of(rows)
    symbols = tuple(sorted(frame.symbols))
    places = np.array([symbols.index(symbol) for symbol in frame.symbols], np.int32)
    index = places[frame.symbol_index] if rows else frame.symbol_index
    frame = replace(frame, symbols=symbols, symbol_index=index)
    return BarBlock(frame, np.arange(len(rows)), rejected=(), rows=len(rows))


@given(st.lists(ROWS, max_size=30))
def test_check_given_any_rows_counts_each_once_and_keeps_what_no_row_contradicts(
    rows: list[Bar],
) -> None:
    """Against a plain loop over the rows."""
    block = parsed(rows)
    found = check_block(block, Timeframe.DAY_1, NOW_US)
    good = [row for row in rows if row.open > 0]
    said = {row.key: {other for other in good if other.key == row.key} for row in good}
    kept = key_order(next(iter(bars)) for bars in said.values() if len(bars) == 1)
    assert bars_of(found.frame) == kept
    contradicted = sum(len(said[row.key]) > 1 for row in good)
    assert found.duplicates == len(good) - contradicted - len(kept)
    assert found.rejected_rows == len(rows) - len(good) + contradicted
    blamed = {line for group in found.rejected for line in group.lines.tolist()}
    assert len(blamed) == found.rejected_rows
