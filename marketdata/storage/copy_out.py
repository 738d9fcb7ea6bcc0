"""COPY TO STDOUT read in a thread, as fast as libpq gives it, and safe to abandon at any moment.

psycopg's own iteration yields to the event loop per row; a thread that drains libpq's buffer reads two
to three times as fast (docs/benchmarks.md). The price is a discipline: while the thread lives, nobody
else may touch the connection. `CopyReader` keeps it: however a read ends, the thread has ended, and
the connection is idle within its transaction, before `blocks` returns.
"""

import asyncio
import contextlib
import select
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Executor
from typing import Final, Generic, TypeVar

from psycopg import errors as pg
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult

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


class CopyReader(Generic[Block]):
    """Runs COPY statements one after the other and hands out their rows in blocks.

    Parameters
    ----------
    connection : Connection
        Within a transaction; nobody else uses it until `blocks` has ended.
    executor : Executor
        Gives the thread.
    decode : callable (int, bytes) -> Block
        Called in the thread with the number of the statement and whole rows of its answer.
    """

    def __init__(
        self, connection: Connection, executor: Executor, decode: Callable[[int, bytes], Block]
    ) -> None:
        self._connection = connection
        self._executor = executor
        self._decode = decode
        self._stop = threading.Event()
        self._room = threading.Semaphore(MOST_WAITING_BLOCKS)
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Queue[Block | None] = asyncio.Queue()
        self._block_rows = FIRST_BLOCK_ROWS

    async def blocks(self, statements: Sequence[bytes]) -> AsyncGenerator[Block, None]:
        """Yield the decoded blocks of all statements, in order.

        Close it explicitly (`contextlib.aclosing`): its end is what gives the connection back.

        Raises
        ------
        psycopg.Error
            What the server answered instead.
        """
        thread = self._loop.run_in_executor(self._executor, self._read, statements)
        try:
            while (block := await self._ready.get()) is not None:
                yield block
                self._room.release()
            await asyncio.shield(thread)
        finally:
            await self._end(thread)

    async def _end(self, thread: asyncio.Future[None]) -> None:
        """Leave the connection alone until the thread has: libpq is freed under it otherwise."""
        self._stop.set()
        self._room.release()
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

    def _read(self, statements: Sequence[bytes]) -> None:
        try:
            for number, statement in enumerate(statements):
                if self._stop.is_set():
                    return
                self._read_one(number, statement)
        finally:
            self._loop.call_soon_threadsafe(self._ready.put_nowait, None)

    def _read_one(self, number: int, statement: bytes) -> None:
        pgconn = self._connection.pgconn
        pgconn.send_query(statement)
        result = self._await_result(pgconn)
        if result is not None and result.status == ExecStatus.COPY_OUT:
            self._read_rows(number, pgconn)
            result = self._await_result(pgconn)
        failed = None
        while result is not None:
            if result.status == ExecStatus.FATAL_ERROR:
                failed = pg.error_from_result(result)
            result = self._await_result(pgconn)
        if failed is not None:
            raise failed

    def _read_rows(self, number: int, pgconn: PGconn) -> None:
        rows: list[bytes] = []
        poll = _poll(pgconn)
        while True:
            size, data = pgconn.get_copy_data(1)
            if size > 0:
                rows.append(data)  # type: ignore[arg-type]
                if len(rows) >= self._block_rows:
                    self._give(number, rows)
                    self._block_rows = BLOCK_ROWS
            elif size == 0:
                if poll.poll(_POLL_MS):
                    pgconn.consume_input()
            else:
                self._give(number, rows)
                return

    def _give(self, number: int, rows: list[bytes]) -> None:
        """Hand out a block; after a stop drop it, so that what is left drains at full speed."""
        if rows and not self._stop.is_set():
            block = self._decode(number, b"".join(rows))
            self._room.acquire()
            self._loop.call_soon_threadsafe(self._ready.put_nowait, block)
        rows.clear()

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
