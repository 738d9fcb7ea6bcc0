"""What providers over HTTP share, against a real server: redirects, bounds, waits, breaking, pace."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from marketdata.errors import (
    ProviderAnswerError,
    ProviderError,
    ProviderLimitError,
    ProviderUnavailableError,
)
from marketdata.providers.http.assembly import Access
from marketdata.providers.http.breaker import Breaker
from marketdata.providers.http.caller import DailyQuota, Patience, ProviderCaller
from marketdata.providers.http.client import CallBounds, HttpClient
from marketdata.providers.http.pace import Pace
from marketdata.providers.http.redaction import Redactor
from marketdata.providers.protocol import Limits
from tests.support.providers.adapters import Circumstances, NotedQuota, NotedWaits
from tests.support.providers.faults import Fault, FaultPlan, always
from tests.support.providers.played import LoopbackServer, PlayedCall, Reply, loopback

KEY = "a-key-of-24-characters++"


class Scripted:
    """Answers with what a function makes of a call."""

    def __init__(self, make: Callable[[PlayedCall], Reply]) -> None:
        self._make = make

    def reply(self, call: PlayedCall) -> Reply:
        """Answer a call."""
        return self._make(call)


@asynccontextmanager
async def calling(
    make: Callable[[PlayedCall], Reply],
    given: Circumstances,
    limits: Limits,
    breaker: Breaker | None = None,
    minute_seconds: float = 60.0,
) -> AsyncIterator[tuple[ProviderCaller, LoopbackServer]]:
    """Run a server and what calls it."""
    async with loopback(Scripted(make), given.faults) as server:
        access = Access(server.address, (KEY,), {"X-Key": KEY})
        caller = ProviderCaller(
            "played",
            HttpClient(access.address, given.bounds, given.clock, access.headers),
            pace=Pace("played", limits, given.waits, minute_seconds),
            breaker=breaker or Breaker("played"),
            waits=given.waits,
            patience=given.patience,
            redactor=Redactor(access.secrets),
            daily=DailyQuota(given.quota, "key", limits.calls_a_day) if limits.calls_a_day else None,
        )
        try:
            yield caller, server
        finally:
            await caller.aclose()


def ok(call: PlayedCall) -> Reply:
    """Answer anything."""
    del call
    return Reply(b'"fine"')


def plan_of(*faults: Fault | None) -> FaultPlan:
    """Let the first calls fail in these ways, and later ones succeed."""
    return lambda number: faults[number] if number < len(faults) else None


async def fetch(caller: ProviderCaller) -> object:
    """Make a call."""
    return await caller.call("/path", {"apikey": KEY}, lambda answer: answer.json())


async def test_call_given_redirect_within_the_host_follows_it() -> None:
    """A path that moved is found, and the key goes along."""

    def moved(call: PlayedCall) -> Reply:
        if call.path == "/new":
            return Reply(b'"moved"') if call.headers.get("x-key") == KEY else Reply(b"", 401)
        return Reply(b"", 307, headers={"Location": "/new"})

    async with calling(moved, Circumstances(), Limits()) as (caller, server):
        assert await fetch(caller) == "moved"
        assert [call.path for call in server.calls] == ["/path", "/new"]


@pytest.mark.parametrize("location", ["https://127.0.0.1/new", "//other.example/", "", "::", "/path"])
async def test_call_given_redirect_elsewhere_or_in_a_circle_ends(location: str) -> None:
    """No other host, port or scheme gets the key; a circle is left after a few steps."""

    def away(call: PlayedCall) -> Reply:
        del call
        return Reply(b"", 302, headers={"Location": location})

    given = Circumstances(patience=Patience(attempts=1))
    async with calling(away, given, Limits()) as (caller, server):
        with pytest.raises(ProviderAnswerError):
            await fetch(caller)
        assert len(server.calls) <= 4


async def test_call_given_large_body_stops_reading() -> None:
    """The bound is one of unpacked bytes: a small packed body can be a large one."""

    def large(call: PlayedCall) -> Reply:
        del call
        packed = gzip.compress(b'"' + b"0" * 3_000_000 + b'"')
        return Reply(packed, headers={"Content-Encoding": "gzip"})

    given = Circumstances(bounds=CallBounds(body_bytes=1_000_000))
    async with calling(large, given, Limits()) as (caller, _):
        with pytest.raises(ProviderAnswerError, match="larger than 1000000 bytes"):
            await fetch(caller)
    async with calling(large, Circumstances(), Limits()) as (caller, _):
        assert await fetch(caller) == "0" * 3_000_000


async def test_call_given_retry_after_waits_at_least_so_long_and_says_so() -> None:
    """The provider's own wish counts where it is longer than the usual pause."""

    def later(call: PlayedCall) -> Reply:
        return Reply(b"", 429, headers={"Retry-After": "1"}) if call.number == 0 else ok(call)

    given = Circumstances()
    async with calling(later, given, Limits()) as (caller, server):
        assert await fetch(caller) == "fine"
        assert len(server.calls) == 2
    assert given.waits.noted == [("played", "limit", 1.0)]


async def test_call_given_retry_after_beyond_patience_ends_at_once() -> None:
    """A run can do something else for an hour; it is told how long."""
    given = Circumstances(faults=always(Fault.TOO_MANY_FOR_AN_HOUR))
    async with calling(ok, given, Limits()) as (caller, server):
        with pytest.raises(ProviderLimitError) as caught:
            await fetch(caller)
        assert caught.value.retry_after_seconds == 3_600
        assert len(server.calls) == 1
    assert given.waits.noted == []


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.RESET, Fault.TRUNCATED, Fault.TOO_MANY])
async def test_call_given_passing_fault_is_made_so_often_and_no_more(fault: Fault) -> None:
    """Attempts are bounded, and each is counted in the quota before it is made."""
    given = Circumstances(faults=always(fault), patience=Patience(3, 0.001))
    async with calling(ok, given, Limits(calls_a_day=100)) as (caller, server):
        with pytest.raises(ProviderError):
            await fetch(caller)
        assert len(server.calls) == len(given.quota.taken) == 3
    again = replace(given, faults=plan_of(fault, fault), quota=NotedQuota())
    async with calling(ok, again, Limits(calls_a_day=100)) as (caller, server):
        assert await fetch(caller) == "fine"
        assert len(server.calls) == len(again.quota.taken) == 3


async def test_call_given_quota_that_fails_makes_no_call() -> None:
    """What could not be counted is not made."""
    given = Circumstances(quota=NotedQuota(most=0))
    async with calling(ok, given, Limits(calls_a_day=5)) as (caller, server):
        with pytest.raises(ProviderLimitError):
            await fetch(caller)
        assert server.calls == []


async def test_call_given_failures_in_a_row_leaves_the_provider_alone() -> None:
    """Open, it makes no calls and says for how long; then one tries, and all is well again."""
    down = [True]
    given = Circumstances(
        faults=lambda _: Fault.SERVER_ERROR if down[0] else None, patience=Patience(2, 0.001)
    )
    breaker = Breaker("played", failures=4, open_seconds=1.0)
    async with calling(ok, given, Limits(), breaker) as (caller, server):
        for _ in range(2):
            with pytest.raises(ProviderUnavailableError, match="HTTP 500"):
                await fetch(caller)
        with pytest.raises(ProviderUnavailableError, match="left alone") as caught:
            await fetch(caller)
        assert 0 < (caught.value.retry_after_seconds or 0) <= 1.0
        assert len(server.calls) == 4
        down[0] = False
        await asyncio.sleep(1.05)
        assert await fetch(caller) == "fine"
        assert await fetch(caller) == "fine"


async def test_breaker_given_time_up_lets_one_call_try() -> None:
    """The others stay refused until that one has an answer."""
    breaker = Breaker("played", failures=1, open_seconds=0.5)
    breaker.note_failure()
    with pytest.raises(ProviderUnavailableError):
        breaker.check()
    await asyncio.sleep(0.55)
    breaker.check()
    with pytest.raises(ProviderUnavailableError):
        breaker.check()
    breaker.note_answer()
    breaker.check()
    assert not breaker.is_open


async def test_breaker_given_wrong_requests_stays_closed() -> None:
    """Who answers that the key is wrong is not down."""
    given = Circumstances(faults=always(Fault.KEY_REFUSED))
    breaker = Breaker("played", failures=1)
    async with calling(ok, given, Limits(), breaker) as (caller, server):
        for _ in range(3):
            with pytest.raises(ProviderError):
                await fetch(caller)
        assert len(server.calls) == 3
    assert not breaker.is_open


async def test_pace_given_more_calls_than_a_minute_allows_waits_and_says_so() -> None:
    """No stretch of a minute has more calls than the limit, wherever it begins."""
    limits, waits, minute = Limits(calls_a_minute=20, calls_at_once=50), NotedWaits(), 0.5
    pace = Pace("played", limits, waits, minute)
    times: list[float] = []

    async def one() -> None:
        async with pace.turn():
            times.append(asyncio.get_running_loop().time())

    await asyncio.gather(*(one() for _ in range(45)))
    # A timer of the loop may fire a clock tick early, so a stretch is taken that much shorter.
    for start in times:
        assert sum(start <= time < start + minute * 0.98 for time in times) <= 20
    assert {(name, reason) for name, reason, _ in waits.noted} == {("played", "rate_limit")}
    assert max(seconds for *_, seconds in waits.noted) > minute


async def test_pace_given_cancelled_waiter_lets_the_others_go_on() -> None:
    """Whoever leaves the queue takes nobody's turn along."""
    pace = Pace("played", Limits(calls_a_minute=10, calls_at_once=1), NotedWaits(), 0.2)

    async def one() -> None:
        async with pace.turn():
            await asyncio.sleep(0)

    waiting = [asyncio.create_task(one()) for _ in range(6)]
    await asyncio.sleep(0.01)
    waiting[2].cancel()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results].count(asyncio.CancelledError) == 1
    assert results.count(None) == 5
