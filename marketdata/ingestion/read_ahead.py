"""Blocking reads in a thread, one item ahead of whoever works on them."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import TypeVar

Item = TypeVar("Item")


async def read_ahead(items: Iterator[Item]) -> AsyncGenerator[Item]:
    """Yield what a blocking iterator yields; the next item is made while this one is worked on.

    Two items exist at a time, and one thread is in the iterator at a time. When the generator is
    closed or cancelled it waits for that thread: what the iterator reads from can be closed then.

    Parameters
    ----------
    items : iterator
        Of anything but None. What it raises is raised here.
    """
    ahead = _next(items)
    try:
        while (item := await asyncio.shield(ahead)) is not None:
            ahead = _next(items)
            yield item
    finally:
        await asyncio.wait({ahead})
        ahead.exception()  # seen: an error of an item that nobody asked for is none


def _next(items: Iterator[Item]) -> "asyncio.Task[Item | None]":
    return asyncio.create_task(asyncio.to_thread(next, items, None))
