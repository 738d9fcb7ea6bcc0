"""What a provider tells of one ticker and timeframe as time goes by: first, and once it is mended."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from tests.support.year.sessions import Int64

Float64 = npt.NDArray[np.float64]

#: Columns of `Series.right` and `Series.first`.
OPEN, HIGH, LOW, CLOSE, VOLUME, VWAP, TRADES = range(7)
#: Later than all that is simulated: an error that its provider never mends.
NEVER_US: Final = np.iinfo(np.int64).max
_PRICES: Final = [OPEN, HIGH, LOW, CLOSE, VWAP]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Bars of one ticker and timeframe.

    Attributes
    ----------
    time_us : int64[n]
        Opens, or labels of sessions; ascending, Unix microseconds.
    ended_us : int64[n]
        When each bar has ended: it is told from then on.
    right : float64[n, 7]
        What is true of each.
    first : float64[n, 7]
        What is told of it before `mended_us`.
    mended_us : int64[n]
        From when on the truth is told; 0 where it always is.
    """

    time_us: Int64
    ended_us: Int64
    right: Float64
    first: Float64
    mended_us: Int64

    def told(self, now_us: int) -> tuple[Int64, Float64]:
        """Give what the provider tells at a moment: times, and values by column."""
        known = self.ended_us <= now_us
        values = np.where((self.mended_us <= now_us)[:, None], self.right, self.first)
        return self.time_us[known], values[known]

    def take(self, rows: "npt.NDArray[np.bool_]") -> "Series":
        """Return some of the bars."""
        return Series(
            self.time_us[rows],
            self.ended_us[rows],
            self.right[rows],
            self.first[rows],
            self.mended_us[rows],
        )

    def wrong_at(self, row: int, first: Float64, mended_us: int) -> "Series":
        """Let the provider tell something else of a bar until a moment."""
        told, mended = self.first.copy(), self.mended_us.copy()
        told[row], mended[row] = first, mended_us
        return replace(self, first=told, mended_us=mended)

    def split_at(self, label_us: int, ratio: float) -> "Series":
        """Trade in shares of another size from a session on; before anything is wrong."""
        later = self.time_us >= label_us
        right = self.right.copy()
        right[np.ix_(later, _PRICES)] = np.round(right[np.ix_(later, _PRICES)] / ratio, 2)
        right[later, VOLUME] = np.round(right[later, VOLUME] * ratio)
        return replace(self, right=_sound(right), first=_sound(right))


def walked(time_us: Int64, ended_us: Int64, seed: int, step: float) -> Series:
    """Make bars whose closes are a random walk with steps of a standard deviation `step`."""
    random, count = np.random.default_rng(seed), len(time_us)
    close = np.round(200 * np.exp(np.cumsum(random.normal(0, step, count))), 2)
    values = np.empty((count, 7))
    values[:, CLOSE] = close
    values[:, OPEN] = np.round(close * np.exp(random.normal(0, step / 2, count)), 2)
    values[:, HIGH] = np.maximum(values[:, OPEN], close) + random.integers(0, 20, count) / 100
    values[:, LOW] = np.minimum(values[:, OPEN], close) - random.integers(0, 20, count) / 100
    values[:, VWAP] = np.round((values[:, OPEN] + close) / 2, 2)
    values[:, VOLUME] = random.integers(10_000, 90_000, count)
    values[:, TRADES] = random.integers(100, 900, count)
    right = _sound(values)
    return Series(time_us, ended_us, right, right, np.zeros(count, np.int64))


def _sound(values: Float64) -> Float64:
    """Keep high and low around the rest of their bar, whatever was rounded."""
    values = values.copy()
    values[:, HIGH] = np.round(values[:, [OPEN, HIGH, CLOSE, VWAP]].max(axis=1), 2)
    values[:, LOW] = np.round(values[:, [OPEN, LOW, CLOSE, VWAP]].min(axis=1), 2)
    return values


def slightly_wrong(right: Float64) -> Float64:
    """Give what a provider may tell first of a bar: without its last trades."""
    wrong = right.copy()
    wrong[CLOSE] = np.round((right[HIGH] + right[LOW]) / 2 + 0.01, 2)
    wrong[HIGH] = max(right[HIGH], wrong[CLOSE])
    wrong[VOLUME] -= 1_000
    wrong[TRADES] -= 10
    return wrong


def spiked(right: Float64) -> Float64:
    """Give a bar whose close is an error of the tape."""
    wrong = right.copy()
    wrong[CLOSE] = np.round(right[CLOSE] * 1.25, 2)
    wrong[HIGH] = max(right[HIGH], wrong[CLOSE])
    return wrong


def in_pence(right: Float64) -> Float64:
    """Give a bar in a unit that is a hundred times too small."""
    wrong = right.copy()
    wrong[_PRICES] *= 100
    return wrong
