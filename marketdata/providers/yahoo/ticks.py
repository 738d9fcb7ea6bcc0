"""Messages of Yahoo's stream turned into trades: pure but for what is remembered of volumes.

Yahoo tells the last price of a symbol some times a second, and how much was traded that day so far:
not each trade. So what was traded between two messages counts as one trade at the price of the second:
volumes are those of all trades, highs and lows can be missed. Messages are JSON around base64 around
yfinance's ``PricingData``, whose fields yfinance found out; Yahoo documents none of it.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np

from marketdata.domain.partial_minutes import Trades
from marketdata.errors import ProviderAnswerError

_MICROSECONDS_PER_MILLISECOND: Final = 1_000


class Tick(NamedTuple):
    """What one message tells.

    Attributes
    ----------
    symbol : str
        In Yahoo's spelling.
    time_us : int
        When its last trade was made, Unix microseconds.
    price : float
        Of that trade, in the unit in which it is quoted.
    day_volume : int
        Shares traded since the session began; 0 where Yahoo tells none.
    """

    symbol: str
    time_us: int
    price: float
    day_volume: int


def subscription(symbols: Sequence[str]) -> str:
    """Write the message that asks for symbols, and says again that somebody is there."""
    return json.dumps({"subscribe": list(symbols)})


def parse_tick(text: str) -> Tick | None:
    """Turn a message into a tick; None for one of another kind.

    Raises
    ------
    ProviderAnswerError
        It is not what yfinance knows of the stream.
    """
    try:
        outer = json.loads(text)
        if not isinstance(outer, Mapping) or outer.get("type", "pricing") != "pricing":
            return None
        pricing = _pricing_data()()
        pricing.ParseFromString(base64.b64decode(outer["message"], validate=True))
    except Exception:  # noqa: BLE001 -- protobuf's own error is the wire's business, and says no more
        problem = ProviderAnswerError("a message of Yahoo's stream is none that yfinance knows")
    else:
        price = float(np.float32(pricing.price))
        time_us = pricing.time * _MICROSECONDS_PER_MILLISECOND
        return Tick(pricing.id, time_us, shortest(price), pricing.day_volume)
    raise problem


def shortest(price: float) -> float:
    """Return the number that a price of single precision means: the shortest that rounds to it."""
    return float(str(np.float32(price)))


@cache
def _pricing_data() -> Any:
    # A second, which only those wait for who follow the stream.
    from yfinance.pricing_pb2 import PricingData  # noqa: PLC0415

    return PricingData


class TickCounter:
    """Makes trades of ticks: what was traded since the tick before.

    Of a symbol's first tick nobody knows how much of its volume is new, so it is no trade; neither is
    one whose volume went back, which begins another session.
    """

    def __init__(self) -> None:
        self._volumes: dict[str, int] = {}

    def trades(self, ticks: Sequence[Tick]) -> Trades:
        """Turn ticks, in the order in which they came, into trades."""
        sizes = [self._size(tick) for tick in ticks]
        symbols = tuple(dict.fromkeys(tick.symbol for tick in ticks))
        number = {symbol: at for at, symbol in enumerate(symbols)}
        trades = Trades(
            symbols,
            np.array([number[tick.symbol] for tick in ticks], np.int32),
            np.array([tick.time_us for tick in ticks], np.int64),
            np.array([tick.price for tick in ticks], np.float64),
            np.array(sizes, np.float64),
        )
        return trades.take(trades.size > 0)

    def _size(self, tick: Tick) -> int:
        before = self._volumes.get(tick.symbol)
        self._volumes[tick.symbol] = tick.day_volume
        return 0 if before is None else max(0, tick.day_volume - before)
