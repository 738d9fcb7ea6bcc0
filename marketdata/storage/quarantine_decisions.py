"""What a person decides of quarantined bars: released ones are stored, dropped ones never are."""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
from psycopg import sql

from marketdata.clock import Clock
from marketdata.domain.bar_rules import is_forming
from marketdata.domain.bars import COLUMN_DTYPES, BarColumn, BarFrame
from marketdata.domain.quality.rules import Severity
from marketdata.domain.quarantine import (
    Decision,
    QuarantinedBar,
    QuarantineFilter,
    QuarantineState,
    Refusal,
    Release,
)
from marketdata.domain.symbol import ResolvedSymbol
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import WriteConflictError
from marketdata.storage.commit import CommitResult
from marketdata.storage.intake import BarIntake
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.quarantine import COLUMNS, MATCHES, filter_parameters, to_quarantined
from marketdata.storage.symbol_rows import fetch_rows
from marketdata.storage.symbols import resolve

# A transaction of so many bars, and the memory of their rows, stay small; callers repeat the call.
MOST_BARS_A_DECISION: Final = 10_000

# By the primary key.
_BY_IDS: Final = sql.SQL(
    "SELECT {columns} FROM bar_quarantine WHERE quarantine_id = ANY (%(ids)s)"
).format(columns=COLUMNS)
# As `QuarantineReader` lists them, the oldest first. What could only be refused is left out, so that a
# call that is repeated comes to an end.
_MATCHING: Final = sql.SQL("""
    SELECT {columns} FROM bar_quarantine
     WHERE {matches} AND state = 'open' AND severity <> %(refused)s
     ORDER BY quarantine_id LIMIT %(limit)s
""").format(columns=COLUMNS, matches=MATCHES)
# Only rows that are as they were when they were looked at: somebody else may have decided meanwhile.
_DECIDE: Final = """
    UPDATE bar_quarantine AS known
       SET state = %(state)s, reason = %(reason)s, decided_at = clock_timestamp()
      FROM unnest(%(ids)s::bigint[], %(states)s::text[]) AS seen (quarantine_id, state)
     WHERE known.quarantine_id = seen.quarantine_id AND known.state = seen.state
    RETURNING known.quarantine_id
"""


@dataclass(frozen=True, slots=True)
class _Matching:
    """Rows that were asked for.

    Attributes
    ----------
    bars : list of QuarantinedBar
        By quarantine_id.
    refused : dict of int to Refusal
        Numbers that are none.
    has_more : bool
        Whether the filter matches more.
    """

    bars: list[QuarantinedBar]
    refused: dict[int, Refusal]
    has_more: bool


class QuarantineDecider:
    """Releases and drops quarantined bars.

    Parameters
    ----------
    pools : Pools
        Where transactions run.
    intake : BarIntake
        The one write path of bars.
    clock : Clock
        Tells what has ended.
    """

    def __init__(self, pools: Pools, intake: BarIntake, clock: Clock) -> None:
        self._pools = pools
        self._intake = intake
        self._clock = clock

    async def release(
        self, chosen: Sequence[int] | QuarantineFilter, reason: str = "", limit: int = 1_000
    ) -> Release:
        """Store quarantined bars, in one transaction with the note that they are.

        Bars of several timeframes take a transaction each. Flagged bars are stored already: they are
        noted as looked at. A crash at any moment leaves a bar either waiting, or stored and released;
        the same call again is safe.

        Parameters
        ----------
        chosen : sequence of int, or QuarantineFilter
            Numbers, at most `MOST_BARS_A_DECISION`, of which dropped ones are released too; or which of
            the bars that wait, the oldest first, without those that can never be stored.
        reason : str
            Why, for people.
        limit : int
            Most bars of a filter.

        Raises
        ------
        WriteConflictError
            Somebody else decided, or changed a symbol, meanwhile; bars of the timeframe stay as they
            were.
        DatabaseUnavailableError, QueryTimeoutError, StorageFullError
            See `BarWriter.commit_bars`.
        """
        matching = await self._find(chosen, limit, Severity.INVALID)
        waiting = [bar for bar in matching.bars if bar.state is not QuarantineState.RELEASED]
        refused = matching.refused | _refuse_unstorable(waiting, self._clock.now_us())
        rejected = _left(waiting, refused, Severity.REJECT)
        refused |= await self._refuse_unplaced(rejected)
        rejected = _left(rejected, refused, Severity.REJECT)
        flagged = _left(waiting, refused, Severity.FLAG)
        stored = await self._store(rejected, reason)
        await self._note(flagged, QuarantineState.RELEASED, reason)
        return Release(
            decided=len(rejected) + len(flagged),
            unchanged=len(matching.bars) - len(waiting),
            refused=refused,
            has_more=matching.has_more,
            accepted=sum(result.accepted for result in stored),
            revised=sum(result.revised for result in stored),
            same=sum(result.unchanged for result in stored),
            outranked=sum(result.outranked for result in stored),
        )

    async def drop(
        self, chosen: Sequence[int] | QuarantineFilter, reason: str, limit: int = 1_000
    ) -> Decision:
        """Note of quarantined bars that they are not to be stored.

        Parameters
        ----------
        chosen, reason, limit
            As `release` takes them; a filter leaves flagged bars out, which are stored.

        Raises
        ------
        WriteConflictError
            Somebody else decided meanwhile; nothing was dropped.
        """
        matching = await self._find(chosen, limit, Severity.FLAG)
        refused = dict(matching.refused)
        for bar in matching.bars:
            if bar.severity is Severity.FLAG:
                refused[bar.quarantine_id] = Refusal.STORED
            elif bar.state is QuarantineState.RELEASED:
                refused[bar.quarantine_id] = Refusal.ALREADY_RELEASED
        left = [bar for bar in matching.bars if bar.quarantine_id not in refused]
        waiting = [bar for bar in left if bar.state is QuarantineState.OPEN]
        await self._note(waiting, QuarantineState.DROPPED, reason)
        return Decision(len(waiting), len(left) - len(waiting), refused, matching.has_more)

    async def _find(
        self, chosen: Sequence[int] | QuarantineFilter, limit: int, refused: Severity
    ) -> _Matching:
        if isinstance(chosen, QuarantineFilter):
            parameters = {
                **filter_parameters(replace(chosen, state=None)),
                "refused": refused.value,
                "limit": limit + 1,
            }
            bars = await self._fetch(_MATCHING, parameters)
            return _Matching(bars[:limit], {}, len(bars) > limit)
        ids = list(dict.fromkeys(chosen))
        bars = await self._fetch(_BY_IDS, {"ids": ids})
        missing = set(ids) - {bar.quarantine_id for bar in bars}
        return _Matching(bars, dict.fromkeys(sorted(missing), Refusal.NOT_FOUND), has_more=False)

    async def _fetch(self, query: sql.Composed, parameters: Mapping[str, Any]) -> list[QuarantinedBar]:
        async with self._pools.query() as connection:
            rows = await fetch_rows(connection, query, parameters)
        return sorted((to_quarantined(row) for row in rows), key=lambda bar: bar.quarantine_id)

    async def _refuse_unplaced(self, bars: Sequence[QuarantinedBar]) -> dict[int, Refusal]:
        """Find the bars whose symbol named nothing then: the write path would leave them out."""
        refused = {}
        for timeframe, part in _by_timeframe(bars):
            async with self._pools.query() as connection:
                known = await resolve(connection, sorted({bar.symbol for bar in part}), timeframe)
            for bar in part:
                if not _is_placed(known.get(bar.symbol), bar.time_us):
                    refused[bar.quarantine_id] = Refusal.UNKNOWN_SYMBOL
        return refused

    async def _store(self, bars: Sequence[QuarantinedBar], reason: str) -> list[CommitResult]:
        """Commit bars with the note that they are released, a transaction a timeframe."""
        results = []
        for timeframe, part in _by_timeframe(bars):
            alongside = partial(_note_released, part, reason)
            results.append((await self._intake.store(_to_frame(part), timeframe, alongside)).committed)
        return results

    async def _note(self, bars: Sequence[QuarantinedBar], state: QuarantineState, reason: str) -> int:
        if bars:
            async with self._pools.query() as connection, connection.transaction():
                await _decide(connection, bars, state, reason)
        return len(bars)


async def _note_released(
    bars: Sequence[QuarantinedBar], reason: str, connection: Connection, result: CommitResult
) -> None:
    placed = result.accepted + result.revised + result.unchanged + result.outranked
    if placed != len(bars):
        raise WriteConflictError(
            "a symbol was renamed or deleted meanwhile; nothing was released, send the call again"
        )
    await _decide(connection, bars, QuarantineState.RELEASED, reason)


async def _decide(
    connection: Connection, bars: Sequence[QuarantinedBar], state: QuarantineState, reason: str
) -> None:
    parameters = {
        "state": state.value,
        "reason": reason,
        "ids": [bar.quarantine_id for bar in bars],
        "states": [bar.state.value for bar in bars],
    }
    cursor = await connection.execute(_DECIDE, parameters)
    if len(await cursor.fetchall()) != len(bars):
        raise WriteConflictError(
            "somebody else released or dropped some of these bars meanwhile; list them and decide again"
        )


def _left(
    bars: Iterable[QuarantinedBar], refused: Container[int], severity: Severity
) -> list[QuarantinedBar]:
    return [bar for bar in bars if bar.severity is severity and bar.quarantine_id not in refused]


def _by_timeframe(
    bars: Sequence[QuarantinedBar],
) -> Iterator[tuple[Timeframe, list[QuarantinedBar]]]:
    for timeframe in Timeframe:
        part = [bar for bar in bars if bar.timeframe is timeframe]
        if part:
            yield timeframe, part


def _refuse_unstorable(bars: Iterable[QuarantinedBar], now_us: int) -> dict[int, Refusal]:
    """Find the bars that are no use to store: invalid, not ended, or beside another of their time."""
    refused: dict[int, Refusal] = {}
    taken: set[tuple[str, Timeframe, int]] = set()
    for bar in bars:
        key = (bar.symbol, bar.timeframe, bar.time_us)
        if bar.severity is Severity.FLAG:
            continue
        if bar.severity is Severity.INVALID:
            refused[bar.quarantine_id] = Refusal.INVALID
        elif is_forming(np.array([bar.time_us]), bar.timeframe, now_us)[0]:
            refused[bar.quarantine_id] = Refusal.FORMING
        elif key in taken:
            refused[bar.quarantine_id] = Refusal.SAME_BAR
        else:
            taken.add(key)
    return refused


def _is_placed(symbol: ResolvedSymbol | None, time_us: int) -> bool:
    segments = symbol.segments if symbol is not None else ()
    return any(one.range.start_us <= time_us < one.range.end_us for one in segments)


def _to_frame(bars: Sequence[QuarantinedBar]) -> BarFrame:
    """Make a frame of rows; a loop over rows that a person decided of, at most 10,000."""
    symbols = tuple(sorted({bar.symbol for bar in bars}))
    feeds = sorted({bar.feed for bar in bars})
    columns: dict[str, Any] = {
        column.value: np.array([getattr(bar, column.value) for bar in bars], COLUMN_DTYPES[column])
        for column in BarColumn
        if column not in (BarColumn.FEED, BarColumn.REVISION)
    }
    return BarFrame(
        symbols=symbols,
        **columns,
        feed=np.array([feeds.index(bar.feed) for bar in bars], np.int16),
        revision=np.zeros(len(bars), np.int32),
        symbol_index=np.array([symbols.index(bar.symbol) for bar in bars], np.int32),
        feeds=dict(enumerate(feeds)),
    )
