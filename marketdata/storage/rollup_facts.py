"""What a read must know of roll-ups: where they stand, and which of them no longer fit."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

import numpy as np
from psycopg import sql

from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import Int64Array
from marketdata.domain.symbol import ResolvedSymbol
from marketdata.domain.time_range import TimeRange, session_date, session_label_us
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.storage.bar_tables import rollup_table
from marketdata.storage.pools import Connection

# Both ends of the primary key of the roll-ups, and the marks by theirs.
_READ: Final = sql.SQL("""
    SELECT ticker.symbol,
           (extract(epoch FROM rolled.first_time) * 1000000)::bigint,
           (extract(epoch FROM rolled.last_time) * 1000000)::bigint,
           coalesce(marked.days, ''::bytea), floor.day
      FROM (SELECT DISTINCT own.symbol
              FROM symbol_validity AS asked JOIN symbol_validity AS own USING (symbol_id)
             WHERE asked.symbol = ANY (%(symbols)s)) AS ticker
     CROSS JOIN (SELECT nullif(rollup_first_day(), '-infinity') AS day) AS floor
      LEFT JOIN LATERAL (
        SELECT min(time) AS first_time, max(time) AS last_time FROM {table}
         WHERE symbol = ticker.symbol) AS rolled ON true
      LEFT JOIN LATERAL (
        SELECT string_agg(int4send(day - date '1970-01-01'), ''::bytea ORDER BY day) AS days
          FROM rollup_dirty
         WHERE symbol = ticker.symbol AND day BETWEEN %(first)s AND %(last)s
           AND day >= coalesce(floor.day, '-infinity')) AS marked ON true
""")
# A bar lies within a day of its minutes, and a day that it shares with others reaches a day further.
_MARGIN: Final = timedelta(days=2)
_ALWAYS_US: Final = Timeframe.DAY_1.earliest_us


@dataclass(frozen=True, slots=True)
class RollUpFacts:
    """What a snapshot holds of roll-ups of one timeframe.

    Attributes
    ----------
    ranges : mapping of str to TimeRange
        By ticker that has some: it has none outside.
    stale_days : mapping of str to int64[n]
        By ticker: the UTC days since 1970-01-01, ascending, whose minutes changed since.
    since_us : int
        Unix microseconds: earlier minutes were dropped, so that what they made cannot be made anew.
    """

    ranges: Mapping[str, TimeRange] = field(default_factory=dict)
    stale_days: Mapping[str, Int64Array] = field(default_factory=dict)
    since_us: int = _ALWAYS_US

    def stale_days_of(self, minutes: ResolvedSymbol) -> Int64Array:
        """List the days of a symbol whose minutes changed; `minutes` says where its minutes stand."""
        found = [np.empty(0, np.int64)]
        for segment in minutes.segments:
            days = self.stale_days.get(segment.ticker)
            if days is not None:
                first_day = segment.range.start_us // MICROSECONDS_PER_DAY
                last_day = (segment.range.end_us - 1) // MICROSECONDS_PER_DAY
                found.append(days[(days >= first_day) & (days <= last_day)])
        return np.unique(np.concatenate(found))

    def all_stale(self, days: Mapping[str, Int64Array]) -> "RollUpFacts":
        """Take none of the roll-ups that minutes of some days make, by ticker, to fit these."""
        return replace(self, stale_days=days)


NO_ROLLUPS: Final = RollUpFacts()


async def read_rollup_facts(connection: Connection, query: BarQuery) -> RollUpFacts:
    """Read the facts of the roll-ups that a query may be answered from.

    Parameters
    ----------
    query : BarQuery
        Of a timeframe of `ROLLED_UP`.
    """
    parameters = {
        "symbols": list(query.symbols),
        "first": session_date(query.range.start_us) - _MARGIN,
        "last": session_date(query.range.end_us) + _MARGIN,
    }
    statement = _READ.format(table=rollup_table(query.timeframe))
    cursor = await connection.execute(statement, parameters)
    ranges, stale_days, since_us = {}, {}, _ALWAYS_US
    for ticker, first_us, last_us, days, floor in await cursor.fetchall():
        if first_us is not None:
            ranges[ticker] = TimeRange(first_us, last_us + 1)
        if days:
            stale_days[ticker] = np.frombuffer(days, ">i4").astype(np.int64)
        if floor is not None:
            since_us = session_label_us(floor)
    return RollUpFacts(ranges, stale_days, since_us)
