"""Many bars into a table by COPY, encoded while the server takes them in."""

import asyncio
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from psycopg import sql

from marketdata.domain.bars import BarFrame
from marketdata.storage.bar_rows import sql_columns
from marketdata.storage.copy_codec import COPY_HEADER, COPY_TRAILER, encode_text_rows
from marketdata.storage.pools import Connection

# A COPY that meets a bar which it should not is undone back to its savepoint, and no further.
MOST_BARS_A_SAVEPOINT: Final = 50_000
# While the server takes one part of a COPY in (250 KB), the next one is encoded.
_ENCODED_BARS: Final = 2_048

Values = Mapping[str, npt.NDArray[Any]]
Positions = npt.NDArray[np.intp]


async def copy_in(
    connection: Connection, statement: sql.Composed, bars: BarFrame, order: Positions, more: Values
) -> None:
    """Copy bars into a table, within a transaction.

    Parameters
    ----------
    statement : Composed
        A COPY of the symbol, a frame's columns in their order, and then the columns of `more`.
    bars : BarFrame
        All columns.
    order : intp[m]
        Positions of the bars to copy, in the order of the rows.
    more : mapping of str to array, shape (n,)
        What a row has behind the columns of its bar.
    """
    for first in range(0, len(order), MOST_BARS_A_SAVEPOINT):
        part = order[first : first + MOST_BARS_A_SAVEPOINT]
        # The one part of most writes needs no other savepoint than the transaction.
        is_alone = len(part) == len(order)
        async with nullcontext() if is_alone else connection.transaction():
            await _copy_part(connection, statement, bars, part, more)


async def _copy_part(
    connection: Connection, statement: sql.Composed, bars: BarFrame, part: Positions, more: Values
) -> None:
    async with connection.cursor().copy(statement) as copy:
        await copy.write(COPY_HEADER)
        for first in range(0, len(part), _ENCODED_BARS):
            taken = part[first : first + _ENCODED_BARS]
            rows = bars.take(taken).with_used_symbols()  # those of one symbol have one width
            columns = {**sql_columns(rows), **{name: values[taken] for name, values in more.items()}}
            await copy.write(encode_text_rows(rows.symbols, rows.row_symbol_index(), columns))
            await _flush(connection)
        await copy.write(COPY_TRAILER)


async def _flush(connection: Connection) -> None:
    """Wait until the system has taken over what was written.

    psycopg only hands it to libpq, which moves all that is left in its buffer at every send: with
    megabytes in it a COPY took a seventh longer.
    """
    loop, socket = asyncio.get_running_loop(), connection.pgconn.socket
    while connection.pgconn.flush():
        is_writable = asyncio.Event()
        loop.add_writer(socket, is_writable.set)
        try:
            await is_writable.wait()
        finally:
            loop.remove_writer(socket)
