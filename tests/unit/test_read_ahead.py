"""Blocking reads one item ahead."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from marketdata.ingestion.read_ahead import read_ahead
from tests.support.waiting import until


class Items:
    """Yields numbers from a thread, and knows how far it is."""

    def __init__(self, count: int, fails_at: int | None = None) -> None:
        self.made = 0
        self.is_busy = False
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self._count = count
        self._fails_at = fails_at

    def __iter__(self) -> Iterator[int]:
        for number in range(self._count):
            self.is_busy = True
            assert self.may_go_on.wait(20)
            self.is_busy = False
            if number == self._fails_at:
                raise ValueError(f"no {number}")
            self.made += 1
            yield number


async def test_read_ahead_given_items_yields_all_in_order() -> None:
    """Every item once; the empty one as well."""
    assert [item async for item in read_ahead(iter(Items(5)))] == [0, 1, 2, 3, 4]
    assert [item async for item in read_ahead(iter(Items(0)))] == []


async def test_read_ahead_given_a_slow_reader_makes_one_item_ahead_and_no_more() -> None:
    """Memory is bounded by two items, however fast they are made."""
    items = Items(9)
    async with aclosing(read_ahead(iter(items))) as ahead:
        assert await anext(ahead) == 0

        async def is_ahead() -> bool:
            return items.made == 2

        await until(is_ahead)
        assert await anext(ahead) == 1
    assert items.made <= 3


async def test_read_ahead_given_a_failure_raises_it_behind_the_items_before_it() -> None:
    """What was read is worked on first."""
    ahead = read_ahead(iter(Items(5, fails_at=2)))
    assert [await anext(ahead), await anext(ahead)] == [0, 1]
    with pytest.raises(ValueError, match="no 2"):
        await anext(ahead)


async def test_read_ahead_given_a_reader_that_leaves_hides_a_failure_that_nobody_asked_for() -> None:
    """An item that is not wanted any more cannot fail anybody."""
    async with aclosing(read_ahead(iter(Items(5, fails_at=1)))) as ahead:
        assert await anext(ahead) == 0


async def test_read_ahead_given_a_cancellation_waits_for_the_thread() -> None:
    """What the iterator reads from is closed next: nobody may still be in it."""
    items = Items(5)

    async def take_all() -> None:
        async with aclosing(read_ahead(iter(items))) as ahead:
            async for _ in ahead:
                items.may_go_on.clear()

    task = asyncio.create_task(take_all())

    async def is_busy() -> bool:
        return items.is_busy and not items.may_go_on.is_set()

    await until(is_busy)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    items.may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not items.is_busy
