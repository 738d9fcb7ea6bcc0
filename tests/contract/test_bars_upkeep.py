"""Uploads, deletions, latest bars of many symbols, coverage and statistics."""

from collections.abc import AsyncIterator

import grpc
import pytest
from bifrost.marketdata.v1 import bars_service_pb2 as messages
from google.protobuf.timestamp_pb2 import Timestamp

from marketdata.errors import InvalidRequestError, SymbolNotFoundError
from marketdata.wire.errors import STATUS_DETAILS_KEY, from_status
from tests.contract.requests import DAY, MINUTE, OPEN_US, TUESDAY_US, add_symbols, batch, create
from tests.contract.service import CALL_SECONDS, Service
from tests.support.bars import days


def at(time_us: int) -> Timestamp:
    """Make a timestamp of microseconds."""
    return Timestamp(seconds=time_us // 1_000_000)


async def upload(
    service: Service, *requests: messages.UploadBarsRequest
) -> list[messages.UploadBarsResponse]:
    """Send batches one after the other and collect the answers."""

    async def sent() -> AsyncIterator[messages.UploadBarsRequest]:
        for request in requests:
            yield request

    return [answer async for answer in service.bars.UploadBars(sent(), timeout=CALL_SECONDS)]


def error_of(error: grpc.aio.AioRpcError) -> Exception:
    """Turn a status into the error that it was made from."""
    details = dict(error.trailing_metadata() or ()).get(STATUS_DETAILS_KEY)
    return from_status(
        error.code(), error.details() or "", details if isinstance(details, bytes) else None
    )


async def test_upload_bars_given_batches_answers_each_after_its_commit(service: Service) -> None:
    """Every batch has its number, its counts and its seq; the same again changes nothing."""
    await add_symbols(service, "AAPL")
    times = [TUESDAY_US + days(n) for n in range(3)]
    first = messages.UploadBarsRequest(batch=batch(times[:2]))
    second = messages.UploadBarsRequest(batch=batch(times[2:]))
    answers = await upload(service, first, second, first)
    assert [a.batch_number for a in answers] == [0, 1, 2]
    assert [(a.accepted, a.unchanged, a.seq > 0) for a in answers] == [
        (2, 0, True),
        (1, 0, True),
        (0, 2, False),
    ]


async def test_upload_bars_given_bad_rows_keeps_the_good_ones(service: Service) -> None:
    """Rows that break a rule are rejected and named; order does not matter; doubles are left out."""
    await add_symbols(service, "AAPL")
    times = [TUESDAY_US + days(n) for n in (2, 0, 1, 1)]
    sent = batch(times, high=[13.0, float("nan"), 14.0, 15.0])
    (answer,) = await upload(service, messages.UploadBarsRequest(batch=sent))
    assert (answer.accepted, answer.rejected) == (2, 2)
    rules = {line.rule: list(line.sample_rows) for line in answer.rejected_bars}
    assert rules == {"NOT_FINITE": [1], "DUPLICATE_TIME": [3]}


async def test_upload_bars_given_unknown_symbol_rejects_its_bars(service: Service) -> None:
    """The bars of known symbols are stored all the same."""
    await add_symbols(service, "AAPL")
    sent = batch([TUESDAY_US, TUESDAY_US], symbols=("AAPL", "NOPE"), symbol_index=[0, 1])
    (answer,) = await upload(service, messages.UploadBarsRequest(batch=sent))
    assert (answer.accepted, answer.rejected) == (1, 1)
    assert [line.rule for line in answer.rejected_bars] == ["SYMBOL_NOT_FOUND"]


async def test_upload_bars_given_malformed_batch_says_which_and_keeps_what_was_answered(
    service: Service,
) -> None:
    """The batches before the bad one are stored; the error names its number."""
    await add_symbols(service, "AAPL")
    good = messages.UploadBarsRequest(batch=batch())
    bad = messages.UploadBarsRequest(batch=batch(open=[1.0, 2.0]))
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await upload(service, good, bad)
    error = error_of(raised.value)
    assert isinstance(error, InvalidRequestError)
    assert error.metadata["batch_number"] == "1"
    latest = await service.bars.GetLatestBar(messages.GetLatestBarRequest(symbol="AAPL"))
    assert latest.bar.open == 10.0


async def test_delete_bars_given_range_deletes_it_and_moves_the_latest(service: Service) -> None:
    """The range is half-open, the latest bar is the newest that is left, and twice is nothing."""
    await add_symbols(service, "AAPL")
    times = [TUESDAY_US + days(n) for n in range(4)]
    await service.bars.CreateBars(create(times))
    request = messages.DeleteBarsRequest(
        symbol="AAPL",
        timeframe=DAY,
        start_time=at(times[1]),
        end_time=at(times[3] + 1_000_000),
        reason="wrong file",
    )
    first = await service.bars.DeleteBars(request)
    again = await service.bars.DeleteBars(request)
    assert (first.deleted, again.deleted, again.seq) == (3, 0, 0)
    latest = await service.bars.GetLatestBar(messages.GetLatestBarRequest(symbol="AAPL"))
    assert latest.bar.time == at(times[0])


async def test_delete_bars_given_nothing_says_all_that_is_missing(service: Service) -> None:
    """Both bounds and a reason are required: nobody deletes by leaving something out."""
    await add_symbols(service, "AAPL")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await service.bars.DeleteBars(messages.DeleteBarsRequest(symbol="AAPL", timeframe=DAY))
    error = error_of(raised.value)
    assert isinstance(error, InvalidRequestError)
    assert {violation.field for violation in error.violations} >= {"start_time", "end_time", "reason"}


async def test_batch_get_latest_bars_given_all_kinds_answers_each(service: Service) -> None:
    """A symbol with bars, one without, an unknown and a malformed one: each has its own answer."""
    await add_symbols(service, "AAPL", "IBM")
    await service.bars.CreateBars(create([TUESDAY_US, TUESDAY_US + days(1)]))
    asked = ["IBM", "NOPE", "AAPL", "no such"]
    answer = await service.bars.BatchGetLatestBars(messages.BatchGetLatestBarsRequest(symbols=asked))
    assert [(line.symbol, line.reason) for line in answer.latest_bars] == [
        ("IBM", "BAR_NOT_FOUND"),
        ("NOPE", "SYMBOL_NOT_FOUND"),
        ("AAPL", ""),
        ("no such", "MALFORMED_SYMBOL"),
    ]
    assert answer.latest_bars[2].bar.time == at(TUESDAY_US + days(1))


async def test_get_latest_bar_given_minutes_derives_the_hour(service: Service) -> None:
    """The newest final hour is made from its minutes; one that is stored is not needed."""
    await add_symbols(service, "AAPL")
    times = [OPEN_US + 60_000_000 * n for n in range(90)]
    await service.bars.CreateBars(create(times, MINUTE))
    request = messages.GetLatestBarRequest(symbol="AAPL", timeframe="TIMEFRAME_1_HOUR")
    bar = (await service.bars.GetLatestBar(request)).bar
    assert (bar.time, bar.open, bar.close, bar.derived, bar.is_final) == (
        at(times[60]),
        70.0,
        100.0,
        True,
        True,
    )


async def test_get_bar_coverage_given_missing_sessions_pages_the_gaps(service: Service) -> None:
    """Weekends and holidays are no gaps; what is missing comes a page at a time."""
    await add_symbols(service, "AAPL")
    # 2024-01-02, 04, 08 and 16: the 3rd, the 5th and 9th to 12th are missing; the 15th is a holiday.
    times = [TUESDAY_US + days(n) for n in (0, 2, 6, 14)]
    await service.bars.CreateBars(create(times))
    request = messages.GetBarCoverageRequest(symbol="AAPL", timeframe=DAY, page_size=2)
    first = await service.bars.GetBarCoverage(request)
    assert (first.count, first.expected_count) == (4, 10)
    assert [gap.missing_count for gap in first.gaps] == [1, 1]
    request.page_token = first.next_page_token
    second = await service.bars.GetBarCoverage(request)
    assert [(gap.start_time, gap.missing_count) for gap in second.gaps] == [
        (at(TUESDAY_US + days(7)), 4)
    ]
    assert second.next_page_token == ""


async def test_get_bar_statistics_given_bars_counts_them(service: Service) -> None:
    """One symbol and all of them exactly; of all with sizes too, and of the time of the call."""
    await add_symbols(service, "AAPL", "IBM")
    times = [TUESDAY_US + days(n) for n in range(3)]
    await service.bars.CreateBars(create(times))
    one = await service.bars.GetBarStatistics(messages.GetBarStatisticsRequest(symbol="AAPL"))
    (line,) = one.timeframes
    assert (line.timeframe, line.rows, line.symbols) == (DAY, 3, 1)
    assert (line.first_time, line.last_time) == (at(times[0]), at(times[2]))
    everything = await service.bars.GetBarStatistics(messages.GetBarStatisticsRequest())
    (line,) = everything.timeframes
    assert (line.rows, line.rows_estimated, line.symbols) == (3, False, 1)
    assert (line.first_time, line.last_time) == (at(times[0]), at(times[2]))
    assert (line.partitions, line.compressed_partitions) == (1, 0)
    assert line.size_bytes > 0
    assert not line.HasField("compression_ratio")
    reads = [answer.read_time.ToMicroseconds() for answer in (one, everything)]
    assert line.last_time.ToMicroseconds() < reads[0] <= reads[1]
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await service.bars.GetBarStatistics(messages.GetBarStatisticsRequest(symbol="NOPE"))
    assert isinstance(error_of(raised.value), SymbolNotFoundError)
