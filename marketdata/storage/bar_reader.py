"""Reads of bars: in bulk from one snapshot, and a page at a time."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from psycopg import IsolationLevel

from marketdata.domain.bar_merge import merge_frames
from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarFlag, BarFrame
from marketdata.domain.symbol import ResolvedSymbol
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.adjustments import UnadjustedAction
from marketdata.storage.copy_out import BlockQueue, CopyReader, ReadyBlock
from marketdata.storage.derived_steps import DerivedSteps
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.read_locks import hold_partitions
from marketdata.storage.read_sql import bar_statements
from marketdata.storage.read_steps import (
    ReadSteps,
    Transform,
    decode,
    finish,
    is_derived,
    source_timeframe,
)
from marketdata.storage.snapshot_facts import SnapshotFacts, read_facts
from marketdata.storage.symbols import unknown_symbol

Block = TypeVar("Block")
#: Reads more in the snapshot of a bulk read, before its first bar.
Alongside = Callable[[Connection, SnapshotFacts], Awaitable[None]]

# A snapshot keeps every dead version of the change log's head row: writers pay for old readers.
MOST_SNAPSHOT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class BarPage:
    """Bars of one symbol, read at once.

    Attributes
    ----------
    frame : BarFrame
        In the order asked for.
    resolved : ResolvedSymbol
        The identity that they belong to.
    source : Timeframe
        Of the stored bars that it is made from; where some are derived, the finest.
    unadjusted : tuple of UnadjustedAction
        Corporate actions that the prices are not adjusted for.
    seq : int
        Every change of the log up to it is in the answer, and none after.
    """

    frame: BarFrame
    resolved: ResolvedSymbol
    source: Timeframe
    unadjusted: tuple[UnadjustedAction, ...]
    seq: int


class BarSnapshot:
    """A bulk read that is about to start: all of it comes from one snapshot of the database.

    Attributes
    ----------
    seq : int
        Every change of the log up to it is in the answer, and none after.
    now_us : int
        When it is read, Unix microseconds; of a point in time, then.
    resolved : tuple of ResolvedSymbol
        The known symbols of the query.
    unresolved : tuple of str
        Symbols of the query that name nothing known.
    source : Timeframe
        Of the stored bars that the answer is made from; where some are derived, the finest.
    unadjusted : tuple of UnadjustedAction
        Corporate actions that the prices are not adjusted for.
    """

    def __init__(self, facts: SnapshotFacts, read: "_Read") -> None:
        query = facts.query
        known = {symbol.symbol for symbol in facts.resolved}
        self.seq = facts.seq
        self.now_us = query.now_us
        self.resolved = facts.resolved
        self.source = source_timeframe(query, facts)
        self.unadjusted = facts.adjustments.unadjusted
        self.unresolved = tuple(symbol for symbol in query.symbols if symbol not in known)
        self._read = read

    def blocks(self, transform: Transform[Block]) -> AsyncGenerator[Block, None]:
        """Yield the bars in blocks: a small one for latency, then of about 16,000.

        Close it explicitly (`contextlib.aclosing`).

        Parameters
        ----------
        transform : callable
            Runs in the reading thread, so that the event loop is left alone: encode there.

        Raises
        ------
        DatabaseUnavailableError, QueryTimeoutError
            The answer is incomplete.
        StreamStalledError
            The blocks were taken so slowly that the snapshot grew too old.
        """
        return self._read.start(transform)


class BarReader:
    """Reads bars.

    Parameters
    ----------
    pools : Pools
        Where queries and bulk reads run.
    executor : Executor
        As many threads as bulk reads at a time.
    most_snapshot_seconds : float
        How old a snapshot may become before its stream is ended.
    """

    def __init__(
        self,
        pools: Pools,
        executor: Executor,
        most_snapshot_seconds: float = MOST_SNAPSHOT_SECONDS,
    ) -> None:
        self._pools = pools
        self._executor = executor
        self._most_snapshot_seconds = most_snapshot_seconds

    @contextlib.asynccontextmanager
    async def snapshot(
        self, query: BarQuery, alongside: Alongside | None = None
    ) -> AsyncIterator[BarSnapshot]:
        """Open a bulk read.

        The database is read at its own pace, a few blocks ahead: the snapshot ends when all is read,
        not when the consumer has taken it.

        Parameters
        ----------
        query : BarQuery
            What is asked.
        alongside : callable or None
            Reads what else has to be of the same snapshot.

        Raises
        ------
        AsOfTooEarlyError, AsOfAheadError, BarsDroppedError
            The point in time cannot be answered.
        DatabaseUnavailableError, QueryTimeoutError
            The database cannot answer now.
        """
        read = _Read(self._pools, self._executor, query, self._most_snapshot_seconds, alongside)
        try:
            yield BarSnapshot(await read.open(), read)
        finally:
            await read.close()

    async def read_page(self, query: BarQuery, count: int) -> BarPage:
        """Read the first `count` bars of a query about one symbol, in the order it asks for.

        Raises
        ------
        SymbolNotFoundError
            The symbol is unknown.
        AsOfTooEarlyError, AsOfAheadError, BarsDroppedError
            The point in time cannot be answered.
        DatabaseUnavailableError, QueryTimeoutError
            The database cannot answer now.
        """
        async with self._pools.query() as connection, _one_snapshot(connection):
            await hold_partitions(connection, query)
            facts = await read_facts(connection, query)
            if not facts.resolved:
                raise unknown_symbol(query.symbols[0])
            read = _derive_page if is_derived(facts.query, facts) else _copy_page
            return _to_page(facts, await read(connection, facts, count))


class _Read:
    """One bulk read: a task that holds the connection, and the blocks that it leaves behind."""

    def __init__(
        self,
        pools: Pools,
        executor: Executor,
        query: BarQuery,
        most_seconds: float,
        alongside: Alongside | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._pools = pools
        self._executor = executor
        self._query = query
        self._most_seconds = most_seconds
        self._alongside = alongside
        self._opened: asyncio.Future[SnapshotFacts] = loop.create_future()
        self._transform: asyncio.Future[Transform[object]] = loop.create_future()
        self._queue: BlockQueue[object] = BlockQueue()
        self._task = asyncio.create_task(self._produce(), name="bulk-read")

    async def open(self) -> SnapshotFacts:
        waiting: list[asyncio.Future[Any]] = [self._opened, self._task]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not self._opened.done():
            await self._task  # it raises what kept it from opening
        return self._opened.result()

    async def start(self, transform: Transform[Block]) -> AsyncGenerator[Block, None]:
        self._transform.set_result(transform)
        async with contextlib.aclosing(self._queue.blocks()) as blocks:
            async for block in blocks:
                yield block  # type: ignore[misc] # what `transform` made
        await self._task

    async def close(self) -> None:
        """End the task, whatever it does; the connection is back in its pool afterwards."""
        self._task.cancel()
        # Its failure was raised to whoever took the blocks, or nobody wants it any more.
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()

    async def _produce(self) -> None:
        try:
            async with self._pools.stream() as connection, connection.transaction():
                deadline = time.monotonic() + self._most_seconds
                await hold_partitions(connection, self._query)
                facts = await read_facts(connection, self._query)
                if self._alongside is not None:
                    await self._alongside(connection, facts)
                self._opened.set_result(facts)
                query = facts.query
                make = DerivedSteps if is_derived(query, facts) else ReadSteps
                steps = make(query, facts, connection, await self._transform)
                reader = CopyReader(connection, self._executor, self._queue, deadline)
                await reader.run(steps.all())
        finally:
            self._queue.end()


async def _copy_page(connection: Connection, facts: SnapshotFacts, count: int) -> BarFrame:
    query = facts.query
    frames = [BarFrame.empty(query.symbols)]
    for statement in bar_statements(query, facts.stored(query.timeframe), count):
        async with connection.cursor().copy(statement.text) as copy:
            data = b"".join([bytes(row) async for row in copy])
        frames.append(finish(decode(data, query, statement, facts), query, facts))
    return merge_frames(frames[1:] or frames)


@contextlib.asynccontextmanager
async def _one_snapshot(connection: Connection) -> AsyncIterator[None]:
    """Begin a transaction in which all statements see the same."""
    await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    try:
        async with connection.transaction():
            yield
    finally:
        if not connection.closed:
            await connection.set_isolation_level(None)


async def _derive_page(connection: Connection, facts: SnapshotFacts, count: int) -> BarFrame:
    frames = [BarFrame.empty(facts.query.symbols)]
    steps = DerivedSteps(facts.query, facts, connection, _as_is, count).all()
    # Bars are made from minutes where the steps go on: away from the event loop.
    while (step := await asyncio.to_thread(next, steps, None)) is not None:
        if isinstance(step, ReadyBlock):
            frames.append(step.block)
            continue
        async with connection.cursor().copy(step.statement) as copy:
            data = b"".join([bytes(row) async for row in copy])
        await asyncio.to_thread(step.take, data)
    merged = merge_frames(frames)
    return merged.take(np.arange(min(count, len(merged))))


def _to_page(facts: SnapshotFacts, frame: BarFrame) -> BarPage:
    has_derived = bool((frame.flags & BarFlag.DERIVED).any())
    return BarPage(
        frame=frame,
        resolved=facts.resolved[0],
        source=Timeframe.MINUTE_1 if has_derived else facts.query.timeframe,
        unadjusted=facts.adjustments.unadjusted,
        seq=facts.seq,
    )


def _as_is(frame: BarFrame) -> BarFrame:
    return frame
