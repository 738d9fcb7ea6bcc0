"""Where a stream of bars stands, to go on behind it and to know what came twice."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from marketdata.domain.bar_order import BarOrder
from marketdata.domain.bar_query import BarPosition
from marketdata.domain.bars import BarFrame


class StreamPosition:
    """The last bar of a stream that arrived.

    Parameters
    ----------
    symbols : sequence of str
        Of the request, in its order.
    order : BarOrder
        Of the answer.
    """

    def __init__(self, symbols: Sequence[str], order: BarOrder) -> None:
        self._ranks = {symbol: rank for rank, symbol in enumerate(symbols)}
        self._order = order
        self._last: tuple[int, int] | None = None
        self.last: BarPosition | None = None

    def advance(self, frame: BarFrame) -> BarFrame:
        """Move behind the last bar of the next frame; return the bars of it that stand behind here.

        Those are all of them, unless a service of an earlier release began again at the start.
        """
        if len(frame) == 0:
            return frame
        new = frame
        if self._last is not None and self._key(frame, 0) <= self._last:
            new = frame.take(self._is_behind(frame, self._last))
            if len(new) == 0:
                return new
        self._last = self._key(new, -1)
        symbol = new.symbols[new.symbol_index[-1] if len(new.symbol_index) else 0]
        self.last = BarPosition(symbol, int(new.time_us[-1]))
        return new

    def _key(self, frame: BarFrame, row: int) -> tuple[int, int]:
        symbol = frame.symbols[frame.symbol_index[row] if len(frame.symbol_index) else 0]
        time_us = int(frame.time_us[row])
        time_key = -time_us if self._order.is_descending else time_us
        rank = self._ranks[symbol]
        return (time_key, rank) if self._order.is_by_time else (rank, time_key)

    def _is_behind(self, frame: BarFrame, last: tuple[int, int]) -> npt.NDArray[np.bool_]:
        ranks = np.array([self._ranks[symbol] for symbol in frame.symbols], np.int64)
        rank = ranks[frame.row_symbol_index()]
        time = -frame.time_us if self._order.is_descending else frame.time_us
        major, minor = (time, rank) if self._order.is_by_time else (rank, time)
        behind: npt.NDArray[np.bool_] = (major > last[0]) | ((major == last[0]) & (minor > last[1]))
        return behind
