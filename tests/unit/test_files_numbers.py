"""Numbers out of the cells of a file."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.providers.files.numbers import read_numbers, read_whole_numbers


def cells(*texts: str | bytes | None) -> pa.Array:
    """Make a column of a CSV file."""
    return pa.array([t.encode() if isinstance(t, str) else t for t in texts], pa.binary())


def test_read_numbers_given_text_reads_every_usual_form() -> None:
    """Signs, exponents, missing digits and white space around."""
    values, bad = read_numbers(cells("1.5", " 2 ", "+3", "-4", ".5", "5.", "1e5", "2.5E-3"))
    assert values.tolist() == [1.5, 2, 3, -4, 0.5, 5, 1e5, 2.5e-3]
    assert not bad.any()


@pytest.mark.parametrize("text", ["", "  ", "NaN", "nan", "NULL", "N/A", "#N/A", "None", "-", None])
def test_read_numbers_given_no_value_gives_nan_without_blame(text: str | None) -> None:
    """What stands for nothing is nothing, beside good cells and bad ones."""
    values, bad = read_numbers(cells("1", text))
    assert (values[0], math.isnan(values[1])) == (1, True)
    assert not bad.any()
    assert read_numbers(cells("x", text))[1].tolist() == [True, False]


@pytest.mark.parametrize(
    "text", ["abc", "1,5", "1.2.3", "$5", "1 000", "0x10", "1_0", "5%", b"\xff", "\u0661"]
)
def test_read_numbers_given_anything_else_blames_only_that_cell(text: str | bytes) -> None:
    """A cell that holds no number costs itself and nothing beside it."""
    values, bad = read_numbers(cells("1", text, "3", None))
    assert bad.tolist() == [False, True, False, False]
    assert values[[0, 2]].tolist() == [1, 3]


def test_read_numbers_given_a_decimal_comma_reads_no_points() -> None:
    """In such a file 1.234 is a thousand and more, or it is not: that is not to be guessed."""
    values, bad = read_numbers(cells("1,5", "2", "1.234", "1.234,5", "-0,25"), ",")
    assert bad.tolist() == [False, False, True, True, False]
    assert values[[0, 1, 4]].tolist() == [1.5, 2, -0.25]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2, None], pa.int32()),
        pa.array([1, 2, None], pa.float32()),
        pa.array([1, 2, None], pa.uint64()),
        pa.array([1, 2, None]).cast(pa.decimal128(30, 2)),
        pa.array(["1", "2", None], pa.large_string()),
        pa.array(["1", "2", None]).dictionary_encode(),
    ],
    ids=lambda column: str(column.type),
)
def test_read_numbers_given_any_type_of_number_reads_it(column: pa.Array) -> None:
    """Parquet files have numbers of all types."""
    values, bad = read_numbers(column)
    assert values.dtype == np.float64
    assert values[:2].tolist() == [1, 2]
    assert math.isnan(values[2])
    assert not bad.any()


@given(st.lists(st.floats(width=64), min_size=1), st.sampled_from([".", ","]))
def test_read_numbers_given_the_shortest_form_of_any_float_reads_it_exactly(
    numbers: list[float], decimal: str
) -> None:
    """Not a bit is lost, whatever the number."""
    texts = [repr(number).replace(".", decimal) for number in numbers]
    values, bad = read_numbers(cells(*texts), decimal)
    assert not bad.any()
    assert np.array_equal(values, np.array(numbers), equal_nan=True)


@given(st.lists(st.binary(max_size=12)))
def test_read_numbers_given_any_bytes_never_fails(texts: list[bytes]) -> None:
    """No cell can end the reading, and each is read as if it were alone."""
    values, bad = read_numbers(cells(*texts))
    alone = [read_numbers(cells(text)) for text in texts]
    assert bad.tolist() == [bool(one[1][0]) for one in alone]
    expected = np.array([one[0][0] for one in alone])
    assert np.array_equal(values, expected, equal_nan=True)


def test_read_whole_numbers_given_fractions_and_huge_ones_blames_them() -> None:
    """A count of trades is whole, also where pandas wrote it as 12.0; what is missing is -1."""
    counts, bad = read_whole_numbers(cells("12", "12.0", "", "1.5", "1e300", "inf", "x"))
    assert counts[:3].tolist() == [12, 12, -1]
    assert bad.tolist() == [False, False, False, True, True, True, True]
