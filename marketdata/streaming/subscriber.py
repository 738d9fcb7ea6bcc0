"""One subscriber: the log is read for him at its pace, and told at his."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from marketdata.domain.subscription import (
    CaughtUp,
    Change,
    Heartbeat,
    SlowReaderPolicy,
    SubscriptionEvent,
)
from marketdata.errors import InternalError, ServiceError, SlowConsumerError
from marketdata.storage.log_entries import LogEntry
from marketdata.streaming.consumer import LogConsumer
from marketdata.streaming.mailbox import MOST_MAILBOX_BYTES, Mailbox
from marketdata.streaming.selection import Selection

log = logging.getLogger(__name__)

#: How long one message may wait for a subscriber that reads nothing.
MOST_STALLED_SECONDS: Final = 30.0
# How often a subscriber without news is looked at. A thousand of them cost a hundredth of a core.
_TICK_SECONDS: Final = 2.0

Write = Callable[[SubscriptionEvent], Awaitable[None]]


class Subscriber:
    """Reads the log and tells one subscriber, each at its own pace.

    One task reads; the caller's writes. What is between them is bounded in bytes (`Mailbox`, and before
    it what waits in the `LogConsumer`), and a message that is not taken in time: nobody else waits.

    Parameters
    ----------
    consumer : LogConsumer
        Of this subscriber; who made it closes it.
    selection : Selection
        What concerns the subscriber.
    policy : SlowReaderPolicy
        What becomes of him where he is too slow.
    heartbeat_seconds : float
        Silence after which he is told that nothing happened.
    most_bytes, most_stalled_seconds
        Bounds of what waits, and of how long.
    """

    def __init__(
        self,
        consumer: LogConsumer,
        selection: Selection,
        policy: SlowReaderPolicy,
        heartbeat_seconds: float,
        most_bytes: int = MOST_MAILBOX_BYTES,
        most_stalled_seconds: float = MOST_STALLED_SECONDS,
    ) -> None:
        self._consumer = consumer
        self._selection = selection
        self._mailbox = Mailbox(policy, most_bytes)
        self._heartbeat_seconds = heartbeat_seconds
        # Who conflates is bounded whatever the subscriber does.
        is_patient = policy is SlowReaderPolicy.CONFLATE
        self._most_stalled_seconds = float("inf") if is_patient else most_stalled_seconds
        self._loop = asyncio.get_running_loop()
        self._last_put = self._loop.time()
        self._writing_since: float | None = None
        self._is_caught_up = False
        self._error: ServiceError | None = None
        self._next: asyncio.Task[Sequence[LogEntry]] | None = None

    async def run(self, write: Write) -> None:
        """Tell the subscriber until he, or the log, ends it; it never returns.

        Parameters
        ----------
        write : callable
            Tells one event; it may take as long as the subscriber does.

        Raises
        ------
        SlowConsumerError
            He was too slow.
        LogTrimmedError, LogGenerationError, LogAheadError, ServerDrainingError
            See `LogConsumer.read`.
        DatabaseUnavailableError, QueryTimeoutError
            See `Selection.events`.
        """
        try:
            async with asyncio.timeout(None) as scope:
                reading = asyncio.create_task(self._read(scope), name="subscription")
                try:
                    await self._write(write)
                finally:
                    reading.cancel()
                    await asyncio.wait([reading])
        except TimeoutError:
            if self._error is None:
                raise
            raise self._error from None

    async def _write(self, write: Write) -> None:
        while True:
            event = await self._mailbox.take()
            self._writing_since = self._loop.time()
            await write(event)
            self._writing_since = None

    async def _read(self, scope: asyncio.Timeout) -> None:
        """Read the log; what ends that ends the scope, whatever it waits for."""
        try:
            await self._read_all()
        except ServiceError as error:
            self._error = error
        except Exception as error:
            log.exception("subscription_failed")
            self._error = InternalError("the subscription failed on the service's side; resume it")
            self._error.__cause__ = error
        scope.reschedule(self._loop.time())

    async def _read_all(self) -> None:
        try:
            while True:
                await self._step()
        finally:
            if self._next is not None:
                self._next.cancel()
                # Whatever it raises was said already, or nobody wants it any more.
                await asyncio.gather(self._next, return_exceptions=True)

    async def _step(self) -> None:
        # Not cancelled when it takes long: a slow database would be asked the same for ever.
        if self._next is None:
            self._next = asyncio.create_task(self._next_entries(), name="subscription-log")
        await asyncio.wait([self._next], timeout=self._tick_seconds())
        if self._next.done():
            done, self._next = self._next, None
            for event in await self._selection.events(done.result()):
                self._put(event)
        # Who waits for room must hear of it when what waits in the log is too much.
        self._consumer.check()
        self._look_after()

    async def _next_entries(self) -> Sequence[LogEntry]:
        if not self._is_caught_up and await self._consumer.join():
            self._is_caught_up = True
            self._put_now(CaughtUp())
        await self._mailbox.room(is_live=self._is_caught_up)
        return await self._consumer.read()

    def _tick_seconds(self) -> float:
        due = self._last_put + self._heartbeat_seconds - self._loop.time()
        return min(_TICK_SECONDS, self._most_stalled_seconds, due if due > 0 else _TICK_SECONDS)

    def _look_after(self) -> None:
        now = self._loop.time()
        since = self._writing_since
        if since is not None and now - since >= self._most_stalled_seconds:
            raise SlowConsumerError(
                f"no message was read for {now - since:.0f} seconds; resume with the last "
                "resume_token, and read faster or ask for fewer symbols"
            )
        if since is None and self._mailbox.is_empty and now - self._last_put >= self._heartbeat_seconds:
            self._put_now(Heartbeat())

    def _put_now(self, change: Change) -> None:
        resume = self._selection.resume
        self._put(SubscriptionEvent(change, resume.position.seq, resume))

    def _put(self, event: SubscriptionEvent) -> None:
        self._mailbox.put(event, is_live=self._is_caught_up)
        self._last_put = self._loop.time()
