"""Symbols deleted, with their bars where that is asked for."""

from collections.abc import Sequence
from typing import Final

from psycopg import sql

from marketdata.domain.rollup import ROLLED_UP
from marketdata.domain.symbol import TickerSegment
from marketdata.domain.time_range import from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import SymbolHasBarsError, WriteConflictError
from marketdata.storage.bar_tables import bar_table
from marketdata.storage.change_log import Change, ChangeKind, append_change, new_write_id
from marketdata.storage.deletion import delete_segment
from marketdata.storage.known_rows import keep_rows
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.rollup_marks import forget_rollups, has_rollups
from marketdata.storage.stripes import lock_stripes
from marketdata.storage.symbol_rows import lock_symbol
from marketdata.storage.symbols import resolve

# The newest bar under the ticker tells it, unless it belongs to a later holder of a reused ticker. By
# the primary keys of bar_latest and of the bar table, within the partitions of the segment.
_HAS_BARS: Final = sql.SQL("""
    SELECT latest.time < %(end)s
           OR EXISTS (SELECT FROM {table} AS bar WHERE bar.symbol = %(symbol)s
                         AND bar.time >= %(start)s AND bar.time < %(end)s)
      FROM bar_latest AS latest
     WHERE latest.symbol = %(symbol)s AND latest.timeframe = %(timeframe)s
       AND latest.time >= %(start)s
""")
# By the primary key; validity, corporate actions and the company go with it.
_DELETE: Final = "DELETE FROM market_symbol WHERE symbol_id = %s"
_KEEP: Final = [
    keep_rows(table, sql.SQL("symbol_id = %(symbol_id)s"))
    for table in ("market_symbol", "symbol_validity", "market_corporate_action")
]

_Stored = Sequence[tuple[Timeframe, TickerSegment]]


class SymbolDeleter:
    """Deletes symbols.

    Parameters
    ----------
    pools : Pools
        Where transactions run.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def delete(self, symbol: str, *, force: bool) -> int:
        """Delete the identity that a ticker names, or last named, in one transaction.

        Bars of another identity that had one of its tickers at another time stay.

        Parameters
        ----------
        force : bool
            Whether to delete its bars, too.

        Returns
        -------
        int
            How many bars were deleted.

        Raises
        ------
        SymbolNotFoundError
            The ticker never named anything.
        SymbolHasBarsError
            It has bars and `force` was not said.
        DatabaseUnavailableError, QueryTimeoutError, WriteConflictError
            Nothing was deleted.
        """
        async with self._pools.query() as connection, connection.transaction():
            identity = await lock_symbol(connection, symbol)
            segments = await _lock_segments(connection, symbol, identity.symbol_id)
            stored = [
                (timeframe, segment)
                for timeframe, named in segments.items()
                for segment in named
                if await _has_bars(connection, segment, timeframe)
            ]
            rolled_up = [
                (timeframe, segment)
                for timeframe in ROLLED_UP
                for segment in segments[timeframe]
                if await has_rollups(connection, segment, timeframe)
            ]
            if (stored or rolled_up) and not force:
                # Where minutes are stored it is enough to name them, and not what they made.
                raise _refused(symbol, stored or rolled_up)
            write_id = await new_write_id(connection)
            deleted = sum([await delete_segment(connection, s, t, write_id) for t, s in stored])
            for timeframe, segment in rolled_up:
                await forget_rollups(connection, segment, timeframe)
            for keep in _KEEP:
                what = {"symbol_id": identity.symbol_id, "superseded_by": write_id}
                await connection.execute(keep, what)
            await connection.execute(_DELETE, [identity.symbol_id])
            tickers = [segment.ticker for segment in segments[Timeframe.DAY_1]]
            await _append(connection, write_id, symbol, tickers, stored)
        return deleted


async def _lock_segments(
    connection: Connection, symbol: str, symbol_id: int
) -> dict[Timeframe, Sequence[TickerSegment]]:
    """Lock the stripes of all its tickers, table by table, and tell where its bars stand."""
    segments: dict[Timeframe, Sequence[TickerSegment]] = {}
    for timeframe in (t for t in Timeframe if t.is_stored):
        resolved = (await resolve(connection, [symbol], timeframe)).get(symbol)
        if resolved is None or resolved.symbol_id != symbol_id:
            problem = f"{symbol} became another symbol's meanwhile; send the call again"
            raise WriteConflictError(problem)
        segments[timeframe] = resolved.segments
        await lock_stripes(connection, [s.ticker for s in resolved.segments], timeframe)
    return segments


async def _has_bars(connection: Connection, segment: TickerSegment, timeframe: Timeframe) -> bool:
    parameters = {
        "symbol": segment.ticker,
        "timeframe": timeframe.value,
        "start": from_unix_us(segment.range.start_us),
        "end": from_unix_us(segment.range.end_us),
    }
    query = _HAS_BARS.format(table=bar_table(timeframe))
    row = await (await connection.execute(query, parameters)).fetchone()
    return row is not None and bool(row[0])


def _refused(symbol: str, stored: _Stored) -> SymbolHasBarsError:
    timeframes = ", ".join(dict.fromkeys(timeframe.value for timeframe, _ in stored))
    return SymbolHasBarsError(
        f"symbol {symbol} has bars ({timeframes}); say force to delete them with it",
        metadata={"symbol": symbol, "timeframes": timeframes},
    )


async def _append(
    connection: Connection, write_id: int, symbol: str, tickers: Sequence[str], stored: _Stored
) -> None:
    reason = f"DeleteSymbol of {symbol}"
    deleted = [
        Change(
            kind=ChangeKind.DELETED,
            symbols=(segment.ticker,),
            timeframe=timeframe,
            start_us=segment.range.start_us,
            end_us=segment.range.end_us,
            reason=reason,
        )
        for timeframe, segment in stored
    ]
    gone = Change(kind=ChangeKind.SYMBOL, symbols=tuple(dict.fromkeys(tickers)), reason=reason)
    await append_change(connection, write_id, *deleted, gone)
