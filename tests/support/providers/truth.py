"""What a played provider knows: bars, corporate actions and companies, from a seed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from typing import Final

import numpy as np

from marketdata.domain.bars import PRICE_COLUMNS, BarFlag, BarFrame, Int64Array
from marketdata.domain.calendar import SessionPart
from marketdata.domain.company import CompanyFacts
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.listing import Listing
from marketdata.domain.resample import resample
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import TimeRange, session_label_us
from marketdata.domain.timeframe import Timeframe
from tests.support.sessions import local_us, minutes_between, walk

AAPL: Final = Symbol("AAPL", "Apple Inc.", venue="XNAS", symbol_id=1, ipo_date=date(1980, 12, 12))
#: Spelled otherwise by most providers.
BERKSHIRE: Final = Symbol("BRK.B", "Berkshire Hathaway Inc. Class B", symbol_id=2)
META: Final = Symbol("META", "Meta Platforms, Inc.", symbol_id=4)
TWITTER: Final = Symbol("TWTR", "Twitter Inc", symbol_id=5)
UNKNOWN: Final = Symbol("NOSUCH", "Nobody knows it", symbol_id=3)

#: In the middle of a minute, of an hour and of a session: a bar of each timeframe is forming.
NOW_US: Final = local_us("2024-11-27 10:05") + 30_000_000
#: Both switches of New York's clocks lie in them, and a weekend.
MINUTE_STRETCHES: Final = (
    ("2024-03-07", "2024-03-14"),
    ("2024-10-31", "2024-11-07"),
    ("2024-11-26", "2024-11-28"),
)
FIRST_DAY: Final = date(2023, 11, 1)

_CALENDAR: Final = "XNYS"


@dataclass(frozen=True, slots=True)
class Truth:
    """All that there is to tell.

    Attributes
    ----------
    bars : mapping of (str, Timeframe) to BarFrame
        By symbol, ascending, raw; volumes whole numbers. FINAL where the bar has ended by `now_us`.
    actions : mapping of str to tuple of CorporateAction
        Ascending by ex-date.
    companies : mapping of str to CompanyFacts
        By symbol.
    now_us : int
        When it is told.
    listings : tuple of Listing
        What is listed and what was delisted, in the service's spelling.
    """

    bars: Mapping[tuple[str, Timeframe], BarFrame]
    actions: Mapping[str, tuple[CorporateAction, ...]]
    companies: Mapping[str, CompanyFacts]
    now_us: int = NOW_US
    listings: tuple[Listing, ...] = ()

    def within(self, symbol: str, timeframe: Timeframe, wanted: TimeRange) -> BarFrame:
        """Return the bars that open within a range."""
        frame = self.bars[symbol, timeframe]
        return frame.take((frame.time_us >= wanted.start_us) & (frame.time_us < wanted.end_us))


def hole_us(times_us: Int64Array, timeframe: Timeframe) -> int | None:
    """Find a time between two bars at which there is none; None where they have no gap."""
    gaps = np.flatnonzero(np.diff(times_us) > timeframe.duration_us)
    return int(times_us[gaps[0]]) + timeframe.duration_us if len(gaps) else None


@cache
def truth(seed: int = 7) -> Truth:
    """Make the truth of a seed."""
    bars: dict[tuple[str, Timeframe], BarFrame] = {}
    for number, symbol in enumerate((AAPL, BERKSHIRE)):
        minutes = _minutes(symbol.symbol, seed + number)
        bars[symbol.symbol, Timeframe.MINUTE_1] = minutes
        bars[symbol.symbol, Timeframe.HOUR_1] = _hours(minutes)
        bars[symbol.symbol, Timeframe.DAY_1] = _days(symbol.symbol, seed + number)
    return Truth(bars, {"AAPL": _actions(), "BRK.B": ()}, _companies(), listings=_listings())


def _minutes(symbol: str, seed: int) -> BarFrame:
    stretches = [minutes_between(f"{start} 00:00", f"{end} 00:00") for start, end in MINUTE_STRETCHES]
    times = np.concatenate(stretches)
    parts = get_calendar(_CALENDAR).session_parts(times)
    # No trades in a minute, no bar: some of regular hours, most of the others.
    chance = np.where(
        parts == SessionPart.REGULAR, 0.95, np.where(parts == SessionPart.OUTSIDE, 0, 0.3)
    )
    times = times[(np.random.default_rng(seed).random(len(times)) < chance) & (times <= NOW_US)]
    return _flagged(walk(times, seed, symbol), times + 60_000_000)


def _hours(minutes: BarFrame) -> BarFrame:
    hours = resample(minutes, Timeframe.HOUR_1, get_calendar(_CALENDAR), now_us=NOW_US)
    return _flagged(hours, hours.time_us + Timeframe.HOUR_1.duration_us)


def _days(symbol: str, seed: int) -> BarFrame:
    calendar = get_calendar(_CALENDAR)
    rows = calendar.session_rows_in(TimeRange(session_label_us(FIRST_DAY), NOW_US))
    return _flagged(walk(calendar.label_us[rows], seed, symbol), calendar.extended_end_us[rows])


def _flagged(frame: BarFrame, end_us: Int64Array) -> BarFrame:
    # Quoted in cents: 92.41000000000001 is no price, and some adapters take such noise away.
    prices = {column.value: np.round(frame.column(column), 2) for column in PRICE_COLUMNS}
    flags = np.where(end_us <= NOW_US, BarFlag.FINAL, 0).astype(np.int16)
    # Something traded where there is a bar: 0 is what some send for a volume that they do not know.
    return replace(frame, flags=flags, volume=np.maximum(frame.volume, 1), **prices)


def _actions() -> tuple[CorporateAction, ...]:
    split, dividend = CorporateActionKind.SPLIT, CorporateActionKind.CASH_DIVIDEND
    return (
        CorporateAction(dividend, date(2024, 2, 9), cash_amount=0.24),
        CorporateAction(split, date(2024, 3, 11), split_ratio=4.0),
        CorporateAction(dividend, date(2024, 5, 10), cash_amount=0.0625),
        CorporateAction(dividend, date(2024, 8, 12), cash_amount=1.5),
        CorporateAction(split, date(2024, 9, 30), split_ratio=0.1),
        CorporateAction(dividend, date(2024, 11, 8), cash_amount=0.25),
    )


def _listings() -> tuple[Listing, ...]:
    # The ticker META was another one's before; TWTR is gone.
    return (
        Listing("AAPL", "Apple Inc", "NASDAQ", listed_on=date(1980, 12, 12)),
        Listing("BRK.B", "Berkshire Hathaway Inc. Class B", "NYSE", listed_on=date(1996, 5, 9)),
        Listing("META", "Meta Platforms, Inc.", "NASDAQ", listed_on=date(2012, 5, 18)),
        Listing(
            "META",
            "Roundhill Ball Metaverse ETF",
            "NYSE ARCA",
            is_listed=False,
            listed_on=date(2021, 6, 30),
            delisted_on=date(2022, 1, 31),
        ),
        Listing(
            "TWTR",
            "Twitter Inc",
            "NYSE",
            is_listed=False,
            listed_on=date(2013, 11, 7),
            delisted_on=date(2022, 10, 28),
        ),
    )


def _companies() -> Mapping[str, CompanyFacts]:
    return {
        "AAPL": CompanyFacts(
            name="Apple Inc",
            sector="TECHNOLOGY",
            industry="ELECTRONIC COMPUTERS",
            employees=164_000,
            market_cap=3_500_000_000_000.0,
            shares_outstanding=15_115_800_000.0,
            currency="USD",
            ipo_date=date(1980, 12, 12),
            as_of=date(2024, 9, 30),
        )
    }
