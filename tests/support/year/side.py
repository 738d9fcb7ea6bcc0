"""The provider's side of a simulated year: it tells what it knows at the moment of the clock."""

from datetime import date
from typing import Final

import numpy as np

from marketdata.clock import Clock
from marketdata.domain.bars import BarFrame
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.timeframe import Timeframe
from tests.support.providers.iex.alpaca_side import AlpacaDialect
from tests.support.providers.played import PlayedCall, Reply
from tests.support.providers.truth import Truth
from tests.support.year.events import EVENTS
from tests.support.year.series import CLOSE, HIGH, LOW, OPEN, TRADES, VOLUME, VWAP
from tests.support.year.sessions import utc
from tests.support.year.truth import Year, is_out

_PAGE_BARS: Final = 1_000


class AlpacaOfTheYear:
    """Speaks as Alpaca; bars that have not ended, what is mended or announced later is unknown.

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
        known = Truth(bars, {t: actions_of(t, now_us) for t, _ in self._year.bars}, {})
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


def actions_of(ticker: str, now_us: int) -> tuple[CorporateAction, ...]:
    """List the corporate actions of a ticker as they are told at a moment."""
    return tuple(
        CorporateAction(
            CorporateActionKind.SPLIT if event.ratio else CorporateActionKind.CASH_DIVIDEND,
            date.fromisoformat(event.ex_date),
            split_ratio=event.ratio,
            cash_amount=event.cash_told(now_us),
        )
        for event in EVENTS
        if event.symbol == ticker and utc(event.announced) <= now_us
    )
