"""Questions that travel together: each with its own answer, none older than its question."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import pytest

from marketdata.errors import DatabaseUnavailableError
from marketdata.storage.coalesce import Coalescer
from tests.support.waiting import until

MOST_TRIPS: Final = 2
# Late at once, and never: no test waits for a time.
AT_ONCE: Final = 0.0
NEVER: Final = 3_600.0


class Asked:
    """What is asked: it answers when the test opens the gate, each key with its lower case."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.trips: list[tuple[str, ...]] = []
        self.connections = 0
        self.gate = asyncio.Event()
        self.way = asyncio.Event()
        self.way.set()
        self.failure: Exception | None = None
        self.refusal: Exception | None = None
        if is_open:
            self.gate.set()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[str]:
        """Lend a connection, once the way is open."""
        self.connections += 1
        await self.way.wait()
        if self.refusal is not None:
            raise self.refusal
        yield "connection"

    async def ask(self, connection: str, keys: Sequence[str]) -> dict[str, str]:
        """Answer what is asked over a connection that was lent."""
        assert connection == "connection"
        self.trips.append(tuple(keys))
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return {key: key.lower() for key in keys}

    def coalescer(self, late_seconds: float = NEVER) -> Coalescer[str, str, str]:
        """Make what is tested."""
        return Coalescer(self.connect, self.ask, most_trips=MOST_TRIPS, late_seconds=late_seconds)


async def turns(count: int = 30) -> None:
    """Let the event loop run everything that can run."""
    for _ in range(count):
        await asyncio.sleep(0)


def ask_all(coalescer: Coalescer[str, str, str], keys: str) -> list["asyncio.Task[str]"]:
    """Ask for each letter in a task of its own."""
    return [asyncio.create_task(coalescer.get(key)) for key in keys]


async def test_get_given_questions_of_one_turn_takes_one_trip() -> None:
    """They leave together without waiting for anything, and each gets its own answer."""
    asked = Asked()
    assert await asyncio.gather(*ask_all(asked.coalescer(), "ABC")) == ["a", "b", "c"]
    assert asked.trips == [("A", "B", "C")]


async def test_get_given_the_same_key_asks_it_once() -> None:
    """Two who ask the same share the answer."""
    asked = Asked()
    assert await asyncio.gather(*ask_all(asked.coalescer(), "ABA")) == ["a", "b", "a"]
    assert asked.trips == [("A", "B")]


async def test_get_given_a_trip_under_way_gathers_the_next() -> None:
    """What comes meanwhile leaves in one trip when it is back, with what comes along at that moment."""
    asked = Asked(is_open=False)
    coalescer = asked.coalescer()
    tasks = []
    for key in "ABCD":
        tasks += ask_all(coalescer, key)
        await turns()
    assert asked.trips == [("A",)]
    asked.gate.set()
    assert await asyncio.gather(*tasks) == ["a", "b", "c", "d"]
    assert asked.trips == [("A",), ("B", "C", "D")]


async def test_get_given_company_last_time_waits_for_those_that_arrive_with_it() -> None:
    """Calls of one moment come turn by turn: they leave when some turns brought nobody."""
    asked = Asked()
    coalescer = asked.coalescer()
    await asyncio.gather(*ask_all(coalescer, "AB"))
    tasks = []
    for key in "CDE":
        tasks += ask_all(coalescer, key)
        await turns(5)
    assert await asyncio.gather(*tasks) == ["c", "d", "e"]
    assert asked.trips == [("A", "B"), ("C", "D", "E")]
    assert await coalescer.get("F") == "f"


async def test_get_given_questions_without_end_leaves_all_the_same() -> None:
    """One that comes in every turn does not keep the first from leaving."""
    asked = Asked()
    coalescer = asked.coalescer()
    await asyncio.gather(*ask_all(coalescer, "AB"))
    first = asyncio.create_task(coalescer.get("FIRST"))
    others: list[asyncio.Task[str]] = []
    while not first.done():
        others.append(asyncio.create_task(coalescer.get(f"K{len(others)}")))
        await turns(1)
        assert len(others) < 200
    await asyncio.gather(*others)


async def test_get_given_a_late_trip_lets_the_next_leave() -> None:
    """As many as are allowed at a time; then whatever waits leaves with the first that is back."""
    asked = Asked(is_open=False)
    coalescer = asked.coalescer(AT_ONCE)
    tasks = []
    for number, key in enumerate("ABCD"):
        tasks += ask_all(coalescer, key)

        async def has_left(trips: int = min(number + 1, MOST_TRIPS)) -> bool:
            return len(asked.trips) == trips

        await until(has_left)
        await turns()
    assert asked.trips == [("A",), ("B",)]
    asked.gate.set()
    assert await asyncio.gather(*tasks) == ["a", "b", "c", "d"]
    assert asked.trips == [("A",), ("B",), ("C", "D")]


async def test_get_given_a_trip_under_way_never_joins_it() -> None:
    """Who asks for a key that is being asked for gets an answer of its own: the other may be older."""
    asked = Asked(is_open=False)
    coalescer = asked.coalescer()
    tasks = ask_all(coalescer, "A")
    await turns()
    tasks += ask_all(coalescer, "A")
    await turns()
    asked.gate.set()
    await asyncio.gather(*tasks)
    assert asked.trips == [("A",), ("A",)]


async def test_get_given_more_than_a_trip_takes_bounds_it() -> None:
    """A crowd is answered in several trips, in the order of asking."""
    asked = Asked()
    coalescer = asked.coalescer()
    keys = [f"K{number}" for number in range(300)]
    answers = await asyncio.gather(*(coalescer.get(key) for key in keys))
    assert answers == [key.lower() for key in keys]
    assert [len(trip) for trip in asked.trips] == [128, 128, 44]


async def test_get_given_a_cancelled_caller_answers_the_others() -> None:
    """Whether it waits or its trip is under way; what nobody waits for any more is not asked."""
    asked = Asked(is_open=False)
    coalescer = asked.coalescer()
    travelling = ask_all(coalescer, "AB")
    await turns()
    waiting = ask_all(coalescer, "CD")
    await turns()
    for task in (travelling[0], waiting[0]):
        task.cancel()
    await turns()
    asked.gate.set()
    outcomes = await asyncio.gather(*travelling, *waiting, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["", "b", "", "d"]
    assert [task.cancelled() for task in (*travelling, *waiting)] == [True, False, True, False]
    assert asked.trips == [("A", "B"), ("D",)]


async def test_get_given_everybody_gone_asks_nothing() -> None:
    """A connection that came too late is given back unused, and the next question is answered."""
    asked = Asked()
    coalescer = asked.coalescer()
    asked.way.clear()
    (task,) = ask_all(coalescer, "A")
    await turns()
    task.cancel()
    await turns()
    asked.way.set()
    await turns()
    assert (asked.connections, asked.trips) == (1, [])
    assert await coalescer.get("B") == "b"


async def test_get_given_a_failing_trip_fails_those_on_it_only() -> None:
    """The error reaches each of them, and the next trip is another matter."""
    asked = Asked(is_open=False)
    coalescer = asked.coalescer()
    asked.failure = DatabaseUnavailableError("gone")
    failed = ask_all(coalescer, "AB")
    await turns()
    asked.gate.set()
    for task in failed:
        with pytest.raises(DatabaseUnavailableError, match="gone"):
            await task
    asked.failure = None
    assert await coalescer.get("A") == "a"


async def test_get_given_no_connection_fails_all_that_wait() -> None:
    """Nobody waits a second time for what was just found not to be there."""
    asked = Asked()
    coalescer = asked.coalescer()
    asked.way.clear()
    asked.refusal = DatabaseUnavailableError("no connection")
    tasks = ask_all(coalescer, "A")
    await turns()
    tasks += ask_all(coalescer, "BC")
    await turns()
    asked.way.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes == [asked.refusal] * 3
    assert asked.trips == []
    asked.refusal = None
    assert await coalescer.get("D") == "d"


async def test_get_given_questions_at_every_step_leaves_none_behind() -> None:
    """Whenever a question comes while the last trip ends, a trip starts for it."""
    asked = Asked()
    coalescer = asked.coalescer()
    async with asyncio.timeout(20):
        for steps in range(60):
            first = asyncio.create_task(coalescer.get("A"))
            await turns(steps % 20)
            assert await coalescer.get("B") == "b"
            assert await first == "a"
