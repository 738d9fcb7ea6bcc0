"""One who reads the change log from a position on: first what is stored, then what comes."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from copy import copy
from typing import Final, Protocol, Self

from marketdata.domain.log_position import LogPosition, other_generation
from marketdata.errors import (
    DatabaseUnavailableError,
    QueryTimeoutError,
    ServiceError,
    SlowConsumerError,
)
from marketdata.storage.log_entries import LogEntry
from marketdata.storage.log_reader import LogReader

log = logging.getLogger(__name__)

#: What may wait for a consumer, in bytes: four pages of the largest entries.
MOST_WAITING_BYTES: Final = 16 * 1024 * 1024
# So near to the tail a consumer joins it, before it has read the rest: what is committed meanwhile
# waits for it then. A page at the most, which is read in milliseconds.
_JOINS_WITHIN: Final = 1_000
# Between two attempts to read what is stored. An embedded server is back 0.2 s after a kill.
_RETRY_SECONDS: Final = 0.5


class Tail(Protocol):
    """What a consumer needs to know of the tailer."""

    @property
    def position(self) -> LogPosition | None:
        """Behind the last entries that were handed out; None before the end of the log was found."""
        ...

    def leave(self, consumer: "LogConsumer") -> None:
        """Forget a consumer."""
        ...


class LogConsumer:
    """Reads the entries behind a position: every one, in the order (seq, part), once.

    It reads stored ones at its own pace, a page at a time. Near the tail it joins those whom the tailer
    hands out to, and reads the rest up to there: no entry lies between, and none comes twice. No lock
    is needed: nothing else of this event loop runs between the look at the tail and the joining.

    What waits for it then is bounded in bytes, and nobody else waits for it. Past the bound it is
    ended; or, where it has not read all that was stored yet, it goes on with that and joins again.

    Made by `LogTailer.attach`. An async context manager, at whose end it leaves the tail.

    Parameters
    ----------
    tail : Tail
        Of the process.
    reader : LogReader
        Reads what is stored.
    position : LogPosition
        Everything behind it comes.
    most_bytes : int
        What may wait; a single page may have more.
    head_seq : int
        The last one that is known to be committed; the tailer may not have read so far yet.
    """

    def __init__(
        self,
        tail: Tail,
        reader: LogReader,
        position: LogPosition,
        most_bytes: int,
        head_seq: int = 0,
    ) -> None:
        self._tail = tail
        self._reader = reader
        self._position = position
        self._most_bytes = most_bytes
        self._head_seq = head_seq
        # Up to here it reads what is stored, from there on it is handed out to; None: not joined yet.
        self._joined_at: int | None = None
        self._waiting: deque[Sequence[LogEntry]] = deque()
        self._waiting_bytes = 0
        self._is_woken = asyncio.Event()
        self._end: ServiceError | None = None

    @property
    def position(self) -> LogPosition:
        """Behind the last entries that `read` returned: to go on from there nothing is missed."""
        return self._position

    @property
    def waiting_bytes(self) -> int:
        """What was handed out and not read yet."""
        return self._waiting_bytes

    @property
    def has_joined(self) -> bool:
        """Whether the tail hands out to it."""
        return self._joined_at is not None

    @property
    def is_live(self) -> bool:
        """Whether it has read all that was stored when it joined the tail."""
        return self._joined_at is not None and self._position.seq >= self._joined_at

    def check(self) -> None:
        """Raise what ended it, if anything did; see `read`."""
        self._check()

    async def join(self) -> bool:
        """Join the tail where it is near; return whether everything up to there was read.

        It waits until the end of the log was found, and for nothing else.

        Raises
        ------
        SlowConsumerError, LogTrimmedError, LogGenerationError, LogAheadError, ServerDrainingError
            As `read`.
        """
        while True:
            self._check()
            tail = self._tail.position
            if tail is not None:
                self._join_if_near(tail.seq)
                return self.is_live
            self._is_woken.clear()
            await self._is_woken.wait()

    async def read(self) -> Sequence[LogEntry]:
        """Wait for the next entries; cancelled, it loses none.

        Returns
        -------
        sequence of LogEntry
            Not empty; each seq with all of its entries.

        Raises
        ------
        SlowConsumerError
            It was read from too slowly; `position` is where to go on.
        LogTrimmedError, LogGenerationError, LogAheadError
            What comes next is not there, or the log is another one.
        ServerDrainingError
            The tailer ends.
        """
        while True:
            self._check()
            tail = self._tail.position
            if tail is not None:
                self._join_if_near(tail.seq)
                if not self.is_live:
                    return await self._read_stored()
                if self._waiting:
                    return self._take_waiting()
            self._is_woken.clear()
            await self._is_woken.wait()

    def wake(self) -> None:
        """Let it look at the tail; for the tailer."""
        self._is_woken.set()

    def offer(self, entries: Sequence[LogEntry], size_bytes: int) -> None:
        """Let entries of the tail wait for it, or end it where too much waits; for the tailer."""
        if self._joined_at is None or entries[-1].seq <= self._joined_at:
            return
        if entries[0].seq <= self._joined_at:
            # It knew of a later seq than the tailer when it joined.
            entries = [entry for entry in entries if entry.seq > self._joined_at]
        if self._waiting and self._waiting_bytes + size_bytes > self._most_bytes:
            self._give_up_waiting(self._waiting_bytes + size_bytes)
            return
        self._waiting.append(entries)
        self._waiting_bytes += size_bytes
        self._is_woken.set()

    def end(self, error: ServiceError) -> None:
        """End it: the next `read` raises `error`; what waits is dropped."""
        self.close()
        self._end = self._end or error
        self._is_woken.set()

    def close(self) -> None:
        """Leave the tail, and free what waits."""
        self._tail.leave(self)
        self._forget_waiting()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()

    def _check(self) -> None:
        if self._end is not None:
            # A copy: others raise the same one, and a traceback grows with every raise.
            raise copy(self._end)
        tail = self._tail.position
        if tail is not None and self._position.generation != tail.generation:
            raise other_generation(self._position, tail.generation)

    def _join_if_near(self, tail_seq: int) -> None:
        if self._joined_at is None and tail_seq - self._position.seq <= _JOINS_WITHIN:
            self._joined_at = max(tail_seq, self._position.seq, self._head_seq)

    async def _read_stored(self) -> Sequence[LogEntry]:
        entries = await self._page()
        self._check()
        if self._joined_at is not None and entries[-1].seq > self._joined_at:
            # Committed since it joined: these wait for it, or will.
            entries = [entry for entry in entries if entry.seq <= self._joined_at]
        self._advance(entries)
        return entries

    async def _page(self) -> Sequence[LogEntry]:
        while True:
            try:
                return await self._reader.page(self._position.seq)
            except (DatabaseUnavailableError, QueryTimeoutError) as error:
                log.warning("log_consumer_waits", extra={"error": str(error)})
                await asyncio.sleep(_RETRY_SECONDS)
                self._check()

    def _give_up_waiting(self, size_bytes: int) -> None:
        if self.is_live:
            self.end(self._too_slow(size_bytes))
        else:
            self._forget_waiting()
            self._joined_at = None

    def _forget_waiting(self) -> None:
        self._waiting.clear()
        self._waiting_bytes = 0

    def _take_waiting(self) -> Sequence[LogEntry]:
        entries = [entry for page in self._waiting for entry in page]
        self._forget_waiting()
        self._advance(entries)
        return entries

    def _advance(self, entries: Sequence[LogEntry]) -> None:
        self._position = LogPosition(self._position.generation, entries[-1].seq)

    def _too_slow(self, size_bytes: int) -> SlowConsumerError:
        seq = self._position.seq
        return SlowConsumerError(
            f"{size_bytes:,} bytes of the change log waited to be read, and {self._most_bytes:,} may; "
            f"go on behind seq {seq}, and read faster",
            metadata={"seq": str(seq), "position": self._position.to_token()},
        )
