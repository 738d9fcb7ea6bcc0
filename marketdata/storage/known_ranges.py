"""Between which times tickers had bars at some point in time, and of which there are older versions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from marketdata.domain.bars import Int64Array
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.storage.pools import Connection

# By the primary key of bar_latest, and both ends of that of bar_revision.
_READ: Final = """
    SELECT ticker.symbol, kind.timeframe,
           (extract(epoch FROM least(latest.first_time, superseded.first_time)) * 1000000)::bigint,
           (extract(epoch FROM greatest(latest.time, superseded.last_time)) * 1000000)::bigint,
           superseded.first_time IS NOT NULL
      FROM unnest(%(symbols)s::text[]) AS ticker (symbol)
     CROSS JOIN unnest(%(timeframes)s::text[]) AS kind (timeframe)
      LEFT JOIN bar_latest AS latest
        ON latest.symbol = ticker.symbol COLLATE "C" AND latest.timeframe = kind.timeframe
      LEFT JOIN LATERAL (
        SELECT min(time) AS first_time, max(time) AS last_time FROM bar_revision AS revision
         WHERE revision.timeframe = kind.timeframe
           AND revision.symbol = ticker.symbol COLLATE "C") AS superseded ON true
     WHERE latest.time IS NOT NULL OR superseded.first_time IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class KnownRanges:
    """Where there are bars, or were.

    Attributes
    ----------
    ranges : mapping of (str, Timeframe) to TimeRange
        By ticker: there never was a bar outside that is still known of.
    revised : frozenset of Timeframe
        Of which there are superseded versions.
    """

    ranges: Mapping[tuple[str, Timeframe], TimeRange]
    revised: frozenset[Timeframe]

    def days(self, timeframe: Timeframe) -> dict[str, Int64Array]:
        """List the UTC days since 1970-01-01, by ticker, in which there can be bars of a timeframe."""
        return {
            ticker: np.arange(
                held.start_us // MICROSECONDS_PER_DAY, (held.end_us - 1) // MICROSECONDS_PER_DAY + 1
            )
            for (ticker, of), held in self.ranges.items()
            if of is timeframe
        }


async def read_known_ranges(
    connection: Connection, tickers: Sequence[str], timeframes: Sequence[Timeframe]
) -> KnownRanges:
    """Read where the bars of some tickers stand and stood."""
    labels = [timeframe.value for timeframe in dict.fromkeys(timeframes)]
    cursor = await connection.execute(_READ, {"symbols": list(tickers), "timeframes": labels})
    ranges, revised = {}, set()
    for ticker, label, first_us, last_us, is_revised in await cursor.fetchall():
        ranges[ticker, Timeframe(label)] = TimeRange(first_us, last_us + 1)
        if is_revised:
            revised.add(Timeframe(label))
    return KnownRanges(ranges, frozenset(revised))
