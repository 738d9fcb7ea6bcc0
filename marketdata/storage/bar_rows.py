"""Between a BarFrame and the rows of a bar table, in COPY's layout."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import COLUMN_DTYPES, BarColumn, BarFrame
from marketdata.storage.copy_codec import (
    Columns,
    CopyFormatError,
    decode_columns,
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
    fields = _fields(columns, many=many)
    rows = decode_rows(data, fields)
    return _to_frame({name: rows[name] for name, _ in fields}, symbols, feeds)


def decode_column_frame(
    data: bytes,
    columns: Iterable[BarColumn],
    symbols: tuple[str, ...],
    feeds: Mapping[int, str],
    *,
    many: bool,
) -> BarFrame:
    """Decode the answer of a `BarStatement`, a row of whole columns; parameters as `decode_frame`.

    Raises
    ------
    CopyFormatError
        The bytes are no such row, or one symbol's times are neither ascending nor descending.
    """
    fields = _fields(columns, many=many)
    values = decode_columns(data, [dtype for _, dtype in fields])
    names = [name for name, _ in fields]
    frame = _to_frame(dict(zip(names, values, strict=True)), symbols, feeds)
    if not many:
        _check_order(frame)
    return frame


def to_column_frame(
    fields: Sequence[bytes | None], symbols: tuple[str, ...], feeds: Mapping[int, str]
) -> BarFrame:
    """Turn the fields of a fetched row of whole columns, symbol_index first, into a frame."""
    values = {
        name: np.frombuffer(field or b"", np.dtype(dtype).newbyteorder(">"))
        for (name, dtype), field in zip(_fields(BarColumn, many=True), fields, strict=True)
    }
    return _to_frame(values, symbols, feeds)


def _fields(columns: Iterable[BarColumn], *, many: bool) -> list[tuple[str, npt.DTypeLike]]:
    wanted = frozenset(columns)
    fields: list[tuple[str, npt.DTypeLike]] = [(SYMBOL_INDEX, np.int32)] if many else []
    return fields + [(column.value, COLUMN_DTYPES[column]) for column in BarColumn if column in wanted]


def _to_frame(
    values: Mapping[str, npt.NDArray[Any]], symbols: tuple[str, ...], feeds: Mapping[int, str]
) -> BarFrame:
    arrays: dict[str, Any] = {
        name: from_postgres_time(column) if name == BarColumn.TIME.value else native(column)
        for name, column in values.items()
    }
    return BarFrame(symbols=symbols, feeds=feeds, **arrays)


def _check_order(frame: BarFrame) -> None:
    """Hold the server to the order that its aggregates do not promise."""
    steps = np.diff(frame.time_us)
    if len(steps) and not ((steps > 0).all() or (steps < 0).all()):
        raise CopyFormatError("the bars of one symbol came out of order")
