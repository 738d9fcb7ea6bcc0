"""What became of the slots of the schedule: by the runs that executed them."""

from datetime import datetime
from typing import Final

from marketdata.domain.ingestion_run import RunState
from marketdata.domain.staleness import SeriesOutcome, SlotRunEnd
from marketdata.domain.time_range import to_unix_us
from marketdata.storage.pools import Pools

# Once over all runs that are kept: people ask, and not often. Names are those of domain/slot_runs.py:
# a slot may have several runs, whose names go on behind its own; those that fill single gaps of it do
# not tell whether it is done.
_OUTCOMES: Final = r"""
    SELECT DISTINCT ON (prefix, state = 'succeeded') prefix, nominal, run_id, state, error
      FROM (SELECT run_id, state, error, part[1] AS prefix, part[2] AS nominal
              FROM ingestion_run,
                   regexp_match(request_id,
                                '^(slot/\d+/(?:[^/]+/){1,2})(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)(?:/\d+)?$')
                       AS part
             WHERE request_id LIKE 'slot/%%' AND part IS NOT NULL) AS of_slot
     ORDER BY prefix, state = 'succeeded', nominal DESC, run_id DESC
"""


class SlotOutcomes:
    """Reads what became of slots.

    Parameters
    ----------
    pools : Pools
        Connections.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def read(self) -> dict[str, SeriesOutcome]:
        """Tell the newest success, and the newest run that is none, by the prefix of each series.

        Raises
        ------
        DatabaseUnavailableError, QueryTimeoutError
            The database cannot answer now.
        """
        async with self._pools.query() as connection:
            rows = await (await connection.execute(_OUTCOMES, {})).fetchall()
        succeeded: dict[str, int] = {}
        others: dict[str, SlotRunEnd] = {}
        for prefix, nominal, run_id, label, error in rows:
            nominal_us, state = to_unix_us(datetime.fromisoformat(nominal)), RunState(label)
            if state is RunState.SUCCEEDED:
                succeeded[prefix] = nominal_us
            else:
                others[prefix] = SlotRunEnd(run_id, nominal_us, state, error)
        return {
            prefix: SeriesOutcome(succeeded.get(prefix), others.get(prefix))
            for prefix in succeeded.keys() | others.keys()
        }
