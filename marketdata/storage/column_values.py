"""Whole columns as the values of one row: the form in which the server answers many bars.

The server puts the columns together, in the byte order of the network. A row a bar would cost this
process fifty times the work, and the reader would be slower than the server (docs/benchmarks.md).
"""

from collections.abc import Iterable
from typing import Final

from psycopg import sql

from marketdata.domain.bars import BarColumn
from marketdata.storage.bar_rows import SQL_NAMES, SYMBOL_INDEX

_VALUES: Final = sql.SQL("string_agg({send}({column}), ''::bytea)")
_SEND: Final = {
    BarColumn.TIME: "timestamptz_send",
    BarColumn.TRADE_COUNT: "int8send",
    BarColumn.FEED: "int2send",
    BarColumn.FLAGS: "int2send",
    BarColumn.REVISION: "int4send",
}


def column_values(columns: Iterable[BarColumn], *, many: bool) -> sql.Composed:
    """Compose the select list that answers columns of an inner query, in its order.

    Parameters
    ----------
    columns : iterable of BarColumn
        What to answer; the frame's order is taken.
    many : bool
        Whether the int4 column ``symbol_index`` stands first.

    Returns
    -------
    Composed
        One bytea a column, null where the inner query has no row; `bar_rows.decode_column_frame`
        reads a COPY of them.
    """
    wanted = frozenset(columns)
    values = [("int4send", SYMBOL_INDEX)] if many else []
    values += [
        (_SEND.get(column, "float8send"), SQL_NAMES[column]) for column in BarColumn if column in wanted
    ]
    return sql.SQL(", ").join(
        _VALUES.format(send=sql.SQL(send), column=sql.Identifier(name)) for send, name in values
    )
