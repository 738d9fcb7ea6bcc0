"""The COPY codec: byte for byte what psycopg writes for the same rows, and its own inverse."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from psycopg import postgres
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import Format
from psycopg.types.numeric import Float8, Int2, Int4, Int8

from marketdata.domain.bars import ALL_COLUMNS, COLUMN_DTYPES, BarColumn, BarFrame, full_columns
from marketdata.domain.time_range import from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_rows import decode_column_frame, decode_frame, encode_inline, sql_columns
from marketdata.storage.copy_codec import (
    COPY_HEADER,
    COPY_TRAILER,
    POSTGRES_EPOCH_US,
    CopyFormatError,
    decode_columns,
    decode_rows,
    encode_array,
    encode_rows,
    encode_text_array,
    encode_text_rows,
    from_postgres_time,
    native,
    row_dtype,
    to_postgres_time,
)
from marketdata.storage.parameters import ArrayParameter, number_array, text_array, time_array

# What psycopg is told of each dtype, and the type of the column that it goes to.
_ADAPTED: Final[dict[np.dtype[Any], tuple[Any, str]]] = {
    np.dtype(np.float64): (Float8, "float8"),
    np.dtype(np.int64): (Int8, "int8"),
    np.dtype(np.int32): (Int4, "int4"),
    np.dtype(np.int16): (Int2, "int2"),
}
# Signs and payloads of NaN, infinities, both zeros, the greatest, the least and subnormal numbers.
_EDGE_BITS: Final = (
    0x7FF8000000000000, 0xFFF8000000000000, 0x7FF8DEADBEEF0001, 0x7FF0000000000000,
    0xFFF0000000000000, 0x8000000000000000, 0, 0x7FEFFFFFFFFFFFFF, 1,
)  # fmt: skip
FLOATS = st.one_of(
    st.sampled_from(_EDGE_BITS).map(lambda bits: float(np.uint64(bits).view(np.float64))), st.floats()
)
EARLIEST_US: Final = Timeframe.DAY_1.earliest_us
LATEST_US: Final = Timeframe.DAY_1.latest_us
TIMES = st.one_of(
    st.sampled_from([EARLIEST_US, LATEST_US - 1, -1, 0, POSTGRES_EPOCH_US]),
    st.integers(EARLIEST_US, LATEST_US - 1),
)
# Of 1 to 20 bytes, also where a character is more than one.
SYMBOLS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=5),
    min_size=1,
    max_size=5,
    unique=True,
)


@st.composite
def frames(draw: st.DrawFn) -> BarFrame:
    """Draw a frame with every column, of one or many symbols."""
    n = draw(st.integers(0, 12))
    symbols = tuple(draw(SYMBOLS))
    columns: dict[BarColumn, npt.NDArray[Any]] = {}
    for column, dtype in COLUMN_DTYPES.items():
        values = FLOATS if dtype == np.float64 else hnp.from_dtype(dtype)
        if column is BarColumn.TIME:
            values = TIMES
        columns[column] = np.array(draw(st.lists(values, min_size=n, max_size=n)), dtype)
    index = draw(st.lists(st.integers(0, len(symbols) - 1), min_size=n, max_size=n))
    return BarFrame(symbols, symbol_index=np.array(index, np.int32), **full_columns(n, columns))


def psycopg_rows(types: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """Write rows as `AsyncCopy.write_row` does for a binary COPY, without header and trailer."""
    transformer = Transformer()
    transformer.set_dumper_types([postgres.types[name].oid for name in types], Format.BINARY)
    written = bytearray()
    for row in rows:
        fields = transformer.dump_sequence(row, [PyFormat.BINARY] * len(row))
        written += len(row).to_bytes(2, "big")
        for field in fields:
            assert field is not None
            written += len(field).to_bytes(4, "big") + bytes(field)
    return bytes(written)


def frame_rows(frame: BarFrame) -> tuple[list[str], list[list[Any]]]:
    """Turn a frame's columns into what psycopg takes: types, and rows of Python values."""
    types: list[str] = []
    columns: list[list[Any]] = []
    for column in BarColumn:
        values = frame.column(column).tolist()
        if column is BarColumn.TIME:
            types.append("timestamptz")
            columns.append([from_unix_us(value) for value in values])
        else:
            types.append(_ADAPTED[COLUMN_DTYPES[column]][1])
            columns.append(values)
    return types, [list(row) for row in zip(*columns, strict=True)]


def same_bits(first: BarFrame, second: BarFrame) -> bool:
    """Whether two frames hold the same bits, NaN payloads and signs of zero included."""
    return first.row_symbol_index().tobytes() == second.row_symbol_index().tobytes() and all(
        first.column(column).tobytes() == second.column(column).tobytes() for column in BarColumn
    )


@given(frames())
def test_encode_rows_given_one_symbol_equals_psycopg(frame: BarFrame) -> None:
    """Rows of fixed width: what a read of one symbol gets."""
    assert encode_rows(sql_columns(frame)) == psycopg_rows(*frame_rows(frame))


@given(frames())
def test_encode_text_rows_given_texts_of_any_length_equals_psycopg(frame: BarFrame) -> None:
    """Rows that begin with the symbol's text: what a COPY into a bar table sends."""
    types, rows = frame_rows(frame)
    texts = [frame.symbols[index] for index in frame.symbol_index]
    expected = psycopg_rows(["text", *types], [[t, *row] for t, row in zip(texts, rows, strict=True)])
    assert encode_text_rows(frame.symbols, frame.symbol_index, sql_columns(frame)) == expected


def test_encode_text_rows_given_texts_of_equal_length_equals_psycopg() -> None:
    """Without padding nothing is taken out."""
    index = np.array([1, 0, 1], np.int32)
    expected = psycopg_rows(["text", "int8"], [["MSFT", 7], ["AAPL", 8], ["MSFT", 9]])
    assert encode_text_rows(("AAPL", "MSFT"), index, {"ord": np.array([7, 8, 9])}) == expected


def test_encode_rows_given_a_text_column_of_one_length_equals_psycopg() -> None:
    """A bytes column in which no value is shorter than another is a text of fixed width."""
    columns = {"symbol": np.array([b"AAPL", b"MSFT"]), "close": np.array([1.5, -0.0])}
    assert encode_rows(columns) == psycopg_rows(["text", "float8"], [["AAPL", 1.5], ["MSFT", -0.0]])


@pytest.mark.parametrize(
    "ends", [(b"", b""), (COPY_HEADER, b""), (b"", COPY_TRAILER), (COPY_HEADER, COPY_TRAILER)]
)
@given(frame=frames())
def test_decode_frame_given_encoded_rows_is_the_inverse(
    frame: BarFrame, ends: tuple[bytes, bytes]
) -> None:
    """Every bit comes back, with and without header and trailer; the arrays are the frame's own."""
    decoded = decode_frame(
        ends[0] + encode_inline(frame) + ends[1], ALL_COLUMNS, frame.symbols, {}, many=True
    )
    assert same_bits(decoded, frame)
    for column in BarColumn:
        assert decoded.column(column).flags.owndata
        assert decoded.column(column).flags.aligned
        assert decoded.column(column).dtype == COLUMN_DTYPES[column]


@given(frames(), st.sets(st.sampled_from(BarColumn)))
def test_decode_frame_given_some_columns_has_only_those(
    frame: BarFrame, wanted: set[BarColumn]
) -> None:
    """A read of some columns of one symbol: the others are absent."""
    wanted |= {BarColumn.TIME}
    columns = sql_columns(frame)
    data = encode_rows(
        {
            name: values
            for column, (name, values) in zip(BarColumn, columns.items(), strict=True)
            if column in wanted
        }
    )
    decoded = decode_frame(data, wanted, ("AAPL",), {1: "a/b"}, many=False)
    assert decoded.feeds == {1: "a/b"}
    for column in BarColumn:
        expected = frame.column(column) if column in wanted else frame.column(column)[:0]
        assert decoded.column(column).tobytes() == expected.tobytes()


@given(frames(), st.data())
def test_decode_rows_given_a_cut_raises_copy_format_error(frame: BarFrame, data: st.DataObject) -> None:
    """Bytes that end within a row are refused, never taken for fewer rows."""
    fields = [(column.value, COLUMN_DTYPES[column]) for column in BarColumn]
    encoded = encode_rows(sql_columns(frame)) + bytes(row_dtype(fields).itemsize)
    cut = data.draw(st.integers(1, row_dtype(fields).itemsize - 1))
    with pytest.raises(CopyFormatError, match="are not whole rows of"):
        decode_rows(encoded[:-cut], fields)


@pytest.mark.parametrize(
    "fields",
    [
        [("time", "S20")],
        [("time", np.int64), ("feed", np.int16), ("flags", np.int16)],
        [("time", "S12"), ("open", np.int32)],
        [("time", np.int64), ("open", np.float32), ("close", np.float32)],
    ],
    ids=["fewer", "more", "other widths", "not whole"],
)
def test_decode_rows_given_other_fields_raises_copy_format_error(fields: list[tuple[str, Any]]) -> None:
    """Rows of something else are refused, also where they are as wide as what was expected."""
    rows = {"time": np.arange(60), "open": np.arange(60) / 7}
    with pytest.raises(CopyFormatError, match=r"the rows' fields are not|are not whole rows of"):
        decode_rows(encode_rows(rows), fields)


def test_decode_rows_given_a_null_raises_copy_format_error() -> None:
    """No column of a bar may be null; a null field has a length of -1 and no bytes."""
    row = (1).to_bytes(2, "big") + (-1).to_bytes(4, "big", signed=True)
    with pytest.raises(CopyFormatError):
        decode_rows(row + bytes(8), [("time", np.int64)])
    with pytest.raises(CopyFormatError):
        decode_rows(row, [("time", np.int64)])


@pytest.mark.parametrize("data", [b"", COPY_HEADER, COPY_TRAILER, COPY_HEADER + COPY_TRAILER])
def test_decode_rows_given_no_rows_is_empty(data: bytes) -> None:
    """An empty answer is a header and a trailer, or what a reader stripped of them."""
    rows = decode_rows(data, [("time", np.int64)])
    assert len(rows) == 0
    assert rows.dtype.names is not None


def test_decode_rows_given_bytes_looks_at_them_without_a_copy() -> None:
    """Columns are views; `native` makes the copy that outlives the buffer."""
    data = encode_rows({"time": np.arange(3)})
    column = decode_rows(data, [("time", np.int64)])["time"]
    assert not column.flags.writeable
    copy = native(column)
    assert copy.flags.writeable
    assert copy.dtype == np.int64
    assert copy.tolist() == [0, 1, 2]


@given(st.lists(TIMES))
def test_to_postgres_time_given_unix_times_counts_from_2000(times_us: list[int]) -> None:
    """What `timestamptz` stores, exactly, and back from either byte order."""
    column = to_postgres_time(np.array(times_us, np.int64))
    epoch = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
    since = [from_unix_us(time_us) - epoch for time_us in times_us]
    exact = [
        delta.days * 86_400_000_000 + delta.seconds * 1_000_000 + delta.microseconds for delta in since
    ]
    assert column.tolist() == exact
    assert from_postgres_time(column).tolist() == times_us
    assert from_postgres_time(column.astype(">i8")).tolist() == times_us


def psycopg_array(values: list[Any]) -> ArrayParameter:
    """Dump a list as psycopg's own binary parameter."""
    dumper = Transformer().get_dumper(values, PyFormat.BINARY)
    dumped = dumper.dump(values)
    assert dumped is not None
    return ArrayParameter(bytes(dumped), dumper.oid)


@pytest.mark.parametrize("dtype", list(_ADAPTED), ids=str)
@given(data=st.data())
def test_number_array_given_values_equals_psycopg(dtype: np.dtype[Any], data: st.DataObject) -> None:
    """Type of the array and every byte, in either byte order of the values."""
    elements = FLOATS if dtype == np.float64 else hnp.from_dtype(dtype)
    values = np.array(data.draw(st.lists(elements, min_size=1)), dtype)
    wrap, name = _ADAPTED[dtype]
    expected = psycopg_array([wrap(value) for value in values.tolist()])
    assert number_array(values) == expected
    swapped = values.astype(dtype.newbyteorder("S"))
    assert encode_array(swapped, postgres.types[name].oid) == expected.data


@given(st.lists(TIMES, min_size=1))
def test_time_array_given_times_equals_psycopg(times_us: list[int]) -> None:
    """A `timestamptz[]` of Unix microseconds."""
    expected = psycopg_array([from_unix_us(time_us) for time_us in times_us])
    assert time_array(np.array(times_us, np.int64)) == expected


@given(SYMBOLS, st.data())
def test_text_array_given_texts_equals_psycopg(texts: list[str], data: st.DataObject) -> None:
    """A `text[]` of dictionary entries, in any order and number, of any length in bytes."""
    index = data.draw(st.lists(st.integers(0, len(texts) - 1), min_size=1))
    expected = psycopg_array([texts[position] for position in index])
    assert text_array(texts, np.array(index)) == expected


def test_array_given_no_elements_has_one_empty_dimension() -> None:
    """PostgreSQL reads a dimension of length 0 as the empty array."""
    header = np.array([1, 0, 25, 0, 1], ">i4").tobytes()
    assert encode_text_array((), np.empty(0, np.int64), 25) == header
    assert encode_array(np.empty(0), 25) == header


def test_encode_rows_given_no_rows_is_empty() -> None:
    """Neither rows of fixed width nor of texts."""
    none = np.empty(0, np.int64)
    assert encode_rows({"time": none}) == b""
    assert encode_text_rows(("AAPL", "A"), none, {"time": none}) == b""
    assert encode_text_rows((), none, {"time": none}) == b""


def one_row(*fields: bytes) -> bytes:
    """Make a row of fields as COPY sends it, header and trailer included."""
    row = len(fields).to_bytes(2, "big")
    row += b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    return COPY_HEADER + row + COPY_TRAILER


def test_decode_columns_given_a_row_of_columns_looks_at_each() -> None:
    """Every field is a column of its own width, in the network's byte order."""
    times, feeds = np.arange(5, dtype=">i8"), np.arange(5, dtype=">i2")
    found = decode_columns(one_row(times.tobytes(), feeds.tobytes()), [np.int64, np.int16])
    assert [native(column).tolist() for column in found] == [[0, 1, 2, 3, 4]] * 2


@pytest.mark.parametrize("data", [b"", COPY_HEADER, COPY_TRAILER, COPY_HEADER + COPY_TRAILER])
def test_decode_columns_given_no_row_is_columns_without_values(data: bytes) -> None:
    """Where no bar was found there is no row."""
    assert [len(column) for column in decode_columns(data, [np.int64, np.int16])] == [0, 0]


@pytest.mark.parametrize(
    "data",
    [
        one_row(bytes(16)),
        one_row(bytes(16), bytes(4), bytes(4)),
        one_row(bytes(15), bytes(4)),
        one_row(bytes(16), bytes(6)),
        one_row(bytes(16), bytes(4))[:-3],
        one_row(bytes(16), bytes(4)) + b"more",
    ],
    ids=["fewer", "more", "not whole", "other lengths", "cut", "more behind"],
)
def test_decode_columns_given_anything_else_raises_copy_format_error(data: bytes) -> None:
    """Bytes that are no such row are refused, never taken for fewer values."""
    with pytest.raises(CopyFormatError):
        decode_columns(data, [np.int64, np.int16])


def test_decode_column_frame_given_times_out_of_order_raises_copy_format_error() -> None:
    """No aggregate promises the order of its input: it is looked at."""
    times = np.array([2, 1, 3], ">i8").tobytes()
    with pytest.raises(CopyFormatError, match="out of order"):
        decode_column_frame(one_row(times), [BarColumn.TIME], ("AAPL",), {}, many=False)
