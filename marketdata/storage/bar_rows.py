"""Between a BarFrame and the rows of a bar table, in COPY's layout."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import COLUMN_DTYPES, BarColumn, BarFrame
from marketdata.storage.copy_codec import (
    Columns,
    decode_rows,
    encode_rows,
    from_postgres_time,
    native,
    to_postgres_time,
)

# SQL calls it time, since timestamptz carries its own unit.
SQL_NAMES: Final[Mapping[BarColumn, str]] = {
    column: "time" if column is BarColumn.TIME else column.value for column in BarColumn
}
SYMBOL_INDEX: Final = "symbol_index"


def sql_columns(frame: BarFrame) -> Columns:
    """Columns of `frame` under their SQL names, in PostgreSQL's units."""
    return {
        SQL_NAMES[column]: to_postgres_time(frame.time_us)
        if column is BarColumn.TIME
        else frame.column(column)
        for column in BarColumn
    }


def encode_inline(frame: BarFrame) -> bytes:
    """Encode whole bars for the change log: rows of fixed width, the symbol as an int4 index.

    `decode_frame` with ``many=True`` reads them back.
    """
    return encode_rows({SYMBOL_INDEX: frame.row_symbol_index(), **sql_columns(frame)})


def decode_frame(
    data: bytes,
    columns: Iterable[BarColumn],
    symbols: tuple[str, ...],
    feeds: Mapping[int, str],
    *,
    many: bool,
) -> BarFrame:
    """Decode the rows of a COPY into a frame that owns its arrays.

    Parameters
    ----------
    data : bytes
        Rows of `columns` in the frame's order, with or without header and trailer.
    columns : iterable of BarColumn
        What each row holds; the time is one of them.
    symbols : tuple of str
        Dictionary of the symbols.
    feeds : mapping of int to str
        Names of the feeds.
    many : bool
        Whether an int4 index into `symbols` stands first in each row.
    """
    wanted = frozenset(columns)
    ordered = [column for column in BarColumn if column in wanted]
    fields: list[tuple[str, npt.DTypeLike]] = [(SYMBOL_INDEX, np.int32)] if many else []
    fields += [(column.value, COLUMN_DTYPES[column]) for column in ordered]
    rows = decode_rows(data, fields)
    arrays: dict[str, Any] = {
        column.value: from_postgres_time(rows[column.value])
        if column is BarColumn.TIME
        else native(rows[column.value])
        for column in ordered
    }
    if many:
        arrays[SYMBOL_INDEX] = native(rows[SYMBOL_INDEX])
    return BarFrame(symbols=symbols, feeds=feeds, **arrays)
