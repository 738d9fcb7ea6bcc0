"""Two months with two providers, of which one and then the other is down for a day.

Alpha Vantage has what all venues trade, and ranks higher; Alpaca has what one venue trades, and begins
later. One target asks the one first, another one the other.
"""

from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

import numpy as np

from marketdata.clock import ManualClock
from marketdata.domain.company import CompanyFacts
from marketdata.domain.ingestion_target import NewIngestionTarget
from marketdata.domain.listing import Listing
from marketdata.domain.symbol import NewSymbol, Symbol
from marketdata.domain.timeframe import Timeframe
from tests.support.providers.alpha_vantage.side import AlphaVantageDialect
from tests.support.providers.faults import never
from tests.support.providers.played import loopback
from tests.support.rows import fetch
from tests.support.storage import Storage
from tests.support.year.series import TRADES, VOLUME, VWAP, Series, walked
from tests.support.year.sessions import (
    DAY_US,
    HOUR_US,
    actions_slots,
    company_slots,
    daily_slots,
    repair_slots,
    sessions_of,
    utc,
)
from tests.support.year.side import Side, alpaca_dialect, make_alpaca, make_alpha_vantage
from tests.support.year.truth import Key
from tests.support.year.walk import Happening, Walk, create_target, start_anew

#: What is simulated, and what history is wanted and told.
BEGIN: Final = "2024-08-01 13:00"
END: Final = "2024-10-01 12:00"
HISTORY_START: Final = "2024-06-03"
ALPACA_START: Final = "2024-07-01"
#: By feeds: when nothing comes from where.
TAPE, VENUE = "alpha_vantage/core", "alpaca/iex"
OUT: Final = {
    TAPE: (("2024-08-06 00:00", "2024-08-07 00:00"),),
    VENUE: (("2024-09-17 00:00", "2024-09-18 00:00"),),
}
#: Whose symbols are asked for where first.
OF_TAPE: Final = ("ROWAN", "SORREL", "YEW")
OF_VENUE: Final = ("PINE", "QUINCE")


#: Its last session, the day on which it is removed, and when that is stated: on a Wednesday.
DELISTED, LAST_SESSION, REMOVED, STATED = "YEW", "2024-08-30", "2024-09-03", "2024-09-11"


@dataclass
class Pair:
    """The two months, and what was seen of them.

    Attributes
    ----------
    newest : dict of str to list
        By the feed that is down: which feed gave the newest session of each symbol, at noon that day.
    before_evidence : Symbol or None
        What was known of the delisted symbol when its removal was stated and nobody had asked yet.
    """

    walk: Walk
    newest: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    before_evidence: Symbol | None = None


def truth_of(feed: str) -> dict[Key, Series]:
    """Give what a provider has in the end."""
    sessions = sessions_of("XNYS").between(HISTORY_START, END[:10])
    whole = {
        (symbol, "1d"): walked(sessions.label_us, sessions.close_us + 4 * HOUR_US, seed, 0.008)
        for seed, symbol in enumerate((*OF_TAPE, *OF_VENUE), start=500)
    }
    gone = whole[DELISTED, "1d"]
    whole[DELISTED, "1d"] = gone.take(gone.time_us <= utc(LAST_SESSION))
    if feed == TAPE:
        return {key: _without_sizes(series) for key, series in whole.items()}
    return {
        key: _of_one_venue(series.take(series.time_us >= utc(ALPACA_START)))
        for key, series in whole.items()
    }


def _without_sizes(series: Series) -> Series:
    right = series.right.copy()
    right[:, VWAP], right[:, TRADES] = np.nan, -1
    return replace(series, right=right, first=right)


def _of_one_venue(series: Series) -> Series:
    right = series.right.copy()
    right[:, VOLUME] //= 40
    return replace(series, right=right, first=right)


def _told(series: Series) -> Series:
    """Put zeros for what Alpha Vantage does not tell: frames have numbers."""
    right = np.nan_to_num(series.right)
    return replace(series, right=right, first=right)


async def simulate_pair(storage: Storage) -> Pair:
    """Live through the two months."""
    clock = ManualClock(utc(BEGIN))
    tape = {key: _told(series) for key, series in truth_of(TAPE).items()}
    sides = (
        Side(tape, OUT[TAPE], clock, AlphaVantageDialect, listings_at, _companies()),
        Side(truth_of(VENUE), OUT[VENUE], clock, alpaca_dialect),
    )
    async with loopback(sides[0], never) as alpha_vantage, loopback(sides[1], never) as alpaca:
        walk = Walk(
            storage,
            clock,
            lambda around: [
                make_alpha_vantage(around, alpha_vantage.address),
                make_alpaca(around, alpaca.address),
            ],
        )
        pair = Pair(walk)
        await walk.through(pair_happenings(pair), END)
    return pair


def listings_at(now_us: int) -> tuple[Listing, ...]:
    """Tell what is stated of listings."""
    since = date(1999, 1, 4)
    gone = {DELISTED: date.fromisoformat(REMOVED)} if now_us >= utc(STATED) else {}
    return tuple(
        Listing(symbol, _name(symbol), "NYSE", symbol not in gone, since, gone.get(symbol))
        for symbol in (*OF_TAPE, *OF_VENUE)
    )


def _companies() -> dict[str, CompanyFacts]:
    facts = CompanyFacts(
        sector="ENERGY",
        industry="TIMBER",
        market_cap=2e9,
        shares_outstanding=1e7,
        currency="USD",
        as_of=date(2024, 6, 30),
    )
    return {symbol: replace(facts, name=_name(symbol)) for symbol in (*OF_TAPE, *OF_VENUE)}


def _name(symbol: str) -> str:
    return f"{symbol.title()} Corp"


def pair_happenings(pair: Pair) -> list[tuple[int, Happening]]:
    """List what people do, by time: they begin, and at noon of each outage they look and start anew."""

    def looking(feed: str) -> Happening:
        async def look(walk: Walk) -> None:
            now_us = walk.clock.now_us()
            pair.newest[feed] = await newest_feeds(walk.storage, now_us - now_us % DAY_US - DAY_US)

        return look

    async def note_symbol(walk: Walk) -> None:
        pair.before_evidence = await walk.storage.symbols.get(DELISTED)

    return [
        (utc(BEGIN), begin),
        (utc("2024-08-06 12:00"), looking(TAPE)),
        (utc("2024-09-02 12:00"), start_anew),
        (utc("2024-09-13 12:00"), note_symbol),
        (utc("2024-09-17 12:00"), looking(VENUE)),
    ]


async def begin(walk: Walk) -> None:
    """Create the symbols and both targets."""
    wanted = {
        "of-tape": (OF_TAPE, ("alpha_vantage", "alpaca")),
        "of-venue": (OF_VENUE, ("alpaca", "alpha_vantage")),
    }
    for name, (symbols, providers) in wanted.items():
        for symbol in symbols:
            await walk.storage.symbols.create(NewSymbol(symbol))
        start = date.fromisoformat(HISTORY_START)
        target = NewIngestionTarget(name, symbols, (Timeframe.DAY_1,), providers, start)
        number = await create_target(walk, target)
        for series, due_us in {
            "daily/1d": daily_slots("XNYS"),
            "repair/1d": repair_slots(),
            "actions": actions_slots(),
            "company": company_slots(),
        }.items():
            walk.slots.want(f"slot/{number}/{series}/", due_us, walk.clock.now_us())


async def newest_feeds(storage: Storage, label_us: int) -> dict[str, list[str]]:
    """Tell which feed gave the bar of a session, by symbol."""
    rows = await fetch(
        storage,
        """
        SELECT symbol, provider || '/' || market_feed.feed
          FROM market_stock_hist_bars_day_ts AS bar JOIN market_feed ON feed_id = bar.feed
         WHERE time = to_timestamp(%s::float8 / 1000000) ORDER BY symbol
        """,
        [label_us],
    )
    found: dict[str, list[str]] = {symbol: [] for symbol in (*OF_TAPE, *OF_VENUE)}
    for symbol, feed in rows:
        found[symbol].append(feed)
    return found
