"""The order in which bars go into COPY: partitions take turns. Pure: arrays in, arrays out.

A COPY gathers 1,000 rows before it stores them, partition by partition. Of every row that it gathers
for one partition it keeps a slot, and the slots of a partition note themselves in one table under one
key: the next one passes all others to find a place. Where the rows of one partition come in a row, as
they do by symbol and time, that was a quarter of a COPY of minutes (390 slots a partition). In turns
few slots are made, and these are used again (docs/benchmarks.md).

Within a partition the order stays what it was, and so do the pages of the table.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import Int64Array

# Together about as many rows as a COPY gathers, and fewer partitions than the 32 of which it keeps
# slots. Measured: 8 to 31 partitions are equally good, 4 too few; pieces of 16 rows make more and
# smaller writes and lose half of what is won.
_PARTITIONS_AT_A_TIME: Final = 16
_BARS_A_TURN: Final = 64


def copy_order(partition: Int64Array) -> npt.NDArray[np.intp]:
    """Order rows so that the partitions they go to take turns.

    Sixteen partitions at a time, the earliest first, each give 64 rows until they have none left; so
    rows next to each other in the answer are of few partitions.

    Parameters
    ----------
    partition : int64[n]
        Number of each row's partition.

    Returns
    -------
    intp[n]
        Positions of the rows, each once, those of one partition ascending.
    """
    begins = np.flatnonzero(np.diff(partition, prepend=partition[:1] - 1))
    numbers, ranks = np.unique(partition[begins], return_inverse=True)
    if len(numbers) < 2:  # noqa: PLR2004 -- nobody to take turns with
        return np.arange(len(partition))
    lengths = np.diff(begins, append=len(partition))
    # Runs of rows, not rows, as far as it goes: by symbol and time there are few.
    place = np.arange(len(partition)) + np.repeat(_places(ranks, lengths) - begins, lengths)
    turn = place // _BARS_A_TURN
    group, member = np.divmod(ranks, _PARTITIONS_AT_A_TIME)
    turns = int(turn.max()) + 1
    key = np.repeat(group * turns * _PARTITIONS_AT_A_TIME + member, lengths)
    key += turn * _PARTITIONS_AT_A_TIME
    # In 16 bits, which most keys need, numpy sorts ten times as fast.
    return np.argsort(key.astype(np.min_scalar_type(int(key.max()))), kind="stable")


def _places(ranks: npt.NDArray[np.intp], lengths: Int64Array) -> Int64Array:
    """Count the rows before each run in its partition, from the runs' partitions and lengths."""
    order = np.argsort(ranks, kind="stable")
    before = np.cumsum(lengths[order]) - lengths[order]
    first = before[np.searchsorted(ranks[order], np.arange(int(ranks.max()) + 1))]
    places = np.empty_like(before)
    places[order] = before - first[ranks[order]]
    return places
