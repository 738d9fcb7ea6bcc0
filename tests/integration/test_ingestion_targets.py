"""Targets: stored, listed by name in pages, changed, deleted; never more than there can be."""

import asyncio
from dataclasses import replace
from datetime import date
from typing import Final

import pytest

from marketdata.domain.ingestion_target import IngestionTarget, NewIngestionTarget
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import (
    TargetAlreadyExistsError,
    TargetNotFoundError,
    TooManyTargetsError,
    WriteConflictError,
)
from marketdata.storage.ingestion.targets import MOST_TARGETS, TargetStore
from tests.support.rows import fetch
from tests.support.storage import Storage
from tests.support.waiting import until

DAY: Final = Timeframe.DAY_1
MANY: Final = tuple(f"S{number}" for number in range(5_000))


def target(name: str, *symbols: str) -> NewIngestionTarget:
    """Make a target of days."""
    return NewIngestionTarget(name, symbols, (DAY,), ("alpaca",))


async def create(store: TargetStore, *names: str, symbols: tuple[str, ...] = ()) -> None:
    """Store targets."""
    for name in names:
        await store.create(target(name, *symbols))


async def listed(store: TargetStore, limit: int) -> list[list[str]]:
    """Walk the pages; give the names of each."""
    pages: list[list[str]] = []
    after: str | None = None
    while True:
        page = await store.list_page(after, limit)
        pages.append([one.name for one in page.targets])
        if not page.has_more:
            return pages
        after = pages[-1][-1]


async def test_create_given_every_field_keeps_it(storage: Storage) -> None:
    """Symbols and timeframes in the order in which they were named."""
    wanted = NewIngestionTarget(
        "us-daily_1", ("MSFT", "AAPL"), (DAY, Timeframe.MINUTE_1), ("yahoo", "alpaca"), date(2000, 1, 3)
    )
    store = TargetStore(storage.pools)
    stored = await store.create(wanted)
    assert stored == IngestionTarget(
        wanted.name,
        wanted.symbols,
        wanted.timeframes,
        wanted.providers,
        wanted.history_start,
        target_id=stored.target_id,
        created_us=stored.created_us,
    )
    assert min(stored.target_id, stored.created_us) > 0
    assert await store.list_all() == [stored]


async def test_create_given_all_symbols_keeps_none(storage: Storage) -> None:
    """No symbols stand for all, no history for none."""
    stored = await TargetStore(storage.pools).create(target("everything"))
    assert (stored.symbols, stored.history_start) == ((), None)


async def test_create_given_name_that_is_taken_leaves_the_first(storage: Storage) -> None:
    """A second one of the name is refused, whatever it says; the first stays as it was."""
    store = TargetStore(storage.pools)
    first = await store.create(target("tech", "AAPL"))
    with pytest.raises(TargetAlreadyExistsError, match="there is a target tech already"):
        await store.create(target("tech", "MSFT"))
    assert await store.list_all() == [first]


async def test_list_given_pages_has_each_target_once_by_name(storage: Storage) -> None:
    """Full pages, a last one, and no empty one behind it; names are ordered by their bytes."""
    store = TargetStore(storage.pools)
    await create(store, "b", "a-z", "a_z", "a0", "c", "9")
    assert await listed(store, 2) == [["9", "a-z"], ["a0", "a_z"], ["b", "c"]]
    assert await listed(store, 4) == [["9", "a-z", "a0", "a_z"], ["b", "c"]]
    assert [one.name for one in await store.list_all()] == ["9", "a-z", "a0", "a_z", "b", "c"]


async def test_list_given_nothing_is_one_empty_page(storage: Storage) -> None:
    """Nothing is an answer."""
    store = TargetStore(storage.pools)
    assert await listed(store, 10) == [[]]
    assert await store.list_all() == []


async def test_list_given_targets_of_many_symbols_has_smaller_pages(storage: Storage) -> None:
    """A page fits into a message of 4 MiB, however many symbols its targets have."""
    store = TargetStore(storage.pools)
    await create(store, *(f"t{number}" for number in range(6)), symbols=MANY)
    await create(store, "u")
    assert await listed(store, 1_000) == [["t0", "t1", "t2", "t3"], ["t4", "t5", "u"]]


async def test_delete_given_target_removes_only_it(storage: Storage) -> None:
    """The name is free again; what was fetched is not touched by it."""
    store = TargetStore(storage.pools)
    await create(store, "a", "b")
    await store.delete("a")
    assert [one.name for one in await store.list_all()] == ["b"]
    with pytest.raises(TargetNotFoundError, match="there is no target a; ListIngestionTargets"):
        await store.delete("a")
    await create(store, "a")
    assert await listed(store, 10) == [["a", "b"]]


async def test_update_given_a_target_keeps_its_number_and_time(storage: Storage) -> None:
    """Its slots go on where they were: they are named by its number."""
    store = TargetStore(storage.pools)
    seen = await store.create(target("a", "AAPL"))
    await create(store, "b")
    wanted = replace(
        seen, symbols=(), timeframes=(Timeframe.HOUR_1,), providers=("yahoo", "alpaca"),
        history_start=date(2000, 1, 3),
    )  # fmt: skip
    assert await store.update(seen, wanted) == wanted
    assert await store.get("a") == wanted
    assert (await store.get("b")).providers == ("alpaca",)


async def test_update_given_a_change_meanwhile_is_refused(storage: Storage) -> None:
    """What was checked together with something else than is stored would never have been checked."""
    store = TargetStore(storage.pools)
    seen = await store.create(target("a", "AAPL"))
    other = await store.update(seen, replace(seen, providers=("yahoo",)))
    with pytest.raises(WriteConflictError, match="target a was changed by somebody else meanwhile"):
        await store.update(seen, replace(seen, timeframes=(Timeframe.MINUTE_1,)))
    assert await store.get("a") == other
    await store.delete("a")
    with pytest.raises(TargetNotFoundError, match="there is no target a; ListIngestionTargets"):
        await store.update(other, seen)
    with pytest.raises(TargetNotFoundError):
        await store.get("a")


async def fill_but_one(storage: Storage) -> None:
    """Leave room for one more target."""
    await fetch(
        storage,
        """
        INSERT INTO ingestion_target (name, symbols, timeframes, providers)
        SELECT 'n' || number, '{}', '{1d}', '{alpaca}' FROM generate_series(2, %s) AS number
        """,
        [MOST_TARGETS],
    )


async def test_create_given_no_room_is_refused_until_one_goes(storage: Storage) -> None:
    """The last place is taken, and no more; a name that is taken is told as such all the same."""
    await fill_but_one(storage)
    store = TargetStore(storage.pools)
    await create(store, "last")
    with pytest.raises(TooManyTargetsError, match="there are 1,000 targets"):
        await create(store, "more")
    with pytest.raises(TargetAlreadyExistsError):
        await create(store, "last")
    await store.delete("n2")
    await create(store, "more")
    assert len(await store.list_all()) == MOST_TARGETS


@pytest.mark.modes("plain", "apache", reason="two sessions at once")
async def test_create_given_another_one_under_way_waits_and_counts_it(storage: Storage) -> None:
    """Of two for the last place the second one is refused, though it did not see the first begin."""
    await fill_but_one(storage)
    store = TargetStore(storage.pools)
    async with storage.owner.connection() as other, other.transaction():
        await other.execute(
            "INSERT INTO ingestion_target (name, symbols, timeframes, providers)"
            " VALUES ('first', '{}', '{1d}', '{alpaca}')"
        )
        second = asyncio.create_task(create(store, "second"))

        async def is_waiting() -> bool:
            waiting = await fetch(
                storage,
                "SELECT 1 FROM pg_locks WHERE relation = 'ingestion_target'::regclass AND NOT granted",
            )
            return bool(waiting) or second.done()

        await until(is_waiting)
    with pytest.raises(TooManyTargetsError):
        await second
    assert len(await store.list_all()) == MOST_TARGETS
