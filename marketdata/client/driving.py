"""Coroutines that never wait, run as the plain functions that they then are."""

from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, in this thread and without an event loop.

    Raises
    ------
    RuntimeError
        The coroutine waits for an event loop: something asynchronous was given to a synchronous call.
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    # Raised where it waits, so that everything on the way out is closed in order.
    coroutine.throw(
        RuntimeError(
            "a synchronous call was given something that waits for an event loop; give it plain "
            "iterables, or use MarketDataClient"
        )
    )
    raise AssertionError("unreachable: nothing on the way out waits")


def next_of(iterator: AsyncIterator[T]) -> T:
    """Take the next item of an iterator that never waits.

    Raises
    ------
    StopAsyncIteration
        There is none.
    """
    return run(_next_of(iterator))


async def _next_of(iterator: AsyncIterator[T]) -> T:
    return await anext(iterator)
