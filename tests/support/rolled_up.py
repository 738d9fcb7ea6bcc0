"""Answers that roll-ups may give, in every way that there is, and what they must be."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarColumn, BarFrame
from marketdata.domain.calendar import SessionHours
from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.resample import resample
from marketdata.domain.symbol import NewSymbol
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.rollups import RollUpKeeper, RollUpResult
from tests.support.markets import FEEDS, Market
from tests.support.reads import read_in_bulk
from tests.support.rows import fetch
from tests.support.sessions import LONG_AFTER_US
from tests.support.storage import Storage
from tests.support.symbols import create_renamed

DAY: Final = Timeframe.DAY_1
HOUR: Final = Timeframe.HOUR_1
MINUTE: Final = Timeframe.MINUTE_1
RANKS: Final = {0: 1000, 1: 10}
KINDS: Final = (
    (DAY, SessionHours.REGULAR),
    (HOUR, SessionHours.REGULAR),
    (HOUR, SessionHours.EXTENDED),
    (HOUR, SessionHours.ALL),
)

Row = tuple[object, ...]


async def create(storage: Storage, market: Market) -> None:
    """Create the symbol of a market."""
    values = {"calendar": market.calendar, "time_zone": market.time_zone}
    if market.renamed is None:
        await storage.symbols.create(NewSymbol(market.symbol, **values))
    else:
        tickers = [("OLD", None, market.renamed), (market.symbol, market.renamed, None)]
        await create_renamed(storage, tickers, **values)


async def fill(storage: Storage, market: Market) -> BarFrame:
    """Create the symbol of a market and store its minutes."""
    await create(storage, market)
    minutes = market.minutes()
    await storage.intake.store(minutes, MINUTE)
    return minutes


def bits(frames: Iterable[BarFrame]) -> list[Row]:
    """List the bars of frames, every column to the last bit."""
    rows: list[Row] = []
    for frame in frames:
        names = [frame.symbols[place] for place in frame.row_symbol_index()]
        feeds = [frame.feeds[key] for key in frame.feed.tolist()]
        columns = [
            frame.column(column).tobytes() for column in BarColumn if column is not BarColumn.FEED
        ]
        widths = [len(data) // max(1, len(frame)) for data in columns]
        for row in range(len(frame)):
            values = [d[row * w : (row + 1) * w] for d, w in zip(columns, widths, strict=True)]
            rows.append((names[row], feeds[row], *values))
    return rows


def always(timeframe: Timeframe) -> TimeRange:
    """Give the range of a request that names none."""
    return TimeRange(timeframe.earliest_us, timeframe.latest_us)


async def answers(storage: Storage, symbol: str) -> dict[str, list[Row]]:
    """Read hours and days of a symbol in every way that there is."""
    found = {}
    for timeframe, hours in KINDS:
        query = BarQuery((symbol,), timeframe, always(timeframe), session=hours, now_us=LONG_AFTER_US)
        for name, asked in (
            ("all", query),
            ("newest first", replace(query, descending=True)),
            ("last", replace(query, limit=9)),
            ("by time", replace(query, by_time=True)),
        ):
            answer = await read_in_bulk(storage, asked)
            found[f"{timeframe.value} {hours.value} {name}"] = bits(answer.frames)
        page = await storage.reader.read_page(query, 11)
        found[f"{timeframe.value} {hours.value} page"] = bits([page.frame])
    return found


def truth(minutes: BarFrame, calendar: str, timeframe: Timeframe, hours: SessionHours) -> list[Row]:
    """Resample minutes at once, as they were stored."""
    made = resample(
        minutes,
        timeframe,
        get_calendar(calendar),
        now_us=LONG_AFTER_US,
        hours=hours,
        feed_ranks=RANKS,
    )
    return bits([replace(made, feeds=FEEDS)])


async def drop_minutes(storage: Storage) -> None:
    """Drop all minutes as retention does, so that only roll-ups can answer."""
    await fetch(storage, "SELECT bar_retention_record('min', '2049-01-01')")
    await fetch(storage, "TRUNCATE market_stock_hist_bars_min_ts")


async def roll(storage: Storage, most_days: int = 5) -> RollUpResult:
    """Roll up all there is, in small batches."""
    return await RollUpKeeper(storage.pools, most_days).run_once(LONG_AFTER_US)


async def dirty(storage: Storage) -> list[tuple[str, str]]:
    """List what is marked."""
    return [tuple(row) for row in await fetch(storage, "SELECT symbol, day::text FROM rollup_dirty")]


async def assert_true(storage: Storage, market: Market) -> None:
    """Hold every answer about a symbol to a resampling of the minutes that are stored now."""
    stored = BarQuery((market.symbol,), MINUTE, always(MINUTE), session=SessionHours.ALL)
    frames = (await read_in_bulk(storage, stored)).frames
    minutes = BarFrame.concatenate(frames)
    known = {name: RANKS[place] for place, name in enumerate(FEEDS.values())}
    # A catalog has feeds of providers too, of which these markets have no bars.
    ranks = {key: known.get(name, 0) for key, name in minutes.feeds.items()}
    found = await answers(storage, market.symbol)
    for timeframe, hours in KINDS:
        made = resample(
            minutes,
            timeframe,
            get_calendar(market.calendar),
            now_us=LONG_AFTER_US,
            hours=hours,
            feed_ranks=ranks,
        )
        assert found[f"{timeframe.value} {hours.value} all"] == bits([made])


async def counted(storage: Storage) -> tuple[int, int]:
    """Count the hour and the day roll-ups."""
    ((hours, days),) = await fetch(
        storage, "SELECT (SELECT count(*) FROM bar_rollup_hour), (SELECT count(*) FROM bar_rollup_day)"
    )
    return hours, days
