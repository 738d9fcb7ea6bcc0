"""Writers of bars that also pause, roll back, are refused inside COMMIT, and are cut off."""

import asyncio
from typing import Final

import numpy as np
import psycopg

from marketdata.domain.bars import BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.storage import commit_few
from marketdata.storage.change_log import committed_seq
from marketdata.storage.stripes import lock_stripes
from tests.support.bars import Bar, days, frame_of
from tests.support.storage import Storage

DAY: Final = Timeframe.DAY_1
START_US: Final = days(20_000)
WRITERS: Final = 16
WRITES: Final = 15
SYMBOLS: Final = tuple(f"S{number}" for number in range(6))
# Of the writes: commit, commit after a pause under the locks, rolled back by the writer, refused by
# the database inside COMMIT, cut off by the end of the writer's task. The last three are 20%.
OUTCOMES: Final = ("commits", "pauses", "rolls back", "is refused", "is cancelled")
SHARES: Final = (0.4, 0.4, 0.08, 0.06, 0.06)
# Runs inside COMMIT, after the trigger that takes the seq: the number has to be given back.
REFUSE: Final = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF current_setting('tests.outcome', true) = 'is refused' THEN
            RAISE EXCEPTION 'refused';
        END IF;
        RETURN NULL;
    END
    $$;
    CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON bar_change
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
"""


class Writer:
    """One of the writers, with a random stream of its own."""

    def __init__(self, storage: Storage, number: int) -> None:
        self._storage = storage
        self._number = number
        self._rng = np.random.default_rng(number)
        self.seqs: list[int] = []

    async def run(self) -> None:
        """Make all writes; keep the seq of every one that was acknowledged."""
        for write in range(WRITES):
            outcome = str(self._rng.choice(OUTCOMES, p=SHARES))
            frame = frame_of(
                [
                    Bar(symbol, START_US + days(write), volume=float(self._rng.integers(1_000_000)))
                    for symbol in self._rng.choice(SYMBOLS, 2, replace=False).tolist()
                ]
            )
            if outcome == "commits":
                self.seqs.append((await self._storage.writer.commit_bars(frame, DAY)).seq)
            else:
                await self._write_slowly(frame, outcome)
            await self._pause()

    async def _write_slowly(self, frame: BarFrame, outcome: str) -> None:
        task = asyncio.create_task(self._transact(frame.sorted_by_symbol_time(), outcome))
        if outcome == "is cancelled":
            await self._pause()
            task.cancel()
        try:
            seq = await task
        except asyncio.CancelledError:
            assert outcome == "is cancelled"
        except psycopg.errors.RaiseException:
            assert outcome == "is refused"
        else:
            assert outcome != "is refused"
            self.seqs.extend([seq] if seq else [])

    async def _transact(self, frame: BarFrame, outcome: str) -> int:
        """Run the statements of `commit_few` with a pause while the stripes are held."""
        rolls_back = outcome == "rolls back"
        await self._storage.partitions.ensure(DAY, frame.time_us)
        async with self._storage.pools.query() as connection:
            async with connection.transaction(force_rollback=rolls_back):
                await connection.execute("SELECT set_config('tests.outcome', %s, true)", [outcome])
                await lock_stripes(connection, frame.symbols, DAY)
                _, write_id = await commit_few._classify_and_write(connection, frame, DAY)
                await self._pause()
            return 0 if rolls_back else await committed_seq(connection, write_id)

    async def _pause(self) -> None:
        await asyncio.sleep(self._rng.exponential(0.003))
