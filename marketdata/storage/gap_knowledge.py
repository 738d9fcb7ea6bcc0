"""What the database knows of the time in which bars of a symbol are missing."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from marketdata.domain.bars import Int64Array
from marketdata.domain.gap_knowledge import GapKnowledge, ProviderAnswers, ProviderFailure
from marketdata.domain.range_sets import RangeSet, hull, union
from marketdata.domain.symbol import ResolvedSymbol
from marketdata.domain.time_range import TimeRange, from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_tables import bar_table_label
from marketdata.storage.pools import Connection

# By ingestion_fetched_symbol_id. Ranges become numbers here: a multirange costs psycopg a Python object
# for each of its ranges, and each of its bounds.
_FETCHED: Final = """
    SELECT provider, (extract(epoch FROM first_time) * 1000000)::bigint,
           (extract(epoch FROM last_time) * 1000000)::bigint,
           array(SELECT (extract(epoch FROM bound) * 1000000)::bigint
                   FROM unnest((ranges - deleted) * within) AS part,
                        LATERAL (VALUES (lower(part)), (upper(part))) AS of (bound) ORDER BY 1),
           array(SELECT (extract(epoch FROM bound) * 1000000)::bigint
                   FROM unnest(deleted * within) AS part,
                        LATERAL (VALUES (lower(part)), (upper(part))) AS of (bound) ORDER BY 1)
      FROM ingestion_fetched,
           (SELECT tstzmultirange(tstzrange(%(start)s, %(end)s)) AS within) AS asked
     WHERE symbol_id = %(symbol_id)s AND timeframe = %(timeframe)s
     ORDER BY provider
"""
# By ingestion_failed_symbol_id and the primary key. A note of a moment in which another run fetched the
# same is as good as gone.
_FAILED: Final = """
    SELECT provider, error, (extract(epoch FROM retry_at) * 1000000)::bigint,
           array(SELECT (extract(epoch FROM bound) * 1000000)::bigint
                   FROM unnest((failed.ranges - coalesce(fetched.ranges, '{}')) * within) AS part,
                        LATERAL (VALUES (lower(part)), (upper(part))) AS of (bound) ORDER BY 1)
      FROM (SELECT tstzmultirange(tstzrange(%(start)s, %(end)s)) AS within) AS asked,
           ingestion_failed AS failed
      LEFT JOIN ingestion_fetched AS fetched USING (provider, symbol_id, timeframe)
     WHERE symbol_id = %(symbol_id)s AND timeframe = %(timeframe)s
     ORDER BY provider
"""
# By the unique index of bar_quarantine. Those of severity flag are stored. The bytes are the array.
_QUARANTINED: Final = """
    SELECT provider, string_agg(int8send(time_us), ''::bytea ORDER BY time_us)
      FROM (SELECT DISTINCT provider, (extract(epoch FROM time) * 1000000)::bigint AS time_us
              FROM bar_quarantine
             WHERE symbol = ANY (%(tickers)s) AND timeframe = %(timeframe)s
               AND time >= %(named_from)s AND time < %(named_to)s
               AND state = 'open' AND severity <> 'flag') AS aside
     GROUP BY provider
"""
# By the primary key: what retention has dropped once it does not get back, whatever it keeps now.
_KEPT_FROM: Final = """
    SELECT (extract(epoch FROM greatest(clock_timestamp() - keep, dropped_before)) * 1000000)::bigint
      FROM bar_storage WHERE which = %(table)s::bar_table AND keep_confirmed_at IS NOT NULL
"""
# The whole table, of at most a thousand rows.
_TARGETS: Final = """
    SELECT DISTINCT unnest(providers) FROM ingestion_target
     WHERE %(timeframe)s = ANY (timeframes) AND (symbols = '{}' OR symbols && %(tickers)s::text[])
"""


async def read_gap_knowledge(
    connection: Connection, symbol: ResolvedSymbol, timeframe: Timeframe, within: TimeRange
) -> GapKnowledge:
    """Read what is known of a symbol and timeframe within a range, in the caller's snapshot."""
    named = hull([segment.range for segment in symbol.segments]).intersect(within)
    parameters: dict[str, Any] = {
        "symbol_id": symbol.symbol_id,
        "tickers": sorted({symbol.symbol, *(segment.ticker for segment in symbol.segments)}),
        "timeframe": timeframe.value,
        "table": bar_table_label(timeframe),
        "start": from_unix_us(within.start_us),
        "end": from_unix_us(within.end_us),
        # The company that had the ticker before may have bars in quarantine as well.
        "named_from": from_unix_us(named.start_us),
        "named_to": from_unix_us(named.end_us),
    }
    async with connection.pipeline():
        found = [
            await connection.execute(query, parameters)
            for query in (_FETCHED, _FAILED, _QUARANTINED, _KEPT_FROM, _TARGETS)
        ]
    fetched, failed, quarantined, kept_from, targets = [await rows.fetchall() for rows in found]
    return GapKnowledge(
        answers=tuple(
            ProviderAnswers(provider, _ranges(held), first_us, last_us)
            for provider, first_us, last_us, held, _ in fetched
        ),
        failures=tuple(
            ProviderFailure(provider, _ranges(bounds), error, retry_us)
            for provider, error, retry_us, bounds in failed
        ),
        quarantined_us={provider: _times(times) for provider, times in quarantined},
        deleted=union(one for *_, deleted in fetched for one in _ranges(deleted)),
        kept_from_us=kept_from[0][0] if kept_from else None,
        targets=frozenset(provider for (provider,) in targets),
    )


def _ranges(bounds_us: Sequence[int]) -> RangeSet:
    """Pair ascending bounds."""
    return tuple(map(TimeRange, bounds_us[::2], bounds_us[1::2]))


def _times(big_endian: bytes) -> Int64Array:
    return np.frombuffer(big_endian, ">i8").astype(np.int64)
