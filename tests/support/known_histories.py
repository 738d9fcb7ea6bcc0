"""Random histories of concurrent writers, and what plain reads answered meanwhile.

The check is simple: an answer as of a seq must be what a plain read gave when that was the newest.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Final

import numpy as np

from marketdata.domain.adjustment import Adjustment
from marketdata.domain.as_of import AsOf
from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarFrame
from marketdata.domain.calendar import SessionHours
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.symbol import NewSymbol, SymbolUpdate
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.errors import ServiceError
from marketdata.storage.point_in_time import read_known_writes
from marketdata.storage.pools import Connection
from tests.support.bars import Bar, bars_of, frame_of
from tests.support.reads import read_in_bulk
from tests.support.storage import Storage

WRITERS: Final = 8
_WRITES: Final = 14
_SYMBOLS: Final = ("S0", "S1", "S2")
# Of a symbol that is renamed, deleted and made again.
_WANDERING: Final = ("T0", "T1")
# Two sessions of New York, the second one after a week-end: 2024-01-05 and 2024-01-08.
_FIRST_DAY: Final = date(2024, 1, 5)
_OPEN_US: Final = 1_704_465_000_000_000
_SESSION_GAP_US: Final = 3 * MICROSECONDS_PER_DAY
_SLOTS: Final = 40
_MINUTE_US: Final = Timeframe.MINUTE_1.duration_us
_RANGE: Final = TimeRange(_OPEN_US - 30 * MICROSECONDS_PER_DAY, _OPEN_US + 30 * MICROSECONDS_PER_DAY)

Answer = tuple[tuple[str, ...], list[tuple[Bar, str]]]


@dataclass(frozen=True)
class Record:
    """What a plain read gave.

    Attributes
    ----------
    query : BarQuery
        What was asked.
    seq : int
        Of its snapshot.
    answer : tuple
        Unknown symbols, and the bars in order, each with its feed's name.
    """

    query: BarQuery
    seq: int
    answer: Answer


@dataclass(frozen=True)
class Commit:
    """A write: a time of the database's clock before its COMMIT, Unix microseconds, and its seq."""

    before_us: int
    seq: int


@dataclass
class History:
    """One run of all writers: `records` are what was read meanwhile, `commits` some of the writes."""

    storage: Storage
    seed: int
    records: list[Record] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)

    async def run(self) -> None:
        """Let the writers write, each reading behind every write."""
        for symbol in (*_SYMBOLS, _WANDERING[0]):
            await self.storage.symbols.create(NewSymbol(symbol))
        async with asyncio.TaskGroup() as group:
            for number in range(WRITERS):
                group.create_task(_Writer(self, np.random.default_rng((self.seed, number))).run())

    async def find_difference(self) -> Record | Commit | None:
        """Find what is answered differently as of its seq or time, or a write known too early."""
        for commit in self.commits:
            async with self.storage.owner.connection() as connection:
                known = await read_known_writes(connection, AsOf(time_us=commit.before_us))
            if known.seq >= commit.seq:
                return commit
        for record in self.records:
            for as_of in (AsOf(seq=record.seq), await self._time_of(record.seq)):
                if as_of is not None and await self._differs(record, as_of):
                    return record
        return None

    async def _differs(self, record: Record, as_of: AsOf) -> bool:
        try:
            return await read(self.storage, replace(record.query, as_of=as_of)) != record
        except ServiceError:
            return True

    async def _time_of(self, seq: int) -> AsOf | None:
        """Tell when a seq was committed; None where a later one was in the same microsecond."""
        async with self.storage.owner.connection() as connection:
            cursor = await connection.execute(
                """
                SELECT (extract(epoch FROM committed_at) * 1000000)::bigint FROM bar_write AS write
                 WHERE seq = %(seq)s AND NOT EXISTS (
                    SELECT FROM bar_write AS other
                     WHERE other.seq = %(seq)s + 1 AND other.committed_at = write.committed_at)
                """,
                {"seq": seq},
            )
            row = await cursor.fetchone()
            return AsOf(time_us=row[0]) if row else None


async def read(storage: Storage, query: BarQuery) -> Record:
    """Read a query to its end."""
    answer = await read_in_bulk(storage, query)
    # Feeds are keys of each frame's dictionary: what is derived and what is stored number them apart.
    bars = [
        (bar._replace(feed=0), frame.feeds[bar.feed])
        for frame in answer.frames
        for bar in bars_of(frame)
    ]
    return Record(replace(query, as_of=None), answer.seq, (answer.unresolved, bars))


class _Writer:
    def __init__(self, history: History, rng: np.random.Generator) -> None:
        self._history = history
        self._storage = history.storage
        self._rng = rng

    async def run(self) -> None:
        ways: Sequence[tuple[float, Callable[[], Awaitable[object]]]] = (
            (0.42, self._write_few),
            (0.12, self._write_many),
            (0.12, self._write_days),
            (0.12, self._delete),
            (0.12, self._add_action),
            (0.10, self._move_symbol),
        )
        for _ in range(_WRITES):
            await asyncio.sleep(self._rng.uniform(0, 0.01))
            way = ways[self._rng.choice(len(ways), p=[share for share, _ in ways])][1]
            try:
                await way()
            except (ServiceError, _RolledBack):
                continue  # refused, or given up: nothing is to be seen of it
            self._history.records.append(await read(self._storage, self._query()))

    async def _write_few(self) -> None:
        slots = self._rng.choice(2 * _SLOTS, self._rng.integers(1, 12), replace=False)
        symbol = str(self._rng.choice((*_SYMBOLS, *_WANDERING)))
        bars = [self._bar(symbol, _slot_us(int(slot))) for slot in slots]
        await self._commit(frame_of(bars), Timeframe.MINUTE_1)

    async def _write_many(self) -> None:
        symbols = self._rng.choice(_SYMBOLS, 2, replace=False).tolist()
        bars = [self._bar(symbol, _slot_us(slot)) for symbol in symbols for slot in range(2 * _SLOTS)]
        extended = [self._bar(symbols[0], _OPEN_US + n * _MINUTE_US) for n in range(40, 390)]
        await self._commit(frame_of(bars + extended), Timeframe.MINUTE_1)

    async def _write_days(self) -> None:
        symbol = str(self._rng.choice(_SYMBOLS))
        label_us = _OPEN_US - _OPEN_US % MICROSECONDS_PER_DAY
        numbers = self._rng.choice(np.arange(-3, 4), 3, replace=False).tolist()
        bars = [self._bar(symbol, label_us + number * MICROSECONDS_PER_DAY) for number in numbers]
        await self._commit(frame_of(bars), Timeframe.DAY_1)

    async def _delete(self) -> None:
        symbol = str(self._rng.choice(_SYMBOLS))
        first, last = sorted(_slot_us(int(slot)) for slot in self._rng.choice(2 * _SLOTS, 2))
        timeframe = Timeframe.MINUTE_1 if self._rng.random() < 0.7 else Timeframe.DAY_1
        await self._storage.deleter.delete(symbol, timeframe, TimeRange(first, last + 1), "a test")

    async def _add_action(self) -> None:
        action = CorporateAction(
            CorporateActionKind.SPLIT,
            _FIRST_DAY + timedelta(days=int(self._rng.integers(-3, 4))),
            split_ratio=float(self._rng.choice([2.0, 3.0, 0.5])),
        )
        await self._storage.actions.add(str(self._rng.choice(_SYMBOLS)), [action])

    async def _move_symbol(self) -> None:
        old, new = self._rng.permutation(_WANDERING).tolist()
        step = self._rng.integers(3)
        if step == 0:
            since = date(2024, 2, 1) + timedelta(days=int(self._rng.integers(300)))
            await self._storage.symbols.update(old, SymbolUpdate({"symbol": new}, since))
        elif step == 1:
            await self._storage.symbol_deleter.delete(old, force=True)
        else:
            await self._storage.symbols.create(NewSymbol(new))

    async def _commit(self, frame: BarFrame, timeframe: Timeframe) -> None:
        """Hold the transaction open: writes that begin later overtake it; some are rolled back."""
        before_us = 0

        async def linger(connection: Connection) -> None:
            nonlocal before_us
            await asyncio.sleep(self._rng.choice([0.0, 0.002, 0.02]))
            cursor = await connection.execute(
                "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
            )
            (before_us,) = await cursor.fetchone() or (0,)
            if self._rng.random() < 0.1:
                raise _RolledBack

        result = await self._storage.writer.commit_bars(frame, timeframe, linger)
        if result.changes:
            self._history.commits.append(Commit(before_us, result.seq))

    def _bar(self, symbol: str, time_us: int) -> Bar:
        price = float(self._rng.integers(100, 110))
        return Bar(
            symbol, time_us, price, price + 2, price - 2, price + 1, float(self._rng.integers(3))
        )

    def _query(self) -> BarQuery:
        timeframe = Timeframe(str(self._rng.choice(["1m", "1m", "5m", "1h", "1d"])))
        asked = tuple(
            self._rng.permutation((*_SYMBOLS, *_WANDERING))[: self._rng.integers(1, 6)].tolist()
        )
        return BarQuery(
            asked,
            timeframe,
            _RANGE,
            limit=int(self._rng.integers(1, 60)) if self._rng.random() < 0.3 else None,
            descending=bool(self._rng.random() < 0.3),
            by_time=bool(self._rng.random() < 0.3),
            session=SessionHours.ALL,
            adjustment=Adjustment.SPLIT if self._rng.random() < 0.4 else Adjustment.RAW,
        )


class _RolledBack(Exception):  # noqa: N818 -- what a writer does, no error
    """A write was given up within its transaction."""


def _slot_us(slot: int) -> int:
    session, minute = divmod(slot, _SLOTS)
    return _OPEN_US + session * _SESSION_GAP_US + minute * _MINUTE_US
