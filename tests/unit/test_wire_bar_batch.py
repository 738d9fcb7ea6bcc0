"""BarBatch as bytes: written here and read by protobuf, written by protobuf and read here, damaged."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import pytest
from bifrost.marketdata.v1 import bar_pb2, timeframe_pb2
from bifrost.marketdata.v1.bars_service_pb2 import (
    StreamBarsHeader,
    StreamBarsResponse,
    StreamBarsTrailer,
)
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st

from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bars import COLUMN_DTYPES, BarColumn, BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import NotSupportedError
from marketdata.wire.bar_batch import decode_batch, encode_batch, split_batch
from marketdata.wire.bars_responses import encode_stream_batch
from marketdata.wire.protobuf_format import encode_varint, field_head
from marketdata.wire.stream_parts import decode_stream_part

FIELDS: Final = bar_pb2.BarBatch.DESCRIPTOR.fields_by_name
# Field name, and the dtype that its packed values have on the wire.
WIRE_COLUMNS: Final[Mapping[str, str]] = {
    "symbol_index": "<u4",
    "time_us": "<i8",
    "open": "<f8",
    "high": "<f8",
    "low": "<f8",
    "close": "<f8",
    "volume": "<f8",
    "vwap": "<f8",
    "trade_count": "<i8",
    "flags": "<u4",
    "revision": "<u4",
    "feed_index": "<u4",
}
FEEDS: Final = {1: "manual/upload", 2: "sample/eod", 7: "alpaca/iex"}

INT64: Final = st.integers(-(2**63), 2**63 - 1)
FLOAT64: Final = st.floats(allow_nan=True, allow_infinity=True)
VALUES: Final[Mapping[BarColumn, st.SearchStrategy[Any]]] = {
    BarColumn.TIME: INT64,
    BarColumn.OPEN: FLOAT64,
    BarColumn.HIGH: FLOAT64,
    BarColumn.LOW: FLOAT64,
    BarColumn.CLOSE: FLOAT64,
    BarColumn.VOLUME: FLOAT64,
    BarColumn.VWAP: FLOAT64,
    BarColumn.TRADE_COUNT: INT64,
    BarColumn.FEED: st.sampled_from(sorted(FEEDS)),
    BarColumn.FLAGS: st.integers(0, 7),
    BarColumn.REVISION: st.integers(0, 2**31 - 1),
}


@st.composite
def frames(draw: st.DrawFn) -> BarFrame:
    """Draw frames of any columns, one or many symbols, none or a few bars."""
    n = draw(st.integers(0, 6))
    symbols = draw(
        st.lists(st.sampled_from(["AAPL", "BRK.B", "IBM", "^GSPC"]), min_size=1, unique=True)
    )
    columns: dict[str, Any] = {}
    for column, dtype in COLUMN_DTYPES.items():
        if column is BarColumn.TIME or draw(st.booleans()):
            values = draw(st.lists(VALUES[column], min_size=n, max_size=n))
            columns[column.value] = np.array(values, dtype)
    if draw(st.booleans()):
        index = draw(st.lists(st.integers(0, len(symbols) - 1), min_size=n, max_size=n))
        columns["symbol_index"] = np.array(index, np.int32)
    return BarFrame(symbols=tuple(symbols), feeds=FEEDS, **columns)


@st.composite
def messages(draw: st.DrawFn) -> bar_pb2.BarBatch:
    """Draw messages whose columns have any lengths: what a foreign client may send."""
    batch = bar_pb2.BarBatch(
        symbols=draw(st.lists(st.text(max_size=4), max_size=3)),
        feeds=draw(st.lists(st.text(max_size=4), max_size=3)),
        timeframe=timeframe_pb2.TIMEFRAME_1_DAY,
        adjustment=bar_pb2.ADJUSTMENT_RAW,
        encoding=draw(st.integers(0, 2**32 - 1)),
    )
    for name, dtype in WIRE_COLUMNS.items():
        is_unsigned = dtype == "<u4"
        values = FLOAT64 if dtype == "<f8" else st.integers(0, 2**32 - 1) if is_unsigned else INT64
        getattr(batch, name).extend(draw(st.lists(values, max_size=4)))
    return batch


def column_bytes(batch: bar_pb2.BarBatch) -> dict[str, bytes]:
    """Give the columns that protobuf found, bit for bit: NaN is not equal to itself."""
    return {
        name: np.array(getattr(batch, name), dtype).tobytes()
        for name, dtype in WIRE_COLUMNS.items()
        if len(getattr(batch, name))
    }


def split_bytes(data: bytes) -> dict[str, bytes]:
    """Give the columns that this package finds, bit for bit."""
    _, columns = split_batch(data)
    return {name: column.tobytes() for name, column in columns.items() if len(column)}


def small_fields(batch: bar_pb2.BarBatch) -> bar_pb2.BarBatch:
    """Give the message without its columns."""
    small: Any = bar_pb2.BarBatch()
    small.CopyFrom(batch)
    for name in WIRE_COLUMNS:
        small.ClearField(name)
    return bar_pb2.BarBatch.FromString(small.SerializeToString())


def feed_names(frame: BarFrame) -> list[str]:
    """Name the feed of every row."""
    return [frame.feeds[key] for key in frame.feed.tolist()]


@given(frames())
def test_decode_batch_given_encoded_frame_gives_it_back(frame: BarFrame) -> None:
    """Encoding and decoding are inverse, bit for bit; feeds keep their names, not their keys."""
    decoded, small = decode_batch(encode_batch(frame, Timeframe.DAY_1, Adjustment.RAW))
    assert decoded.symbols == frame.symbols
    assert feed_names(decoded) == feed_names(frame)
    assert decoded.symbol_index.tolist() == frame.symbol_index.tolist()
    for column, dtype in COLUMN_DTYPES.items():
        if column is not BarColumn.FEED:
            assert decoded.column(column).dtype == dtype
            assert decoded.column(column).tobytes() == frame.column(column).tobytes()
    assert small.timeframe == timeframe_pb2.TIMEFRAME_1_DAY
    assert small.adjustment == bar_pb2.ADJUSTMENT_RAW


@given(frames())
def test_encode_batch_given_frame_is_read_alike_by_protobuf(frame: BarFrame) -> None:
    """Any language's generated code reads the same columns from the bytes."""
    batch = bar_pb2.BarBatch.FromString(encode_batch(frame, Timeframe.MINUTE_1, Adjustment.ALL))
    assert tuple(batch.symbols) == frame.symbols
    assert batch.timeframe == timeframe_pb2.TIMEFRAME_1_MINUTE
    assert batch.adjustment == bar_pb2.ADJUSTMENT_ALL
    assert batch.encoding == 0
    assert list(batch.symbol_index) == frame.symbol_index.tolist()
    for column in COLUMN_DTYPES:
        if column is not BarColumn.FEED:
            read = np.array(getattr(batch, column.value), frame.column(column).dtype)
            assert read.tobytes() == frame.column(column).tobytes()
    indices = list(batch.feed_index) or [0] * len(frame.feed)
    assert [batch.feeds[index] for index in indices] == feed_names(frame)


def test_decode_batch_given_frame_gives_arrays_of_its_own() -> None:
    """Each column is an own aligned array: the message's bytes can go."""
    frame = BarFrame(("A",), np.arange(3), open=np.array([1.0, 2.0, 3.0]))
    decoded, _ = decode_batch(encode_batch(frame, Timeframe.DAY_1, Adjustment.RAW))
    assert decoded.open.flags.owndata
    assert decoded.open.flags.writeable
    assert decoded.open.flags.aligned


@given(messages())
def test_split_batch_given_protobuf_message_finds_its_columns(batch: bar_pb2.BarBatch) -> None:
    """What protobuf serialized is read alike, whatever lengths the columns have."""
    small, _ = split_batch(batch.SerializeToString())
    assert split_bytes(batch.SerializeToString()) == column_bytes(batch)
    assert small == small_fields(batch)


@given(messages(), st.randoms(use_true_random=False))
def test_split_batch_given_unpacked_columns_finds_the_same(
    batch: bar_pb2.BarBatch, random: Any
) -> None:
    """A column may come one value a field, mixed with packed parts: proto3 readers accept both."""
    data = small_fields(batch).SerializeToString()
    for name, dtype in WIRE_COLUMNS.items():
        for value in np.array(getattr(batch, name), dtype):
            if random.random() < 0.5:
                data += unpacked_value(name, value.tobytes())
            else:
                data += field_head(FIELDS[name].number, value.nbytes) + value.tobytes()
    assert split_bytes(data) == column_bytes(batch)


@given(messages(), messages())
def test_split_batch_given_two_messages_joined_concatenates_columns(
    first: bar_pb2.BarBatch, second: bar_pb2.BarBatch
) -> None:
    """The bytes of two messages joined are one message, as protobuf merges them."""
    data = first.SerializeToString() + second.SerializeToString()
    assert split_bytes(data) == column_bytes(bar_pb2.BarBatch.FromString(data))


@given(messages(), st.data())
def test_split_batch_given_cut_message_refuses_what_protobuf_refuses(
    batch: bar_pb2.BarBatch, data: st.DataObject
) -> None:
    """A truncated message is a DecodeError, or what protobuf too takes for a shorter message."""
    whole = batch.SerializeToString()
    cut = whole[: data.draw(st.integers(0, len(whole)), label="bytes")]
    assert_like_protobuf(cut)


@given(messages(), st.data())
def test_split_batch_given_flipped_bits_never_reads_other_than_protobuf(
    batch: bar_pb2.BarBatch, data: st.DataObject
) -> None:
    """Damage inside a message is refused or read as protobuf reads it."""
    damaged = bytearray(batch.SerializeToString())
    for _ in range(data.draw(st.integers(1, 3), label="flips")):
        position = data.draw(st.integers(0, len(damaged) - 1), label="position")
        damaged[position] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    assert_like_protobuf(bytes(damaged))


@given(st.binary(max_size=64))
@example(b"\x30\x01")  # open as a varint: an unknown field to protobuf
@example(b"\x35\x00\x00\x00\x00")  # open as four bytes
@example(b"\x33\x34")  # open as a group
@example(b"\x32\x07" + bytes(7))  # open packed, seven bytes
@example(b"\x32\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")  # a length past everything
@example(b"\xff" * 11)  # a varint that never ends
@example(b"\x00\x00")  # field number 0
def test_split_batch_given_garbage_refuses_what_protobuf_refuses(data: bytes) -> None:
    """Whatever the bytes are, the answer is DecodeError or what protobuf reads; it always comes."""
    assert_like_protobuf(data)


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"time_us": [1, 2], "open": [1.0]}, "open"),
        ({"time_us": [1, 2], "symbol_index": [0]}, "symbol_index"),
        ({"time_us": [1, 2], "symbol_index": [0, 1]}, "dictionary"),
        ({"time_us": [1], "feed_index": [2]}, "dictionary"),
        ({"open": [1.0]}, "open"),
    ],
)
def test_decode_batch_given_columns_that_do_not_fit_raises_value_error(
    columns: dict[str, list[Any]], problem: str
) -> None:
    """Different lengths and indices outside of a dictionary never become a frame."""
    fields: dict[str, Any] = {"symbols": ["A"], "feeds": ["a/b", "c/d"], **columns}
    batch = bar_pb2.BarBatch(**fields)
    with pytest.raises(ValueError, match=problem):
        decode_batch(batch.SerializeToString())


def test_decode_stream_part_given_each_part_tells_them_apart() -> None:
    """Header and trailer come as messages, a batch as a frame."""
    frame = BarFrame(("A",), np.array([60_000_000]), close=np.array([math.pi]))
    header = StreamBarsResponse(header=StreamBarsHeader(snapshot_seq=7)).SerializeToString()
    trailer = StreamBarsResponse(trailer=StreamBarsTrailer(rows=1, complete=True)).SerializeToString()
    batch = decode_stream_part(encode_stream_batch(frame, Timeframe.MINUTE_1, Adjustment.RAW))
    assert isinstance(batch, BarFrame)
    assert batch.close.tolist() == [math.pi]
    assert decode_stream_part(header) == StreamBarsHeader(snapshot_seq=7)
    assert decode_stream_part(trailer) == StreamBarsTrailer(rows=1, complete=True)


@pytest.mark.parametrize("data", [b"", field_head(15, 2) + b"\x08\x01"])
def test_decode_stream_part_given_part_of_later_release_gives_none(data: bytes) -> None:
    """A client passes over parts that it does not know."""
    assert decode_stream_part(data) is None


def test_decode_stream_part_given_unknown_encoding_refuses_it() -> None:
    """Columns in an encoding that is not known are refused, never read as plain doubles."""
    batch = bar_pb2.BarBatch(symbols=["A"], time_us=[1], encoding=1)
    with pytest.raises(NotSupportedError, match="encoding 1"):
        decode_stream_part(StreamBarsResponse(batch=batch).SerializeToString())


@given(st.binary(max_size=64))
def test_decode_stream_part_given_garbage_raises_only_what_it_says(data: bytes) -> None:
    """Bytes that are no part are DecodeError or ValueError; nothing else escapes."""
    try:
        decode_stream_part(data)
    except (DecodeError, ValueError, NotSupportedError):
        return


def unpacked_value(name: str, value: bytes) -> bytes:
    """Encode one value of a column as a field of its own."""
    wire_type = 1 if len(value) == 8 else 5
    return encode_varint(FIELDS[name].number << 3 | wire_type) + value


def has_group(data: bytes) -> bool:
    """Whether a group stands at the top level: legal, unused for a decade, refused here."""
    return any(tag & 7 in (3, 4) for tag in tags(data))


def tags(data: bytes) -> Iterator[int]:
    """Walk the top-level tags of a message as far as they can be read."""
    position = 0
    while position < len(data):
        tag, position = varint(data, position)
        yield tag
        if tag & 7 == 0:
            _, position = varint(data, position)
        elif tag & 7 == 2:
            length, position = varint(data, position)
            position += length
        else:
            position += {1: 8, 5: 4}.get(tag & 7, len(data))


def varint(data: bytes, position: int) -> tuple[int, int]:
    """Read a varint; one that is cut off ends with the data."""
    value = shift = 0
    while position < len(data):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            break
    return value, position


def assert_like_protobuf(data: bytes) -> None:
    """Hold `split_batch` to protobuf's own parser: the same columns, or a refusal by both."""
    try:
        expected = bar_pb2.BarBatch.FromString(data)
    except DecodeError:
        with pytest.raises(DecodeError):
            split_batch(data)
        return
    if has_group(data):
        with pytest.raises(DecodeError):
            split_batch(data)
        return
    assert split_bytes(data) == column_bytes(expected)
