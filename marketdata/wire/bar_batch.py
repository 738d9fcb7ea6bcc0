"""BarBatch on the wire: packed columns written and read as the little-endian arrays that they are.

A packed repeated field is a tag, a length and the array's bytes, so a batch of 16,000 bars is a few
header bytes and one copy per column. Protobuf joins the bytes of two messages into one message, so the
small fields are serialized by protobuf itself and the columns appended.
https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from bifrost.marketdata.v1 import bar_pb2
from google.protobuf.message import DecodeError

from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bars import COLUMN_DTYPES, BarColumn, BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.wire.enums import ADJUSTMENT_TO_PROTO, TIMEFRAME_TO_PROTO
from marketdata.wire.protobuf_format import LENGTH_DELIMITED, field_head, walk_fields

# The only encoding so far: plain doubles.
PLAIN_ENCODING: Final = 0

_FIELDS: Final = bar_pb2.BarBatch.DESCRIPTOR.fields_by_name
_WIRE_DTYPES: Final[Mapping[str, np.dtype[Any]]] = {
    "symbol_index": np.dtype("<u4"),
    "time_us": np.dtype("<i8"),
    "open": np.dtype("<f8"),
    "high": np.dtype("<f8"),
    "low": np.dtype("<f8"),
    "close": np.dtype("<f8"),
    "volume": np.dtype("<f8"),
    "vwap": np.dtype("<f8"),
    "trade_count": np.dtype("<i8"),
    "flags": np.dtype("<u4"),
    "revision": np.dtype("<u4"),
    "feed_index": np.dtype("<u4"),
}
_COLUMN_OF_NUMBER: Final = {_FIELDS[name].number: name for name in _WIRE_DTYPES}


def encode_batch(frame: BarFrame, timeframe: Timeframe, adjustment: Adjustment) -> bytes:
    """Encode a frame as the bytes of a BarBatch.

    Parameters
    ----------
    frame : BarFrame
        Absent columns stay empty on the wire.
    timeframe : Timeframe
        What each bar covers.
    adjustment : Adjustment
        What the prices were adjusted for.
    """
    feeds, feed_index = _feed_dictionary(frame)
    small = bar_pb2.BarBatch(
        symbols=frame.symbols,
        timeframe=TIMEFRAME_TO_PROTO[timeframe],
        adjustment=ADJUSTMENT_TO_PROTO[adjustment],
        feeds=feeds,
        encoding=PLAIN_ENCODING,
    )
    columns = {"feed_index": feed_index}
    for name in _WIRE_DTYPES:
        if name != "feed_index":
            columns[name] = getattr(frame, name)
    return b"".join([small.SerializeToString(), *_packed(columns)])


def decode_batch(data: bytes | memoryview, *, copy: bool = True) -> tuple[BarFrame, bar_pb2.BarBatch]:
    """Decode the bytes of a BarBatch.

    Parameters
    ----------
    copy : bool
        Whether each column is copied once, into an aligned array of its own. Else columns are read-only
        views of `data`, not always aligned: for who joins the columns of many batches into new arrays.

    Returns
    -------
    (BarFrame, BarBatch)
        The columns, `feed` as an index into `feeds`; and the small fields as a message without
        columns. Columns are not checked against each other: see `column_lengths`.

    Raises
    ------
    google.protobuf.message.DecodeError
        The bytes are not a BarBatch.
    ValueError
        The columns have different lengths, or an index points outside of its dictionary.
    """
    small, columns = split_batch(data, copy=copy)
    return frame_of(small, columns), small


def split_batch(
    data: bytes | memoryview, *, copy: bool = True
) -> tuple[bar_pb2.BarBatch, dict[str, npt.NDArray[Any]]]:
    """Separate the bytes of a BarBatch into its small fields and its columns.

    Parameters
    ----------
    copy : bool
        As `decode_batch`.

    Returns
    -------
    (BarBatch, dict of str to array)
        The message without columns, and the columns that were sent under their field names, in the
        wire's dtypes, of whatever length each has.

    Raises
    ------
    google.protobuf.message.DecodeError
        The bytes are not a BarBatch.
    """
    view = memoryview(data)
    small = bytearray()
    parts: dict[str, list[memoryview]] = {}
    for number, wire_type, start, value_start, end in walk_fields(view):
        name = _COLUMN_OF_NUMBER.get(number)
        if name is None:
            small += view[start:end]
        elif wire_type == LENGTH_DELIMITED:
            parts.setdefault(name, []).append(view[value_start:end])
        else:  # a column that was not packed: legal and rare; protobuf itself packs it
            message = bar_pb2.BarBatch.FromString(bytes(data))
            # One of another type is an unknown field, which would come back here for ever.
            message.DiscardUnknownFields()
            return split_batch(message.SerializeToString(), copy=copy)
    return bar_pb2.BarBatch.FromString(bytes(small)), {
        name: _column(name, chunks, copy=copy) for name, chunks in parts.items()
    }


def frame_of(small: bar_pb2.BarBatch, columns: Mapping[str, npt.NDArray[Any]]) -> BarFrame:
    """Make a frame of what `split_batch` found.

    Raises
    ------
    ValueError
        The columns have different lengths, or an index points outside of its dictionary.
    """
    n = len(columns.get("time_us", ()))
    arrays: dict[str, npt.NDArray[Any]] = {}
    for column, dtype in COLUMN_DTYPES.items():
        if column is not BarColumn.FEED and column.value in columns:
            arrays[column.value] = columns[column.value].astype(dtype, copy=False)
    index = columns.get("symbol_index", np.empty(0, np.uint32))
    feed_index = columns.get("feed_index", np.empty(0, np.uint32))
    if (len(index) and index.max() >= len(small.symbols)) or (
        len(feed_index) and feed_index.max() >= len(small.feeds)
    ):
        raise ValueError("an index points outside of its dictionary")
    if small.feeds:
        arrays["feed"] = feed_index.astype(np.int16) if len(feed_index) else np.zeros(n, np.int16)
    arrays.setdefault("time_us", np.empty(0, np.int64))
    return BarFrame(
        symbols=tuple(small.symbols),
        symbol_index=index.astype(np.int32),
        feeds=dict(enumerate(small.feeds)),
        **arrays,
    )


def _feed_dictionary(frame: BarFrame) -> tuple[list[str], npt.NDArray[Any]]:
    if len(frame.feed) == 0:
        return [], np.empty(0, np.uint32)
    first = frame.feed[0]
    if (frame.feed == first).all():
        return [frame.feeds[int(first)]], np.empty(0, np.uint32)
    keys, index = np.unique(frame.feed, return_inverse=True)
    return [frame.feeds[key] for key in keys.tolist()], index


def _packed(columns: Mapping[str, npt.NDArray[Any]]) -> Iterator[bytes | memoryview]:
    for name, dtype in _WIRE_DTYPES.items():
        column = columns[name]
        if len(column):
            array = np.ascontiguousarray(column, dtype)
            yield field_head(_FIELDS[name].number, array.nbytes)
            yield array.data.cast("B")


def _column(name: str, chunks: list[memoryview], *, copy: bool) -> npt.NDArray[Any]:
    dtype = _WIRE_DTYPES[name]
    if any(len(chunk) % dtype.itemsize for chunk in chunks):
        raise DecodeError(f"{name} is not whole values of {dtype.itemsize} bytes")
    views = [np.frombuffer(chunk, dtype) for chunk in chunks]
    return views[0] if len(views) == 1 and not copy else np.concatenate(views)
