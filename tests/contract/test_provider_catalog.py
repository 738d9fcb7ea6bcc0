"""The catalog as the service has it: keys and addresses from its options; closed, it leaves nothing."""

from contextlib import AsyncExitStack

import pytest

from marketdata.clock import ManualClock
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ProviderAnswerError
from marketdata.providers.options import ProviderOptions
from marketdata.providers.registry import build_providers
from tests.support.providers.adapters import Circumstances, NotedQuota, NotedWaits
from tests.support.providers.alpha_vantage.side import KEY, AlphaVantageDialect
from tests.support.providers.asking import WEEKEND, ask, check_cover, is_true, short
from tests.support.providers.faults import never
from tests.support.providers.iex.alpaca_side import ALPACA, KEY_ID, SECRET, AlpacaDialect
from tests.support.providers.iex.tiingo_side import TOKEN, TiingoDialect
from tests.support.providers.played import PlayedCall, Reply, loopback
from tests.support.providers.truth import AAPL, NOW_US, truth
from tests.support.sessions import local_us
from tests.support.waiting import until


async def test_catalog_given_options_reaches_each_provider_and_closes_all() -> None:
    """Each has its own key at its own address, also under the name iex; nothing stays open."""
    async with AsyncExitStack() as stack:
        dialects = [
            AlphaVantageDialect(truth()),
            AlpacaDialect(truth(), 1_000),
            TiingoDialect(truth()),
        ]
        servers = [await stack.enter_async_context(loopback(each, never)) for each in dialects]
        options = ProviderOptions(
            alpha_vantage_api_key=KEY,
            alpha_vantage_calls_a_day=0,
            alpha_vantage_url=servers[0].address,
            alpaca_key_id=KEY_ID,
            alpaca_secret_key=SECRET,
            alpaca_url=servers[1].address,
            tiingo_token=TOKEN,
            tiingo_url=servers[2].address,
        )
        quota = NotedQuota()
        providers = build_providers(options, quota, NotedWaits(), ManualClock(NOW_US))
        stack.push_async_callback(providers.aclose)
        wanted = short(Timeframe.MINUTE_1)
        for name in ("alpha_vantage", "alpaca", "tiingo", "iex"):
            answer = await ask(providers.get(name), AAPL, Timeframe.MINUTE_1, wanted)
            assert len(answer.frame)
        # Four days: a month, two pages (and two for iex), and two times two days.
        assert [len(server.calls) for server in servers] == [1, 4, 2]
        # A premium key has no calls a day to count.
        assert not quota.taken
        await providers.aclose()
        await until(lambda: is_true(not any(server.open_connections() for server in servers)))


async def test_alpha_vantage_given_range_before_2000_asks_only_for_what_there_is() -> None:
    """Its minutes begin with that year: months before it would be refused like an unknown symbol."""
    wanted = TimeRange(local_us("1999-10-05 00:00"), local_us("2000-01-01 00:00"))
    async with loopback(AlphaVantageDialect(truth()), never) as server:
        options = ProviderOptions(alpha_vantage_api_key=KEY, alpha_vantage_url=server.address)
        providers = build_providers(options, NotedQuota(), NotedWaits(), ManualClock(NOW_US))
        answer = await ask(providers.get("alpha_vantage"), AAPL, Timeframe.MINUTE_1, wanted)
        assert answer.pages[-1].range.end_us == wanted.end_us
        assert not len(answer.frame)
        assert not server.calls
        await providers.aclose()


async def test_tiingo_given_weekend_makes_no_calls() -> None:
    """Calls an hour are few, and nothing was traded."""
    async with loopback(TiingoDialect(truth()), never) as server:
        options = ProviderOptions(tiingo_token=TOKEN, tiingo_url=server.address)
        providers = build_providers(options, NotedQuota(), NotedWaits(), ManualClock(NOW_US))
        answer = await ask(
            providers.get("tiingo"), AAPL, Timeframe.MINUTE_1, WEEKEND[Timeframe.MINUTE_1]
        )
        check_cover(answer)
        assert not server.calls
        await providers.aclose()


async def test_alpaca_actions_given_pages_in_a_circle_are_refused() -> None:
    """What leads back to a page of before is no end: actions behind it may be missing."""

    class Circle(AlpacaDialect):
        def reply(self, call: PlayedCall) -> Reply:
            """Give the same token for ever."""
            del call
            return Reply(b'{"corporate_actions": {}, "next_page_token": "again"}')

    given = Circumstances()
    async with loopback(Circle(truth(), 1), never) as server:
        options = ProviderOptions(
            alpaca_key_id=KEY_ID, alpaca_secret_key=SECRET, alpaca_url=server.address
        )
        providers = build_providers(options, given.quota, given.waits, given.clock)
        known = truth().actions["AAPL"]
        with pytest.raises(ProviderAnswerError, match="leads back"):
            await providers.get(ALPACA.name).fetch_actions(AAPL, known[0].ex_date, known[-1].ex_date)
        await providers.aclose()
