"""What a provider waits for, told with each renewal of a claim, by whoever executes the run."""

from datetime import timedelta

import pytest

from marketdata.domain.ingestion_run import ProviderWait, RunState
from marketdata.storage.ingestion.claims import RunClaims
from tests.support.ingesting import backfill, ingesting
from tests.support.scripted_provider import ScriptedProvider
from tests.support.storage import Storage
from tests.support.symbols import create_symbols

LONG = ProviderWait("alpaca", "rate_limit", 59.125)
SHORT = ProviderWait("alpaca", "retry", 2.0)


async def test_renewal_given_waits_is_what_everybody_sees_until_the_next(storage: Storage) -> None:
    """They stand with the run, in their order; the next renewal replaces them, also by none."""
    await create_symbols(storage, "A")
    runs = ingesting(storage, ScriptedProvider({})).ingestion
    run = await runs.starter.start(backfill("A"))
    claims = RunClaims(storage.pools, "one", timedelta(hours=1))
    claim = await claims.claim()
    assert claim is not None
    assert (await runs.runs.get(run.run_id)).waits == ()
    for waits in ((LONG, SHORT), (SHORT,), (), (LONG,)):
        assert not await claims.renew(claim, waits)
        assert (await runs.runs.get(run.run_id)).waits == waits
        assert [listed.waits for listed in await runs.runs.list_page(None, 10)] == [waits]


@pytest.mark.parametrize("goes_on", [True, False])
async def test_waits_given_run_that_is_taken_over_or_ends_are_gone(
    storage: Storage,
    goes_on: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    """Nobody waits any more for what another process waited for, nor when a run is over."""
    await create_symbols(storage, "A")
    runs = ingesting(storage, ScriptedProvider({})).ingestion
    run = await runs.starter.start(backfill("A"))
    claims = RunClaims(storage.pools, "one", timedelta(hours=1))
    claim = await claims.claim()
    assert claim is not None
    await claims.renew(claim, [LONG])
    if goes_on:
        await claims.release(claim)
        assert await RunClaims(storage.pools, "two", timedelta(hours=1)).claim() is not None
    else:
        await claims.finish(claim, RunState.FAILED, "stopped")
    assert (await runs.runs.get(run.run_id)).waits == ()
