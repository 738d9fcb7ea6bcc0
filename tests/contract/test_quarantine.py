"""The quarantine through the service: listed, released and dropped by RPCs and client."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from datetime import date
from typing import Any, Final

import pytest
from bifrost.marketdata.v1 import quarantine_pb2 as messages
from bifrost.marketdata.v1 import timeframe_pb2

from marketdata.client import (
    IngestionMode,
    MarketDataClient,
    QualityRule,
    QuarantineFilter,
    QuarantineState,
    RunState,
    Severity,
    SyncMarketDataClient,
)
from marketdata.domain.symbol import NewSymbol
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import InvalidRequestError
from marketdata.storage.embedded import ServerAddress
from tests.contract.refusals import refusal_of
from tests.contract.service import CALL_SECONDS, Service, serving, state
from tests.support.ingesting import days
from tests.support.quality import scaled
from tests.support.quarantined import NOT_FINITE, bar
from tests.support.rows import stored_bars
from tests.support.scripted_provider import OneProvider, ScriptedProvider
from tests.support.storage import Storage

MINUTES_5: Final = timeframe_pb2.TIMEFRAME_5_MINUTES
OPEN: Final = messages.QUARANTINE_STATE_OPEN
RELEASED: Final = messages.QUARANTINE_STATE_RELEASED
DROPPED: Final = messages.QUARANTINE_STATE_DROPPED
GOOD: Final = {"reason": "sure"}


async def listed(service: Service, **fields: Any) -> list[Any]:
    """List all pages, two bars each."""
    request = messages.ListQuarantinedBarsRequest(
        page_size=2, filter=messages.QuarantineFilter(**fields)
    )
    bars: list[Any] = []
    while True:
        page = await service.ingestion.ListQuarantinedBars(request, timeout=CALL_SECONDS)
        bars += page.bars
        request.page_token = page.next_page_token
        if not request.page_token:
            return bars


async def test_list_given_bars_returns_them_with_rules_and_remedies(
    quarantining: Service,
) -> None:
    """Every value as the provider had it, NaN too, and what to do about each rule."""
    found = await listed(quarantining)
    assert [one.quarantine_id for one in found] == [3, 2, 1]
    invalid = found[0]
    assert math.isnan(invalid.close)
    assert (invalid.open, invalid.volume, invalid.trade_count) == (10.0, 100.0, -1)
    assert list(invalid.rules) == [rule.name for rule in NOT_FINITE]
    assert list(invalid.remedies) == [rule.description for rule in NOT_FINITE]
    assert invalid.severity == messages.QUARANTINE_SEVERITY_INVALID
    assert (invalid.symbol, invalid.provider, invalid.feed) == ("A", "sample", "sample/eod")
    assert invalid.time.ToMicroseconds() == bar(day=3).time_us
    assert (invalid.detail, invalid.state, invalid.run_id) == ("closes at 100", OPEN, 0)
    assert invalid.quarantine_time.ToMicroseconds() > 0
    assert not invalid.HasField("decide_time")


async def test_list_given_filters_returns_only_these(quarantining: Service) -> None:
    """Over pages; a token is good for its own filter only."""
    assert [one.quarantine_id for one in await listed(quarantining, rule="SPIKE")] == [2]
    assert await listed(quarantining, symbol="B") == []
    assert (
        len(await listed(quarantining, severity=messages.QUARANTINE_SEVERITY_REJECT, state=OPEN)) == 1
    )
    request = messages.ListQuarantinedBarsRequest(page_size=2)
    page = await quarantining.ingestion.ListQuarantinedBars(request, timeout=CALL_SECONDS)
    other = messages.ListQuarantinedBarsRequest(
        page_token=page.next_page_token, filter=messages.QuarantineFilter(symbol="A")
    )
    refusal = await refusal_of(quarantining.ingestion.ListQuarantinedBars(other, timeout=CALL_SECONDS))
    assert refusal.violations == {("page_token", "INVALID_PAGE_TOKEN")}


async def test_list_given_everything_wrong_says_it_at_once(service: Service) -> None:
    """Every violation of a request in one answer."""
    request = messages.ListQuarantinedBarsRequest(
        page_size=-1,
        page_token="x",  # noqa: S106 -- a token of a page
        filter=messages.QuarantineFilter(
            symbol="a b", timeframe=MINUTES_5, rule="NO", run_id=-1, state=9, severity=9  # type: ignore[arg-type]
        ),
    )  # fmt: skip
    refusal = await refusal_of(service.ingestion.ListQuarantinedBars(request, timeout=CALL_SECONDS))
    assert refusal.violations == {
        ("page_size", "NEGATIVE"),
        ("page_token", "INVALID_PAGE_TOKEN"),
        ("filter.symbol", "MALFORMED_SYMBOL"),
        ("filter.timeframe", "NOT_STORED"),
        ("filter.rule", "UNKNOWN_RULE"),
        ("filter.run_id", "INVALID"),
        ("filter.state", "UNKNOWN_STATE"),
        ("filter.severity", "UNKNOWN_SEVERITY"),
    }


BAD_DECISIONS: Final[dict[str, tuple[dict[str, Any], set[tuple[str, str]]]]] = {
    "nothing chosen": (GOOD, {("filter", "REQUIRED")}),
    "an empty filter": (
        {**GOOD, "filter": messages.QuarantineFilter()},
        {("filter", "REQUIRED")},
    ),
    "only the state": (
        {**GOOD, "filter": messages.QuarantineFilter(state=OPEN)},
        {("filter", "REQUIRED")},
    ),
    "decided ones": (
        {**GOOD, "filter": messages.QuarantineFilter(symbol="A", state=DROPPED)},
        {("filter.state", "NOT_OPEN")},
    ),
    "both": (
        {**GOOD, "quarantine_ids": [1], "filter": messages.QuarantineFilter(symbol="A")},
        {("filter", "AMBIGUOUS")},
    ),
    "too many numbers": (
        {**GOOD, "quarantine_ids": range(1, 1_002)},
        {("quarantine_ids", "TOO_MANY")},
    ),
    "everything": (
        {
            "quarantine_ids": [0, 5, 5],
            "filter": messages.QuarantineFilter(rule="NO"),
            "limit": -1,
            "reason": "x" * 201,
        },
        {
            ("quarantine_ids[0]", "INVALID"),
            ("quarantine_ids[2]", "DUPLICATE"),
            ("filter", "AMBIGUOUS"),
            ("filter.rule", "UNKNOWN_RULE"),
            ("limit", "NEGATIVE"),
            ("reason", "MALFORMED"),
        },
    ),
    "a limit beyond the bound": (
        {**GOOD, "filter": messages.QuarantineFilter(symbol="A"), "limit": 10_001},
        {("limit", "TOO_MANY")},
    ),
}


@pytest.mark.parametrize(("fields", "violations"), BAD_DECISIONS.values(), ids=BAD_DECISIONS.keys())
async def test_decisions_given_bad_requests_change_nothing(
    quarantining: Service,
    database: ServerAddress,
    fields: dict[str, Any],
    violations: set[tuple[str, str]],
) -> None:
    """Both calls say everything that is wrong."""
    before = state(database)
    calls: list[Callable[[], Any]] = [
        lambda: quarantining.ingestion.ReleaseQuarantinedBars(
            messages.ReleaseQuarantinedBarsRequest(**fields), timeout=CALL_SECONDS
        ),
        lambda: quarantining.ingestion.DropQuarantinedBars(
            messages.DropQuarantinedBarsRequest(**fields), timeout=CALL_SECONDS
        ),
    ]
    for call in calls:
        assert (await refusal_of(call())).violations == violations
    assert state(database) == before


async def test_drop_given_no_reason_is_refused(quarantining: Service) -> None:
    """Whoever looks at it later wants to know why."""
    request = messages.DropQuarantinedBarsRequest(quarantine_ids=[1])
    refusal = await refusal_of(
        quarantining.ingestion.DropQuarantinedBars(request, timeout=CALL_SECONDS)
    )
    assert refusal.violations == {("reason", "REQUIRED")}


async def test_release_given_numbers_says_what_became_of_each(
    quarantining: Service, storage: Storage
) -> None:
    """Stored, seen, or refused with what to do; sent again it changes nothing."""
    request = messages.ReleaseQuarantinedBarsRequest(quarantine_ids=[1, 2, 3, 99], reason="right")
    first = await quarantining.ingestion.ReleaseQuarantinedBars(request, timeout=CALL_SECONDS)
    assert (first.released_count, first.accepted_count, first.refused_count) == (2, 1, 2)
    refusals = {one.quarantine_id: one for one in first.refusals}
    assert {number: one.reason for number, one in refusals.items()} == {3: "INVALID", 99: "NOT_FOUND"}
    assert "drop it" in refusals[3].description
    again = await quarantining.ingestion.ReleaseQuarantinedBars(request, timeout=CALL_SECONDS)
    assert (again.released_count, again.unchanged_count, again.refused_count) == (0, 2, 2)
    assert [one.key for one in await stored_bars(storage, Timeframe.DAY_1)] == [bar(day=1).key]
    assert {one.quarantine_id: one.state for one in await listed(quarantining)} == {
        1: RELEASED, 2: RELEASED, 3: OPEN,
    }  # fmt: skip


async def test_clients_given_a_quarantine_list_release_and_drop(quarantining: Service) -> None:
    """Both faces, in domain types."""
    async with MarketDataClient(quarantining.address) as client:
        wanted = QuarantineFilter(symbol="A", rule=QualityRule.SCALE_100X, timeframe=Timeframe.DAY_1)
        (found,) = [one async for one in client.list_quarantined_bars(wanted)]
        assert (found.severity, found.state) == (Severity.REJECT, QuarantineState.OPEN)
        assert found.rules == ("SCALE_100X",)
        released = await client.release_quarantined_bars(wanted, reason="right", limit=10)
        assert (released.released, released.accepted, released.has_more) == (1, 1, False)
        dropped = await client.drop_quarantined_bars([2, 3], reason="no price")
        assert (dropped.dropped, dropped.refused) == (1, 1)
        assert [one.reason for one in dropped.refusals] == ["STORED"]
        with pytest.raises(InvalidRequestError):
            await client.drop_quarantined_bars([], reason="nothing")

    def look() -> dict[int, QuarantineState]:
        with SyncMarketDataClient(quarantining.address) as client:
            return {one.quarantine_id: one.state for one in client.list_quarantined_bars()}

    assert await asyncio.to_thread(look) == {
        1: QuarantineState.RELEASED,
        2: QuarantineState.OPEN,
        3: QuarantineState.DROPPED,
    }


@pytest.fixture
def provider() -> ScriptedProvider:
    """Give a provider that has one day in pence."""
    frame = days("A", "2023-01-01", "2024-01-01", 1)
    return ScriptedProvider({("A", Timeframe.DAY_1): scaled(frame, 60, 100.0)})


@pytest.fixture
async def ingesting(database: ServerAddress, provider: ScriptedProvider) -> AsyncIterator[Service]:
    """Give a service that fetches from that provider."""
    async with serving(lambda: database, OneProvider(provider)) as service:
        await service.stores.symbols.create(NewSymbol("A"))
        yield service


async def test_run_given_a_wrong_day_quarantines_it_until_it_is_released(
    ingesting: Service, storage: Storage, provider: ScriptedProvider
) -> None:
    """From the provider to the reader: found by a run, decided by a person, not asked about again."""
    wrong_us = int(provider.bars["A", Timeframe.DAY_1].time_us[60])
    async with MarketDataClient(ingesting.address) as client:

        async def fetch() -> Any:
            order = IngestionMode.BACKFILL, "alpaca", ["A"], [Timeframe.DAY_1]
            started = await client.start_ingestion(
                *order, start=date(2023, 1, 1), end=date(2024, 1, 1), refetches=True
            )
            return [run async for run in client.watch_ingestion_run(started.run_id)][-1]

        run = await fetch()
        assert (run.state, run.counts.quarantined) == (RunState.SUCCEEDED, 1)
        wanted = QuarantineFilter(run_id=run.run_id)
        (found,) = [one async for one in client.list_quarantined_bars(wanted)]
        assert (found.rules, int(found.time.timestamp() * 1e6)) == (("SCALE_100X",), wrong_us)
        stored = {one.time_us for one in await stored_bars(storage, Timeframe.DAY_1)}
        assert wrong_us not in stored
        released = await client.release_quarantined_bars([found.quarantine_id])
        assert released.accepted == 1
        await fetch()
        (again,) = [one async for one in client.list_quarantined_bars()]
        assert (again.quarantine_id, again.state) == (found.quarantine_id, QuarantineState.RELEASED)
    stored = {one.time_us for one in await stored_bars(storage, Timeframe.DAY_1)}
    assert wrong_us in stored
