"""Corporate actions of the year: when they are announced, and what they make of prices."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from tests.support.year.series import VOLUME, Float64
from tests.support.year.sessions import Int64, utc


@dataclass(frozen=True, slots=True)
class Event:
    """A split or a cash dividend.

    Attributes
    ----------
    symbol, ex_date : str
        Of whom, as it is called then; the first session without it.
    ratio : float or None
        New shares for an old one; only of splits.
    cash : float or None
        A share, in the shares of then; only of dividends.
    announced : str
        From when on the provider tells it.
    first, mended : float or None, str
        What it tells of the dividend at first, and from when on the truth.
    """

    symbol: str
    ex_date: str
    announced: str
    ratio: float | None = None
    cash: float | None = None
    first: float | None = None
    mended: str = ""

    @property
    def ex_us(self) -> int:
        """The label of the ex-date's session, Unix microseconds."""
        return utc(self.ex_date)

    def cash_told(self, now_us: int) -> float | None:
        """Give the dividend as it is told at a moment."""
        return self.first if self.first is not None and now_us < utc(self.mended) else self.cash


EVENTS: Final = (
    Event("CEDAR", "2024-03-07", "2024-02-20", cash=0.25),
    Event("CEDAR", "2024-06-06", "2024-05-20", cash=0.25),
    Event("CEDAR", "2024-06-10", "2024-05-20", ratio=4.0),
    Event("CEDAR", "2024-09-05", "2024-08-20", cash=0.0625),
    Event("ELDER", "2024-03-21", "2024-03-11", cash=0.4),
    Event("ELM", "2024-08-22", "2024-08-12", cash=0.4),
    Event("LARCH", "2024-02-15", "2024-02-01", cash=0.5),
    Event("LARCH", "2024-05-16", "2024-05-01", cash=0.75, first=0.5, mended="2024-06-02"),
    Event("LARCH", "2024-08-15", "2024-08-01", cash=0.75),
    # Nobody hears of it before its session: the jump of the price tells.
    Event("MAPLE", "2024-10-07", "2024-10-07", ratio=0.1),
    Event("MAPLE", "2024-11-14", "2024-11-01", cash=3.5),
)


def adjusted(time_us: Int64, raw: Float64, events: tuple[Event, ...]) -> Float64:
    """Take events out of the days of one identity.

    Before a split prices are those of its new shares, and volumes too; before a dividend they are less
    by its part of the close of the session before it, in shares of then.
    """
    values = raw.copy()
    for event in events:
        before = time_us < event.ex_us
        ratio = 1.0
        if event.ratio is not None:
            factor = 1 / event.ratio
            ratio = event.ratio
        else:
            factor = 1 - (event.cash or 0.0) / float(raw[before][-1, 3])
        prices = np.ix_(before, [0, 1, 2, 3, 5])
        values[prices] *= factor
        values[before, VOLUME] *= ratio
    return values
