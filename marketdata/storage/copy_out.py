"""COPY TO STDOUT read in a thread, as fast as libpq gives it, and safe to abandon at any moment.

psycopg's own iteration yields to the event loop per row; a thread that drains libpq's buffer reads two
to three times as fast (docs/benchmarks.md). The price is a discipline: while the thread lives, nobody
else may touch the connection. `CopyReader` keeps it: however `run` ends, the thread has ended, and the
connection is idle within its transaction.
"""

import asyncio
import contextlib
import select
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from psycopg import errors as pg
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from marketdata.errors import StreamStalledError
from marketdata.storage.pools import Connection

Block = TypeVar("Block")

# The first block leaves early for latency; later ones are large enough that per-block costs vanish and
# small enough (2 MB of COPY rows) to stay in cache and far below gRPC's message limit.
FIRST_BLOCK_ROWS: Final = 2_048
BLOCK_ROWS: Final = 16_384
# How far the database may be ahead of a slow client.
MOST_WAITING_BLOCKS: Final = 4
# How soon the thread notices a stop while the server is silent.
_POLL_MS: Final = 50


@dataclass(frozen=True, slots=True)
class CopyStep(Generic[Block]):
    """One COPY of a read, and what becomes of its rows.

    Attributes
    ----------
    statement : bytes
        ``COPY (...) TO STDOUT (FORMAT binary)``.
    take : callable (bytes) -> Block or None
        Called in the thread with whole rows; what it returns is handed out, but None is not.
    is_whole : bool
        Whether `take` wants all rows of the answer at once, instead of blocks of them.
    """

    statement: bytes
    take: Callable[[bytes], Block | None]
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class ReadyBlock(Generic[Block]):
    """A block that a read hands out without asking the database again."""

    block: Block


class BlockQueue(Generic[Block]):
    """Blocks between the reading thread and the event loop; at most a few wait."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Queue[Block | None] = asyncio.Queue()
        self._room = threading.Semaphore(MOST_WAITING_BLOCKS)

    def put(self, block: Block, deadline: float) -> bool:
        """Hand over a block from the thread; return False where no room came until `deadline`."""
        if not self._room.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return False
        self._loop.call_soon_threadsafe(self._ready.put_nowait, block)
        return True

    def make_room(self) -> None:
        """Let a thread that waits in `put` go on."""
        self._room.release()

    def end(self) -> None:
        """Tell the consumer, from the event loop, that no block follows."""
        self._ready.put_nowait(None)

    async def blocks(self) -> AsyncGenerator[Block, None]:
        """Yield the blocks until `end`."""
        while (block := await self._ready.get()) is not None:
            yield block
            self._room.release()


class CopyReader(Generic[Block]):
    """Runs the steps of a read one after the other.

    Parameters
    ----------
    connection : Connection
        Within a transaction; nobody else uses it until `run` has ended.
    executor : Executor
        Gives the thread.
    queue : BlockQueue
        Where the blocks go.
    deadline : float
        `time.monotonic()` by which the snapshot must have been read.
    """

    def __init__(
        self,
        connection: Connection,
        executor: Executor,
        queue: BlockQueue[Block],
        deadline: float,
    ) -> None:
        self._connection = connection
        self._executor = executor
        self._queue = queue
        self._deadline = deadline
        self._stop = threading.Event()
        self._failure: Exception | None = None
        self._block_rows = FIRST_BLOCK_ROWS

    async def run(self, steps: Iterator[CopyStep[Block] | ReadyBlock[Block]]) -> None:
        """Read all steps; `steps` is advanced in the thread, after the step before was taken.

        Raises
        ------
        psycopg.Error
            What the server answered instead.
        StreamStalledError
            The consumer took the blocks so slowly that the snapshot grew too old.
        """
        loop = asyncio.get_running_loop()
        thread = loop.run_in_executor(self._executor, self._read, steps)
        try:
            await asyncio.shield(thread)
        finally:
            await self._end(thread)

    async def _end(self, thread: asyncio.Future[None]) -> None:
        """Leave the connection alone until the thread has: libpq is freed under it otherwise."""
        self._stop.set()
        self._queue.make_room()
        cancelled: asyncio.CancelledError | None = None
        while not thread.done():
            try:
                with contextlib.suppress(Exception):
                    await self._connection.cancel_safe(timeout=1.0)
                await asyncio.wait([thread], timeout=0.2)
            except asyncio.CancelledError as error:
                cancelled = error  # a second cancellation must not cut this short
        if not thread.cancelled():
            thread.exception()  # seen: a statement that we cancelled ends in an error
        if cancelled is not None:
            raise cancelled

    def _read(self, steps: Iterator[CopyStep[Block] | ReadyBlock[Block]]) -> None:
        for step in steps:
            if self._stop.is_set():
                return
            if isinstance(step, ReadyBlock):
                self._give(step.block)
            else:
                self._read_one(step)

    def _read_one(self, step: CopyStep[Block]) -> None:
        pgconn = self._connection.pgconn
        pgconn.send_query(step.statement)
        result = self._await_result(pgconn)
        if result is not None and result.status == ExecStatus.COPY_OUT:
            self._read_rows(step, pgconn)
            result = self._await_result(pgconn)
        failed = None
        while result is not None:
            if result.status == ExecStatus.FATAL_ERROR:
                failed = pg.error_from_result(result)
            result = self._await_result(pgconn)
        if self._failure is not None:
            raise self._failure
        if failed is not None:
            raise failed

    def _read_rows(self, step: CopyStep[Block], pgconn: PGconn) -> None:
        rows: list[bytes] = []
        poll = _poll(pgconn)
        while True:
            size, data = pgconn.get_copy_data(1)
            if size > 0:
                rows.append(data)  # type: ignore[arg-type]
                if len(rows) >= self._block_rows and not step.is_whole:
                    self._take(step, rows)
                    self._block_rows = BLOCK_ROWS
            elif size == 0:
                if poll.poll(_POLL_MS):
                    pgconn.consume_input()
            else:
                self._take(step, rows)
                return

    def _take(self, step: CopyStep[Block], rows: list[bytes]) -> None:
        """Hand out a block; after a stop drop it, so that what is left drains at full speed."""
        if (rows or step.is_whole) and not self._stop.is_set():
            try:
                block = step.take(b"".join(rows))
                if block is not None:
                    self._give(block)
            except Exception as error:  # noqa: BLE001 -- raised again once the COPY has been drained
                self._failure = error
                self._stop.set()
                self._connection.pgconn.get_cancel().cancel()
        rows.clear()

    def _give(self, block: Block) -> None:
        if time.monotonic() > self._deadline or not self._queue.put(block, self._deadline):
            raise StreamStalledError(
                "the answer was taken too slowly for one snapshot of the database; go on behind the "
                "last bar that arrived with resume_after, or ask for less at a time"
            )

    def _await_result(self, pgconn: PGconn) -> PGresult | None:
        poll = _poll(pgconn)
        while pgconn.flush():
            poll.poll(_POLL_MS)
        while pgconn.is_busy():
            if poll.poll(_POLL_MS):
                pgconn.consume_input()
        return pgconn.get_result()


def _poll(pgconn: PGconn) -> select.poll:
    poll = select.poll()
    poll.register(pgconn.socket, select.POLLIN)
    return poll
