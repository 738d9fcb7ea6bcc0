"""The order in which bars go into COPY."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.bars import Int64Array
from marketdata.storage.copy_order import copy_order

_SESSION_BARS = 390
_GATHERED_BARS = 1_000
_MOST_SLOTS = 2 * 64


def _walked(partition: Int64Array) -> list[int]:
    """Order the rows as the rule is told: sixteen partitions at a time, 64 rows a turn."""
    rows = {number: np.flatnonzero(partition == number).tolist() for number in sorted(set(partition))}
    waiting, order = list(rows.values()), []
    while waiting:
        group, waiting = waiting[:16], waiting[16:]
        while any(group):
            for left in group:
                order += left[:64]
                del left[:64]
    return order


@given(st.lists(st.tuples(st.integers(-40, 40), st.integers(1, 150)), max_size=60))
def test_copy_order_given_any_runs_of_partitions_lets_them_take_turns(
    runs: list[tuple[int, int]],
) -> None:
    """Sixteen partitions at a time give 64 rows each, in the order that their rows had."""
    partition = np.repeat(
        np.array([number for number, _ in runs], np.int64), [length for _, length in runs]
    )
    assert copy_order(partition).tolist() == _walked(partition)


@pytest.mark.parametrize("symbols", [1, 2, 7])
def test_copy_order_given_minutes_of_many_days_gathers_few_of_each_day(symbols: int) -> None:
    """Of any 1,000 rows in a row, one day has no more than two turns."""
    day = np.tile(np.repeat(np.arange(126), _SESSION_BARS), symbols)
    ordered = day[copy_order(day)]
    most = max(
        int(np.bincount(ordered[first : first + _GATHERED_BARS]).max())
        for first in range(0, len(day) - _GATHERED_BARS, 100)
    )
    assert most <= _MOST_SLOTS


def test_copy_order_given_one_partition_keeps_the_order() -> None:
    """Nobody takes turns with a partition that is alone."""
    assert copy_order(np.full(3_000, 20_000)).tolist() == list(range(3_000))
