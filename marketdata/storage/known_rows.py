"""Rows as they were known at a point in time: what is still there, and versions superseded since.

A version is known from the seq of the write that stored it to the seq of the one that superseded it.
Both are told by their write_ids (`point_in_time`), so that no row is joined with the log.
"""

from typing import Final

from psycopg import sql

from marketdata.domain.as_of import KnownWrites
from marketdata.domain.bars import BarColumn
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_rows import SQL_NAMES
from marketdata.storage.bar_tables import bar_table

_BAR_COLUMNS: Final = ("symbol", *(SQL_NAMES[column] for column in BarColumn))
_COLUMNS: Final = {
    "market_symbol": (
        *("symbol_id", "symbol", "name", "venue", "asset_class", "currency", "calendar", "time_zone"),
        *("tick_size", "status", "ipo_date", "provider_symbols", "status_evidence"),
    ),
    "symbol_validity": ("symbol_id", "symbol", "valid_from", "valid_to"),
    "market_corporate_action": (
        *("symbol_id", "kind", "ex_date", "split_ratio", "cash_amount", "currency", "source"),
    ),
}
_STANDING: Final = sql.SQL("SELECT {columns} FROM {table} WHERE {is_known}")
_SUPERSEDED: Final = sql.SQL(
    "SELECT {columns} FROM {table} WHERE {which}{is_known} AND NOT ({is_superseded})"
)
_IS_KNOWN: Final = sql.SQL("({write_id} <= {greatest} AND {write_id} <> ALL ({overtaken}::bigint[]))")


def known_bars(timeframe: Timeframe, known: KnownWrites | None) -> sql.Composable:
    """Compose what stands for the bar table of `timeframe` in FROM, before ``AS``.

    Its columns are the symbol's and a frame's. By the primary keys of the bar table and of
    `bar_revision`, in whose order (symbol, time) both can be merged without a sort.

    Parameters
    ----------
    known : KnownWrites or None
        None for the newest versions.
    """
    table = bar_table(timeframe)
    if known is None:
        return table
    which = sql.SQL("timeframe = {} AND ").format(sql.Literal(timeframe.value))
    parts = [_standing(table, _BAR_COLUMNS, known)]
    if timeframe in known.revised:
        parts.append(_superseded(sql.Identifier("bar_revision"), which, _BAR_COLUMNS, known))
    return _together(parts)


def known_rows(table: str, known: KnownWrites | None) -> sql.Composable:
    """Compose what stands for a table of symbols or corporate actions in FROM, before ``AS``."""
    if known is None:
        return sql.Identifier(table)
    columns = _COLUMNS[table]
    superseded = sql.Identifier(f"{table}_revision")
    return _together(
        [
            _standing(sql.Identifier(table), columns, known),
            _superseded(superseded, sql.SQL(""), columns, known),
        ]
    )


def keep_rows(table: str, which: sql.Composable) -> sql.Composed:
    """Compose the statement that keeps rows which a write is about to supersede.

    Parameters
    ----------
    table : str
        Of symbols or corporate actions.
    which : Composable
        The condition of the rows; its parameters are the statement's, with ``superseded_by``.
    """
    columns = _names(_COLUMNS[table])
    return sql.SQL(
        "INSERT INTO {kept} ({columns}, write_id, superseded_by)"
        " SELECT {columns}, write_id, %(superseded_by)s FROM {table} WHERE {which}"
    ).format(
        kept=sql.Identifier(f"{table}_revision"),
        table=sql.Identifier(table),
        columns=columns,
        which=which,
    )


def keep_bars(
    timeframe: Timeframe, rows: sql.Composable, superseded_by: sql.Composable
) -> sql.Composed:
    """Compose the INSERT that keeps bars which a write supersedes.

    Parameters
    ----------
    rows : Composable
        What to put behind FROM: whole rows of the bar table of `timeframe`.
    superseded_by : Composable
        Expression for the write_id.
    """
    columns = _names(_BAR_COLUMNS)
    return sql.SQL(
        "INSERT INTO bar_revision (timeframe, {columns}, write_id, superseded_by)"
        " SELECT {timeframe}, {columns}, write_id, {superseded_by} FROM {rows}"
    ).format(
        columns=columns,
        timeframe=sql.Literal(timeframe.value),
        superseded_by=superseded_by,
        rows=rows,
    )


def _standing(table: sql.Identifier, columns: tuple[str, ...], known: KnownWrites) -> sql.Composed:
    return _STANDING.format(columns=_names(columns), table=table, is_known=_is_known("write_id", known))


def _superseded(
    table: sql.Identifier, which: sql.Composable, columns: tuple[str, ...], known: KnownWrites
) -> sql.Composed:
    return _SUPERSEDED.format(
        columns=_names(columns),
        table=table,
        which=which,
        is_known=_is_known("write_id", known),
        is_superseded=_is_known("superseded_by", known),
    )


def _is_known(write_id: str, known: KnownWrites) -> sql.Composed:
    return _IS_KNOWN.format(
        write_id=sql.Identifier(write_id),
        greatest=sql.Literal(known.greatest),
        overtaken=sql.Literal(list(known.overtaken)),
    )


def _together(parts: list[sql.Composed]) -> sql.Composed:
    return sql.SQL("({})").format(sql.SQL(" UNION ALL ").join(parts))


def _names(columns: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
