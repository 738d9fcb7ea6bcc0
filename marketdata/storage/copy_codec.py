"""PostgreSQL's binary COPY format for bars, both ways. Pure: bytes in, arrays out, and back.

A binary COPY is a header, rows and a trailer. A row is a field count (int16) and per field a length
(int32) and the value, all big-endian. Rows whose fields all have a fixed width are one structured
numpy array, so a whole buffer is encoded or decoded at once. The one field that is not of fixed
width, the text of the symbol, is written padded and the padding is taken out by one mask over the
bytes.

Format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

# Between the Unix epoch and 2000-01-01, which timestamptz counts its microseconds from.
POSTGRES_EPOCH_US: Final = 946_684_800_000_000
COPY_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER: Final = b"\xff\xff"

_LENGTH: Final = np.dtype(">i4")
_COUNT: Final = np.dtype(">i2")

Columns = Mapping[str, npt.NDArray[Any]]
Bytes = npt.NDArray[np.uint8]


class CopyFormatError(ValueError):
    """Bytes that are not rows of the expected fields: a defect, or another server's format."""


def row_dtype(fields: Sequence[tuple[str, npt.DTypeLike]]) -> np.dtype[Any]:
    """Lay out a row of fixed-width fields.

    Parameters
    ----------
    fields : sequence of (name, dtype)
        In the order of the COPY's columns. Byte order is taken as big-endian.

    Returns
    -------
    numpy.dtype
        Structured and packed; per field `name` the value and `name + "_length"` its length.
    """
    layout: list[tuple[str, np.dtype[Any]]] = [("field_count", _COUNT)]
    for name, dtype in fields:
        layout.append((f"{name}_length", _LENGTH))
        layout.append((name, np.dtype(dtype).newbyteorder(">")))
    return np.dtype(layout)


def encode_rows(columns: Columns) -> bytes:
    """Encode rows of fixed-width fields, without header and trailer.

    Parameters
    ----------
    columns : mapping of str to array
        Equal-length columns in the order of the COPY's columns, in PostgreSQL's units (see
        `to_postgres_time`). An array of dtype ``S`` is a text in which no value is shorter than
        another; texts of different length go through `encode_text_rows`.
    """
    return _fill_rows(columns).tobytes()


def encode_text_rows(symbols: Sequence[str], symbol_index: npt.NDArray[Any], columns: Columns) -> bytes:
    """Encode rows that begin with the text of a symbol, without header and trailer.

    Parameters
    ----------
    symbols : sequence of str
        Dictionary of the texts.
    symbol_index : integer array, shape (n,)
        Each row's position in `symbols`.
    columns : mapping of str to array
        The fields after the text, as in `encode_rows`; lengths n.
    """
    texts = np.array([symbol.encode() for symbol in symbols])
    lengths = np.array([len(symbol.encode()) for symbol in symbols], np.int64)
    row_texts, row_lengths = texts[symbol_index], lengths[symbol_index]
    rows = _fill_rows({"symbol": row_texts, **columns})
    if (lengths == texts.dtype.itemsize).all():
        return rows.tobytes()
    rows["symbol_length"] = row_lengths
    return _without_padding(rows, "symbol", row_lengths)


def decode_rows(data: bytes, fields: Sequence[tuple[str, npt.DTypeLike]]) -> npt.NDArray[Any]:
    """Look at the rows of a COPY as a structured array, without copying them.

    Parameters
    ----------
    data : bytes
        Rows; a header before and a trailer behind them are passed over.
    fields : sequence of (name, dtype)
        What each row holds, in order; no field is null.

    Returns
    -------
    structured array, shape (n,)
        Big-endian views of `data`, by field name. `native` makes a column of one.

    Raises
    ------
    CopyFormatError
        For bytes that are not whole rows of these fields.
    """
    dtype = row_dtype(fields)
    start = len(COPY_HEADER) if data.startswith(COPY_HEADER) else 0
    count, rest = divmod(len(data) - start, dtype.itemsize)
    if rest and data[-rest:] != COPY_TRAILER:
        raise CopyFormatError(f"{len(data)} bytes are not whole rows of {dtype.itemsize} bytes")
    rows = np.frombuffer(data, dtype, count, start)
    if count and not _lengths_fit(rows[0], fields):
        raise CopyFormatError(f"the rows' fields are not {[name for name, _ in fields]}")
    return rows


def decode_columns(data: bytes, dtypes: Sequence[npt.DTypeLike]) -> list[npt.NDArray[Any]]:
    """Look at a COPY of one row, whose every field holds all values of a column, without copying them.

    Parameters
    ----------
    data : bytes
        The row with the header before it; a trailer behind it is passed over. Without a row, or empty:
        columns without a value.
    dtypes : sequence of dtype
        Of each column's values. Byte order is taken as big-endian.

    Returns
    -------
    list of array, shape (n,)
        Big-endian views of `data`. `native` makes a column of one.

    Raises
    ------
    CopyFormatError
        For bytes that are not one row of such fields, or columns of different lengths.
    """
    wanted = [np.dtype(dtype).newbyteorder(">") for dtype in dtypes]
    position = len(COPY_HEADER) if data.startswith(COPY_HEADER) else 0
    if data[position:] in (b"", COPY_TRAILER):
        return [np.empty(0, dtype) for dtype in wanted]
    if int.from_bytes(data[position : position + 2]) != len(wanted):
        raise CopyFormatError(f"a row of other than {len(wanted)} fields")
    position += 2
    columns = []
    for dtype in wanted:
        size = int.from_bytes(data[position : position + 4], signed=True)
        position += 4
        if size < 0 or size % dtype.itemsize or position + size > len(data):
            raise CopyFormatError(f"a field of {size} bytes does not hold values of {dtype.itemsize}")
        columns.append(np.frombuffer(data, dtype, size // dtype.itemsize, position))
        position += size
    if len({len(column) for column in columns}) != 1 or data[position:] not in (b"", COPY_TRAILER):
        raise CopyFormatError("the bytes are not one row of columns of one length")
    return columns


def native(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Copy a column of `decode_rows` into an aligned array of the machine's byte order."""
    return np.ascontiguousarray(column, column.dtype.newbyteorder("="))


def to_postgres_time(time_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Convert Unix microseconds to timestamptz's microseconds since 2000-01-01 UTC."""
    return time_us - POSTGRES_EPOCH_US


def from_postgres_time(column: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Convert timestamptz's microseconds, of any byte order, to Unix microseconds, int64."""
    return column.astype(np.int64) + POSTGRES_EPOCH_US


def encode_array(values: npt.NDArray[Any], element_oid: int) -> bytes:
    """Encode a one-dimensional array as a binary parameter of PostgreSQL, without nulls.

    Parameters
    ----------
    values : array, shape (n,)
        Numbers; byte order does not matter.
    element_oid : int
        Type of the elements (701 for float8).
    """
    rows = np.empty(
        len(values), np.dtype([("length", _LENGTH), ("value", values.dtype.newbyteorder(">"))])
    )
    rows["length"] = values.dtype.itemsize
    rows["value"] = values
    return _array_header(len(values), element_oid) + rows.tobytes()


def encode_text_array(texts: Sequence[str], index: npt.NDArray[Any], element_oid: int) -> bytes:
    """Encode `texts[index]` as a binary text array parameter of PostgreSQL.

    Parameters
    ----------
    texts : sequence of str
        Dictionary of the texts.
    index : integer array, shape (n,)
        Each element's position in `texts`.
    element_oid : int
        Type of the elements (25 for text).
    """
    encoded = [text.encode() for text in texts]
    padded = np.array(encoded or [b""])
    lengths = np.array([len(text) for text in encoded], np.int64)
    rows = np.empty(len(index), np.dtype([("length", _LENGTH), ("value", padded.dtype)]))
    rows["length"] = lengths[index]
    rows["value"] = padded[index]
    return _array_header(len(index), element_oid) + _without_padding(rows, "value", lengths[index])


def _array_header(count: int, element_oid: int) -> bytes:
    # Dimensions, has-nulls flag, element type; then length and lower bound of the one dimension.
    return np.array([1, 0, element_oid, count, 1], ">i4").tobytes()


def _fill_rows(columns: Columns) -> npt.NDArray[Any]:
    fields = [(name, column.dtype) for name, column in columns.items()]
    dtype = row_dtype(fields)
    rows = np.empty(len(next(iter(columns.values()))), dtype)
    rows["field_count"] = len(fields)
    for name, column in columns.items():
        rows[f"{name}_length"] = column.dtype.itemsize
        rows[name] = column
    return rows


def _without_padding(rows: npt.NDArray[Any], text_field: str, lengths: npt.NDArray[np.int64]) -> bytes:
    dtype = rows.dtype
    assert dtype.fields is not None  # noqa: S101 -- a structured dtype always has fields
    text_dtype, offset = dtype.fields[text_field][:2]
    keep: npt.NDArray[np.bool_] = np.ones((len(rows), dtype.itemsize), np.bool_)
    within = np.arange(text_dtype.itemsize) < lengths[:, np.newaxis]
    keep[:, offset : offset + text_dtype.itemsize] = within
    return rows.view(np.uint8).reshape(len(rows), dtype.itemsize)[keep].tobytes()


def _lengths_fit(row: Any, fields: Sequence[tuple[str, npt.DTypeLike]]) -> bool:
    return int(row["field_count"]) == len(fields) and all(
        int(row[f"{name}_length"]) == np.dtype(dtype).itemsize for name, dtype in fields
    )
