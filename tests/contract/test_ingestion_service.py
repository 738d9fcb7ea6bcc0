"""IngestionService: runs started, watched, listed and cancelled by a client, and requests refused."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from bifrost.marketdata.v1 import ingestion_pb2, timeframe_pb2
from bifrost.marketdata.v1 import ingestion_service_pb2 as messages
from google.protobuf.timestamp_pb2 import Timestamp

from marketdata.client import IngestionMode, MarketDataClient, RunState, SyncMarketDataClient
from marketdata.domain.symbol import NewSymbol
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.embedded import ServerAddress
from tests.contract.refusals import refusal_of, stream_refusal_of
from tests.contract.service import CALL_SECONDS, Service, serving, state
from tests.support.ingesting import Gate, days
from tests.support.scripted_provider import OneProvider, ScriptedProvider

DAY: Final = timeframe_pb2.TIMEFRAME_1_DAY
MINUTE: Final = timeframe_pb2.TIMEFRAME_1_MINUTE
BACKFILL: Final = ingestion_pb2.INGESTION_MODE_BACKFILL
SYMBOLS: Final = ("A", "B")
START: Final = Timestamp(seconds=1_672_531_200)  # 2023-01-01
END: Final = Timestamp(seconds=1_704_067_200)  # 2024-01-01


@pytest.fixture
def provider() -> ScriptedProvider:
    """Give a provider that has a year of days of two symbols."""
    return ScriptedProvider(
        {(s, Timeframe.DAY_1): days(s, "2023-01-01", "2024-01-01", n) for n, s in enumerate(SYMBOLS)}
    )


@pytest.fixture
async def ingesting(
    database: ServerAddress, provider: ScriptedProvider
) -> AsyncIterator[tuple[Service, ScriptedProvider]]:
    """Give a service that fetches from that provider, and knows its symbols."""
    async with serving(lambda: database, OneProvider(provider)) as service:
        for symbol in SYMBOLS:
            await service.stores.symbols.create(NewSymbol(symbol))
        yield service, provider


def start_request(**fields: Any) -> messages.StartIngestionRequest:
    """Ask for a year of days, unless told otherwise."""
    given: dict[str, Any] = {
        "mode": BACKFILL,
        "provider": "alpaca",
        "symbols": SYMBOLS,
        "timeframes": [DAY],
        "start_time": START,
        "end_time": END,
        "request_id": "year",
    }
    return messages.StartIngestionRequest(**{**given, **fields})


async def watched(service: Service, run_id: int) -> list[Any]:
    """Watch a run to its end."""
    request = messages.WatchIngestionRunRequest(run_id=run_id)
    return [a.run async for a in service.ingestion.WatchIngestionRun(request, timeout=CALL_SECONDS)]


async def test_start_given_a_year_is_watched_to_its_end(
    ingesting: tuple[Service, ScriptedProvider],
) -> None:
    """StartIngestion answers at once; the last thing that a watcher hears is the whole account."""
    service, provider = ingesting
    started = await service.ingestion.StartIngestion(start_request(), timeout=CALL_SECONDS)
    runs = await watched(service, started.run.run_id)
    last = runs[-1]
    assert last.state == ingestion_pb2.INGESTION_RUN_STATE_SUCCEEDED
    bars = sum(len(frame) for frame in provider.bars.values())
    assert last.progress.fetched == last.progress.accepted == bars
    assert last.progress.share_done == 1.0
    assert (last.progress.symbols, last.progress.symbols_done) == (2, 2)
    assert last.progress.bars_per_second > 0
    assert last.finish_time.ToMicroseconds() >= last.begin_time.ToMicroseconds() > 0
    shares = [run.progress.share_done for run in runs]
    assert shares == sorted(shares)


async def test_watch_given_run_under_way_shows_its_progress_and_what_it_waits_for(
    ingesting: tuple[Service, ScriptedProvider],
) -> None:
    """A watcher sees bars, share and time left while it runs; cancelled, it hears the end."""
    service, provider = ingesting
    gate = Gate()

    async def hold(_: object, number: int) -> None:
        if number == 1:
            await gate()

    provider.before_page = hold
    started = await service.ingestion.StartIngestion(start_request(), timeout=CALL_SECONDS)
    request = messages.WatchIngestionRunRequest(run_id=started.run.run_id)
    call = service.ingestion.WatchIngestionRun(request, timeout=CALL_SECONDS)
    async for answer in call:
        run = answer.run
        if run.state == ingestion_pb2.INGESTION_RUN_STATE_RUNNING and run.progress.fetched == 200:
            assert 0 < run.progress.share_done < 1
            assert run.progress.HasField("time_left")
            assert run.owner
            cancel = messages.CancelIngestionRunRequest(run_id=run.run_id)
            asked = await service.ingestion.CancelIngestionRun(cancel, timeout=CALL_SECONDS)
            assert asked.run.is_cancelling
    assert run.state == ingestion_pb2.INGESTION_RUN_STATE_CANCELLED
    assert run.progress.fetched == 200


async def test_start_given_it_again_answers_the_run_of_before(
    ingesting: tuple[Service, ScriptedProvider],
) -> None:
    """A caller that lost the answer asks again; other parameters under the same id are refused."""
    service, _ = ingesting
    runs = [
        (await service.ingestion.StartIngestion(start_request(), timeout=CALL_SECONDS)).run.run_id
        for _ in range(3)
    ]
    assert len(set(runs)) == 1
    refusal = await refusal_of(service.ingestion.StartIngestion(start_request(symbols=["A"])))
    assert (refusal.code.name, refusal.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
    assert refusal.metadata == {"run_id": str(runs[0])}


BAD_STARTS: Final[dict[str, tuple[dict[str, Any], set[tuple[str, str]]]]] = {
    "nothing said": (
        {"mode": 0, "provider": "", "symbols": [], "timeframes": [], "start_time": None},
        {
            ("mode", "REQUIRED"),
            ("provider", "REQUIRED"),
            ("symbols", "REQUIRED"),
            ("timeframes", "REQUIRED"),
        },
    ),
    "backfill without a start": ({"start_time": None}, {("start_time", "REQUIRED")}),
    "range reversed": (
        {"start_time": END, "end_time": START},
        {("start_time", "RANGE_REVERSED")},
    ),
    "symbols that are none": (
        {"symbols": ["A", "a b", "A", ""]},
        {
            ("symbols[1]", "MALFORMED_SYMBOL"),
            ("symbols[2]", "DUPLICATE"),
            ("symbols[3]", "REQUIRED"),
        },
    ),
    "symbols that are unknown": ({"symbols": ["A", "NOPE"]}, {("symbols[1]", "SYMBOL_NOT_FOUND")}),
    "timeframes": (
        {"timeframes": [DAY, timeframe_pb2.TIMEFRAME_5_MINUTES, DAY, 99]},
        {
            ("timeframes[1]", "NOT_STORED"),
            ("timeframes[2]", "DUPLICATE"),
            ("timeframes[3]", "UNKNOWN_TIMEFRAME"),
        },
    ),
    "mode of a later release": ({"mode": 9}, {("mode", "UNKNOWN_MODE")}),
    "bars of a mode that fetches none": (
        {"mode": ingestion_pb2.INGESTION_MODE_ACTIONS, "symbols": []},
        {
            ("symbols", "REQUIRED"),
            ("timeframes", "NOT_OF_MODE"),
            ("start_time", "NOT_OF_MODE"),
            ("end_time", "NOT_OF_MODE"),
        },
    ),
    "request id": ({"request_id": "x" * 101}, {("request_id", "MALFORMED")}),
    "times": (
        {"start_time": Timestamp(seconds=-(10**11)), "end_time": Timestamp(nanos=-1)},
        {("start_time", "TIME_OUT_OF_BOUNDS"), ("end_time", "INVALID_TIMESTAMP")},
    ),
    "provider": ({"provider": "x" * 51}, {("provider", "MALFORMED")}),
}


@pytest.mark.parametrize("name", BAD_STARTS)
async def test_start_given_bad_request_names_every_field(
    ingesting: tuple[Service, ScriptedProvider], database: ServerAddress, name: str
) -> None:
    """Everything that is wrong at once, and nothing is started."""
    service, _ = ingesting
    fields, expected = BAD_STARTS[name]
    before = state(database)
    refusal = await refusal_of(service.ingestion.StartIngestion(start_request(**fields)))
    assert refusal.code.name == "INVALID_ARGUMENT"
    assert refusal.violations == expected
    assert state(database) == before


async def test_start_given_unknown_provider_is_refused(
    ingesting: tuple[Service, ScriptedProvider],
) -> None:
    """A provider that there is not is a mistake of the request."""
    service, _ = ingesting
    refusal = await refusal_of(service.ingestion.StartIngestion(start_request(provider="bloomberg")))
    assert refusal.code.name == "INVALID_ARGUMENT"


async def test_calls_given_run_that_is_not_there_say_so(
    ingesting: tuple[Service, ScriptedProvider],
) -> None:
    """NOT_FOUND, with the call that lists runs; a number that is none is a mistake."""
    service, _ = ingesting
    stub = service.ingestion
    for run_id, code, reason in (
        (17, "NOT_FOUND", "RUN_NOT_FOUND"),
        (0, "INVALID_ARGUMENT", "INVALID_REQUEST"),
        (-1, "INVALID_ARGUMENT", "INVALID_REQUEST"),
    ):
        refusals = [
            await refusal_of(stub.GetIngestionRun(messages.GetIngestionRunRequest(run_id=run_id))),
            await refusal_of(
                stub.CancelIngestionRun(messages.CancelIngestionRunRequest(run_id=run_id))
            ),
            await stream_refusal_of(
                stub.WatchIngestionRun(messages.WatchIngestionRunRequest(run_id=run_id))
            ),
        ]
        assert {(refusal.code.name, refusal.reason) for refusal in refusals} == {(code, reason)}


async def test_list_given_runs_pages_through_them_newest_first(
    ingesting: tuple[Service, ScriptedProvider],
) -> None:
    """Each once, filtered by state and provider; a token belongs to its list."""
    service, _ = ingesting
    for number in range(5):
        start = start_request(request_id=f"run {number}")
        run = (await service.ingestion.StartIngestion(start, timeout=CALL_SECONDS)).run
        await watched(service, run.run_id)
    listed: list[int] = []
    token = ""
    while True:
        request = messages.ListIngestionRunsRequest(page_size=2, page_token=token)
        page = await service.ingestion.ListIngestionRuns(request, timeout=CALL_SECONDS)
        listed += [run.run_id for run in page.runs]
        token = page.next_page_token
        if not token:
            break
    assert listed == sorted(listed, reverse=True)
    assert len(listed) == 5
    failed = messages.ListIngestionRunsRequest(state=ingestion_pb2.INGESTION_RUN_STATE_FAILED)
    assert not (await service.ingestion.ListIngestionRuns(failed, timeout=CALL_SECONDS)).runs
    bad = messages.ListIngestionRunsRequest(page_size=-1, page_token="?", state=77)  # noqa: S106
    refusal = await refusal_of(service.ingestion.ListIngestionRuns(bad))
    assert refusal.violations == {
        ("page_size", "NEGATIVE"),
        ("page_token", "INVALID_PAGE_TOKEN"),
        ("state", "UNKNOWN_STATE"),
    }


async def test_client_given_runs_has_both_faces(
    ingesting: tuple[Service, ScriptedProvider],
) -> None:
    """The asyncio client starts and watches a run; the synchronous one sees the same."""
    service, provider = ingesting
    async with MarketDataClient(service.address) as client:
        (described,) = await client.list_providers()
        assert (described.name, described.problem) == ("alpaca", "")
        assert described.feeds[Timeframe.DAY_1] == "alpaca/iex"
        run = await client.start_ingestion(
            IngestionMode.BACKFILL, "alpaca", SYMBOLS, ["1d"], START.ToDatetime().date()
        )
        states = [each.state async for each in client.watch_ingestion_run(run.run_id)]
        assert states[-1] is RunState.SUCCEEDED
        found = [each async for each in client.list_ingestion_runs(state=RunState.SUCCEEDED)]
        assert [each.run_id for each in found] == [run.run_id]
        over = await client.get_ingestion_run(run.run_id)
        assert over.counts.accepted == sum(len(frame) for frame in provider.bars.values())
        assert (await client.cancel_ingestion_run(run.run_id)).state is RunState.SUCCEEDED

    def watch() -> list[RunState]:
        with SyncMarketDataClient(service.address) as other:
            return [each.state for each in other.watch_ingestion_run(run.run_id)]

    assert await asyncio.to_thread(watch) == [RunState.SUCCEEDED]


async def test_drain_given_watchers_ends_them_at_once(
    ingesting: tuple[Service, ScriptedProvider],
) -> None:
    """Who watches a run for hours does not hold up a service that stops."""
    service, provider = ingesting
    gate = Gate()
    provider.before_page = lambda _, __: gate()
    started = await service.ingestion.StartIngestion(start_request(), timeout=CALL_SECONDS)
    request = messages.WatchIngestionRunRequest(run_id=started.run.run_id)
    call = service.ingestion.WatchIngestionRun(request, timeout=CALL_SECONDS)
    async for _ in call:
        break
    await service.admission.drain(60)
    refusal = await stream_refusal_of(call)
    assert refusal.code.name == "UNAVAILABLE"
