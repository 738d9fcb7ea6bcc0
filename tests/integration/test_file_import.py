"""Blocks of a file brought into a real database."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pytest

from marketdata.domain.symbol import NewSymbol
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import BarFileError
from marketdata.ingestion import file_import
from marketdata.ingestion.file_import import FileImport, FileImporter, ImportRequest
from marketdata.providers.files.blocks import BarBlock
from marketdata.providers.files.rejections import RejectedRows
from marketdata.storage.embedded import ServerAddress
from tests.support.bars import Bar, days, frame_of, key_order, series
from tests.support.databases import connected
from tests.support.rows import changes, stored_bars
from tests.support.storage import Storage

JAN_2: Final = 1_704_153_600_000_000
DAY: Final = Timeframe.DAY_1
FEEDS: Final = {0: "manual/upload", 1: "sample/eod", 2: "no/such"}


def block(bars: Sequence[Bar], first_line: int = 2, **account: int) -> BarBlock:
    """Make a block of bars whose feeds are keys into `FEEDS`; lines count from `first_line`."""
    ordered = key_order(bars)
    lines = np.arange(first_line, first_line + len(bars))
    frame = replace(frame_of(ordered), feeds=FEEDS)
    return BarBlock(frame, lines, rejected=(), rows=account.pop("rows", len(bars)), **account)


class Import:
    """Imports blocks and keeps what it is told."""

    def __init__(self, storage: Storage, **request: object) -> None:
        self.outcome = FileImport()
        self.rejected: list[RejectedRows] = []
        self.positions: list[tuple[int, int]] = []
        self.enough, self.reached = 20, asyncio.Event()
        self._importer = FileImporter(
            storage.pools,
            storage.symbols,
            storage.intake,
            ImportRequest(DAY, **request),  # type: ignore[arg-type]
            self.outcome,
            on_progress=self._note,
            on_rejected=self.rejected.extend,
        )

    def _note(self) -> None:
        self.positions.append((self.outcome.position, self.outcome.committed))
        if self.outcome.committed >= self.enough:
            self.reached.set()

    async def run(self, *blocks: BarBlock) -> FileImport:
        """Import the blocks."""
        return await self.run_all(iter(blocks))

    async def run_all(self, blocks: Iterator[BarBlock]) -> FileImport:
        """Import what the iterator yields."""
        await self._importer.run(blocks)
        return self.outcome

    def listed(self) -> list[tuple[str, list[int], list[str]]]:
        """List rule, lines and values of what was rejected."""
        return [(group.rule, group.lines.tolist(), list(group.values)) for group in self.rejected]


@pytest.fixture
async def known(storage: Storage) -> Storage:
    """Give a database that knows AAPL and IBM."""
    for symbol in ("AAPL", "IBM"):
        await storage.symbols.create(NewSymbol(symbol))
    return storage


def bars_of_feed(symbol: str, count: int, feed: int = 0, start_day: float = 0) -> list[Bar]:
    """Make daily bars of a feed of `FEEDS`."""
    return [bar._replace(feed=feed) for bar in series(symbol, DAY, JAN_2 + days(start_day), count)]


async def test_import_given_new_bars_stores_them_and_a_second_run_changes_nothing(
    known: Storage,
) -> None:
    """The counts say which it was, and the change log has no second entry."""
    blocks = [block(bars_of_feed("AAPL", 3)), block(bars_of_feed("IBM", 2), position=77)]
    first = await Import(known).run(*blocks)
    assert (first.rows, first.accepted, first.unchanged, first.position) == (5, 5, 0, 77)
    before = await changes(known)
    second = await Import(known).run(*blocks)
    assert (second.rows, second.accepted, second.unchanged, second.revised) == (5, 0, 5, 0)
    assert await changes(known) == before
    assert len(await stored_bars(known, DAY)) == 5


async def test_import_given_changed_bars_revises_them(known: Storage) -> None:
    """What differs is replaced, what does not is not."""
    bars = bars_of_feed("AAPL", 3)
    await Import(known).run(block(bars))
    changed = [bars[0], bars[1]._replace(volume=7.0), bars[2]]
    outcome = await Import(known).run(block(changed))
    assert (outcome.revised, outcome.unchanged, outcome.accepted) == (1, 2, 0)


async def test_import_given_a_lower_feed_is_outranked(known: Storage) -> None:
    """Bars that somebody uploaded are not replaced by a vendor's file."""
    await Import(known).run(block(bars_of_feed("AAPL", 2)))
    vendor = [bar._replace(close=10.5) for bar in bars_of_feed("AAPL", 3, feed=1)]
    outcome = await Import(known).run(block(vendor))
    assert (outcome.outranked, outcome.accepted) == (2, 1)


async def test_import_given_a_repeat_in_a_later_block_lets_the_database_decide(known: Storage) -> None:
    """The same again is unchanged, another value is a revision."""
    bars = bars_of_feed("AAPL", 2)
    again = [bars[0], bars[1]._replace(volume=7.0)]
    outcome = await Import(known).run(block(bars), block(again))
    assert (outcome.accepted, outcome.unchanged, outcome.revised) == (2, 1, 1)


async def test_import_given_unknown_symbols_rejects_their_rows_by_line(known: Storage) -> None:
    """The others are stored."""
    importing = Import(known)
    outcome = await importing.run(block([*bars_of_feed("AAPL", 2), *bars_of_feed("ZZZ", 2)]))
    assert importing.listed() == [("UNKNOWN_SYMBOL", [4, 5], ["ZZZ", "ZZZ"])]
    assert (outcome.accepted, outcome.rejected, outcome.rules["UNKNOWN_SYMBOL"]) == (2, 2, 2)
    assert [(row.line, row.value) for row in outcome.samples] == [(4, "ZZZ"), (5, "ZZZ")]


async def test_import_given_leave_to_creates_unknown_symbols_once(known: Storage) -> None:
    """Only symbols that have a good bar; in every block the same one."""
    importing = Import(known, creates_symbols=True)
    outcome = await importing.run(
        block(bars_of_feed("ZZZ", 2)), block(bars_of_feed("ZZZ", 2, start_day=9))
    )
    assert (outcome.created, outcome.accepted, outcome.rejected) == (["ZZZ"], 4, 0)
    assert (await known.symbols.get("ZZZ")).venue == "XNYS"


async def test_import_given_a_symbol_that_another_creates_meanwhile_goes_on(
    known: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two imports of one day's files run beside each other."""

    async def knows_nothing(*_: object) -> dict[str, object]:
        return {}

    monkeypatch.setattr(type(known.symbols), "resolve", knows_nothing)
    outcome = await Import(known, creates_symbols=True).run(block(bars_of_feed("AAPL", 1)))
    assert (outcome.accepted, outcome.created) == (1, [])


async def test_import_given_a_symbol_deleted_meanwhile_rejects_its_rows(
    known: Storage, database: ServerAddress
) -> None:
    """It was known when it was looked up: its rows are counted and listed nevertheless."""

    def blocks() -> Iterator[BarBlock]:
        yield block(bars_of_feed("AAPL", 1))
        with connected(database) as connection:
            connection.execute("DELETE FROM market_symbol WHERE symbol = 'IBM'")
        yield block([*bars_of_feed("AAPL", 1, start_day=5), *bars_of_feed("IBM", 2)], 10)

    importing = Import(known)
    importing._importer._known_symbols["IBM"] = True
    outcome = await importing.run_all(blocks())
    assert importing.listed() == [("UNKNOWN_SYMBOL", [11, 12], ["IBM", "IBM"])]
    assert (outcome.rows, outcome.accepted, outcome.rejected) == (4, 2, 2)


async def test_import_given_an_unknown_feed_refuses_before_it_reads(known: Storage) -> None:
    """The error lists the feeds that there are."""

    def blocks() -> Iterator[BarBlock]:
        pytest.fail("nothing was to be read")
        yield

    with pytest.raises(BarFileError, match="no/such is not known; the feeds are manual/upload"):
        await Import(known, feed="no/such").run_all(blocks())


async def test_import_given_rows_of_an_unknown_feed_rejects_them_by_line(known: Storage) -> None:
    """A column of feeds can name one that this database does not have."""
    bars = [*bars_of_feed("AAPL", 1), *bars_of_feed("IBM", 2, feed=2)]
    importing = Import(known)
    outcome = await importing.run(block(bars))
    assert importing.listed() == [("UNKNOWN_FEED", [3, 4], ["no/such", "no/such"])]
    assert (outcome.accepted, outcome.rejected) == (1, 2)


async def test_import_given_a_dry_run_stores_nothing(known: Storage) -> None:
    """It tells what there is to store, and what would be created or rejected."""
    outcome = await Import(known, is_dry_run=True, creates_symbols=True).run(
        block([*bars_of_feed("AAPL", 2), *bars_of_feed("ZZZ", 1), *bars_of_feed("IBM", 1, feed=2)])
    )
    assert (outcome.ready, outcome.committed, outcome.rejected) == (3, 0, 1)
    assert outcome.created == ["ZZZ"]
    assert await stored_bars(known, DAY) == []
    assert "ZZZ" not in await known.symbols.resolve(["ZZZ"], DAY)


async def test_import_given_a_large_block_commits_it_in_even_batches(
    known: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is over the limit, and progress is told after each."""
    monkeypatch.setattr(file_import, "MOST_BARS_A_BATCH", 10)
    importing = Import(known)
    await importing.run(block([*bars_of_feed("AAPL", 13), *bars_of_feed("IBM", 8)], position=9))
    sizes = [len(change.bars or ()) for change in await changes(known) if change.kind == "bars"]
    assert sizes == [7, 7, 7]
    assert importing.positions == [(0, 7), (0, 14), (0, 21), (9, 21)]


async def test_import_given_counts_of_the_file_adds_them_up(known: Storage) -> None:
    """Every row stands in one count."""
    rejected = RejectedRows("NOT_A_NUMBER", "open", "is not a number", np.array([9]), ["x"])
    first = replace(block(bars_of_feed("AAPL", 2), rows=6, duplicates=3), rejected=[rejected])
    outcome = await Import(known).run(first, block(bars_of_feed("IBM", 1)))
    counted = outcome.duplicates + outcome.rejected + outcome.committed
    assert (outcome.rows, counted, outcome.rejected) == (7, 7, 1)


async def test_import_given_many_rejected_rows_keeps_the_first_as_samples(known: Storage) -> None:
    """All are counted; a screen full is kept."""
    lines = np.arange(2, 1_002)
    rejected = RejectedRows("NOT_A_NUMBER", "open", "is not a number", lines, ["x"] * 1_000)
    outcome = await Import(known).run(replace(block([], rows=1_000), rejected=[rejected]))
    assert [row.line for row in outcome.samples] == list(range(2, 22))
    assert (outcome.rejected, outcome.rules["NOT_A_NUMBER"]) == (1_000, 1_000)


async def test_import_given_a_file_that_breaks_off_keeps_what_came_before(known: Storage) -> None:
    """The error comes through; run again, the same bars are unchanged."""

    def blocks() -> Iterator[BarBlock]:
        yield block(bars_of_feed("AAPL", 4))
        raise BarFileError("cannot be read past line 5")

    importing = Import(known)
    with pytest.raises(BarFileError, match="past line 5"):
        await importing.run_all(blocks())
    assert importing.outcome.accepted == len(await stored_bars(known, DAY)) == 4


async def test_import_given_an_interruption_says_what_is_stored_and_can_be_run_again(
    known: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each batch is a transaction: what was counted is there, and nothing else but perhaps one more."""
    monkeypatch.setattr(file_import, "MOST_BARS_A_BATCH", 10)
    whole = block(bars_of_feed("AAPL", 100))
    importing = Import(known)

    task = asyncio.create_task(importing.run(whole))
    await importing.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stored = len(await stored_bars(known, DAY))
    assert importing.outcome.accepted in (stored, stored - 10)
    again = await Import(known).run(whole)
    assert (again.unchanged, again.accepted) == (stored, 100 - stored)
