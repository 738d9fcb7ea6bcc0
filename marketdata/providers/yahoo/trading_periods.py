"""Sessions as Yahoo says them beside intraday bars: pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import Int64Array
from marketdata.domain.timeframe import MICROSECONDS_PER_SECOND
from marketdata.errors import ProviderAnswerError


@dataclass(frozen=True, slots=True, eq=False)
class TradingPeriods:
    """Regular hours of the sessions of a chart.

    Attributes
    ----------
    start_us, end_us : int64[k]
        Half-open, Unix microseconds, ascending. Length 0 where Yahoo does not say.
    """

    start_us: Int64Array
    end_us: Int64Array

    def is_outside(self, time_us: Int64Array) -> npt.NDArray[np.bool_]:
        """Tell which moments lie in none of the periods, bool[n]; none where there are no periods."""
        if len(self.start_us) == 0:
            return np.zeros(len(time_us), np.bool_)
        row = np.searchsorted(self.start_us, time_us, side="right") - 1
        return (row < 0) | (time_us >= self.end_us[np.maximum(row, 0)])


def parse_trading_periods(periods: Any) -> TradingPeriods:
    """Read `meta.tradingPeriods`.

    Parameters
    ----------
    periods : Any
        Lists of lists of ``{"start": …, "end": …}`` in Unix seconds; with pre-market and after hours
        asked for, a mapping with them at ``regular``. None where there are none.

    Raises
    ------
    ProviderAnswerError
        It is something else.
    """
    if isinstance(periods, dict):
        periods = periods.get("regular")
    pairs = [_bounds(period) for period in _flat(periods or [])]
    bounds = np.array(sorted(pairs), np.int64).reshape(-1, 2) * MICROSECONDS_PER_SECOND
    return TradingPeriods(bounds[:, 0].copy(), bounds[:, 1].copy())


def _flat(periods: Any) -> Iterator[Any]:
    if not isinstance(periods, list):
        raise ProviderAnswerError("Yahoo's chart has trading periods that are no list")
    for period in periods:
        if isinstance(period, list):
            yield from period
        else:
            yield period


def _bounds(period: Any) -> tuple[int, int]:
    bounds = (period.get("start"), period.get("end")) if isinstance(period, dict) else ()
    match bounds:
        case (int(start), int(end)) if 0 <= start < end < 2**40:
            return start, end
        case _:
            raise ProviderAnswerError("Yahoo's chart has a trading period without start and end")
