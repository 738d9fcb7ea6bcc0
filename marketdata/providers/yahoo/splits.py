"""Prices as they were traded, out of prices as if every split had been before: pure.

Yahoo divides the prices before a split by its ratio, multiplies the volumes, and divides the dividends,
in all answers, also where nothing adjusted is asked for. Of a bar this undoes every split whose ex-date
is after the bar's session, up to today: without one of them, prices come out that nobody ever paid.

Rounding
--------
Yahoo keeps prices as 32-bit floats (236.89 comes as 236.8899993896484), and has rounded those before a
split to six decimals by then (28.75 / 224 comes as 0.128348). So an undone price `p` is known to::

    p * 2**-24                       half a unit in the last place of such a float
    + 0.5e-6 * ratio                 where a ratio other than 1 was undone

The price with the fewest decimals, from 2 to 6, within that is taken: it is as true to the answer as
any other, and prices are quoted in decimals. Where a step of that many decimals is less than four times
the error, most prices would be near one by chance, and they stay as they are, as do those with more
decimals, such as 1/128. They are off by up to the error: with a ratio of 224, by a ten thousandth of a
dollar.

Volumes are rounded to whole shares. Where shares were merged (a ratio below 1) Yahoo has rounded too,
and they are known to half of the shares that became one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from marketdata.domain.bars import Float64Array, Int64Array

_FLOAT32_ERROR: Final = 2.0**-24
_SIX_DECIMALS_ERROR: Final = 0.5e-6
# The error of the arithmetic here is in the last digits of a 64-bit float.
_SLACK: Final = 1.001
_DECIMALS: Final = range(2, 7)
_ERRORS_A_STEP: Final = 4


@dataclass(frozen=True, slots=True)
class Split:
    """A split.

    Attributes
    ----------
    label_us : int
        Its ex-date at 00:00:00 UTC, Unix microseconds.
    ratio : float
        New shares for an old one; positive.
    """

    label_us: int
    ratio: float


def split_ratios(label_us: Int64Array, splits: Iterable[Split]) -> Float64Array:
    """Tell what Yahoo has divided the prices of each session by.

    Parameters
    ----------
    label_us : int64[n]
        Session dates at 00:00:00 UTC, Unix microseconds, any order.
    splits : iterable of Split
        All of them from the first session on up to today, any order.

    Returns
    -------
    float64[n]
        The ratios of the splits after the session, multiplied; 1 where there was none.
    """
    ordered = sorted(splits, key=lambda split: split.label_us)
    ex_dates = np.array([split.label_us for split in ordered], np.int64)
    ratios = np.array([split.ratio for split in ordered], np.float64)
    later = np.append(np.cumprod(ratios[::-1])[::-1], 1.0)
    # On the ex-date itself the new shares trade.
    factors: Float64Array = later[np.searchsorted(ex_dates, label_us, side="right")]
    return factors


def traded_prices(prices: Float64Array, ratios: Float64Array) -> Float64Array:
    """Undo the splits in prices, or in dividends, and the noise of floats.

    Parameters
    ----------
    prices : float64[n]
        As Yahoo has them; NaN stays NaN.
    ratios : float64[n]
        From `split_ratios`.

    Returns
    -------
    float64[n]
        As traded.
    """
    traded = prices * ratios
    error = (
        np.abs(traded) * _FLOAT32_ERROR + np.where(ratios == 1, 0, _SIX_DECIMALS_ERROR * ratios)
    ) * _SLACK
    cleaned = traded.copy()
    open_rows = np.isfinite(traded)
    for decimals in _DECIMALS:
        rounded = np.round(traded, decimals)
        # A price of less than a step must not become 0.
        fits = open_rows & (np.abs(rounded - traded) <= error) & (rounded != 0)
        fits &= error * _ERRORS_A_STEP < 10.0**-decimals
        cleaned[fits] = rounded[fits]
        open_rows &= ~fits
    return cleaned


def traded_volumes(volumes: Float64Array, ratios: Float64Array) -> Float64Array:
    """Undo the splits in volumes, to whole shares; parameters and result as `traded_prices`."""
    return np.where(ratios == 1, volumes, np.rint(volumes / ratios))
