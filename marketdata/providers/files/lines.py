"""Line numbers of rows that a CSV reader hands over without them: pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import Int64Array


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row that the CSV reader left out.

    Attributes
    ----------
    number : int
        Which row of the file, from 1, the header and other skipped rows included.
    cells : int
        How many it has.
    breaks : int
        Line breaks within it.
    text : str
        How it begins.
    """

    number: int
    cells: int
    breaks: int
    text: str


class LineCounter:
    """Counts lines along with rows.

    A row is a line, except where a quoted cell runs over several. So the line on which a row begins
    is the number of the row plus the line breaks within all rows before it.

    Parameters
    ----------
    first_number : int
        Number of the first row, from 1: 2 below a header.
    breaks : int
        Line breaks within the rows above it.
    """

    def __init__(self, first_number: int, breaks: int = 0) -> None:
        self._number = first_number
        self._breaks = breaks

    @property
    def line(self) -> int:
        """The line behind all rows so far."""
        return self._number + self._breaks

    def place(
        self, breaks: Int64Array, skipped: Sequence[SkippedRow], *, is_last: bool = False
    ) -> tuple[Int64Array, Int64Array]:
        """Tell on which lines the next rows begin.

        Parameters
        ----------
        breaks : int64[n]
            Line breaks within each of the next n rows.
        skipped : sequence of SkippedRow
            Rows left out from here on, ascending; those behind the n rows are left for later.
        is_last : bool
            No more rows come: those behind count as well.

        Returns
        -------
        (int64[n], int64[k])
            Lines of the rows, and of the k skipped ones that stand before the last of them.
        """
        n = len(breaks)
        numbers = np.array([row.number for row in skipped], np.int64)
        ahead = numbers - np.arange(len(numbers)) - self._number
        taken = len(numbers) if is_last else int(np.searchsorted(ahead, n, side="left"))
        ahead = ahead[:taken]
        lost = _sums([row.breaks for row in skipped[:taken]])
        within = _sums(breaks)
        index = np.arange(n)
        skipped_before = np.searchsorted(ahead, index, side="right")
        first = self._number + self._breaks
        lines = first + index + skipped_before + within[:-1] + lost[skipped_before]
        skipped_lines = numbers[:taken] + self._breaks + within[ahead] + lost[:-1]
        self._number += n + taken
        self._breaks += int(within[-1] + lost[-1])
        return lines, skipped_lines


def _sums(counts: npt.ArrayLike) -> Int64Array:
    return np.concatenate(([0], np.cumsum(np.asarray(counts, np.int64))))
