"""How far a run is: noted in the transaction that stores its bars, or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from marketdata.domain.range_sets import hull
from marketdata.domain.time_range import TimeRange, from_unix_us
from marketdata.storage.commit import CommitResult
from marketdata.storage.ingestion.claims import Claim, LeaseLostError
from marketdata.storage.pools import Connection

# The claim's row is locked to COMMIT: nobody takes the run over between this check and what it guards.
# By the primary keys of all four tables.
_NOTE: Final = """
    WITH claim AS (
        UPDATE ingestion_run
           SET fetched = fetched + %(fetched)s, accepted = accepted + %(accepted)s,
               revised = revised + %(revised)s, unchanged = unchanged + %(unchanged)s,
               outranked = outranked + %(outranked)s, quarantined = quarantined + %(quarantined)s,
               flagged = flagged + %(flagged)s
         WHERE run_id = %(run_id)s AND epoch = %(epoch)s AND state = 'running'
        RETURNING run_id, provider
    ), progress AS (
        UPDATE ingestion_task AS task
           SET done_until = given.done_until, fetched = task.fetched + given.fetched,
               state = CASE WHEN given.done_until >= task.range_end THEN 'done' ELSE task.state END
          FROM claim, unnest(%(tasks)s::integer[], %(begun)s::timestamptz[],
                             %(settled)s::timestamptz[], %(done_until)s::timestamptz[],
                             %(bars)s::bigint[], %(first)s::timestamptz[], %(last)s::timestamptz[])
                      AS given (task, begun, settled, done_until, fetched, first_time, last_time)
         WHERE task.run_id = claim.run_id AND task.task = given.task
        RETURNING claim.provider, task.symbol_id, task.timeframe, given.first_time, given.last_time,
                  tstzmultirange(tstzrange(given.begun, given.settled)) AS ranges
    ), given AS (
        SELECT provider, symbol_id, timeframe, range_agg(ranges) AS ranges,
               min(first_time) AS first_time, max(last_time) AS last_time
          FROM progress GROUP BY provider, symbol_id, timeframe
    ), fetched AS (
        INSERT INTO ingestion_fetched AS known
               (provider, symbol_id, timeframe, ranges, first_time, last_time)
        SELECT provider, symbol_id, timeframe, ranges, first_time, last_time FROM given
         ORDER BY symbol_id, timeframe
        ON CONFLICT (provider, symbol_id, timeframe)
        DO UPDATE SET ranges = known.ranges + excluded.ranges,
                      deleted = known.deleted - excluded.ranges,
                      first_time = least(known.first_time, excluded.first_time),
                      last_time = greatest(known.last_time, excluded.last_time)
    ), mended AS (
        DELETE FROM ingestion_failed AS failed USING given
         WHERE (failed.provider, failed.symbol_id, failed.timeframe)
               = (given.provider, given.symbol_id, given.timeframe)
           AND failed.ranges <@ given.ranges
    ), cut_back AS (
        UPDATE ingestion_failed AS failed SET ranges = failed.ranges - given.ranges FROM given
         WHERE (failed.provider, failed.symbol_id, failed.timeframe)
               = (given.provider, given.symbol_id, given.timeframe)
           AND failed.ranges && given.ranges AND NOT failed.ranges <@ given.ranges
    )
    SELECT count(*) FROM claim
"""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a task is with what is being committed.

    Attributes
    ----------
    task : int
        Which one.
    range : TimeRange
        What is being committed; it begins where the last checkpoint ended.
    settled_us : int
        Before it the range holds final bars only, Unix microseconds: that much counts as fetched, and
        a backfill asks for the rest again.
    fetched : int
        Bars that were fetched since the last checkpoint and are accounted for.
    bars : TimeRange or None
        From the first to behind the last of those among them that may be stored; None where there
        is none.
    """

    task: int
    range: TimeRange
    settled_us: int
    fetched: int
    bars: TimeRange | None = None

    def joined(self, later: "Checkpoint") -> "Checkpoint":
        """Join this one with the next one of the same task."""
        is_settled = self.settled_us == self.range.end_us
        return Checkpoint(
            self.task,
            TimeRange(self.range.start_us, later.range.end_us),
            later.settled_us if is_settled else self.settled_us,
            self.fetched + later.fetched,
            hull([self.bars, later.bars]) if self.bars and later.bars else self.bars or later.bars,
        )


@dataclass(frozen=True, slots=True)
class SideCounts:
    """Bars of a commit that are not in its `CommitResult`, or are there as well.

    Attributes
    ----------
    quarantined : int
        Left out and kept aside.
    flagged : int
        Stored and listed.
    """

    quarantined: int = 0
    flagged: int = 0


async def note_checkpoints(
    connection: Connection,
    claim: Claim,
    checkpoints: Sequence[Checkpoint],
    result: CommitResult,
    aside: SideCounts,
) -> None:
    """Note within the transaction that stores the bars how far the run is with them.

    Parameters
    ----------
    checkpoints : sequence of Checkpoint
        At most one a task.

    Raises
    ------
    LeaseLostError
        Another process has the run; nothing may be committed.
    """
    parameters = {
        "run_id": claim.run_id,
        "epoch": claim.epoch,
        "tasks": [each.task for each in checkpoints],
        "begun": [from_unix_us(each.range.start_us) for each in checkpoints],
        "settled": [from_unix_us(each.settled_us) for each in checkpoints],
        "done_until": [from_unix_us(each.range.end_us) for each in checkpoints],
        "bars": [each.fetched for each in checkpoints],
        "first": [each.bars and from_unix_us(each.bars.start_us) for each in checkpoints],
        "last": [each.bars and from_unix_us(each.bars.end_us - 1) for each in checkpoints],
        "fetched": sum(each.fetched for each in checkpoints),
        "accepted": result.accepted,
        "revised": result.revised,
        "unchanged": result.unchanged,
        "outranked": result.outranked,
        "quarantined": aside.quarantined,
        "flagged": aside.flagged,
    }
    row = await (await connection.execute(_NOTE, parameters)).fetchone()
    if row is None or row[0] != 1:
        raise LeaseLostError
