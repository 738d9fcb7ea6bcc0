"""Reads as of a point in time, and how bars changed: through RPCs, the client and the commands."""

import json
from typing import Final

import grpc
import pytest
from bifrost.marketdata.v1.as_of_pb2 import AsOf
from bifrost.marketdata.v1.bars_service_pb2 import (
    BatchGetLatestBarsRequest,
    DeleteBarsRequest,
    GetBarCoverageRequest,
    GetLatestBarRequest,
    ListBarRevisionsRequest,
    ListBarsRequest,
    StreamBarsRequest,
)
from google.protobuf.timestamp_pb2 import Timestamp

from marketdata.client import MarketDataClient, SyncMarketDataClient
from marketdata.errors import AsOfAheadError
from marketdata.storage.embedded import ServerAddress
from tests.contract.commands import Commands
from tests.contract.refusals import refusal_of, stream_refusal_of
from tests.contract.requests import DAY, TUESDAY_US, add_bars, add_symbols, stamp_us
from tests.contract.service import Service
from tests.support.bars import days
from tests.support.databases import connected

CLOSES: Final = (11.0, 9.5)


async def revised(service: Service) -> tuple[int, int]:
    """Store a day, then another close of it; return both seqs."""
    await add_symbols(service, "AAPL")
    return (
        await add_bars(service, [TUESDAY_US], DAY),
        await add_bars(service, [TUESDAY_US], DAY, close=[9.5]),
    )


async def test_reads_given_as_of_answer_what_was_known_and_say_the_seq(service: Service) -> None:
    """Latest, latest of many, list, stream and coverage; without as_of the newest."""
    bars = service.bars
    for seq, close in zip(await revised(service), CLOSES, strict=True):
        as_of = AsOf(seq=seq)
        latest = await bars.GetLatestBar(GetLatestBarRequest(symbol="AAPL", as_of=as_of))
        assert (latest.bar.close, latest.as_of_seq) == (close, seq)
        many = await bars.BatchGetLatestBars(BatchGetLatestBarsRequest(symbols=["AAPL"], as_of=as_of))
        assert (many.latest_bars[0].bar.close, many.as_of_seq) == (close, seq)
        page = await bars.ListBars(ListBarsRequest(symbol="AAPL", timeframe=DAY, as_of=as_of))
        assert ([bar.close for bar in page.bars], page.as_of_seq) == ([close], seq)
        request = StreamBarsRequest(symbols=["AAPL"], timeframe=DAY, as_of=as_of)
        header, batch, _ = [message async for message in bars.StreamBars(request)]
        assert (header.header.snapshot_seq, list(batch.batch.close)) == (seq, [close])
        asked = GetBarCoverageRequest(symbol="AAPL", timeframe=DAY, as_of=as_of)
        coverage = await bars.GetBarCoverage(asked)
        assert (coverage.count, coverage.as_of_seq) == (1, seq)
    newest = await bars.ListBars(ListBarsRequest(symbol="AAPL", timeframe=DAY))
    assert (newest.bars[0].close, newest.as_of_seq) == (CLOSES[1], seq)


async def test_reads_given_a_point_before_the_symbol_do_not_know_it(service: Service) -> None:
    """What was not known is answered as everything that is not known."""
    await revised(service)
    at_first = AsOf(seq=0)
    latest = service.bars.GetLatestBar(GetLatestBarRequest(symbol="AAPL", as_of=at_first))
    assert (await refusal_of(latest)).reason == "SYMBOL_NOT_FOUND"
    request = StreamBarsRequest(symbols=["AAPL"], timeframe=DAY, as_of=at_first)
    header, _ = [message async for message in service.bars.StreamBars(request)]
    assert list(header.header.unresolved_symbols) == ["AAPL"]


async def test_reads_given_a_point_that_cannot_be_answered_say_what_can(
    service: Service, database: ServerAddress
) -> None:
    """Ahead of the log, and before its horizon."""
    _, newest = await revised(service)
    for call in (
        service.bars.GetLatestBar(GetLatestBarRequest(symbol="AAPL", as_of=AsOf(seq=newest + 1))),
        service.bars.ListBars(
            ListBarsRequest(symbol="AAPL", timeframe=DAY, as_of=AsOf(seq=newest + 1))
        ),
    ):
        ahead = await refusal_of(call)
        assert (ahead.code, ahead.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "AS_OF_AHEAD")
        assert ahead.metadata == {"newest_seq": str(newest)}
    with connected(database) as connection:
        connection.execute("UPDATE version_horizon SET seq = 2")
    request = StreamBarsRequest(symbols=["AAPL"], timeframe=DAY, as_of=AsOf(seq=1))
    early = await stream_refusal_of(service.bars.StreamBars(request))
    assert (early.code, early.reason) == (grpc.StatusCode.OUT_OF_RANGE, "AS_OF_TOO_EARLY")
    assert early.metadata["earliest_seq"] == "2"


@pytest.mark.parametrize(
    ("as_of", "violation"),
    [
        (AsOf(seq=-1), ("as_of.seq", "NEGATIVE")),
        (AsOf(time=Timestamp(seconds=4_000_000_000)), ("as_of.time", "IN_FUTURE")),
        (AsOf(time=Timestamp(seconds=-(2**63))), ("as_of.time", "TIME_OUT_OF_BOUNDS")),
        (AsOf(time=Timestamp(nanos=-1)), ("as_of.time", "INVALID_TIMESTAMP")),
    ],
)
async def test_reads_given_a_malformed_as_of_name_the_field(
    service: Service, as_of: AsOf, violation: tuple[str, str]
) -> None:
    """Every read that takes one."""
    bars = service.bars
    for call in (
        bars.GetLatestBar(GetLatestBarRequest(symbol="AAPL", as_of=as_of)),
        bars.BatchGetLatestBars(BatchGetLatestBarsRequest(symbols=["AAPL"], as_of=as_of)),
        bars.ListBars(ListBarsRequest(symbol="AAPL", timeframe=DAY, as_of=as_of)),
        bars.GetBarCoverage(GetBarCoverageRequest(symbol="AAPL", timeframe=DAY, as_of=as_of)),
    ):
        assert violation in (await refusal_of(call)).violations
    streamed = bars.StreamBars(StreamBarsRequest(symbols=["AAPL"], timeframe=DAY, as_of=as_of))
    assert violation in (await stream_refusal_of(streamed)).violations


async def test_list_bar_revisions_given_pages_of_one_lists_every_version_once(
    service: Service,
) -> None:
    """By time, then seq; a token belongs to its request."""
    first, second = await revised(service)
    deletion = DeleteBarsRequest(
        symbol="AAPL",
        timeframe=DAY,
        start_time=stamp_us(TUESDAY_US),
        end_time=stamp_us(TUESDAY_US + days(1)),
        reason="a test",
    )
    deleted = (await service.bars.DeleteBars(deletion)).seq
    request = ListBarRevisionsRequest(symbol="AAPL", timeframe=DAY, page_size=1)
    found = []
    while True:
        page = await service.bars.ListBarRevisions(request)
        found += list(page.versions)
        request.page_token = page.next_page_token
        if not request.page_token:
            break
    assert [(v.bar.close, v.seq, v.superseded_seq, v.deleted) for v in found] == [
        (CLOSES[0], first, second, False),
        (CLOSES[1], second, deleted, True),
    ]
    assert found[0].superseded_time == found[1].known_time
    unknown = service.bars.ListBarRevisions(ListBarRevisionsRequest(symbol="NOPE", timeframe=DAY))
    assert (await refusal_of(unknown)).reason == "SYMBOL_NOT_FOUND"
    empty = await refusal_of(service.bars.ListBarRevisions(ListBarRevisionsRequest()))
    assert empty.violations == {("symbol", "REQUIRED"), ("timeframe", "REQUIRED")}


async def test_client_given_as_of_answers_by_seq_and_by_time(service: Service) -> None:
    """Columns, rows, latest and coverage; versions as they were; errors of the tree."""
    first, second = await revised(service)
    async with MarketDataClient(service.address) as client:
        versions = [version async for version in client.list_bar_revisions("AAPL", "1d")]
        assert [version.seq for version in versions] == [first, second]
        known_time = versions[0].known_time
        assert known_time is not None
        for as_of in (first, known_time):
            bars = await client.bars("AAPL", "1d", as_of=as_of)
            assert (bars.close.tolist(), bars.applied.snapshot_seq) == ([CLOSES[0]], first)
            page = await client.list_bars("AAPL", "1d", as_of=as_of)
            assert ([bar.close for bar in page.bars], page.as_of_seq) == ([CLOSES[0]], first)
            assert (await client.get_latest_bar("AAPL", as_of=as_of)).close == CLOSES[0]
            (latest,) = await client.get_latest_bars(["AAPL"], as_of=as_of)
            assert latest.bar is not None
            assert latest.bar.close == CLOSES[0]
            assert (await client.get_bar_coverage("AAPL", "1d", as_of=as_of)).count == 1
        with pytest.raises(AsOfAheadError):
            await client.bars("AAPL", "1d", as_of=second + 1)
    assert callable(SyncMarketDataClient.list_bar_revisions)


async def test_commands_given_a_revised_bar_show_how_it_changed(
    service: Service, commands: Commands
) -> None:
    """Bars as of a seq, and the versions of a bar, for people and for pipes."""
    first, second = await revised(service)
    commands.use_service(service.address)
    then = await commands.run("bars", "AAPL", "--as-of", str(first))
    assert "11.00" in then.out
    shown = await commands.run("revisions", "AAPL")
    assert f"revised with {second}" in shown.out
    assert "2 versions" in shown.out
    piped = await commands.run("revisions", "AAPL", "--json")
    rows = [json.loads(line) for line in piped.out.splitlines()]
    assert [(row["close"], row["seq"], row["superseded_seq"]) for row in rows] == [
        (CLOSES[0], first, second),
        (CLOSES[1], second, None),
    ]
    exported = await commands.run("export", "AAPL", "-t", "1d", "--as-of", str(first), "-o", "-")
    assert "AAPL,2024-01-02,10,12,9,11,100," in exported.out
    none = await commands.run("revisions", "AAPL", "-t", "1h")
    assert (none.code, none.out) == (0, "")
    assert "ever revised or deleted" in none.err
    wrong = await commands.run("bars", "AAPL", "--as-of", "yesterday")
    assert wrong.code == 2
    assert "neither a seq" in wrong.err
