"""How far a run without bars is: noted in the transaction that stores its facts, or not at all."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from marketdata.domain.ingestion_run import IngestionMode, OpenReference
from marketdata.storage.ingestion.claims import Claim, LeaseLostError
from marketdata.storage.pools import Connection, Pools

# The claim's row is locked to COMMIT: nobody takes the run over between this check and what it guards.
# By the primary keys.
_NOTE: Final = """
    WITH claim AS (
        UPDATE ingestion_run
           SET fetched = fetched + %(fetched)s, accepted = accepted + %(accepted)s,
               revised = revised + %(revised)s, unchanged = unchanged + %(unchanged)s,
               outranked = outranked + %(outranked)s
         WHERE run_id = %(run_id)s AND epoch = %(epoch)s AND state = 'running'
        RETURNING run_id
    ), progress AS (
        UPDATE ingestion_task AS task
           SET done_until = range_end, state = 'done', fetched = %(fetched)s, error = %(remarks)s
          FROM claim WHERE task.run_id = claim.run_id AND task.task = %(task)s
    )
    SELECT count(*) FROM claim
"""
_CHECK: Final = """
    SELECT run_id FROM ingestion_run
     WHERE run_id = %(run_id)s AND epoch = %(epoch)s AND state = 'running' FOR SHARE
"""
_FETCHED: Final = """
    INSERT INTO reference_fetched AS known (provider, symbol_id, kind, fetched_on)
    VALUES (%(provider)s, %(symbol_id)s, %(kind)s, %(fetched_on)s)
    ON CONFLICT (provider, symbol_id, kind)
    DO UPDATE SET fetched_on = greatest(known.fetched_on, excluded.fetched_on)
"""
# By the primary key.
_KNOWN: Final = """
    SELECT symbol_id, fetched_on FROM reference_fetched
     WHERE provider = %(provider)s AND kind = %(kind)s AND symbol_id = ANY (%(symbol_ids)s)
"""
# A person reads them, as the remarks of bars.
_MOST_CHARACTERS: Final = 2_000


@dataclass(frozen=True, slots=True)
class ReferenceNote:
    """What became of a task.

    Attributes
    ----------
    fetched, accepted, revised, unchanged, outranked : int
        Facts that were told; stored for the first time, corrected, known already, and left out.
    remarks : tuple of str
        What a person should know.
    fetched_on : date or None
        The day up to which the provider has now told everything; None: it has not.
    """

    fetched: int
    accepted: int
    revised: int
    unchanged: int
    outranked: int = 0
    remarks: tuple[str, ...] = ()
    fetched_on: date | None = None


async def note_reference(
    connection: Connection, claim: Claim, task: OpenReference, note: ReferenceNote
) -> None:
    """Note within the transaction that stores the facts of a task that it is done.

    Raises
    ------
    LeaseLostError
        Another process has the run; nothing may be committed.
    """
    parameters = {
        "run_id": claim.run_id,
        "epoch": claim.epoch,
        "task": task.task,
        "fetched": note.fetched,
        "accepted": note.accepted,
        "revised": note.revised,
        "unchanged": note.unchanged,
        "outranked": note.outranked,
        "remarks": "; ".join(note.remarks)[:_MOST_CHARACTERS],
    }
    row = await (await connection.execute(_NOTE, parameters)).fetchone()
    if row is None or row[0] != 1:
        raise LeaseLostError
    if note.fetched_on is not None:
        fetched = {
            "provider": claim.provider,
            "symbol_id": task.symbol_id,
            "kind": claim.mode.value,
            "fetched_on": note.fetched_on,
        }
        await connection.execute(_FETCHED, fetched)


async def check_claim(connection: Connection, claim: Claim) -> None:
    """Keep the run this process's own up to the end of the transaction.

    Raises
    ------
    LeaseLostError
        Another process has the run; nothing may be committed.
    """
    parameters = {"run_id": claim.run_id, "epoch": claim.epoch}
    if await (await connection.execute(_CHECK, parameters)).fetchone() is None:
        raise LeaseLostError


async def read_fetched_on(
    pools: Pools, provider: str, mode: IngestionMode, symbol_ids: list[int]
) -> dict[int, date]:
    """Tell up to which day a provider has told everything, by symbol_id; the others are left out."""
    parameters = {"provider": provider, "kind": mode.value, "symbol_ids": symbol_ids}
    async with pools.query() as connection:
        return dict(await (await connection.execute(_KNOWN, parameters)).fetchall())
