"""The one write path of bars: one transaction from classification to change log."""

from typing import Final

import numpy as np
import stamina
from psycopg import errors as pg

from marketdata.domain.bars import BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.commit_few import Alongside, Check, CommitResult, commit_few
from marketdata.storage.commit_group import GroupCommit, SmallWrite
from marketdata.storage.commit_many import commit_many
from marketdata.storage.partitions import Partitions
from marketdata.storage.pools import Pools

__all__ = ["FEW_BARS", "MOST_BARS_A_COMMIT", "Alongside", "BarWriter", "CommitResult"]

# Up to here two round trips beat the five of COPY (docs/benchmarks.md).
FEW_BARS: Final = 500
# One transaction's time under its locks, and its memory, stay bounded; callers send more in parts.
MOST_BARS_A_COMMIT: Final = 250_000
_ATTEMPTS: Final = 5


class BarWriter:
    """Commits bars.

    Parameters
    ----------
    pools : Pools
        Where transactions run.
    partitions : Partitions
        Makes what the bars need to stand in.
    """

    def __init__(self, pools: Pools, partitions: Partitions) -> None:
        self._pools = pools
        self._partitions = partitions
        self._groups = {t: GroupCommit(pools, t) for t in Timeframe if t.is_stored}
        # Small writes that are under way: a lone one has nobody to share with.
        self._small = dict.fromkeys(self._groups, 0)

    async def commit_bars(
        self,
        frame: BarFrame,
        timeframe: Timeframe,
        check: Check | None = None,
        alongside: Alongside | None = None,
    ) -> CommitResult:
        """Store bars in one transaction, and acknowledge it after COMMIT.

        Few bars may share theirs with those of other callers of the same moment. The same bars again
        change nothing and leave no entry in the change log.

        Parameters
        ----------
        frame : BarFrame
            All columns; raw prices; `symbols` as tickers are stored, `feed` as ids of
            `market_feed`, times within the sane bounds; `revision` is ignored.
        timeframe : Timeframe
            One that is stored.
        check : callable, optional
            Called within the transaction once no other writer of these tickers is under way, with its
            connection: what it raises is raised, and nothing is stored.
        alongside : callable, optional
            Called last within the transaction, also where there are no bars: what it writes is
            committed with the bars or not at all, and what it raises undoes both. Called again where
            the transaction is tried again. Its statements may wait in a pipeline until it fetches an
            answer.

        Raises
        ------
        ValueError
            For two bars of the same symbol and time, an unknown feed, or more than
            `MOST_BARS_A_COMMIT`: a defect of the caller. Nothing was stored.
        DatabaseUnavailableError, QueryTimeoutError, StorageFullError, WriteConflictError
            Nothing was stored. When the connection breaks during COMMIT the outcome is not known;
            sending the same bars again is safe.
        """
        if len(frame) == 0:
            return await self._commit_nothing(alongside)
        if len(frame) > MOST_BARS_A_COMMIT:
            raise ValueError(f"{len(frame)} bars in one commit; the most is {MOST_BARS_A_COMMIT}")
        frame = frame.sorted_by_symbol_time()
        _refuse_duplicates(frame)
        if len(frame) <= FEW_BARS and alongside is None:
            return await self._commit_small(frame, timeframe, check)
        return await self._commit_alone(frame, timeframe, check, alongside)

    async def _commit_nothing(self, alongside: Alongside | None) -> CommitResult:
        if alongside is not None:
            async with self._pools.query() as connection, connection.transaction():
                await alongside(connection, CommitResult())
        return CommitResult()

    async def _commit_small(
        self, frame: BarFrame, timeframe: Timeframe, check: Check | None
    ) -> CommitResult:
        is_lone = self._small[timeframe] == 0
        self._small[timeframe] += 1
        try:
            if not is_lone:
                await self._partitions.ensure(timeframe, frame.time_us)
                write = SmallWrite(frame.with_used_symbols(), check)
                result = await self._groups[timeframe].commit(write)
                if result is not None:
                    return result
            return await self._commit_alone(frame, timeframe, check)
        finally:
            self._small[timeframe] -= 1

    async def _commit_alone(
        self,
        frame: BarFrame,
        timeframe: Timeframe,
        check: Check | None,
        alongside: Alongside | None = None,
    ) -> CommitResult:
        async for attempt in stamina.retry_context(
            on=_is_worth_a_retry,
            attempts=_ATTEMPTS,
            timeout=None,
            wait_initial=0.01,
            wait_max=0.5,
            # Enough to part two writers that collided; the default of a second would be most of a wait.
            wait_jitter=0.02,
        ):
            with attempt:
                result = await self._attempt(frame, timeframe, check, alongside)
        return result

    async def _attempt(
        self,
        frame: BarFrame,
        timeframe: Timeframe,
        check: Check | None,
        alongside: Alongside | None,
    ) -> CommitResult:
        await self._partitions.ensure(timeframe, frame.time_us)
        try:
            async with self._pools.query() as connection:
                commit = commit_few if len(frame) <= FEW_BARS else commit_many
                return await commit(connection, frame, timeframe, check, alongside)
        except pg.CheckViolation:
            # "No partition of relation found for row": one was dropped behind our back.
            self._partitions.forget()
            raise


def _is_worth_a_retry(error: Exception) -> bool:
    # Not LockNotAvailable: whoever waited that long once would wait as long again.
    cause = error.__cause__ or error
    return isinstance(cause, (pg.DeadlockDetected, pg.SerializationFailure, pg.CheckViolation))


def _refuse_duplicates(frame: BarFrame) -> None:
    if len(set(frame.symbols)) != len(frame.symbols):
        raise ValueError("a symbol twice in the dictionary of one commit")
    index = frame.row_symbol_index()
    if bool(((np.diff(index) == 0) & (np.diff(frame.time_us) == 0)).any()):
        raise ValueError("two bars of the same symbol and time in one commit")
