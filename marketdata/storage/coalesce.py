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


class Coalescer(Generic[Key, Answer, Channel]):
    """Asks for many what each asks for one.

    Nothing lingers: a question leaves at once where a lane is free, with those that came in the same
    turn of the event loop; while all lanes are under way the next ones gather, and leave together when
    a lane is back. An answer is never older than its question, since a trip takes only those that wait
    when it starts.

    Parameters
    ----------
    connect : callable
        Makes the context that a trip needs, such as a borrowed connection. A failure of it is the
        answer to all that wait then.
    ask : callable
        Answers keys, which have no repeats; every key is in its answer. A failure of it is the
        answer to the keys that it was given.
    lanes : int
        Most trips at a time.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractAsyncContextManager[Channel]],
        ask: Callable[[Channel, Sequence[Key]], Awaitable[Mapping[Key, Answer]]],
        lanes: int,
    ) -> None:
        self._connect = connect
        self._ask = ask
        self._free_lanes = lanes
        self._waiting: dict[asyncio.Future[Answer], Key] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # the event loop itself would forget them

    async def get(self, key: Key) -> Answer:
        """Ask; cancelling the caller takes back this question and no other."""
        waiter: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = key
        if self._free_lanes:
            self._free_lanes -= 1
            task = asyncio.create_task(self._run_lane())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            return await waiter
        finally:
            self._waiting.pop(waiter, None)

    async def _run_lane(self) -> None:
        try:
            while self._waiting:
                await self._run_trip()
        finally:
            # In the same step as the look at what waits: nothing can come to wait in between.
            self._free_lanes += 1

    async def _run_trip(self) -> None:
        taken: dict[asyncio.Future[Answer], Key] = {}
        try:
            async with self._connect() as channel:
                taken = self._take(_MOST_A_TRIP)
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
