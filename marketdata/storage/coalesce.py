"""Questions that wait at the same time travel together: one round trip answers them all."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import islice
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")
Channel = TypeVar("Channel")

# More would make the one that asks first wait for the rows of all others.
_MOST_A_TRIP: Final = 128
# A call takes some turns of the event loop from its arrival to its question. Leaving before the calls
# that arrived with it have come so far makes trips of one or two (measured at 16 concurrent calls: 1 to
# 3 questions a trip without, 5 to 10 with it, and a third less CPU a call on either side).
_QUIET_TURNS: Final = 10
# A turn takes about 50 µs under load: nobody waits much longer than 3 ms for others to come along.
_MOST_TURNS: Final = 64


class Coalescer(Generic[Key, Answer, Channel]):
    """Asks for many what each asks for one.

    No question waits for a time. A lone one leaves at once; while its trip is under way the next ones
    gather, and leave together when it is back and the event loop has no more of them. A trip that is
    late holds nobody up. An answer is never older than its question, since a trip takes only those that
    wait when it starts.

    Parameters
    ----------
    connect : callable
        Makes the context that a trip needs, such as a borrowed connection. A failure of it is the
        answer to all that wait then.
    ask : callable
        Answers keys, which have no repeats; every key is in its answer. A failure of it is the
        answer to the keys that it was given.
    most_trips : int
        Most trips at a time: all but one of them are late.
    late_seconds : float
        After what time a trip is late, and the next one may leave before it is back.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractAsyncContextManager[Channel]],
        ask: Callable[[Channel, Sequence[Key]], Awaitable[Mapping[Key, Answer]]],
        *,
        most_trips: int,
        late_seconds: float,
    ) -> None:
        self._connect = connect
        self._ask = ask
        self._most_trips = most_trips
        self._late_seconds = late_seconds
        self._waiting: dict[asyncio.Future[Answer], Key] = {}
        self._trips: set[asyncio.Task[None]] = set()
        self._dispatcher: asyncio.Task[None] | None = None
        self._last_taken = 0

    async def get(self, key: Key) -> Answer:
        """Ask; cancelling the caller takes back this question and no other."""
        waiter: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = key
        if self._dispatcher is None:
            self._dispatcher = asyncio.create_task(self._dispatch())
        try:
            return await waiter
        finally:
            self._waiting.pop(waiter, None)

    async def _dispatch(self) -> None:
        try:
            while self._waiting:
                if len(self._trips) >= self._most_trips:
                    await asyncio.wait(self._trips, return_when=asyncio.FIRST_COMPLETED)
                await self._gather()
                trip = asyncio.create_task(self._run_trip())
                self._trips.add(trip)
                trip.add_done_callback(self._trips.discard)
                await asyncio.wait({trip}, timeout=self._late_seconds)
        finally:
            # In the same step as the look at what waits: nothing can come to wait in between.
            self._dispatcher = None

    async def _gather(self) -> None:
        if self._last_taken <= 1:
            return  # nobody came along last time: a lone caller is not kept waiting
        quiet, before = 0, len(self._waiting)
        for _ in range(_MOST_TURNS):
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self._waiting) <= before else 0
            if quiet == _QUIET_TURNS:
                return
            before = len(self._waiting)

    async def _run_trip(self) -> None:
        taken: dict[asyncio.Future[Answer], Key] = {}
        try:
            async with self._connect() as channel:
                taken = self._take(_MOST_A_TRIP)
                self._last_taken = len(taken)
                if taken:  # else all went away while the connection was made
                    answers = await self._ask(channel, tuple(dict.fromkeys(taken.values())))
                    for waiter, key in taken.items():
                        if not waiter.done():
                            waiter.set_result(answers[key])
        except Exception as error:  # noqa: BLE001 -- it is raised where the question was asked
            for waiter in taken or self._take(len(self._waiting)):
                if not waiter.done():
                    waiter.set_exception(error)

    def _take(self, most: int) -> dict[asyncio.Future[Answer], Key]:
        taken = dict(islice(self._waiting.items(), most))
        for waiter in taken:
            del self._waiting[waiter]
        return taken
