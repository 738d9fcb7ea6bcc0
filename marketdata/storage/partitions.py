"""Partitions, made before the data that goes into them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, LiteralString

import numpy as np
import numpy.typing as npt
from psycopg import errors as pg

from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_tables import bar_table_label, partition_starts
from marketdata.storage.parameters import time_array
from marketdata.storage.pools import Connection, Pools

# Each new partition locks a handful of relations until its transaction ends.
_MOST_PARTITIONS_A_TRANSACTION: Final = 32

# A partition that another session drops while they are listed ends the listing with an error.
_LISTINGS: Final = 10

_ENSURE: Final = "SELECT bar_partition_ensure(%s::bar_table, %s)"


class Partitions:
    """Makes the native range partitions that writes need.

    Where TimescaleDB makes its chunks itself, ``bar_partition_ensure`` does nothing.

    Parameters
    ----------
    pools : Pools
        Where the partitions are made, each batch in a transaction of its own.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._known: set[tuple[Timeframe, int]] = set()

    async def ensure(self, timeframe: Timeframe, time_us: npt.NDArray[np.int64]) -> None:
        """Make the partitions that bars of these times need, where they are missing.

        Parameters
        ----------
        timeframe : Timeframe
            Stored; says which table.
        time_us : int64[n]
            Unix microseconds within the sane bounds of `timeframe`.
        """
        missing = [
            start
            for start in partition_starts(timeframe, time_us)
            if (timeframe, start) not in self._known
        ]
        for first in range(0, len(missing), _MOST_PARTITIONS_A_TRANSACTION):
            await self._make(timeframe, missing[first : first + _MOST_PARTITIONS_A_TRANSACTION])

    def forget(self) -> None:
        """Ask the database again: a partition that was there has been dropped."""
        self._known.clear()

    async def _make(self, timeframe: Timeframe, starts: Sequence[int]) -> None:
        parameters = [bar_table_label(timeframe), time_array(np.array(starts, np.int64))]
        async with self._pools.query() as connection, connection.transaction():
            await connection.execute(_ENSURE, parameters)
        self._known.update((timeframe, start) for start in starts)


async def read_partitions(
    connection: Connection, query: LiteralString, parameters: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """Run a query over `bar_partitions`, again where a partition was dropped in the middle of it.

    On a connection outside of a transaction.
    """
    for _ in range(_LISTINGS - 1):
        try:
            return await (await connection.execute(query, parameters)).fetchall()
        except pg.UndefinedTable:
            continue
    return await (await connection.execute(query, parameters)).fetchall()
