"""Minutes in the making, as columns: trades reduced to them, and two sets of them joined."""

from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import Float64Array, Int32Array, Int64Array

BoolArray = npt.NDArray[np.bool_]

MINUTE_US: Final = 60_000_000
# A key is a symbol and a minute in one integer: 27 bits of symbol above 36 bits of minutes since 1970.
_MINUTE_BITS: Final = 36


@dataclass(frozen=True, slots=True, eq=False)
class Trades:
    """Trades as columns, in the order in which they arrived.

    Attributes
    ----------
    symbols : tuple of str
        Dictionary of the symbols.
    symbol_index : int32[n]
        Each trade's symbol as an index into `symbols`.
    time_us : int64[n]
        When it was made, by the exchange; Unix microseconds UTC.
    price : float64[n]
        Quote currency a share.
    size : float64[n]
        Shares.
    """

    symbols: tuple[str, ...]
    symbol_index: Int32Array
    time_us: Int64Array
    price: Float64Array
    size: Float64Array

    def __len__(self) -> int:
        """How many trades."""
        return int(self.time_us.shape[0])

    def take(self, rows: npt.NDArray[np.bool_]) -> "Trades":
        """Return the trades at a mask."""
        return Trades(
            self.symbols,
            self.symbol_index[rows],
            self.time_us[rows],
            self.price[rows],
            self.size[rows],
        )


@dataclass(frozen=True, slots=True, eq=False)
class PartialMinutes:
    """What is known of minutes so far; `key` ascends and has no repeats.

    Attributes
    ----------
    key : int64[n]
        Symbol and minute: `keys_of`.
    first_us, last_us : int64[n]
        When the trades of `open` and `close` were made, Unix microseconds UTC.
    open, high, low, close : float64[n]
        Quote currency a share.
    volume : float64[n]
        Shares.
    notional : float64[n]
        What was paid: price times size, summed.
    trade_count : int64[n]
        Trades.
    """

    key: Int64Array
    first_us: Int64Array
    last_us: Int64Array
    open: Float64Array
    high: Float64Array
    low: Float64Array
    close: Float64Array
    volume: Float64Array
    notional: Float64Array
    trade_count: Int64Array

    def __len__(self) -> int:
        """How many minutes."""
        return int(self.key.shape[0])

    def take(self, rows: npt.NDArray[np.bool_] | Int64Array) -> Self:
        """Return the minutes at a mask, or at positions."""
        return type(self)(*(getattr(self, f.name)[rows] for f in fields(self)))

    @classmethod
    def none(cls) -> Self:
        """Make no minutes."""
        whole, real = np.empty(0, np.int64), np.empty(0, np.float64)
        return cls(whole, whole, whole, real, real, real, real, real, real, whole)

    @property
    def symbol(self) -> Int32Array:
        """Number of each minute's symbol, int32[n]."""
        return (self.key >> _MINUTE_BITS).astype(np.int32)

    @property
    def minute_us(self) -> Int64Array:
        """Open of each minute, Unix microseconds, int64[n]."""
        return (self.key & ((1 << _MINUTE_BITS) - 1)) * MINUTE_US


def keys_of(symbol: Int32Array, time_us: Int64Array) -> Int64Array:
    """Give each trade the key of its minute, int64[n]: by symbol, then time."""
    return (symbol.astype(np.int64) << _MINUTE_BITS) | (time_us // MINUTE_US)


def reduce_trades(key: Int64Array, trades: Trades) -> PartialMinutes:
    """Reduce trades to minutes; of trades made at the same moment the order of arrival counts.

    Parameters
    ----------
    key : int64[n]
        Key of each trade.
    trades : Trades
        In the order in which they arrived.
    """
    if not len(trades):
        return PartialMinutes.none()
    # Both sorts of a lexsort keep the order of equals.
    order = np.lexsort((trades.time_us, key))
    key, time_us = key[order], trades.time_us[order]
    price, size = trades.price[order], trades.size[order]
    starts = np.flatnonzero(np.diff(key, prepend=key[0] - 1))
    ends = np.append(starts[1:], len(key)) - 1
    return PartialMinutes(
        key=key[starts],
        first_us=time_us[starts],
        last_us=time_us[ends],
        open=price[starts],
        high=np.maximum.reduceat(price, starts),
        low=np.minimum.reduceat(price, starts),
        close=price[ends],
        volume=np.add.reduceat(size, starts),
        notional=np.add.reduceat(price * size, starts),
        trade_count=ends - starts + 1,
    )


def join(earlier: PartialMinutes, later: PartialMinutes) -> PartialMinutes:
    """Join what is known of minutes with what arrived after it.

    Of trades made at the same moment those of `earlier` come first.
    """
    if not len(earlier):
        return later
    at = np.searchsorted(earlier.key, later.key)
    is_known = earlier.key[np.minimum(at, len(earlier) - 1)] == later.key
    changed = earlier.take(at[is_known])
    joined = _join_same(changed, later.take(is_known))
    is_kept = np.ones(len(earlier), np.bool_)
    is_kept[at[is_known]] = False
    parts = (earlier.take(is_kept), joined, later.take(~is_known))
    columns = [
        np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(PartialMinutes)
    ]
    return PartialMinutes(*columns).take(np.argsort(np.concatenate([part.key for part in parts])))


def _join_same(earlier: PartialMinutes, later: PartialMinutes) -> PartialMinutes:
    """Join row by row; both have the same keys."""
    opens_earlier = earlier.first_us <= later.first_us
    closes_later = later.last_us >= earlier.last_us
    return PartialMinutes(
        key=earlier.key,
        first_us=np.minimum(earlier.first_us, later.first_us),
        last_us=np.maximum(earlier.last_us, later.last_us),
        open=np.where(opens_earlier, earlier.open, later.open),
        high=np.maximum(earlier.high, later.high),
        low=np.minimum(earlier.low, later.low),
        close=np.where(closes_later, later.close, earlier.close),
        volume=earlier.volume + later.volume,
        notional=earlier.notional + later.notional,
        trade_count=earlier.trade_count + later.trade_count,
    )
