"""How small writes that come at the same time share a transaction, and each gets its own answer.

A COMMIT waits for the disk, whatever it holds: sixteen writes in one cost little more than one. Each is
answered only after that COMMIT, with what became of its own bars; all have the seq of the one write.

Nobody waits here for another writer's locks: a group takes those that are free and leaves out whoever
needs others, so that one who stands still delays those only who write the same symbols.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import psycopg

from marketdata.domain.bars import BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ServiceError
from marketdata.storage.change_log import committed_seq
from marketdata.storage.coalesce import Coalescer
from marketdata.storage.commit_few import Check, CommitResult, write_few
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.stripes import stripes, try_lock_stripes

# One transaction's bars: what a write of its own may have at the most along this way.
_MOST_BARS: Final = 500
# Transactions of groups at a time. None waits for a lock, so few are enough.
_MOST_GROUPS: Final = 4
# How long a write waits at the most for a group that is under way.
_LATE_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class SmallWrite:
    """Bars of one caller: sorted, without duplicates, all columns, few; and its check."""

    frame: BarFrame
    check: Check | None


# None: send it in a transaction of its own. An error is raised where the write was sent.
_Answer = CommitResult | ServiceError | None


class GroupCommit:
    """Commits small writes of one timeframe together.

    Parameters
    ----------
    pools : Pools
        Where transactions run.
    timeframe : Timeframe
        One that is stored.
    """

    def __init__(self, pools: Pools, timeframe: Timeframe) -> None:
        self._timeframe = timeframe
        self._groups: Coalescer[SmallWrite, _Answer, Connection] = Coalescer(
            pools.query, self._commit, most_trips=_MOST_GROUPS, late_seconds=_LATE_SECONDS
        )

    async def commit(self, write: SmallWrite) -> CommitResult | None:
        """Store a write with others; None where nothing was done, since it has to go alone.

        Its partitions are there. Cancelled, it may be stored all the same.

        Raises
        ------
        ServiceError
            What its check raised; nothing of it was stored.
        DatabaseUnavailableError
            The connection broke; the outcome is not known.
        """
        answer = await self._groups.get(write)
        if isinstance(answer, ServiceError):
            raise answer
        return answer

    async def _commit(
        self, connection: Connection, writes: Sequence[SmallWrite]
    ) -> Mapping[SmallWrite, _Answer]:
        alone: dict[SmallWrite, _Answer] = dict.fromkeys(writes)
        chosen = _that_fit(writes)
        if len(chosen) < 2:  # noqa: PLR2004 -- one is no group
            return alone
        try:
            return {**alone, **await self._transact(connection, chosen)}
        except (psycopg.Error, ValueError):
            if connection.closed:
                raise
            # Each by itself: then the one that cannot be stored says so, and the others are.
            return alone

    async def _transact(
        self, connection: Connection, writes: Sequence[SmallWrite]
    ) -> dict[SmallWrite, _Answer]:
        async with connection.transaction():
            symbols = [symbol for write in writes for symbol in write.frame.symbols]
            free = await try_lock_stripes(connection, symbols, self._timeframe)
            going = [write for write in writes if free.issuperset(stripes(write.frame.symbols))]
            refused = await _refused(connection, going)
            going = [write for write in going if write not in refused]
            if not going:
                return dict(refused)
            owner, frame = _joined(going)
            written = await write_few(connection, frame, self._timeframe)
        results = [written.result(owner == number) for number in range(len(going))]
        seq = 0
        if any(result.changes for result in results):
            seq = await committed_seq(connection, written.write_id)
        answers = [replace(one, seq=seq) if one.changes else one for one in results]
        return {**refused, **dict(zip(going, answers, strict=True))}


def _that_fit(writes: Sequence[SmallWrite]) -> list[SmallWrite]:
    """Choose writes that share no symbol, and no more bars than a transaction takes."""
    chosen, symbols, bars = [], set[str](), 0
    for write in writes:
        is_apart = symbols.isdisjoint(write.frame.symbols)
        # Also where it is left out: what comes behind it must not overtake it.
        symbols.update(write.frame.symbols)
        if is_apart and bars + len(write.frame) <= _MOST_BARS:
            chosen.append(write)
            bars += len(write.frame)
    return chosen


async def _refused(
    connection: Connection, writes: Sequence[SmallWrite]
) -> dict[SmallWrite, ServiceError]:
    """Check every write, in few round trips; tell those that must not be stored, and why."""
    checks = {write: write.check(connection) for write in writes if write.check is not None}
    async with connection.pipeline():
        outcomes = await asyncio.gather(*checks.values(), return_exceptions=True)
    refused = {}
    for write, outcome in zip(checks, outcomes, strict=True):
        if isinstance(outcome, ServiceError):
            refused[write] = outcome
        elif outcome is not None:
            raise outcome
    return refused


def _joined(
    writes: Sequence[SmallWrite],
) -> tuple["np.ndarray[tuple[int], np.dtype[np.int64]]", BarFrame]:
    """Join writes of different symbols, sorted; and tell whose each bar is, by its place."""
    symbols = tuple(symbol for write in writes for symbol in write.frame.symbols)
    firsts = np.cumsum([0, *(len(write.frame.symbols) for write in writes)])
    frame = BarFrame.concatenate(
        [
            replace(
                write.frame,
                symbols=symbols,
                symbol_index=write.frame.row_symbol_index() + np.int32(first),
                feeds={},
            )
            for write, first in zip(writes, firsts.tolist(), strict=False)
        ]
    ).sorted_by_symbol_time()
    owners = {symbol: number for number, write in enumerate(writes) for symbol in write.frame.symbols}
    by_symbol = np.array([owners[symbol] for symbol in frame.symbols], np.int64)
    return by_symbol[frame.row_symbol_index()], frame
