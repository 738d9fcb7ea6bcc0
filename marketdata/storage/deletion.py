"""Bars deleted: under the same locks and the same change log as bars written."""

from dataclasses import dataclass
from typing import Final

from psycopg import sql

from marketdata.domain.symbol import TickerSegment
from marketdata.domain.time_range import TimeRange, from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_tables import bar_table
from marketdata.storage.change_log import (
    Change,
    ChangeKind,
    append_change,
    committed_seq,
    new_write_id,
)
from marketdata.storage.known_rows import keep_bars
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.rollup_marks import mark_rows
from marketdata.storage.stripes import lock_stripes
from marketdata.storage.symbols import resolve, unknown_symbol

# By the primary key, within the partitions of the range.
_DELETE: Final = sql.SQL("""
    WITH gone AS (
        DELETE FROM {table} WHERE symbol = %(symbol)s AND time >= %(start)s AND time < %(end)s
        RETURNING *
    ), kept AS ({keep}){mark}
    SELECT count(*) FROM gone
""")
_MARK_GONE: Final = sql.SQL(", marked AS ({})").format(mark_rows(sql.SQL("gone")))
_FORGET_LATEST: Final = """
    DELETE FROM bar_latest
     WHERE symbol = %(symbol)s AND timeframe = %(timeframe)s
       AND time >= %(start)s AND time < %(end)s
    RETURNING first_time
"""
# Backwards along the primary key to the newest bar that is left.
_KEEP_LATEST: Final = sql.SQL("""
    INSERT INTO bar_latest (symbol, timeframe, first_time, time, open, high, low, close, volume, vwap,
                            trade_count, feed, flags, revision, write_id)
    SELECT symbol, %(timeframe)s, %(first_time)s, time, open, high, low, close, volume, vwap,
           trade_count, feed, flags, revision, write_id
      FROM {table} WHERE symbol = %(symbol)s AND time >= %(first_time)s AND time < %(start)s
     ORDER BY time DESC LIMIT 1
""")
# By ingestion_fetched_symbol_id. It stays fetched, so that no backfill brings it back by itself.
_NOTE_FETCHED: Final = """
    UPDATE ingestion_fetched
       SET deleted = deleted + ranges * tstzmultirange(tstzrange(%(start)s, %(end)s))
     WHERE symbol_id = %(symbol_id)s AND timeframe = %(timeframe)s
"""


@dataclass(frozen=True, slots=True)
class DeletionResult:
    """What became of a deletion.

    Attributes
    ----------
    deleted : int
        How many bars.
    seq : int
        Position in the change log; 0 where nothing was deleted.
    """

    deleted: int
    seq: int


class BarDeleter:
    """Deletes bars.

    Parameters
    ----------
    pools : Pools
        Where transactions run.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def delete(
        self, symbol: str, timeframe: Timeframe, within: TimeRange, reason: str
    ) -> DeletionResult:
        """Delete the bars of one symbol in a range, in one transaction.

        Parameters
        ----------
        symbol : str
            Ticker; the bars of its identity under former tickers count too.
        timeframe : Timeframe
            One that is stored.
        within : TimeRange
            Half-open.
        reason : str
            Kept in the change log.

        Raises
        ------
        SymbolNotFoundError
            The symbol is unknown.
        DatabaseUnavailableError, QueryTimeoutError, WriteConflictError
            Nothing was deleted.
        """
        async with self._pools.query() as connection:
            async with connection.transaction():
                found = await resolve(connection, [symbol], timeframe)
                if symbol not in found:
                    raise unknown_symbol(symbol)
                segments = [
                    TickerSegment(segment.ticker, segment.range.intersect(within))
                    for segment in found[symbol].segments
                ]
                await lock_stripes(connection, [s.ticker for s in segments], timeframe)
                write_id = await new_write_id(connection)
                deleted = sum(
                    [await delete_segment(connection, s, timeframe, write_id) for s in segments]
                )
                if deleted == 0:
                    return DeletionResult(0, 0)
                change = Change(
                    kind=ChangeKind.DELETED,
                    symbols=tuple(dict.fromkeys(s.ticker for s in segments)),
                    timeframe=timeframe,
                    start_us=within.start_us,
                    end_us=within.end_us,
                    reason=reason,
                )
                await append_change(connection, write_id, change)
                await _note_fetched(connection, found[symbol].symbol_id, timeframe, within)
            return DeletionResult(deleted, await committed_seq(connection, write_id))


async def _note_fetched(
    connection: Connection, symbol_id: int, timeframe: Timeframe, within: TimeRange
) -> None:
    """Note that bars which are missing there were not left out by their provider."""
    parameters = {
        "symbol_id": symbol_id,
        "timeframe": timeframe.value,
        "start": from_unix_us(within.start_us),
        "end": from_unix_us(within.end_us),
    }
    await connection.execute(_NOTE_FETCHED, parameters)


async def delete_segment(
    connection: Connection, segment: TickerSegment, timeframe: Timeframe, write_id: int
) -> int:
    """Delete the bars of a ticker in a range, keep them as revisions, mark roll-ups; count the bars.

    Within a transaction that holds the ticker's stripe and that notes the deletion in the log, under
    `write_id`.
    """
    parameters = {
        "write_id": write_id,
        "symbol": segment.ticker,
        "timeframe": timeframe.value,
        "start": from_unix_us(segment.range.start_us),
        "end": from_unix_us(segment.range.end_us),
    }
    table = bar_table(timeframe)
    mark = _MARK_GONE if timeframe is Timeframe.MINUTE_1 else sql.SQL("")
    keep = keep_bars(timeframe, sql.SQL("gone"), sql.Placeholder("write_id"))
    cursor = await connection.execute(_DELETE.format(table=table, keep=keep, mark=mark), parameters)
    (deleted,) = await cursor.fetchone() or (0,)
    if deleted:
        forgotten = await (await connection.execute(_FORGET_LATEST, parameters)).fetchone()
        if forgotten is not None:
            kept = {**parameters, "first_time": forgotten[0]}
            await connection.execute(_KEEP_LATEST.format(table=table), kept)
    return int(deleted)
