"""Bars from outside: by the names of feeds and symbols that this database knows."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date
from typing import Final

import pytest

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarFrame
from marketdata.domain.symbol import NewSymbol, SymbolUpdate
from marketdata.domain.time_range import TimeRange, session_label_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import InvalidRequestError, WriteConflictError
from marketdata.storage.commit import Alongside, BarWriter, CommitResult
from marketdata.storage.commit_few import Check
from marketdata.storage.intake import BarIntake, IntakeResult
from tests.support.bars import Bar, days, frame_of
from tests.support.rows import changes, stored_bars
from tests.support.storage import Storage
from tests.support.symbols import create_renamed, create_symbols

DAY: Final = Timeframe.DAY_1
RENAMED: Final = date(2022, 6, 9)
RENAMED_US: Final = session_label_us(RENAMED)


def frame_with_feeds(*bars: Bar, **feeds: str) -> BarFrame:
    """Make a frame whose feed column is a key into `feeds`, given as ``f0="provider/feed"``."""
    return replace(frame_of(bars), feeds={int(key[1:]): name for key, name in feeds.items()})


async def test_store_given_feeds_by_name_stores_their_ids(storage: Storage) -> None:
    """The keys of a frame are its own; the database's ids are others."""
    await create_symbols(storage, "A", "B")
    bars = [Bar("A", days(1), feed=5), Bar("B", days(1), feed=0)]
    result = await storage.intake.store(
        frame_with_feeds(*bars, f5="sample/eod", f0="manual/upload"), DAY
    )
    assert result == IntakeResult(CommitResult(accepted=2, seq=3), {})
    assert [bar.feed for bar in await stored_bars(storage, DAY)] == [2, 1]


async def test_store_given_unknown_symbols_stores_the_others(storage: Storage) -> None:
    """Bars of unknown symbols are counted by symbol, never lost in silence."""
    await create_symbols(storage, "A")
    bars = [Bar("X", days(1), feed=0), Bar("A", days(1), feed=0), Bar("X", days(2), feed=0),
            Bar("Y", days(1), feed=0)]  # fmt: skip
    result = await storage.intake.store(frame_with_feeds(*bars, f0="sample/eod"), DAY)
    assert result == IntakeResult(CommitResult(accepted=1, seq=2), {"X": 2, "Y": 1})
    assert [bar.key for bar in await stored_bars(storage, DAY)] == [("A", days(1))]


async def test_store_given_only_unknown_symbols_stores_nothing(storage: Storage) -> None:
    """Nothing changed, so there is no seq."""
    result = await storage.intake.store(
        frame_with_feeds(Bar("X", days(1), feed=0), f0="sample/eod"), DAY
    )
    assert result == IntakeResult(CommitResult(), {"X": 1})


async def test_store_given_an_unknown_feed_refuses_all(storage: Storage) -> None:
    """The answer names the known feeds; none of the bars is stored."""
    await create_symbols(storage, "A")
    frame = frame_with_feeds(Bar("A", days(1), feed=0), f0="manual/upload", f1="nobody/nothing")
    with pytest.raises(
        InvalidRequestError,
        match=r"nobody/nothing is not known; the feeds are manual/upload, files/archive, .*sample/eod",
    ):
        await storage.intake.store(frame, DAY)
    assert await stored_bars(storage, DAY) == []
    assert len(await changes(storage)) == 1


async def test_store_given_a_renamed_symbol_puts_each_bar_under_the_ticker_of_its_time(
    storage: Storage,
) -> None:
    """Bars sent under either name are read as one series by both, and reuse gets none (rule 15)."""
    rename = session_label_us(date(2022, 6, 9))
    await storage.symbols.create(NewSymbol("FB"))
    await storage.symbols.update(
        "FB", SymbolUpdate({"symbol": "META"}, effective_date=date(2022, 6, 9))
    )
    day = 86_400_000_000
    for symbol, times in (("FB", [rename - day, rename + day]), ("META", [rename - 2 * day, rename])):
        bars = [Bar(symbol, time, feed=0) for time in times]
        frame = frame_with_feeds(*bars, f0="manual/upload")
        result = await storage.intake.store(frame, Timeframe.DAY_1)
        assert (result.committed.accepted, result.rejected) == (2, {})
    everything = TimeRange(Timeframe.DAY_1.earliest_us, Timeframe.DAY_1.latest_us)
    for symbol in ("FB", "META"):
        page = await storage.reader.read_page(BarQuery((symbol,), Timeframe.DAY_1, everything), 10)
        assert page.frame.time_us.tolist() == [rename + n * day for n in (-2, -1, 0, 1)]


async def test_store_given_bars_of_before_a_reuse_rejects_them(storage: Storage) -> None:
    """They are another company's: counted by symbol, stored nowhere."""
    await create_renamed(storage, [("FB", None, RENAMED), ("META", RENAMED, None)])
    await create_renamed(storage, [("FB", date(2023, 7, 3), None)])
    bars = [Bar("FB", RENAMED_US + days(day), feed=0) for day in (-1, 100, 500)]
    bars.append(Bar("META", RENAMED_US - days(1), feed=0))
    result = await storage.intake.store(frame_with_feeds(*bars, f0="sample/eod"), DAY)
    assert (result.committed.accepted, result.rejected) == (2, {"FB": 2})
    assert [bar.key for bar in await stored_bars(storage, DAY)] == [
        ("FB", RENAMED_US - days(1)), ("FB", RENAMED_US + days(500)),
    ]  # fmt: skip


async def test_store_given_one_identity_under_two_names_refuses_all(storage: Storage) -> None:
    """Two bars of one day would be one row: which was meant is not guessed."""
    await create_renamed(storage, [("FB", None, RENAMED), ("META", RENAMED, None)])
    bars = [Bar("FB", RENAMED_US, feed=0), Bar("META", RENAMED_US, feed=0)]
    with pytest.raises(InvalidRequestError, match="FB and META name the same symbol"):
        await storage.intake.store(frame_with_feeds(*bars, f0="sample/eod"), DAY)
    assert await stored_bars(storage, DAY) == []


class LateWriter(BarWriter):
    """A writer before which something else happens."""

    before: Callable[[], Awaitable[object]]

    async def commit_bars(
        self,
        frame: BarFrame,
        timeframe: Timeframe,
        check: Check | None = None,
        alongside: Alongside | None = None,
    ) -> CommitResult:
        """Let it happen, then commit."""
        await self.before()
        return await super().commit_bars(frame, timeframe, check, alongside)


@pytest.mark.usefixtures("any_path")
@pytest.mark.parametrize("happens", ["deleted", "renamed"])
async def test_store_given_a_symbol_that_goes_meanwhile_stores_nothing(
    storage: Storage, happens: str
) -> None:
    """Between looking a symbol up and storing its bars it can go: no bar stays that nobody finds."""
    await create_symbols(storage, "A")
    writer = LateWriter(storage.pools, storage.partitions)

    async def before() -> None:
        if happens == "deleted":
            await storage.symbol_deleter.delete("A", force=False)
        else:
            await storage.symbols.update("A", SymbolUpdate({"symbol": "B"}, RENAMED))

    writer.before = before
    intake = BarIntake(storage.pools, writer)
    bar = Bar("A", RENAMED_US, feed=0)
    with pytest.raises(WriteConflictError, match="renamed or deleted meanwhile"):
        await intake.store(frame_with_feeds(bar, f0="sample/eod"), DAY)
    assert await stored_bars(storage, DAY) == []
