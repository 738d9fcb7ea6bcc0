"""What a key of Alpha Vantage's plans can do."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from marketdata.domain.timeframe import Timeframe
from marketdata.providers.protocol import Capabilities, Limits

NAME: Final = "alpha_vantage"
FEED: Final = "alpha_vantage/core"
KEY_SETTING: Final = "MARKETDATA_ALPHA_VANTAGE_API_KEY"

# No hours: it cuts them at the clock, so that 09:00 holds 30 minutes of pre-market (its own sample of
# IBM has 19:00 and 18:00), and an hour of ours begins at the open. They are made of the minutes.
_TIMEFRAMES: Final = (Timeframe.MINUTE_1, Timeframe.DAY_1)
# Within the 100 sessions of a free key, holidays or not: 93 at the most.
_FREE_DAYS: Final = timedelta(days=130)
# A free key may ask once a second; two calls at once keep a premium one busy.
_CALLS_AT_ONCE: Final = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """A key's plan.

    Attributes
    ----------
    calls_a_day : int or None
        Of the free plan. None: a premium plan, which has no such limit, and which alone has minutes,
        days further back than 100 sessions, dividends and splits.
    calls_a_minute : int
        At most.
    """

    calls_a_day: int | None = 25
    calls_a_minute: int = 5

    @property
    def is_premium(self) -> bool:
        """Whether it is a premium plan."""
        return self.calls_a_day is None

    @property
    def limits(self) -> Limits:
        """What it allows."""
        return Limits(self.calls_a_minute, self.calls_a_day, _CALLS_AT_ONCE)

    @property
    def capabilities(self) -> Capabilities:
        """What Alpha Vantage can do with it."""
        return Capabilities(
            name=NAME,
            title="Alpha Vantage, core stock APIs",
            feeds=dict.fromkeys(_TIMEFRAMES, FEED),
            history={
                Timeframe.MINUTE_1: None,
                Timeframe.DAY_1: None if self.is_premium else _FREE_DAYS,
            },
            has_actions=self.is_premium,
            has_company=True,
            settings=(KEY_SETTING,),
            terms=(
                "For one's own use; for commercial use, and for showing the data to others, ask them:"
                " https://www.alphavantage.co/terms_of_service/"
            ),
            has_listings=True,
        )
