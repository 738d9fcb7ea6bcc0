"""The COPY codec against a real server: what psycopg writes and what PostgreSQL answers."""

from typing import Any, Final

import numpy as np
import pytest
from psycopg import sql

from marketdata.domain.bars import BarColumn, BarFrame
from marketdata.domain.time_range import from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_rows import sql_columns
from marketdata.storage.copy_codec import COPY_HEADER, COPY_TRAILER, encode_rows, encode_text_rows
from marketdata.storage.parameters import number_array, text_array, time_array
from marketdata.storage.pools import Connection
from tests.support.bars import Bar, days, frame_of
from tests.support.storage import Storage

DAY: Final = Timeframe.DAY_1
_TABLE: Final = """
    CREATE TEMPORARY TABLE copied (symbol text, time timestamptz, open float8, high float8,
        low float8, close float8, volume float8, vwap float8, trade_count int8, feed int2,
        flags int2, revision int4)
"""
_COPY_OUT: Final = sql.SQL("COPY (SELECT {} FROM copied ORDER BY ctid) TO STDOUT (FORMAT binary)")
_TYPES: Final = ["timestamptz", *["float8"] * 6, "int8", "int2", "int2", "int4"]
# Symbols of different length, extremes of each column and of the times that a bar may have.
BARS: Final = [
    Bar("A", DAY.earliest_us, open=-0.0, high=float("inf"), low=float("-inf"), volume=None),
    Bar("^GSPC", -1, open=5e-324, high=1.7976931348623157e308, vwap=0.1, trade_count=2**63 - 1),
    Bar("BRK.B", 0, trade_count=-(2**63), feed=-(2**15), flags=2**15 - 1, revision=2**31 - 1),
    Bar("A", DAY.latest_us - 1, vwap=236.889999, revision=-(2**31)),
]
ENDS: Final = (COPY_HEADER, COPY_TRAILER)


async def copied_out(connection: Connection, *columns: str) -> bytes:
    """Have PostgreSQL write columns of the table, in the order of insertion."""
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    async with connection.cursor().copy(_COPY_OUT.format(names)) as copy:
        return b"".join([bytes(part) async for part in copy])


async def copy_as_psycopg(connection: Connection, bars: list[Bar]) -> None:
    """Write bars with psycopg's own dumpers, a row at a time."""
    async with connection.cursor().copy("COPY copied FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["text", *_TYPES])
        for bar in bars:
            nan = float("nan")
            values: list[Any] = [nan if value is None else value for value in bar]
            await copy.write_row([bar.symbol, from_unix_us(bar.time_us), *values[2:]])


async def copy_as_codec(connection: Connection, frame: BarFrame) -> None:
    """Write a frame with the codec's bytes."""
    rows = encode_text_rows(frame.symbols, frame.row_symbol_index(), sql_columns(frame))
    async with connection.cursor().copy("COPY copied FROM STDIN (FORMAT binary)") as copy:
        await copy.write(rows.join(ENDS))


@pytest.mark.parametrize("writer", ["psycopg", "codec"])
async def test_encode_rows_given_stored_rows_equals_what_postgres_sends(
    storage: Storage, writer: str
) -> None:
    """Byte for byte, with and without the symbol's text, whoever wrote the rows."""
    frame = frame_of(BARS)
    columns = sql_columns(frame)
    async with storage.pools.query() as connection:
        await connection.execute(_TABLE)
        if writer == "psycopg":
            await copy_as_psycopg(connection, BARS)
        else:
            await copy_as_codec(connection, frame)
        fixed = await copied_out(connection, *columns)
        with_text = await copied_out(connection, "symbol", *columns)
        await connection.execute("DROP TABLE copied")
    assert fixed == encode_rows(columns).join(ENDS)
    texts = encode_text_rows(frame.symbols, frame.row_symbol_index(), columns)
    assert with_text == texts.join(ENDS)


async def test_encode_rows_given_nan_payloads_survives_the_server(storage: Storage) -> None:
    """PostgreSQL stores the bits of a float8 as they come: signs and payloads of NaN too."""
    bits = np.array([0x7FF8DEADBEEF0001, 0xFFF8000000000000, 0x7FF0000000000001], np.uint64)
    frame = frame_of([Bar("A", days(day)) for day in range(len(bits))])
    frame = BarFrame(
        frame.symbols, **{c.value: frame.column(c) for c in BarColumn} | {"vwap": bits.view(np.float64)}
    )
    async with storage.pools.query() as connection:
        await connection.execute(_TABLE)
        await copy_as_codec(connection, frame)
        sent = await copied_out(connection, "vwap")
        await connection.execute("DROP TABLE copied")
    assert sent == encode_rows({"vwap": frame.vwap}).join(ENDS)


async def test_array_parameters_given_any_length_arrive_as_sent(storage: Storage) -> None:
    """Also none at all; each as the array type that it announces."""
    for n in (0, 1, 1_000):
        index = np.arange(n) % 2
        parameters = {
            "text[]": text_array(("AAPL", "B"), index),
            "timestamptz[]": time_array(index * days(20_000)),
            "float8[]": number_array(index / 4),
            "int8[]": number_array(index.astype(np.int64)),
            "int4[]": number_array(index.astype(np.int32)),
            "int2[]": number_array(index.astype(np.int16)),
        }
        expected = [
            ["AAPL" if place == 0 else "B" for place in index.tolist()],
            [from_unix_us(place * days(20_000)) for place in index.tolist()],
            (index / 4).tolist(),
            *[index.tolist()] * 3,
        ]
        async with storage.pools.query() as connection:
            for (name, parameter), values in zip(parameters.items(), expected, strict=True):
                cursor = await connection.execute(
                    "SELECT %s, pg_typeof(%s)::regtype::oid = %s::regtype", [parameter, parameter, name]
                )
                assert await cursor.fetchone() == (values, True), name
