"""Minutes of markets whose sessions lie in the UTC day in different ways."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import numpy as np

from marketdata.domain.bars import BarFrame
from marketdata.domain.calendar import SessionPart
from marketdata.domain.exchange_hours import get_calendar
from tests.support.sessions import local_us, minutes_between, walk

FEEDS: Final = {0: "manual/upload", 1: "sample/eod"}


@dataclass(frozen=True, slots=True)
class Market:
    """A symbol, its calendar, and a range of local times that its minutes are taken from.

    Attributes
    ----------
    renamed : date or None
        The first session under `symbol`; before, it was called ``OLD``.
    """

    symbol: str
    calendar: str
    time_zone: str
    start: str
    end: str
    renamed: date | None = None

    def minutes(self, seed: int = 7) -> BarFrame:
        """Make minutes at random: most of all hours, few outside of them, some of another feed."""
        times = minutes_between(self.start, self.end, self.time_zone)
        random = np.random.default_rng(seed)
        calendar = get_calendar(self.calendar)
        parts = calendar.session_parts(times)
        chance = np.where(parts == SessionPart.REGULAR, 0.6, 0.2)
        chance[parts == SessionPart.OUTSIDE] = 0.02
        times = times[random.random(len(times)) < chance]
        frame = walk(times, seed=seed, symbol=self.symbol)
        volume = np.where(random.random(len(times)) < 0.001, np.nan, frame.volume)
        feed = (random.random(len(times)) < 0.002).astype(np.int16)
        return replace(frame, volume=volume, feed=feed, feeds=FEEDS)

    @property
    def end_us(self) -> int:
        """When its last minutes are over."""
        return local_us(self.end, self.time_zone)


# Winter time and a half day; summer time; a lunch break; sessions that begin on the evening before,
# under another ticker, too, and over both switches of Sydney; ones of nearly
# a day; hours that span midnight by UTC, since India is half an hour off; no end at all.
MARKETS: Final = (
    Market("WINTER", "XNYS", "America/New_York", "2019-10-28 00:00", "2019-12-02 00:00"),
    Market("SUMMER", "XNYS", "America/New_York", "2019-03-06 00:00", "2019-03-15 00:00"),
    Market("LUNCH", "XTKS", "Asia/Tokyo", "2024-03-04 00:00", "2024-03-14 00:00"),
    Market("SPRING", "XASX", "Australia/Sydney", "2024-10-02 00:00", "2024-10-10 00:00"),
    Market("AUTUMN", "XASX", "Australia/Sydney", "2024-04-03 00:00", "2024-04-11 00:00"),
    Market(
        "NEW", "XASX", "Australia/Sydney", "2024-11-01 00:00", "2024-11-13 00:00", date(2024, 11, 7)
    ),
    Market("FUTURE", "CMES", "America/Chicago", "2024-03-07 00:00", "2024-03-13 16:00"),
    Market(
        "NEXT", "CMES", "America/Chicago", "2024-06-06 00:00", "2024-06-13 16:00", date(2024, 6, 11)
    ),
    Market("HALF", "XBOM", "Asia/Kolkata", "2024-03-04 00:00", "2024-03-13 00:00"),
    Market("COIN", "24/7", "UTC", "2024-01-01 00:00", "2024-01-05 00:00"),
)
