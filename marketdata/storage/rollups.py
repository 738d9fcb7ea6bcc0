"""Hour and day bars made from minutes ahead of reads, session by session.

A transaction a batch: under the stripes of its tickers no writer of their minutes is under way, so
that what is read, made and stored fits what is marked. A roller that is killed leaves the batch as it
was. Answers do not change by it, so the change log has no entry.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import numpy as np

from marketdata.domain.bars import BarFrame
from marketdata.domain.rollup import ROLLED_UP
from marketdata.domain.symbol import TickerSegment
from marketdata.domain.time_range import TimeRange, from_unix_us
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.storage import rollup_sql
from marketdata.storage.bar_rows import sql_columns, to_column_frame
from marketdata.storage.calendars import load_calendars
from marketdata.storage.commit_sql import read_ranges
from marketdata.storage.copy_codec import COPY_HEADER, COPY_TRAILER, encode_text_rows
from marketdata.storage.feeds import read_catalog
from marketdata.storage.parameters import number_array, text_array, time_array
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.rollup_work import (
    DirtyDay,
    Identity,
    RollUpBatch,
    RollUpWork,
    cut,
    plan,
    roll_up,
)
from marketdata.storage.stripes import lock_stripes

log = logging.getLogger(__name__)

# Writers of the same stripes wait for a batch. So many days have 60,000 minutes at the most where
# extended hours are traded, and take about a tenth of a second.
MOST_DAYS_A_BATCH: Final = 64


@dataclass(frozen=True, slots=True)
class RollUpResult:
    """What a run of the roller did.

    Attributes
    ----------
    days : int
        Days of a ticker that are rolled up now.
    hour_bars, day_bars : int
        Roll-ups written.
    waiting : int
        Days before today that are left for later: sessions that have not ended, or that the calendar
        does not know.
    """

    days: int = 0
    hour_bars: int = 0
    day_bars: int = 0
    waiting: int = 0

    def __add__(self, other: "RollUpResult") -> "RollUpResult":
        """Add up two runs."""
        return RollUpResult(
            self.days + other.days,
            self.hour_bars + other.hour_bars,
            self.day_bars + other.day_bars,
            self.waiting + other.waiting,
        )


class RollUpKeeper:
    """Rolls minutes up into hours and days.

    Call `run_once` every few minutes, and before minutes are dropped. Any number of keepers may run at
    a time, in any number of processes.

    Parameters
    ----------
    pools : Pools
        Where transactions run.
    most_days : int
        How many days of a ticker one transaction rolls up.
    """

    def __init__(self, pools: Pools, most_days: int = MOST_DAYS_A_BATCH) -> None:
        self._pools = pools
        self._most_days = most_days

    async def run_once(self, now_us: int) -> RollUpResult:
        """Roll up all days whose sessions have ended, oldest first.

        What is written meanwhile may be left for the next run. Cancelled, it leaves the batch that is
        under way undone, and the ones before done.

        Parameters
        ----------
        now_us : int
            Unix microseconds.

        Raises
        ------
        DatabaseUnavailableError, QueryTimeoutError, WriteConflictError
            The batch that was under way is undone; the next run goes on.
        """
        result = RollUpResult()
        after = DirtyDay("", 0)
        today = now_us // MICROSECONDS_PER_DAY
        while dirty := await self._pick(after, today):
            result += await self._roll(dirty, now_us)
            after = dirty[-1]
        if result.days:
            log.info("rolled_up", extra={"days": result.days, "waiting": result.waiting})
        return result

    async def _pick(self, after: DirtyDay, today: int) -> list[DirtyDay]:
        parameters = {
            "after_day": after.day,
            "after_symbol": after.symbol,
            "today": today,
            "limit": self._most_days,
        }
        async with self._pools.query() as connection:
            cursor = await connection.execute(rollup_sql.PICK, parameters)
            return [DirtyDay(*row) for row in await cursor.fetchall()]

    async def _roll(self, dirty: Sequence[DirtyDay], now_us: int) -> RollUpResult:
        async with self._locked(dirty) as (connection, identities):
            cursor = await connection.execute(rollup_sql.FIRST_DAY)
            row = await cursor.fetchone()
            batch = plan(dirty, identities, row[0] if row else None, now_us)
            written = dict.fromkeys(ROLLED_UP, 0)
            if batch.work:
                written = await _make(connection, batch.work, now_us)
            await _clear(connection, batch)
        return RollUpResult(
            days=len(batch.done),
            hour_bars=written[Timeframe.HOUR_1],
            day_bars=written[Timeframe.DAY_1],
            waiting=batch.waiting,
        )

    @asynccontextmanager
    async def _locked(
        self, dirty: Sequence[DirtyDay]
    ) -> AsyncIterator[tuple[Connection, list[Identity]]]:
        """Open a transaction without writers of these tickers' minutes beside it."""
        symbols = {"symbols": list(dict.fromkeys(one.symbol for one in dirty))}
        async with self._pools.query() as connection, connection.transaction():
            known: set[str] = set()
            while True:
                cursor = await connection.execute(rollup_sql.TICKERS, symbols)
                needed = {ticker for (ticker,) in await cursor.fetchall()} | set(symbols["symbols"])
                if needed <= known:
                    break
                # Ascending within one statement. A rename that came between is seen the second time;
                # then the roller may wait for a writer that waits for it, and PostgreSQL ends one.
                await lock_stripes(connection, needed, Timeframe.MINUTE_1)
                known |= needed
            yield connection, await _read_identities(connection, symbols)


async def _read_identities(connection: Connection, symbols: dict[str, list[str]]) -> list[Identity]:
    cursor = await connection.execute(rollup_sql.IDENTITIES, symbols)
    rows = await cursor.fetchall()
    calendars = await load_calendars(row[1] for row in rows)
    identities = []
    for (_, calendar), group in groupby(rows, key=lambda row: (row[0], row[1])):
        own = list(group)
        identities.append(
            Identity(
                calendars[calendar],
                tuple(_segment(row[2], Timeframe.MINUTE_1, row[3], row[4]) for row in own),
                tuple(_segment(row[2], Timeframe.DAY_1, row[5], row[6]) for row in own),
            )
        )
    return identities


def _segment(ticker: str, timeframe: Timeframe, start: int | None, end: int | None) -> TickerSegment:
    start_us = timeframe.earliest_us if start is None else start * 1_000_000
    end_us = timeframe.latest_us if end is None else end * 1_000_000
    return TickerSegment(ticker, TimeRange(start_us, end_us))


async def _make(
    connection: Connection, work: Sequence[RollUpWork], now_us: int
) -> dict[Timeframe, int]:
    catalog = await read_catalog(connection)
    minutes = await _read_minutes(connection, work)
    written = {}
    for timeframe in ROLLED_UP:
        await _delete(connection, work, timeframe)
        written[timeframe] = 0
        if len(minutes):
            bars = await asyncio.to_thread(roll_up, work, minutes, timeframe, now_us, catalog.ranks)
            await _copy_in(connection, bars, timeframe)
            written[timeframe] = len(bars)
    return written


async def _read_minutes(connection: Connection, work: Sequence[RollUpWork]) -> BarFrame:
    """Read the minutes of a batch, grouped by the place of the work and ascending."""
    names = tuple(str(number) for number in range(len(work)))
    asked = [(number, one) for number, own in enumerate(work) for one in own.minutes()]
    if not asked:
        return BarFrame.empty(names)
    starts = np.array([one.range.start_us for _, one in asked], np.int64)
    lasts = np.array([one.range.end_us - 1 for _, one in asked], np.int64)
    parameters = {
        "index": number_array(np.array([number for number, _ in asked], np.int32)),
        "symbol": text_array([one.ticker for _, one in asked], np.arange(len(asked))),
        "first_time": time_array(starts),
        "last_time": time_array(lasts),
        "first": from_unix_us(int(starts.min())),
        "last": from_unix_us(int(lasts.max())),
    }
    cursor = await connection.execute(read_ranges(Timeframe.MINUTE_1), parameters, binary=True)
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 -- an aggregate without GROUP BY has one row
    return await asyncio.to_thread(_ordered, row, names)


def _ordered(row: Sequence[Any], names: tuple[str, ...]) -> BarFrame:
    *columns, _ = row  # the last one are write_ids, which only a write of bars keeps
    minutes = to_column_frame(columns, names, {})
    return minutes.take(np.lexsort((minutes.time_us, minutes.symbol_index)))


async def _delete(connection: Connection, work: Sequence[RollUpWork], timeframe: Timeframe) -> None:
    replaced = [
        segment
        for one in work
        for segment in cut(one.identity.segments(timeframe), one.labels[timeframe])
    ]
    parameters = {
        "symbol": text_array([one.ticker for one in replaced], np.arange(len(replaced))),
        "start": time_array(np.array([one.range.start_us for one in replaced], np.int64)),
        "end": time_array(np.array([one.range.end_us for one in replaced], np.int64)),
    }
    await connection.execute(rollup_sql.delete_replaced(timeframe), parameters)


async def _copy_in(connection: Connection, bars: BarFrame, timeframe: Timeframe) -> None:
    rows = encode_text_rows(bars.symbols, bars.row_symbol_index(), sql_columns(bars))
    async with connection.cursor().copy(rollup_sql.copy_rollups(timeframe)) as copy:
        await copy.write(COPY_HEADER + rows + COPY_TRAILER)


async def _clear(connection: Connection, batch: RollUpBatch) -> None:
    if not batch.done:
        return
    parameters = {
        "symbol": text_array([one.symbol for one in batch.done], np.arange(len(batch.done))),
        "day": number_array(np.array([one.day for one in batch.done], np.int32)),
    }
    await connection.execute(rollup_sql.CLEAR, parameters)
