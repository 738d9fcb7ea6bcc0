"""Calls of a day: never more than there are, whoever asks, and however often the service starts."""

import asyncio
from contextlib import AsyncExitStack
from typing import Final

import pytest

from marketdata.clock import ManualClock
from marketdata.domain.company import CompanyFacts
from marketdata.errors import ProviderLimitError
from marketdata.providers.alpha_vantage.adapter import AlphaVantageProvider
from marketdata.providers.alpha_vantage.plan import Plan
from marketdata.providers.http.assembly import Surroundings
from marketdata.providers.registry import QUOTA_ZONES
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.pools import PoolLimits, Pools
from marketdata.storage.provider_quota import ProviderQuotas
from tests.support.providers.adapters import NotedWaits
from tests.support.providers.alpha_vantage.side import KEY, AlphaVantageDialect
from tests.support.providers.faults import never
from tests.support.providers.played import loopback
from tests.support.providers.truth import AAPL, NOW_US, truth
from tests.support.rows import fetch
from tests.support.storage import Storage

MOST: Final = 25
NEW_YORK: Final = {"alpha_vantage": "America/New_York"}
# The longest day of New York: the one on which its clocks go back.
LONGEST_DAY_SECONDS: Final = 25 * 3_600


async def granted(quotas: ProviderQuotas, key_id: str = "one", most: int = MOST) -> bool:
    """Ask for a call."""
    try:
        await quotas.take("alpha_vantage", key_id, most)
    except ProviderLimitError:
        return False
    return True


async def calls(storage: Storage) -> list[tuple[object, ...]]:
    """List what is counted, by key."""
    return await fetch(storage, "SELECT key_id, calls FROM provider_quota ORDER BY key_id, day")


@pytest.mark.modes("plain", "apache", reason="two transactions at once")
async def test_take_given_two_processes_at_once_grants_the_limit_and_no_more(
    storage: Storage, database: ServerAddress
) -> None:
    """Each has pools of its own; what both are granted together is the limit, exactly."""
    async with AsyncExitStack() as stack:
        quotas = [
            ProviderQuotas(
                await stack.enter_async_context(Pools(database.for_service, PoolLimits(4, 0, 1))),
                NEW_YORK,
            )
            for _ in range(2)
        ]
        grants = await asyncio.gather(*(granted(quotas[n % 2]) for n in range(3 * MOST)))
    assert sum(grants) == MOST
    assert await calls(storage) == [("one", MOST)]


async def test_take_given_restart_goes_on_counting(storage: Storage, database: ServerAddress) -> None:
    """What was granted before a restart is not granted anew."""
    for starts in range(3):
        async with Pools(database.for_service, PoolLimits(1, 0, 1)) as pools:
            grants = [await granted(ProviderQuotas(pools, NEW_YORK)) for _ in range(10)]
        assert sum(grants) == (10 if starts < 2 else MOST - 20)
    assert await calls(storage) == [("one", MOST)]


async def test_take_given_used_up_day_says_when_the_next_begins(storage: Storage) -> None:
    """The error names the zone, and the time to its midnight; the key of another account goes on."""
    quotas = ProviderQuotas(storage.pools, NEW_YORK)
    assert await granted(quotas, most=1)
    with pytest.raises(ProviderLimitError, match="America/New_York") as caught:
        await quotas.take("alpha_vantage", "one", 1)
    assert 0 < (caught.value.retry_after_seconds or 0) <= LONGEST_DAY_SECONDS
    assert await granted(quotas, "other", most=1)
    ((midnight,),) = await fetch(
        storage,
        "SELECT abs(extract(epoch FROM ((now() AT TIME ZONE 'America/New_York')::date + 1)::timestamp"
        " AT TIME ZONE 'America/New_York' - now() - make_interval(secs => %s))) < 60",
        [caught.value.retry_after_seconds],
    )
    assert midnight


async def test_take_given_next_day_begins_anew(storage: Storage) -> None:
    """Calls of yesterday do not count."""
    quotas = ProviderQuotas(storage.pools, NEW_YORK)
    assert [await granted(quotas, most=2) for _ in range(3)] == [True, True, False]
    await fetch(storage, "UPDATE provider_quota SET day = day - 1 RETURNING day")
    assert [await granted(quotas, most=2) for _ in range(3)] == [True, True, False]
    assert await calls(storage) == [("one", 2), ("one", 2)]


async def test_take_given_no_calls_at_all_grants_none(storage: Storage) -> None:
    """A limit of none counts nothing."""
    assert not await granted(ProviderQuotas(storage.pools, NEW_YORK), most=0)
    assert await calls(storage) == []


@pytest.mark.modes("plain", "apache", reason="two transactions at once")
async def test_calls_given_two_services_and_one_key_reach_the_provider_no_more_often(
    database: ServerAddress,
) -> None:
    """Two adapters, each of a process with pools of its own: the provider counts for itself."""
    async with (
        loopback(AlphaVantageDialect(truth(), is_free=True), never) as server,
        AsyncExitStack() as stack,
    ):
        adapters = []
        for _ in range(2):
            limits = PoolLimits(4, 0, 1)
            pools = await stack.enter_async_context(Pools(database.for_service, limits))
            around = Surroundings(ProviderQuotas(pools, QUOTA_ZONES), NotedWaits(), ManualClock(NOW_US))
            adapter = AlphaVantageProvider(KEY, Plan(7, 60_000), around, server.address)
            stack.push_async_callback(adapter.aclose)
            adapters.append(adapter)
        asked = [adapters[n % 2].fetch_company(AAPL) for n in range(20)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        kinds = [type(answer) for answer in answers]
        assert kinds.count(CompanyFacts) == len(server.calls) == 7
        assert kinds.count(ProviderLimitError) == 13
