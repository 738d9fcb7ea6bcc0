"""Minute bars made of trades as they arrive: forming, final, and revised by trades that come late.

A minute without trades has no bar. A minute is final once it is over for so long that its last trades
have arrived; a trade that comes later still makes its bar final anew, and whoever stores it raises the
revision. What comes later than minutes are kept is counted and left to a fetch of the same minutes.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import BarColumn, BarFlag, BarFrame, Int32Array, full_columns
from marketdata.domain.partial_minutes import (
    MINUTE_US,
    PartialMinutes,
    Trades,
    join,
    keys_of,
    reduce_trades,
)

_SECOND_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class BuilderTimes:
    """How long a builder waits.

    Attributes
    ----------
    settle_us : int
        How long after its end a minute's last trades may arrive before it is final.
    keep_us : int
        How long after its end a minute can be revised; at least `settle_us`.
    ahead_us : int
        How far behind the exchange's clock this one may be: a trade of later is refused.
    """

    settle_us: int = 2 * _SECOND_US
    keep_us: int = 15 * MINUTE_US
    ahead_us: int = 5 * _SECOND_US


@dataclass(frozen=True, slots=True)
class TradeCounts:
    """What became of trades.

    Attributes
    ----------
    used : int
        They are in a bar.
    invalid : int
        Price or size are not positive and finite.
    ahead : int
        Made after now, as far as this machine knows.
    late : int
        Their minute is not kept any more.
    """

    used: int = 0
    invalid: int = 0
    ahead: int = 0
    late: int = 0


class MinuteBuilder:
    """Makes the minutes of one feed.

    Holds the minutes of all symbols that are not settled, or can still be revised: 80 bytes each. Not
    to be used from several threads.

    Parameters
    ----------
    feed : str
        Name of the feed (``provider/feed``) that the bars are of.
    times : BuilderTimes
        How long it waits.
    """

    def __init__(self, feed: str, times: BuilderTimes = BuilderTimes()) -> None:
        self._feed = feed
        self._times = times
        self._numbers: dict[str, int] = {}
        self._symbols: tuple[str, ...] = ()
        self._minutes = PartialMinutes.none()
        # Keys of minutes that changed since they were last given out as final, and as forming.
        self._unsettled = np.empty(0, np.int64)
        self._unseen = np.empty(0, np.int64)
        # Minutes before are forgotten, Unix microseconds.
        self._kept_from_us = 0

    def __len__(self) -> int:
        """How many minutes it holds."""
        return len(self._minutes)

    def add(self, trades: Trades, now_us: int) -> TradeCounts:
        """Take trades in the order in which they arrived.

        Parameters
        ----------
        trades : Trades
            Of any symbols and times.
        now_us : int
            Unix microseconds.
        """
        is_valid = (
            np.isfinite(trades.price)
            & np.isfinite(trades.size)
            & (trades.price > 0)
            & (trades.size > 0)
            & (trades.time_us >= 0)
        )
        is_ahead = is_valid & (trades.time_us > now_us + self._times.ahead_us)
        is_late = is_valid & (trades.time_us < max(self._kept_from_us, self._forget_before_us(now_us)))
        used = trades.take(is_valid & ~is_ahead & ~is_late)
        numbers = self._number(trades.symbols)
        fresh = reduce_trades(keys_of(numbers[used.symbol_index], used.time_us), used)
        self._minutes = join(self._minutes, fresh)
        self._unsettled = np.union1d(self._unsettled, fresh.key)
        self._unseen = np.union1d(self._unseen, fresh.key)
        return TradeCounts(
            len(used),
            int(np.count_nonzero(~is_valid)),
            int(np.count_nonzero(is_ahead)),
            int(np.count_nonzero(is_late)),
        )

    def final_bars(self, now_us: int) -> BarFrame:
        """Give out the minutes that have settled, and those given out before that changed since.

        Parameters
        ----------
        now_us : int
            Unix microseconds; never less than before.

        Returns
        -------
        BarFrame
            Sorted by symbol as they came to the builder, then time; flagged FINAL. Revisions are 0: who
            stores them counts.
        """
        until_us = self.watermark_us(now_us)
        is_due = np.isin(self._minutes.key, self._unsettled) & (self._minutes.minute_us < until_us)
        due = self._minutes.take(is_due)
        self._unsettled = np.setdiff1d(self._unsettled, due.key)
        self._unseen = np.setdiff1d(self._unseen, due.key)
        self._forget(now_us)
        return self._frame(due, BarFlag.FINAL)

    def forming_bars(self, now_us: int) -> BarFrame:
        """Give out the minutes that are not settled and changed since they were last given out.

        Returns
        -------
        BarFrame
            As of `final_bars`, without the flag.
        """
        until_us = self.watermark_us(now_us)
        is_new = np.isin(self._minutes.key, self._unseen) & (self._minutes.minute_us >= until_us)
        forming = self._minutes.take(is_new)
        self._unseen = np.setdiff1d(self._unseen, forming.key)
        return self._frame(forming, BarFlag(0))

    def watermark_us(self, now_us: int) -> int:
        """Tell before which open all minutes have settled, Unix microseconds.

        Once `final_bars` of the same now is out, every bar before it is.
        """
        settled_us = now_us - self._times.settle_us
        return settled_us - settled_us % MINUTE_US

    def _number(self, symbols: tuple[str, ...]) -> Int32Array:
        """Give every symbol its number here, int32[len(symbols)]."""
        new = [symbol for symbol in dict.fromkeys(symbols) if symbol not in self._numbers]
        if new:
            self._numbers.update({symbol: len(self._symbols) + at for at, symbol in enumerate(new)})
            self._symbols += tuple(new)
        return np.array([self._numbers[symbol] for symbol in symbols], np.int32)

    def _forget_before_us(self, now_us: int) -> int:
        oldest_us = now_us - self._times.keep_us
        return oldest_us - oldest_us % MINUTE_US

    def _forget(self, now_us: int) -> None:
        self._kept_from_us = max(self._kept_from_us, self._forget_before_us(now_us))
        is_kept = self._minutes.minute_us >= self._kept_from_us
        if not is_kept.all():
            self._minutes = self._minutes.take(is_kept)

    def _frame(self, minutes: PartialMinutes, flag: BarFlag) -> BarFrame:
        used, symbol_index = np.unique(minutes.symbol, return_inverse=True)
        # Rounding must not put an average outside of what was paid.
        vwap = np.clip(minutes.notional / minutes.volume, minutes.low, minutes.high)
        columns: dict[BarColumn, npt.NDArray[Any]] = {
            BarColumn.TIME: minutes.minute_us,
            BarColumn.OPEN: minutes.open,
            BarColumn.HIGH: minutes.high,
            BarColumn.LOW: minutes.low,
            BarColumn.CLOSE: minutes.close,
            BarColumn.VOLUME: minutes.volume,
            BarColumn.VWAP: vwap,
            BarColumn.TRADE_COUNT: minutes.trade_count,
            BarColumn.FLAGS: np.full(len(minutes), int(flag), np.int16),
        }
        return BarFrame(
            tuple(self._symbols[number] for number in used.tolist()),
            **full_columns(len(minutes), columns),
            symbol_index=symbol_index.astype(np.int32),
            feeds={0: self._feed},
        )
