"""Why bars are missing, on the wire, as the client gives it, and in pages."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from bifrost.marketdata.v1 import bars_service_pb2 as messages

from marketdata.client import GapReason, IngestionMode, MarketDataClient, SyncMarketDataClient
from marketdata.domain.symbol import NewSymbol
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ProviderAnswerError
from marketdata.storage.embedded import ServerAddress
from tests.contract.commands import Commands
from tests.contract.refusals import refusal_of
from tests.contract.requests import DAY
from tests.contract.service import CALL_SECONDS, Service, serving
from tests.support.databases import connected
from tests.support.ingesting import days
from tests.support.scripted_provider import OneProvider, ScriptedProvider
from tests.support.sessions import dates_between

YEAR: Final = (datetime(2023, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC))
# A run is the executor's, which needs a connection of its own.
pytestmark = pytest.mark.modes("plain", "apache", reason="needs connections of its own")


@pytest.fixture
async def ingested(database: ServerAddress) -> AsyncIterator[Service]:
    """Give a service that was refused A's days behind the first hundred, but for July; two are none."""
    frame = days("A", "2023-01-01", "2024-01-01")
    hole = dates_between("2023-03-06", "2023-03-08")
    frame = frame.take((frame.time_us < hole.start_us) | (frame.time_us >= hole.end_us))
    provider = ScriptedProvider({("A", Timeframe.DAY_1): frame})
    provider.fails["A"] = ProviderAnswerError("answers are garbled", retry_after_seconds=3600)
    async with serving(lambda: database, OneProvider(provider)) as service:
        await service.stores.symbols.create(NewSymbol("A"))
        async with MarketDataClient(service.address) as client:
            await ingest(client, *YEAR)
            provider.fails.clear()
            await ingest(client, datetime(2023, 7, 1, tzinfo=UTC), datetime(2023, 8, 1, tzinfo=UTC))
        yield service


async def ingest(client: MarketDataClient, start: datetime, end: datetime) -> None:
    """Fetch a range, and wait until that is over."""
    run = await client.start_ingestion(IngestionMode.BACKFILL, "alpaca", ["A"], ["1d"], start, end)
    async for status in client.watch_ingestion_run(run.run_id):
        assert status.run_id == run.run_id


def request(**fields: Any) -> messages.GetBarCoverageRequest:
    """Ask for the year."""
    asked = messages.GetBarCoverageRequest(symbol="A", timeframe=DAY, **fields)
    asked.start_time.FromDatetime(YEAR[0])
    asked.end_time.FromDatetime(YEAR[1])
    return asked


def said(gap: messages.BarGap) -> tuple[str, str, str]:
    """Tell where a gap is and its reason."""
    name = messages.GapReason.Name(gap.reason).removeprefix("GAP_REASON_")
    return (f"{gap.start_time.ToDatetime():%m-%d}", f"{gap.end_time.ToDatetime():%m-%d}", name)


GAPS: Final = [
    ("03-06", "03-08", "NO_TRADES"),
    ("05-31", "07-01", "FAILED"),
    ("08-01", "12-30", "FAILED"),
]


async def pages(service: Service, asked: messages.GetBarCoverageRequest) -> AsyncIterator[Any]:
    """Read page after page."""
    while True:
        page = await service.bars.GetBarCoverage(asked, timeout=CALL_SECONDS)
        yield page
        asked.page_token = page.next_page_token
        if not asked.page_token:
            return


async def test_coverage_given_ingestion_says_why_bars_are_missing(ingested: Service) -> None:
    """Both faces of the client give reason, provider, when to ask again, and words for people."""
    async with MarketDataClient(ingested.address) as client:
        found = await client.get_bar_coverage("A", "1d", *YEAR, include_sessions=True)
    with SyncMarketDataClient(ingested.address) as blocking:
        same = await asyncio.to_thread(blocking.get_bar_coverage, "A", "1d", *YEAR)
    assert same.gaps == found.gaps
    no_trades, first, second = found.gaps
    assert (no_trades.reason, no_trades.missing_count) == (GapReason.NO_TRADES, 2)
    assert (no_trades.provider, no_trades.retry) == ("alpaca", None)
    assert (first.reason, first.provider) == (GapReason.FAILED, "alpaca")
    assert "answers are garbled" in first.message
    assert first.retry is not None
    assert first.retry == second.retry
    assert first.retry > datetime.now(UTC)
    assert found.quarantined_count == 0
    assert found.sessions is not None
    reasons = found.sessions.reason.tolist()
    assert reasons.count(GapReason.NO_TRADES) == 2
    assert reasons.count(GapReason.FAILED) == first.missing_count + second.missing_count
    assert reasons.count(0) == found.sessions.present.sum() == found.count


async def test_coverage_given_small_pages_lists_every_gap_once(ingested: Service) -> None:
    """Pages go over the parts, as many as they are."""
    for size in (1, 2, 3):
        found = [page async for page in pages(ingested, request(page_size=size))]
        assert [said(gap) for page in found for gap in page.gaps] == GAPS
        assert [len(page.gaps) for page in found][:-1] == [size] * (len(found) - 1)


async def test_coverage_given_reasons_that_change_between_pages_loses_no_bar(
    ingested: Service, database: ServerAddress
) -> None:
    """Two parts of one gap become one: the next page has what lies behind the last."""
    asked = request(page_size=2)
    asked.end_time.FromDatetime(datetime(2023, 7, 1, tzinfo=UTC))
    with connected(database) as connection:
        connection.execute(
            "UPDATE ingestion_failed SET ranges = ranges - '{[2023-06-12,2023-07-01)}'::tstzmultirange"
        )
    found = pages(ingested, asked)
    first = await anext(found)
    assert [said(gap) for gap in first.gaps] == [GAPS[0], ("05-31", "06-10", "FAILED")]
    with connected(database) as connection:
        connection.execute("DELETE FROM ingestion_failed")
    second = await anext(found)
    assert [said(gap) for gap in second.gaps] == [("06-12", "07-01", "MISSING")]
    whole = await ingested.bars.GetBarCoverage(request())
    assert [said(gap) for gap in whole.gaps][:2] == [GAPS[0], ("05-31", "07-01", "MISSING")]


async def test_coverage_given_a_point_in_time_claims_no_reason(ingested: Service) -> None:
    """What was known of gaps then is not kept."""
    asked = request()
    asked.as_of.seq = (await ingested.bars.GetBarCoverage(request())).as_of_seq
    found = await ingested.bars.GetBarCoverage(asked)
    assert [(gap.reason, gap.provider) for gap in found.gaps] == [(messages.GAP_REASON_MISSING, "")] * 3


async def test_coverage_given_token_of_another_list_is_refused(ingested: Service) -> None:
    """A page goes on with the parameters of the one before."""
    token = (await ingested.bars.GetBarCoverage(request(page_size=1))).next_page_token
    asked = request(page_token=token, include_sessions=True)
    refusal = await refusal_of(ingested.bars.GetBarCoverage(asked))
    assert refusal.code.name == "INVALID_ARGUMENT"
    assert refusal.violations == {("page_token", "INVALID_PAGE_TOKEN")}


async def test_coverage_command_given_reasons_shows_them(commands: Commands, ingested: Service) -> None:
    """Marks in the calendar, reasons with provider and when to ask again in the table, words below."""
    commands.use_service(ingested.address)
    within = ("--start", "2023-01-01", "--end", "2024-01-01")
    found = await commands.run("coverage", "A", *within)
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    (monday,) = (line for line in lines if line.startswith("Mon"))
    assert (monday.count("N"), monday.count("x")) == (1, 0)
    assert monday.count("F") > 20
    rows = [line.split() for line in lines if line.startswith("2023-")]
    assert [(row[0], row[2], row[3]) for row in rows] == [
        ("2023-08-01", "failed", "alpaca"),
        ("2023-05-31", "failed", "alpaca"),
        ("2023-03-06", "no_trades", "alpaca"),
    ]
    assert "ask again, UTC" in found.out
    assert lines[-2] == "- alpaca did not give it: answers are garbled"
    piped = await commands.run("coverage", "A", *within, "--json", "--rows", "gaps")
    objects = [json.loads(line) for line in piped.out.splitlines()]
    assert [line["reason"] for line in objects] == ["no_trades", "failed", "failed"]
    retries = [line["retry_time"] for line in objects]
    assert retries[0] is None
    assert datetime.fromisoformat(retries[1]) > datetime.now(UTC)
