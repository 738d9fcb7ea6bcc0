"""Numbers out of cells: a cell that holds none is marked and costs nothing else."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from marketdata.domain.bars import MISSING_TRADE_COUNT, Float64Array, Int64Array
from marketdata.providers.files.cells import as_mask, as_text, is_text

BoolArray = npt.NDArray[np.bool_]

# What vendors and spreadsheets write where there is no value.
_NO_VALUE: Final = pa.array(
    [
        b"",
        b"-",
        b"nan",
        b"NaN",
        b"NAN",
        b"null",
        b"NULL",
        b"Null",
        b"None",
        b"NA",
        b"N/A",
        b"n/a",
        b"#N/A",
    ]
).cast(pa.string())
# What the cast below reads; it fails as a whole at anything else.
_NUMBER: Final = (
    r"^[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d{1,4})?|\.\d+(?:[eE][+-]?\d{1,4})?|(?i:inf|infinity))$"
)
# Above it a float64 does not hold every whole number.
_MOST_EXACT: Final = 2.0**53


def holds_numbers(column: pa.Array) -> bool:
    """Whether numbers can be read of a column of this type: text, or any type of number."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return is_number or pa.types.is_null(kind) or is_text(column)


def read_numbers(column: pa.Array, decimal: str = ".") -> tuple[Float64Array, BoolArray]:
    """Read the numbers of a column.

    Parameters
    ----------
    column : Array
        Of text, or of any type of number.
    decimal : str
        ``.`` or ``,``: what parts the fraction in text. The other one is no part of a number: which
        of 1.234 and 1234 is meant by ``1.234`` must not be guessed.

    Returns
    -------
    (float64[n], bool[n])
        The numbers, NaN where there is none; and which cells hold something else.
    """
    if not is_text(column):
        values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return values, np.zeros(len(column), np.bool_)
    text = as_text(column)
    text = pc.if_else(pc.is_in(text, _NO_VALUE), None, text)
    unreadable = np.zeros(len(column), np.bool_)
    if decimal == ",":
        unreadable = as_mask(pc.fill_null(pc.match_substring(text, "."), fill_value=False))
        text = pc.if_else(pa.array(unreadable), None, text)
        text = pc.replace_substring(text, ",", ".")
    try:
        values = text.cast(pa.float64())
    except pa.ArrowInvalid:
        # One cell is enough: all are looked at.
        readable = pc.fill_null(pc.match_substring_regex(text, _NUMBER), fill_value=True)
        unreadable |= ~as_mask(readable)
        values = pc.if_else(readable, text, None).cast(pa.float64())
    return values.to_numpy(zero_copy_only=False), unreadable


def read_whole_numbers(column: pa.Array) -> tuple[Int64Array, BoolArray]:
    """Read the whole numbers of a column, also where they are written as ``12.0``.

    Returns
    -------
    (int64[n], bool[n])
        The numbers, `MISSING_TRADE_COUNT` where there is none; and which cells hold something else.
    """
    values, unreadable = read_numbers(column)
    with np.errstate(invalid="ignore"):
        is_whole = (np.floor(values) == values) & (np.abs(values) <= _MOST_EXACT)
    missing = np.isnan(values)
    unreadable |= ~(is_whole | missing)
    known = np.where(is_whole, values, MISSING_TRADE_COUNT)
    return known.astype(np.int64), unreadable
