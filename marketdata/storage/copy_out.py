"""COPY TO STDOUT read in a thread that also decodes it, and safe to abandon at any moment.

The server works on the next statement while this one's answer is decoded, adjusted and encoded for the
wire, all of it away from the event loop. The price is a discipline: while the thread lives, nobody
else may touch the connection. `CopyReader` keeps it: however `run` ends, the thread has ended, and the
connection is idle within its transaction.
"""

import asyncio
import contextlib
import select
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import psycopg
from psycopg import errors as pg
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from marketdata.errors import StreamStalledError
from marketdata.storage.pools import Connection

Block = TypeVar("Block")

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
    take : callable (bytes) -> iterable of Block
        Called in the thread with the whole answer; what it returns is handed out.
    is_independent : bool
        Whether the next step can be asked for before this one's answer was taken.
    """

    statement: bytes
    take: Callable[[bytes], Iterable[Block]]
    is_independent: bool = False


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

    async def run(self, steps: Iterator[CopyStep[Block] | ReadyBlock[Block]]) -> None:
        """Read all steps; `steps` is advanced in the thread.

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
        step = self._started(steps)
        while step is not None:
            if isinstance(step, ReadyBlock):
                self._give(step.block)
                step = self._started(steps)
                continue
            data = self._receive()
            following = self._started(steps) if step.is_independent else None
            self._take(step, data, is_busy=isinstance(following, CopyStep))
            step = following if step.is_independent else self._started(steps)

    def _started(
        self, steps: Iterator[CopyStep[Block] | ReadyBlock[Block]]
    ) -> CopyStep[Block] | ReadyBlock[Block] | None:
        """Ask the server for the next step; None at the end, and after a stop."""
        step = None if self._stop.is_set() else next(steps, None)
        if isinstance(step, CopyStep):
            pgconn = self._connection.pgconn
            pgconn.send_query(step.statement)
            poll = _poll(pgconn)
            while pgconn.flush():
                poll.poll(_POLL_MS)
        return step

    def _take(self, step: CopyStep[Block], data: bytes, *, is_busy: bool) -> None:
        """Hand out what becomes of an answer; after a failure, or a stop, leave the connection idle."""
        try:
            for block in step.take(data):
                if self._stop.is_set():
                    break
                self._give(block)
        except Exception:
            if is_busy:
                self._connection.pgconn.get_cancel().cancel()
                with contextlib.suppress(psycopg.Error):  # the cancelled statement's
                    self._receive()
            raise

    def _receive(self) -> bytes:
        """Receive the answer of the statement that was sent last."""
        pgconn = self._connection.pgconn
        rows: list[bytes] = []
        failed = None
        while (result := self._await_result(pgconn)) is not None:
            if result.status == ExecStatus.COPY_OUT:
                rows += self._rows(pgconn)
            elif result.status == ExecStatus.FATAL_ERROR:
                failed = pg.error_from_result(result)
        if failed is not None:
            raise failed
        return b"".join(rows)

    def _rows(self, pgconn: PGconn) -> Iterator[bytes]:
        poll = _poll(pgconn)
        while True:
            size, data = pgconn.get_copy_data(1)
            if size > 0:
                yield data  # type: ignore[misc] # a memoryview of bytes
            elif size < 0:
                return
            elif poll.poll(_POLL_MS):
                pgconn.consume_input()

    def _give(self, block: Block) -> None:
        if time.monotonic() > self._deadline or not self._queue.put(block, self._deadline):
            raise StreamStalledError(
                "the answer was taken too slowly for one snapshot of the database; go on behind the "
                "last bar that arrived with resume_after, or ask for less at a time"
            )

    def _await_result(self, pgconn: PGconn) -> PGresult | None:
        poll = _poll(pgconn)
        while pgconn.is_busy():
            if poll.poll(_POLL_MS):
                pgconn.consume_input()
        return pgconn.get_result()


def _poll(pgconn: PGconn) -> select.poll:
    poll = select.poll()
    poll.register(pgconn.socket, select.POLLIN)
    return poll
