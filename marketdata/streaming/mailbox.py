"""What waits to be told to one subscriber."""

import asyncio
from collections import deque
from typing import Final

from marketdata.domain.subscription import ResumePoint, SlowReaderPolicy, SubscriptionEvent
from marketdata.streaming.conflation import conflate

#: What may wait: two messages of the most bars. More waits in the change log, or is conflated.
MOST_MAILBOX_BYTES: Final = 4 * 1024 * 1024


class Mailbox:
    """Holds events between who reads the log and who writes to the subscriber.

    Parameters
    ----------
    policy : SlowReaderPolicy
        With CONFLATE what waits is made shorter where it is too much, and `put` always has room. Else
        who puts waits for room; what the log brings meanwhile waits there, and is bounded there.
    most_bytes : int
        What may wait; a single page of the log may have more.
    """

    def __init__(self, policy: SlowReaderPolicy, most_bytes: int = MOST_MAILBOX_BYTES) -> None:
        self._conflates = policy is SlowReaderPolicy.CONFLATE
        self._most_bytes = most_bytes
        self._events: deque[SubscriptionEvent] = deque()
        self._size_bytes = 0
        self._told: ResumePoint | None = None
        self._has_some = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._events

    async def room(self, *, is_live: bool) -> None:
        """Wait until there is room.

        Parameters
        ----------
        is_live : bool
            Whether what is put is new; stored changes are never conflated, since nobody hurries.
        """
        if not (is_live and self._conflates):
            await self._has_room.wait()

    def put(self, event: SubscriptionEvent, *, is_live: bool) -> None:
        """Let an event wait."""
        self._events.append(event)
        self._size_bytes += event.size_bytes
        if is_live and self._conflates and self._size_bytes > self._most_bytes:
            self._events = deque(conflate(self._events, self._told))
            self._size_bytes = sum(waiting.size_bytes for waiting in self._events)
        if self._size_bytes > self._most_bytes:
            self._has_room.clear()
        self._has_some.set()

    async def take(self) -> SubscriptionEvent:
        """Wait for the next event; cancelled, it takes none."""
        while not self._events:
            self._has_some.clear()
            await self._has_some.wait()
        event = self._events.popleft()
        self._size_bytes -= event.size_bytes
        self._told = event.resume or self._told
        if self._size_bytes <= self._most_bytes:
            self._has_room.set()
        return event
