"""Bars that were deleted: known by their last versions, as long as those are kept."""

from collections.abc import Sequence
from typing import Final

from marketdata.domain.time_range import TimeRange, from_unix_us, to_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.pools import Pools

# By the primary key of bar_revision, a former ticker at a time.
_DELETED: Final = """
    SELECT gap_start, gap_end
      FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS gap (gap_start, gap_end)
     WHERE EXISTS (
        SELECT FROM symbol_validity AS named
          JOIN bar_revision AS version ON version.symbol = named.symbol
         WHERE named.symbol_id = %(symbol_id)s AND version.timeframe = %(timeframe)s
           AND version.time >= gap_start AND version.time < gap_end)
     ORDER BY 1
"""


class DeletedBars:
    """Tells where bars were deleted.

    Parameters
    ----------
    pools : Pools
        Connections.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def among(
        self, gaps: Sequence[TimeRange], symbol_id: int, timeframe: Timeframe
    ) -> tuple[TimeRange, ...]:
        """List those of some gaps in which bars were deleted, ascending.

        Parameters
        ----------
        gaps : sequence of TimeRange
            Times without bars, apart from each other.
        """
        parameters = {
            "starts": [from_unix_us(gap.start_us) for gap in gaps],
            "ends": [from_unix_us(gap.end_us) for gap in gaps],
            "symbol_id": symbol_id,
            "timeframe": timeframe.value,
        }
        async with self._pools.query() as connection:
            cursor = await connection.execute(_DELETED, parameters)
            rows = await cursor.fetchall()
        return tuple(TimeRange(to_unix_us(start), to_unix_us(end)) for start, end in rows)
