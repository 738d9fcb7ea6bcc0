"""The provider's side of a simulated year: it tells what it knows at the moment of the clock."""

from datetime import date, timedelta
from typing import Final

import numpy as np

from marketdata.clock import Clock
from marketdata.domain.bars import BarFrame
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.timeframe import Timeframe
from tests.support.providers.iex.alpaca_side import AlpacaDialect
from tests.support.providers.played import PlayedCall, Reply
from tests.support.providers.truth import Truth
from tests.support.year.series import CLOSE, HIGH, LOW, OPEN, TRADES, VOLUME, VWAP
from tests.support.year.sessions import day_of
from tests.support.year.truth import SPLITS, Year, is_out

# Splits are announced so long before.
_ANNOUNCED: Final = timedelta(days=10)
_PAGE_BARS: Final = 1_000


class AlpacaOfTheYear:
    """Speaks as Alpaca; bars that have not ended, mends to come and splits to be announced are unknown.

    Parameters
    ----------
    truth : Year
        What it learns in time.
    clock : Clock
        What is now.
    """

    def __init__(self, truth: Year, clock: Clock) -> None:
        self._year = truth
        self._clock = clock

    def reply(self, call: PlayedCall) -> Reply:
        """Answer a call."""
        now_us = self._clock.now_us()
        if is_out(now_us):
            return Reply(b"Service Unavailable", 503, "text/plain")
        bars = {
            (ticker, Timeframe(label)): frame_of(ticker, *series.told(now_us))
            for (ticker, label), series in self._year.bars.items()
            if ticker in call.path.split("/")
        }
        known = Truth(bars, {t: splits_of(t, day_of(now_us)) for t, _ in self._year.bars}, {})
        return AlpacaDialect(known, _PAGE_BARS).reply(call)


def frame_of(
    ticker: str, time_us: "np.typing.NDArray[np.int64]", values: "np.typing.NDArray[np.float64]"
) -> BarFrame:
    """Make a frame of one ticker, as dialects take it."""
    return BarFrame(
        (ticker,),
        time_us,
        open=values[:, OPEN],
        high=values[:, HIGH],
        low=values[:, LOW],
        close=values[:, CLOSE],
        volume=values[:, VOLUME],
        vwap=values[:, VWAP],
        trade_count=values[:, TRADES].astype(np.int64),
    )


def splits_of(ticker: str, today: date) -> tuple[CorporateAction, ...]:
    """List the splits of a ticker that are announced by a date."""
    return tuple(
        CorporateAction(CorporateActionKind.SPLIT, date.fromisoformat(on), split_ratio=ratio)
        for split, on, ratio in SPLITS
        if split == ticker and today >= date.fromisoformat(on) - _ANNOUNCED
    )
