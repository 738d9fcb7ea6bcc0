"""The synchronous face against gRPC's own test channel: what it sends, and what it makes of answers.

The test plays the service: it takes a call out of the channel and answers it, while the client waits in
a thread of its own. Nothing is encoded in between, so requests are seen as they were made.
"""

import os
from collections.abc import Generator
from datetime import UTC, date, datetime
from typing import Any, Final

import grpc
import numpy as np
import pytest
from bifrost.marketdata.v1 import (
    bar_pb2,
    bars_service_pb2,
    corporate_action_pb2,
    symbol_pb2,
    symbol_service_pb2,
    timeframe_pb2,
)
from google.protobuf.field_mask_pb2 import FieldMask

from marketdata.client import (
    ActionsCreated,
    BarFrame,
    CorporateAction,
    CorporateActionKind,
    NewSymbol,
    SymbolOrder,
    SyncMarketDataClient,
    UploadResult,
)
from marketdata.domain.adjustment import Adjustment
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import (
    CallCancelledError,
    InvalidRequestError,
    NotSupportedError,
    ServiceUnavailableError,
    SymbolNotFoundError,
)
from marketdata.wire.bars_responses import encode_stream_batch
from marketdata.wire.times import to_timestamp
from tests.support.played_service import PlayedService as Service
from tests.support.played_service import end

# A defect fails its test instead of hanging it.
SECONDS: Final = 20.0
SYMBOLS: Final = symbol_service_pb2.DESCRIPTOR.services_by_name["SymbolService"]


@pytest.fixture
def service() -> Service:
    """Play a service."""
    return Service()


def header(**changes: Any) -> bytes:
    """Make a stream's first message."""
    fields = {
        "timeframe": timeframe_pb2.TIMEFRAME_1_DAY,
        "source_timeframe": timeframe_pb2.TIMEFRAME_1_DAY,
        "order": bar_pb2.BAR_ORDER_SYMBOL_TIME,
        "end_time": to_timestamp(10),
        "snapshot_seq": 5,
    }
    part = bars_service_pb2.StreamBarsHeader(**(fields | changes))
    return bars_service_pb2.StreamBarsResponse(header=part).SerializeToString()


def batch(*times_us: int) -> bytes:
    """Make a stream's batch."""
    frame = BarFrame(("AAPL",), np.array(times_us), close=np.array(times_us, np.float64))
    return encode_stream_batch(frame, Timeframe.DAY_1, Adjustment.RAW)


def trailer(rows: int) -> bytes:
    """Make a stream's last message."""
    part = bars_service_pb2.StreamBarsTrailer(rows=rows, complete=True)
    return bars_service_pb2.StreamBarsResponse(trailer=part).SerializeToString()


def test_get_symbol_given_answer_returns_it(service: Service) -> None:
    """A call of one request and one response."""
    called = service.begin(lambda client: client.get_symbol("AAPL"))
    proto = symbol_pb2.Symbol(symbol="AAPL", symbol_id=7, ipo_date="1980-12-12")
    request = service.answer("GetSymbol", symbol_service_pb2.GetSymbolResponse(symbol=proto))
    assert request == symbol_service_pb2.GetSymbolRequest(symbol="AAPL")
    symbol = called.result(SECONDS)
    assert (symbol.symbol, symbol.symbol_id, symbol.ipo_date) == ("AAPL", 7, date(1980, 12, 12))


def test_get_symbol_given_error_raises_the_trees(service: Service) -> None:
    """The class, the message and the facts of what the service raised."""
    called = service.begin(lambda client: client.get_symbol("NOPE"))
    error = SymbolNotFoundError("not known", metadata={"symbol": "NOPE"}, retry_after_seconds=2.0)
    service.answer("GetSymbol", None, error)
    with pytest.raises(SymbolNotFoundError, match="not known") as caught:
        called.result(SECONDS)
    assert caught.value.metadata == {"symbol": "NOPE"}
    assert caught.value.retry_after_seconds == 2.0


def test_get_symbol_given_status_of_grpc_itself_raises_what_stands_for_it(service: Service) -> None:
    """Not every failure comes from the service."""
    called = service.begin(lambda client: client.get_symbol("AAPL"))
    method = SYMBOLS.methods_by_name["GetSymbol"]
    _, _, call = service.channel.take_unary_unary(method)
    call.terminate(None, (), grpc.StatusCode.UNAVAILABLE, "failed to connect")
    with pytest.raises(ServiceUnavailableError, match="failed to connect"):
        called.result(SECONDS)


def test_get_symbol_given_enum_of_a_later_release_raises_not_supported(service: Service) -> None:
    """An old client says what it does not know, instead of guessing or failing on a KeyError."""
    called = service.begin(lambda client: client.get_symbol("AAPL"))
    proto = symbol_pb2.Symbol(symbol="AAPL", asset_class=99)  # type: ignore[arg-type]
    service.answer("GetSymbol", symbol_service_pb2.GetSymbolResponse(symbol=proto))
    with pytest.raises(NotSupportedError, match="asset class 99"):
        called.result(SECONDS)


def test_list_symbols_given_pages_follows_them(service: Service) -> None:
    """A plain iterator over all pages; each asks for the one behind the page before."""
    called = service.begin(
        lambda client: list(
            client.list_symbols(venue="XNAS", order=SymbolOrder.NAME, descending=True, page_size=2)
        )
    )
    tokens = ["", "one", "two"]
    for number, token in enumerate(tokens):
        following = tokens[number + 1] if number < 2 else ""
        page = [symbol_pb2.Symbol(symbol=f"S{number}{n}") for n in range(2)]
        response = symbol_service_pb2.ListSymbolsResponse(symbols=page, next_page_token=following)
        # The request object is the client's own, which it changes for the page that follows.
        request = service.answer("ListSymbols", response)
        assert (request.venue, request.order_by, request.page_size) == ("XNAS", "name desc", 2)
        assert token in ("", "one", "two")
    assert [symbol.symbol for symbol in called.result(SECONDS)] == [
        f"S{number}{n}" for number in range(3) for n in range(2)
    ]


def test_update_symbol_given_rename_sends_mask_and_date(service: Service) -> None:
    """Only the fields that are named are meant."""
    called = service.begin(
        lambda client: client.update_symbol(
            "FB", NewSymbol("META"), ["symbol"], effective_date=date(2022, 6, 9)
        )
    )
    proto = symbol_pb2.Symbol(symbol="META")
    request = service.answer("UpdateSymbol", symbol_service_pb2.UpdateSymbolResponse(symbol=proto))
    assert (request.current_symbol, request.symbol.symbol) == ("FB", "META")
    assert request.update_mask == FieldMask(paths=["symbol"])
    assert request.effective_date == "2022-06-09"
    assert called.result(SECONDS).symbol == "META"


def test_create_corporate_actions_given_actions_sends_them(service: Service) -> None:
    """Splits have a ratio and no currency, dividends an amount and theirs."""
    kind = CorporateActionKind
    actions = [
        CorporateAction(kind.SPLIT, date(2020, 8, 31), split_ratio=4.0, source="filing"),
        CorporateAction(kind.CASH_DIVIDEND, date(2020, 8, 7), cash_amount=0.82),
    ]
    called = service.begin(lambda client: client.create_corporate_actions("AAPL", actions))
    response = symbol_service_pb2.CreateCorporateActionsResponse(accepted=1, unchanged=1, seq=9)
    request = service.answer("CreateCorporateActions", response)
    assert list(request.actions) == [
        corporate_action_pb2.CorporateAction(
            kind=corporate_action_pb2.CORPORATE_ACTION_KIND_SPLIT,
            ex_date="2020-08-31",
            split_ratio=4.0,
            source="filing",
        ),
        corporate_action_pb2.CorporateAction(
            kind=corporate_action_pb2.CORPORATE_ACTION_KIND_CASH_DIVIDEND,
            ex_date="2020-08-07",
            cash_amount=0.82,
            currency="USD",
        ),
    ]
    assert called.result(SECONDS) == ActionsCreated(1, 1, 9)


def test_bars_given_stream_returns_its_columns(service: Service) -> None:
    """Header, batches and trailer become columns and what was applied."""
    start = datetime(2024, 1, 2, tzinfo=UTC)
    called = service.begin(lambda client: client.bars("AAPL", "1d", start, date(2024, 2, 1)))
    request, call = service.take_stream()
    for part in (header(), batch(1, 2), batch(3), trailer(3)):
        call.send_response(part)
    end(call)
    bars = called.result(SECONDS)
    assert request.start_time.ToJsonString() == "2024-01-02T00:00:00Z"
    assert request.end_time.ToJsonString() == "2024-02-01T00:00:00Z"
    assert bars.close.tolist() == [1.0, 2.0, 3.0]
    assert (bars.applied.timeframe, bars.applied.snapshot_seq) == (Timeframe.DAY_1, 5)


def test_stream_bars_given_interruption_goes_on_behind_its_position(service: Service) -> None:
    """The synchronous face resumes like the other: it is the same code."""
    stream = service.client.stream_bars("AAPL", "1d")
    called = service.begin(lambda _: next(stream))
    _, call = service.take_stream()
    for part in (header(), batch(1, 2)):
        call.send_response(part)
    assert called.result(SECONDS).close.tolist() == [1.0, 2.0]
    called = service.begin(lambda _: next(stream))
    end(call, ServiceUnavailableError("gone"))
    request, call = service.take_stream()
    assert request.resume_after == bars_service_pb2.StreamBarsPosition(symbol="AAPL", time_us=2)
    for part in (header(), batch(3), trailer(1)):
        call.send_response(part)
    end(call)
    assert called.result(SECONDS).close.tolist() == [3.0]
    assert list(stream) == []


def test_stream_bars_given_reader_that_leaves_cancels_the_call(service: Service) -> None:
    """The end of a `with` tells the service to stop."""

    def first(client: SyncMarketDataClient) -> int:
        with client.stream_bars("AAPL", "1d") as stream:
            return len(next(stream))

    called = service.begin(first)
    _, call = service.take_stream()
    for part in (header(), batch(1, 2)):
        call.send_response(part)
    call.cancelled()
    assert called.result(SECONDS) == 2


def test_upload_bars_given_iterator_reads_it_in_the_thread_of_the_call(service: Service) -> None:
    """Frames are taken and progress is told where the caller is; no thread is started for them."""
    progress: list[UploadResult] = []

    def upload(client: SyncMarketDataClient) -> UploadResult:
        frames = (BarFrame(("AAPL",), np.array([n]), close=np.array([1.0])) for n in range(2))
        return client.upload_bars(frames, "1d", on_progress=progress.append)

    called = service.begin(upload)
    call = service.take_upload()
    for number in range(2):
        sent = bars_service_pb2.UploadBarsRequest.FromString(call.take_request())
        assert list(sent.batch.time_us) == [number]
    for number in range(2):
        response = bars_service_pb2.UploadBarsResponse(batch_number=number, accepted=1, seq=number + 1)
        call.send_response(response)
    call.requests_closed()
    end(call)
    assert called.result(SECONDS) == UploadResult(batches=2, accepted=2, seq=2)
    assert [so_far.accepted for so_far in progress] == [1, 2]


def test_upload_bars_given_refusal_raises_the_trees_error(service: Service) -> None:
    """Uploads too fail as what the service raised."""
    frame = BarFrame(("aapl",), np.array([1]), close=np.array([1.0]))
    called = service.begin(lambda client: client.upload_bars(frame, "1d"))
    call = service.take_upload()
    call.take_request()
    end(call, InvalidRequestError("malformed", metadata={"batch_number": "0"}))
    with pytest.raises(InvalidRequestError, match="malformed"):
        called.result(SECONDS)


def test_upload_bars_given_something_asynchronous_says_so(service: Service) -> None:
    """What waits for an event loop cannot be read without one."""

    class Waiting:
        def __aiter__(self) -> "Waiting":
            return self

        async def __anext__(self) -> BarFrame:
            await Pause()
            raise StopAsyncIteration

    class Pause:
        def __await__(self) -> Generator[None]:
            yield

    called = service.begin(lambda client: client.upload_bars(Waiting(), "1d"))
    service.take_upload().cancelled()
    with pytest.raises(RuntimeError, match="waits for an event loop"):
        called.result(SECONDS)


def test_client_given_close_refuses_calls(service: Service) -> None:
    """A closed client says that it is closed."""
    with service.client as client:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        client.get_symbol("AAPL")
    with pytest.raises(RuntimeError, match="closed"):
        client.bars("AAPL", "1d")


def test_client_given_fork_refuses_calls(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child process has the object, but none of gRPC's threads: a call would wait for ever."""
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(RuntimeError, match="forked"):
        service.client.get_symbol("AAPL")
    service.client.close()


def test_client_given_call_that_is_cancelled_raises_the_trees_error(service: Service) -> None:
    """Also what ended the call from outside has a class."""
    called = service.begin(lambda client: client.get_symbol("AAPL"))
    method = SYMBOLS.methods_by_name["GetSymbol"]
    _, _, call = service.channel.take_unary_unary(method)
    call.terminate(None, (), grpc.StatusCode.CANCELLED, "Channel closed!")
    with pytest.raises(CallCancelledError):
        called.result(SECONDS)


@pytest.mark.parametrize(
    "arguments",
    [("AAPL", "2d"), ("AAPL", "1d", datetime(2024, 1, 2)), ("AAPL", "1d", None, datetime(2024, 1, 2))],  # noqa: DTZ001
)
def test_bars_given_wrong_argument_raises_before_anything_is_sent(
    service: Service, arguments: tuple[Any, ...]
) -> None:
    """A label that is none, and a time without a zone, are the caller's own mistakes."""
    with pytest.raises(ValueError, match=r"2d|has no time zone"):
        service.client.bars(*arguments)
