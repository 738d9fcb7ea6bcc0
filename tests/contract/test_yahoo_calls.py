"""Calls of the provider `yahoo`: what they cost, how they fail, and what they leave behind."""

import asyncio
import threading
from datetime import date

import pytest
from yfinance import cache

from marketdata.errors import (
    ProviderAnswerError,
    ProviderLimitError,
    ProviderSymbolError,
    ProviderUnavailableError,
)
from marketdata.providers.http.caller import Patience
from marketdata.providers.yahoo import transport
from marketdata.providers.yahoo.session import SiteAnswer
from tests.support.providers.asking import is_true
from tests.support.providers.faults import Fault, always, at_call
from tests.support.providers.yahoo.played import (
    AAPL,
    apple,
    played_yahoo,
)
from tests.support.waiting import until


async def test_calls_given_a_429_that_stays_raise_once_and_then_leave_yahoo_alone() -> None:
    """Rule 25: asked once more, for once can be chance; then not before it may answer again."""
    async with played_yahoo(apple(), always(Fault.TOO_MANY)) as played:
        for _ in range(3):
            with pytest.raises(ProviderLimitError) as refusal:
                await played.provider.fetch_actions(AAPL, date(2012, 3, 1), date(2013, 3, 1))

        assert len(played.server.calls) == 2
    assert 800 < (refusal.value.retry_after_seconds or 0) <= 900


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.RESET, Fault.TRUNCATED, Fault.DRIP])
async def test_calls_given_a_site_that_fails_end_unavailable(fault: Fault) -> None:
    """Whatever it does instead, the error is ours and holds no crumb; closed, no connection is left."""
    stocks = apple()
    async with played_yahoo(
        stocks, always(fault), timeout_seconds=0.3, patience=Patience(2, 0.002)
    ) as played:
        with pytest.raises(ProviderUnavailableError) as failure:
            await played.provider.fetch_actions(AAPL, date(2012, 3, 1), date(2013, 3, 1))
        await played.provider.aclose()
        await until(lambda: is_true(played.server.open_connections() == 0), seconds=5)

    assert "crumb" not in failure.value.message


async def test_calls_given_a_site_that_lets_nobody_in_say_so() -> None:
    """401 is not about a key: there is none."""
    stocks = apple()
    async with played_yahoo(stocks, always(Fault.KEY_REFUSED)) as played:
        with pytest.raises(ProviderUnavailableError, match="lets nobody in"):
            await played.provider.fetch_actions(AAPL, date(2012, 3, 1), date(2013, 3, 1))


async def test_calls_given_an_answer_without_end_refuse_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """More bytes than any true answer has are not kept, and not asked for again and again."""
    monkeypatch.setattr(transport, "_MOST_BYTES", 1_000)
    async with played_yahoo(apple(), patience=Patience(2, 0.002)) as played:
        with pytest.raises(ProviderAnswerError, match="more than 1000 bytes"):
            await played.provider.fetch_actions(AAPL, date(2012, 3, 1), date(2013, 3, 1))

        assert len(played.server.calls) == 2


async def test_calls_given_a_failure_once_end_in_the_answer() -> None:
    """It is asked for once more; yfinance does not do so on top of it (rule 25)."""
    async with played_yahoo(apple(), at_call(0, Fault.SERVER_ERROR)) as played:
        actions = await played.provider.fetch_actions(AAPL, date(2005, 1, 1), date(2006, 1, 1))

        assert len(played.server.calls) == 2
    assert [action.split_ratio for action in actions] == [2.0]


async def test_calls_given_threads_leave_the_event_loop_to_others() -> None:
    """While a call waits for the site, the loop goes on: it beats, and the call is elsewhere."""
    release = asyncio.Event()
    sides: set[int] = set()
    beats = 0

    async with played_yahoo(apple()) as played:
        asked = played.client._ask

        def held(path: str, parameters: dict[str, str], stop: threading.Event) -> SiteAnswer:
            sides.add(threading.get_ident())
            asyncio.run_coroutine_threadsafe(release.wait(), loop).result()
            return asked(path, parameters, stop)

        loop = asyncio.get_running_loop()
        played.client._ask = held  # type: ignore[method-assign]
        call = asyncio.create_task(
            played.provider.fetch_actions(AAPL, date(2005, 1, 1), date(2006, 1, 1))
        )
        while not sides or beats < 1_000:
            await asyncio.sleep(0)
            beats += 1
        assert not call.done()
        release.set()
        assert len(await call) == 1
    assert threading.get_ident() not in sides


async def test_calls_given_a_cancellation_end_at_once_and_leave_no_thread() -> None:
    """The caller does not wait for the site; its thread ends with the next bytes, not the timeout."""
    async with played_yahoo(apple(), always(Fault.DRIP), timeout_seconds=60) as played:
        call = asyncio.create_task(
            played.provider.fetch_actions(AAPL, date(2005, 1, 1), date(2006, 1, 1))
        )
        await until(lambda: is_true(bool(played.server.calls)))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda: is_true(played.server.open_connections() == 0))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("yahoo")]


async def test_calls_given_a_failure_write_nothing_to_stderr_nor_into_the_users_folders(
    capfd: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its cache of cookies is a pickle in a folder of the user's: it is not used."""
    folder = tmp_path_factory.mktemp("cache") / "yfinance"
    cache.set_cache_location(str(folder))
    async with played_yahoo({}) as played:
        with pytest.raises(ProviderSymbolError):
            await played.provider.fetch_actions(AAPL, date(2005, 1, 1), date(2006, 1, 1))

    assert not folder.exists()
    assert capfd.readouterr() == ("", "")
