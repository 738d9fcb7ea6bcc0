"""Where bars of a timeframe are stored, and in partitions of what width."""

from typing import Final

import numpy as np
import numpy.typing as npt
from psycopg import sql

from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe

# The label of the SQL type bar_table, and the days a partition (or chunk) covers.
_TABLES: Final = {
    Timeframe.MINUTE_1: ("min", 1),
    Timeframe.HOUR_1: ("hour", 7),
    Timeframe.DAY_1: ("day", 30),
}


def bar_table_label(timeframe: Timeframe) -> str:
    """Label of the table of `timeframe` in the SQL type `bar_table`."""
    return _TABLES[timeframe][0]


def bar_table(timeframe: Timeframe) -> sql.Identifier:
    """Name of the table that stores bars of `timeframe`, for composing."""
    return sql.Identifier(bar_table_name(timeframe))


def bar_table_name(timeframe: Timeframe) -> str:
    """Name of the table that stores bars of `timeframe`."""
    return f"market_stock_hist_bars_{bar_table_label(timeframe)}_ts"


def rollup_table(timeframe: Timeframe) -> sql.Identifier:
    """Name of the table of the bars of `timeframe`, 1h or 1d, that minutes made, for composing."""
    return sql.Identifier(f"bar_rollup_{bar_table_label(timeframe)}")


def aggregate_name(timeframe: Timeframe) -> str:
    """Name of the continuous aggregate that counts bars of `timeframe` by day, in timescale mode."""
    return f"bar_statistics_{bar_table_label(timeframe)}"


def partition_starts(timeframe: Timeframe, time_us: npt.NDArray[np.int64]) -> list[int]:
    """List the starts of the partitions that bars of these times fall into.

    Parameters
    ----------
    time_us : int64[n]
        Unix microseconds.

    Returns
    -------
    list of int
        Unix microseconds, ascending, without repeats.
    """
    partition = partition_numbers(timeframe, time_us)
    # Bars come by time: most stand in the partition of the bar before them, and need no sort.
    begins = np.flatnonzero(np.diff(partition, prepend=partition[:1] - 1))
    starts: list[int] = (np.unique(partition[begins]) * _width_us(timeframe)).tolist()
    return starts


def partition_numbers(timeframe: Timeframe, time_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Give bars of these times, Unix microseconds, the numbers of their partitions, int64[n]."""
    return time_us // _width_us(timeframe)


def _width_us(timeframe: Timeframe) -> int:
    return _TABLES[timeframe][1] * MICROSECONDS_PER_DAY
