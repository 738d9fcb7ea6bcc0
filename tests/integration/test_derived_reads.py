"""Bars derived from minutes on read, against resampling everything at once."""

from contextlib import aclosing
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from marketdata.domain.bar_query import BarPosition, BarQuery
from marketdata.domain.bars import BarColumn, BarFlag, BarFrame, full_columns
from marketdata.domain.calendar import SessionHours
from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.resample import resample
from marketdata.domain.symbol import NewSymbol
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from tests.support.bars import days
from tests.support.sessions import minutes_between, walk
from tests.support.storage import Storage
from tests.support.symbols import create_renamed

SYMBOLS = ("AAA", "BBB", "CCC")
# Both sides of the switch to winter time of 2019, a Friday half day (2019-11-29) among them.
FIRST_US = 1_571_961_600_000_000  # 2019-10-25
LAST_US = 1_575_244_800_000_000  # 2019-12-02
EVERYTHING = TimeRange(FIRST_US, LAST_US)

DERIVED = (Timeframe.MINUTES_5, Timeframe.MINUTES_15, Timeframe.HOUR_1, Timeframe.DAY_1)
# There are no day bars of extended hours.
KINDS = [
    (timeframe, hours)
    for timeframe in DERIVED
    for hours in SessionHours
    if (timeframe, hours) != (Timeframe.DAY_1, SessionHours.EXTENDED)
]

Row = tuple[str, int, float, float, int]


def minutes_of(symbol: str, seed: int) -> BarFrame:
    """Make minutes of the regular and extended hours of XNYS, a fifth of them missing."""
    calendar = get_calendar("XNYS")
    rows = calendar.session_rows_in(EVERYTHING)
    rng = np.random.default_rng(seed)
    time_us = np.concatenate(
        [
            np.arange(start, end, 60_000_000)
            for start, end in zip(
                calendar.extended_start_us[rows], calendar.extended_end_us[rows], strict=True
            )
        ]
    )
    time_us = time_us[rng.random(len(time_us)) < 0.8]
    close = 100 + rng.standard_normal(len(time_us)).cumsum() * 0.02
    given = {
        BarColumn.TIME: time_us,
        BarColumn.OPEN: close,
        BarColumn.HIGH: close + rng.random(len(time_us)),
        BarColumn.LOW: close - rng.random(len(time_us)),
        BarColumn.CLOSE: close + 0.01,
        BarColumn.VOLUME: rng.integers(0, 1_000, len(time_us)).astype(np.float64),
        BarColumn.FLAGS: np.full(len(time_us), BarFlag.FINAL, np.int16),
        BarColumn.FEED: np.zeros(len(time_us), np.int16),
    }
    return BarFrame((symbol,), feeds={0: "manual/upload"}, **full_columns(len(time_us), given))


@pytest.fixture
async def minutes(storage: Storage) -> dict[str, BarFrame]:
    """Store minutes of two symbols; the third has none."""
    frames = {symbol: minutes_of(symbol, seed) for seed, symbol in enumerate(SYMBOLS[:2])}
    for symbol in SYMBOLS:
        await storage.symbols.create(NewSymbol(symbol))
    for frame in frames.values():
        await storage.intake.store(frame, Timeframe.MINUTE_1)
    return frames


async def read(storage: Storage, query: BarQuery) -> list[Row]:
    """Read a query in bulk, as rows in the order of the answer."""
    rows: list[Row] = []
    async with (
        storage.reader.snapshot(query) as snapshot,
        aclosing(snapshot.blocks(rows_of)) as blocks,
    ):
        async for block in blocks:
            rows += block
    return rows


def rows_of(frame: BarFrame) -> list[Row]:
    """Turn a frame into comparable rows."""
    names = [frame.symbols[index] for index in frame.row_symbol_index()]
    columns = (frame.time_us, frame.close, frame.volume, frame.flags)
    return list(zip(names, *(column.tolist() for column in columns), strict=True))


def derived(frame: BarFrame, timeframe: Timeframe, hours: SessionHours) -> list[Row]:
    """Resample all minutes of a symbol at once."""
    made = resample(frame, timeframe, get_calendar("XNYS"), now_us=timeframe.latest_us, hours=hours)
    return rows_of(made)


@pytest.mark.parametrize(("timeframe", "hours"), KINDS)
async def test_derived_read_given_minutes_equals_resampling_all_at_once(
    storage: Storage, minutes: dict[str, BarFrame], timeframe: Timeframe, hours: SessionHours
) -> None:
    """Windows of the read leave no trace in the answer, in any order of it."""
    truth = {symbol: derived(frame, timeframe, hours) for symbol, frame in minutes.items()}
    query = BarQuery(SYMBOLS, timeframe, EVERYTHING, session=hours)
    ascending = [row for symbol in minutes for row in truth[symbol]]
    assert await read(storage, query) == ascending
    descending = [row for symbol in minutes for row in truth[symbol][::-1]]
    assert await read(storage, replace(query, descending=True)) == descending
    by_time = sorted(ascending, key=lambda row: (row[1], row[0]))
    assert await read(storage, replace(query, by_time=True)) == by_time
    last = [row for symbol in minutes for row in truth[symbol][-7:]]
    assert await read(storage, replace(query, limit=7)) == last
    assert await read(storage, replace(query, limit=7, by_time=True)) == sorted(
        last, key=lambda row: (row[1], row[0])
    )


@pytest.mark.usefixtures("minutes")
async def test_derived_read_given_a_position_goes_on_behind_it(storage: Storage) -> None:
    """From any bar of the answer on, the rest is the rest, in every order."""
    query = BarQuery(SYMBOLS, Timeframe.HOUR_1, EVERYTHING)
    for descending in (False, True):
        for by_time in (False, True):
            asked = replace(query, descending=descending, by_time=by_time)
            answer = await read(storage, asked)
            for place in (0, 57, len(answer) // 2, len(answer) - 1):
                position = BarPosition(answer[place][0], answer[place][1])
                rest = await read(storage, replace(asked, resume_after=position))
                assert rest == answer[place + 1 :]


async def test_derived_read_given_stored_bars_prefers_them(
    storage: Storage, minutes: dict[str, BarFrame]
) -> None:
    """A provider's hour or day wins over the one made from minutes (rule 8)."""
    made = derived(minutes["AAA"], Timeframe.DAY_1, SessionHours.REGULAR)
    chosen = made[3]
    official = full_columns(
        1,
        {
            BarColumn.TIME: np.array([chosen[1]]),
            **{
                c: np.array([500.0])
                for c in (BarColumn.OPEN, BarColumn.HIGH, BarColumn.LOW, BarColumn.CLOSE)
            },
            BarColumn.FLAGS: np.array([BarFlag.FINAL], np.int16),
        },
    )
    bar = BarFrame(("AAA",), feeds={0: "manual/upload"}, **official)
    await storage.intake.store(bar, Timeframe.DAY_1)
    answer = await read(storage, BarQuery(("AAA",), Timeframe.DAY_1, EVERYTHING))
    assert [row[1] for row in answer] == [row[1] for row in made]
    assert answer[3][2] == 500.0
    assert not answer[3][4] & BarFlag.DERIVED
    assert all(row[4] & BarFlag.DERIVED for row in answer[:3] + answer[4:])


async def test_derived_read_given_part_of_a_range_has_whole_bars_of_it(
    storage: Storage, minutes: dict[str, BarFrame]
) -> None:
    """A range that cuts through a bar has the bar where its time lies within, and then whole."""
    truth = derived(minutes["AAA"], Timeframe.HOUR_1, SessionHours.REGULAR)
    start, end = truth[10][1] + 1, truth[40][1] + 1
    query = BarQuery(("AAA",), Timeframe.HOUR_1, TimeRange(start, end))
    assert await read(storage, query) == truth[11:41]


async def test_derived_page_given_minutes_pages_them(
    storage: Storage, minutes: dict[str, BarFrame]
) -> None:
    """A page of derived bars has the first of the answer, and says what it was made from."""
    query = BarQuery(("AAA",), Timeframe.MINUTES_15, EVERYTHING, descending=True)
    page = await storage.reader.read_page(query, 20)
    truth = derived(minutes["AAA"], Timeframe.MINUTES_15, SessionHours.REGULAR)
    assert rows_of(page.frame) == truth[::-1][:20]
    assert page.source is Timeframe.MINUTE_1


@pytest.mark.usefixtures("minutes")
async def test_derived_page_given_any_count_is_the_head_of_the_answer(storage: Storage) -> None:
    """However few bars are wanted, and so few minutes read, a page begins as the whole answer does."""
    for timeframe in DERIVED:
        for descending in (False, True):
            query = BarQuery(("AAA",), timeframe, always(timeframe), descending=descending)
            whole = await read(storage, query)
            for count in (1, 7, 23):
                page = await storage.reader.read_page(query, count)
                assert rows_of(page.frame) == whole[:count]


async def test_derived_read_given_stored_bars_far_from_minutes_has_both(
    storage: Storage, minutes: dict[str, BarFrame]
) -> None:
    """Days of years before and after the minutes stand in the answer where they belong."""
    calendar = get_calendar("XNYS")
    labels = calendar.label_us[calendar.label_us < LAST_US + days(400)][-5_000:]
    official = walk(labels[(labels < FIRST_US) | (labels >= LAST_US)], symbol="AAA")
    official = replace(official, feed=np.zeros(len(official), np.int16), feeds={0: "manual/upload"})
    await storage.intake.store(official, Timeframe.DAY_1)
    made = derived(minutes["AAA"], Timeframe.DAY_1, SessionHours.REGULAR)
    truth = sorted(rows_of(official) + made, key=lambda row: row[1])
    query = BarQuery(("AAA",), Timeframe.DAY_1, always(Timeframe.DAY_1))
    assert await read(storage, query) == truth
    assert await read(storage, replace(query, descending=True)) == truth[::-1]
    assert await read(storage, replace(query, limit=300)) == truth[-300:]


async def test_derived_read_given_a_rename_within_a_session_of_utc_has_its_minutes_whole(
    storage: Storage,
) -> None:
    """A day in Sydney begins on the evening before by UTC: minutes change tickers at local midnight."""
    renamed = date(2024, 11, 6)
    values = {"calendar": "XASX", "time_zone": "Australia/Sydney"}
    await create_renamed(storage, [("OLD", None, renamed), ("NEW", renamed, None)], **values)
    whole = walk(minutes_between("2024-11-04 10:00", "2024-11-08 16:00", "Australia/Sydney"))
    whole = replace(whole, symbols=("NEW",), feed=np.zeros(len(whole), np.int16))
    await storage.intake.store(replace(whole, feeds={0: "manual/upload"}), Timeframe.MINUTE_1)
    made = resample(whole, Timeframe.DAY_1, get_calendar("XASX"), now_us=Timeframe.DAY_1.latest_us)
    assert len(made) == 5
    query = BarQuery(("NEW",), Timeframe.DAY_1, always(Timeframe.DAY_1))
    assert await read(storage, query) == rows_of(made)


def always(timeframe: Timeframe) -> TimeRange:
    """Give the range of a request that names none."""
    return TimeRange(timeframe.earliest_us, timeframe.latest_us)
