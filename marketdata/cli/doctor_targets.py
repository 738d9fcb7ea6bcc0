"""What ``marketdata doctor`` says of targets: which are stale, since when, why, and what to do."""

from typing import Final

from rich.text import Text

from marketdata.clock import SystemClock
from marketdata.config import Settings
from marketdata.domain.ingestion_run import RunState
from marketdata.domain.staleness import StaleSeries
from marketdata.domain.time_range import from_unix_us
from marketdata.ingestion.stale_targets import StaleTargets
from marketdata.storage.address import DatabaseRoles
from marketdata.storage.ingestion.runs import RunStore
from marketdata.storage.ingestion.slot_outcomes import SlotOutcomes
from marketdata.storage.ingestion.slots import SlotReader
from marketdata.storage.ingestion.targets import TargetStore
from marketdata.storage.pools import PoolLimits, Pools

# One statement after the other.
_ONE_LOOK: Final = PoolLimits(size=1, overflow=0, stream_size=1)
# The rest is counted: one trouble makes many targets stale.
_MOST_NAMED: Final = 20


async def examine_targets(
    roles: DatabaseRoles, settings: Settings, ok: Text, problem: Text
) -> list[tuple[str, Text, str]]:
    """Find the stale targets of a database whose schema is of this release; nothing without targets.

    Raises
    ------
    DatabaseUnavailableError, QueryTimeoutError
        The database cannot answer now.
    """
    async with Pools(roles.service, _ONE_LOOK) as pools:
        targets = await TargetStore(pools).list_all()
        if not targets:
            return []
        looking = StaleTargets(
            RunStore(pools).identities,
            SlotReader(pools).active_calendars,
            SystemClock(),
            settings.schedule_times,
        )
        stale = await looking.find(targets, await SlotOutcomes(pools).read())
    if not stale:
        return [("targets", ok, f"{len(targets)}, all current")]
    found = [(f"target {one.target.name}", problem, _describe(one)) for one in stale[:_MOST_NAMED]]
    if len(stale) > _MOST_NAMED:
        text = f"{len(stale) - _MOST_NAMED} more series are stale; marketdata schedule show lists all"
        found.append(("targets", problem, text))
    return found


def _describe(stale: StaleSeries) -> str:
    timeframe = stale.series.timeframe
    what = f"{timeframe.value} bars ({stale.series.job.value})" if timeframe else stale.series.job.value
    slots = f"{stale.slots:,} slot{'s' if stale.slots > 1 else ''} due"
    since = f"{from_unix_us(stale.since_us):%Y-%m-%d %H:%M} UTC"
    return f"{what} stale since {since}, {slots}; {_why(stale)}"


def _why(stale: StaleSeries) -> str:
    last = stale.last
    watch = f"marketdata ingest watch {last.run_id}" if last else ""
    if last is None:
        return (
            "no run was started: let marketdata serve or marketdata worker run with "
            "MARKETDATA_SCHEDULE=true; where one does, its log says why (schedule_target_in_trouble)"
        )
    if last.state is RunState.FAILED:
        error = last.error.rstrip(".")
        return f"run {last.run_id} failed: {error}; {watch} says more, and the next slot goes on there"
    if last.state is RunState.CANCELLED:
        return f"run {last.run_id} was cancelled; the next slot goes on there"
    return f"run {last.run_id} is {last.state.value} still; {watch} shows what it waits for"
