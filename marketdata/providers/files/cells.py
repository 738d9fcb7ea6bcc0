"""Cells of a column as text, whatever they are stored as."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

# What people are shown of a cell: enough to find it.
_SHOWN_CHARACTERS: Final = 40


def as_text(column: pa.Array) -> pa.Array:
    """Return the cells as text without white space around it; null where there is no cell.

    The text of a CSV file is not checked to be UTF-8: a stray byte in one cell must not cost the file.
    So the result is for functions that compare bytes, and for `shown` to show.

    Parameters
    ----------
    column : Array
        Of text, bytes, or anything that casts to text.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_binary(column.type):
        column = column.view(pa.string())
    elif not pa.types.is_string(column.type):
        column = column.cast(pa.string())
    return pc.ascii_trim_whitespace(column)


def is_text(column: pa.Array) -> bool:
    """Whether the cells hold text, so that numbers and times must be read out of it."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return any(
        is_kind(kind)
        for is_kind in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_string_view,
            pa.types.is_binary,
            pa.types.is_large_binary,
        )
    )


def empty_cells(column: pa.Array) -> npt.NDArray[np.bool_]:
    """Tell which cells are null or empty text, bool[n]."""
    if not is_text(column):
        return as_mask(column.is_null())
    return as_mask(pc.fill_null(pc.equal(pc.binary_length(as_text(column)), 0), fill_value=True))


def shown(column: pa.Array, rows: npt.NDArray[np.int64]) -> list[str]:
    """Show the cells at `rows` to people: one line each, cut where they are long."""
    cells = as_text(column.take(pa.array(rows))).cast(pa.binary()).to_pylist()
    return [shown_text((cell or b"").decode("utf-8", "replace")) for cell in cells]


def shown_text(text: str) -> str:
    """Show a text to people: one line, cut where it is long."""
    line = " ".join(text[: _SHOWN_CHARACTERS + 1].split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}…"


def as_mask(column: pa.Array) -> npt.NDArray[np.bool_]:
    """Turn booleans without nulls into bool[n]."""
    mask: npt.NDArray[np.bool_] = column.to_numpy(zero_copy_only=False)
    return mask
