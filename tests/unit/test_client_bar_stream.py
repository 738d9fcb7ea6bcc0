"""Streams of bars that break and go on, against a service that a test makes up."""

from collections.abc import Callable
from typing import Final

import numpy as np
import pytest
from bifrost.marketdata.v1 import bar_pb2, bars_service_pb2, timeframe_pb2
from hypothesis import given
from hypothesis import strategies as st

from marketdata.client import BarOrder, Bars, MarketDataClient, RetryPolicy
from marketdata.client.driving import next_of, run
from marketdata.domain.bars import BarFrame
from marketdata.errors import (
    DeadlineExceededError,
    InternalError,
    InvalidRequestError,
    QueryTimeoutError,
    ResourceExhaustedError,
    ServerDrainingError,
    ServiceError,
    ServiceUnavailableError,
    StorageFullError,
    StreamStalledError,
    SymbolNotFoundError,
)
from marketdata.wire.enums import ORDER_TO_PROTO
from marketdata.wire.times import to_timestamp
from tests.support.fake_transport import FakeTransport, Script
from tests.support.scripted_bars import (
    MINUTE_US,
    NOW_US,
    SYMBOLS,
    Request,
    Row,
    ScriptedService,
    frame_of,
    in_order,
    rows_of,
)

STALLED: Final = StreamStalledError("too slow", metadata={"resume_symbol": "IBM"})
PASSING: Final = (
    ServiceUnavailableError("gone"),
    ServerDrainingError("stopping", retry_after_seconds=0.5),
    ResourceExhaustedError("full", retry_after_seconds=1.0),
    STALLED,
)
LASTING: Final = (
    InvalidRequestError("wrong"),
    InternalError("defect"),
    StorageFullError("full", retry_after_seconds=1.0),
    QueryTimeoutError("slow"),
    # gRPC's own: the message is larger than this client takes.
    ResourceExhaustedError("too large"),
)


def client_of(
    service: Callable[[Request], Script], retries: RetryPolicy | None = None
) -> tuple[MarketDataClient, FakeTransport]:
    """Make a client of a scripted service."""
    transport = FakeTransport(on_stream=service)
    return MarketDataClient.over(transport, retries=retries or RetryPolicy()), transport


def read(client: MarketDataClient, order: BarOrder = BarOrder.SYMBOL_TIME, **changes: str) -> Bars:
    """Read all bars."""
    return run(client.bars(SYMBOLS, "1m", order=order, columns=["close"], **changes))  # type: ignore[arg-type]


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[Row], BarOrder]:
    """Make an answer: some bars of some symbols in one of the orders."""
    times = st.lists(st.integers(0, 12), unique=True, max_size=8)
    rows = [(symbol, n * MINUTE_US) for symbol in SYMBOLS for n in draw(times)]
    order = draw(st.sampled_from(BarOrder))
    return in_order(rows, order), order


ROWS: Final = in_order([(s, n * MINUTE_US) for s in SYMBOLS for n in range(5)], BarOrder.SYMBOL_TIME)
failures = st.lists(st.tuples(st.integers(0, 5), st.sampled_from((*PASSING, None))), max_size=6)


@given(
    answer=answers(),
    failed=failures,
    resumes=st.booleans(),
    sizes=st.lists(st.integers(1, 5), min_size=30, max_size=30),
)
def test_bars_given_any_interruptions_are_every_bar_once_in_order(
    answer: tuple[list[Row], BarOrder],
    failed: list[tuple[int, ServiceError | None]],
    *,
    resumes: bool,
    sizes: list[int],
) -> None:
    """Wherever attempts end, and even where the service begins again at the start."""
    rows, order = answer
    service = ScriptedService(rows, iter(failed), resumes=resumes, sizes=sizes)
    client, transport = client_of(service)
    found = read(client, order)
    assert rows_of(found.frame) == rows
    assert np.array_equal(found.close, frame_of(rows).close)
    assert len(service.requests) == len(failed) + 1
    assert all(stream.is_cancelled for stream in transport.streams[:-1])


@pytest.mark.parametrize("error", PASSING)
def test_bars_given_passing_error_sends_the_request_again_from_its_position(
    error: ServiceError,
) -> None:
    """The request is the same but for its position, and for the range that was taken as now."""
    service = ScriptedService(ROWS, iter([(2, error)]))
    client, transport = client_of(service)
    assert rows_of(read(client).frame) == ROWS
    first, second = service.requests
    assert not first.HasField("end_time")
    assert second.end_time == to_timestamp(NOW_US)
    assert second.resume_after == bars_service_pb2.StreamBarsPosition(
        symbol=ROWS[4][0], time_us=ROWS[4][1]
    )
    for name in ("start_time", "end_time", "resume_after"):
        second.ClearField(name)
    assert first == second
    assert transport.slept[0] >= (error.retry_after_seconds or 0.0)


@pytest.mark.parametrize("error", LASTING)
def test_bars_given_lasting_error_raises_it_at_once(error: ServiceError) -> None:
    """What will not pass is not tried again, wherever it comes."""
    service = ScriptedService(ROWS, iter([(2, error)]))
    client, transport = client_of(service)
    with pytest.raises(type(error)) as caught:
        read(client)
    assert caught.value is error
    assert not transport.slept


def test_bars_given_nothing_but_failures_gives_up_after_its_attempts() -> None:
    """Waits double up to the longest; the last error is raised."""
    service = ScriptedService(ROWS, iter([(0, ServiceUnavailableError("gone"))] * 100))
    policy = RetryPolicy(most_attempts=5, first_wait_seconds=1.0, longest_wait_seconds=3.0)
    client, transport = client_of(service, policy)
    with pytest.raises(ServiceUnavailableError, match="gone"):
        read(client)
    assert len(service.requests) == 5
    for wait, longest in zip(transport.slept, [1, 2, 3, 3], strict=True):
        assert longest / 2 <= wait <= longest


def test_bars_given_progress_starts_counting_anew() -> None:
    """Attempts that each bring something can be any number."""
    service = ScriptedService(ROWS, iter([(1, ServiceUnavailableError("gone"))] * 6))
    client, _ = client_of(service, RetryPolicy(most_attempts=2))
    assert rows_of(read(client).frame) == ROWS
    assert len(service.requests) == 7


def test_stream_bars_given_up_goes_on_when_asked_again() -> None:
    """The position stays: asking once more is another attempt behind it."""
    service = ScriptedService(ROWS, iter([(1, None), (0, None)]))
    client, _ = client_of(service, RetryPolicy(most_attempts=1))
    stream = client.stream_bars(SYMBOLS, "1m")
    rows = rows_of(next_of(stream))
    for _ in range(2):
        with pytest.raises(ServiceUnavailableError):
            next_of(stream)
    rows += [row for frame in run(_all_of(stream)) for row in rows_of(frame)]
    assert rows == ROWS


def test_stream_bars_given_attempts_that_reach_their_deadline_goes_on_while_bars_come() -> None:
    """The deadline of an attempt is no deadline of the whole, as long as it brought something."""
    late = DeadlineExceededError("late")
    service = ScriptedService(ROWS, iter([(1, late), (1, late)]))
    client, transport = client_of(service, RetryPolicy(attempt_seconds=5.0))
    assert rows_of(read(client).frame) == ROWS
    assert transport.timeouts == [5.0] * 3
    client, _ = client_of(ScriptedService(ROWS, iter([(0, late)])))
    with pytest.raises(DeadlineExceededError):
        read(client)


def test_bars_given_deadline_makes_no_attempt_beyond_it() -> None:
    """The deadline is of the whole; a wait that would pass it is not begun."""
    service = ScriptedService(ROWS, iter([(1, ServiceUnavailableError("gone"))] * 100))
    client, transport = client_of(
        service, RetryPolicy(first_wait_seconds=60.0, longest_wait_seconds=60.0)
    )
    with pytest.raises(ServiceUnavailableError):
        run(client.bars(SYMBOLS, "1m", timeout_seconds=20.0))
    assert len(service.requests) == 1
    assert transport.timeouts[0] == pytest.approx(20.0, abs=1.0)


def test_bars_given_trailer_of_other_count_is_not_taken_as_complete() -> None:
    """It is read on from where it ended, and given up in the end."""
    service = ScriptedService(ROWS, missing_rows=1)
    client, _ = client_of(service, RetryPolicy(most_attempts=1))
    with pytest.raises(ServiceUnavailableError, match="15 of 16 bars"):
        read(client)


def test_bars_given_interrupted_adjusted_read_reads_again_where_the_log_moved() -> None:
    """Adjusted bars are of one snapshot: actions in between would make two bases of one series."""
    service = ScriptedService(ROWS, iter([(2, STALLED)]), seqs=iter([7, 8, 9]))
    client, _ = client_of(service)
    found = read(client, adjustment="all")
    assert rows_of(found.frame) == ROWS
    assert (found.applied.snapshot_seq, found.applied.snapshots) == (9, 1)
    service = ScriptedService(ROWS, iter([(2, STALLED)]), seqs=iter([7, 8, 9]))
    client, _ = client_of(service)
    found = read(client)
    assert (found.applied.snapshot_seq, found.applied.snapshots) == (7, 2)
    assert len(service.requests) == 2


def test_bars_given_no_known_symbol_raises_and_given_some_lists_the_others() -> None:
    """An answer without any of its symbols is an error; one without some of them says so."""
    client, _ = client_of(ScriptedService([], unresolved=SYMBOLS))
    with pytest.raises(SymbolNotFoundError, match=r"IBM, AAPL, BRK.B: no such symbol"):
        read(client)
    client, _ = client_of(ScriptedService(ROWS, unresolved=("BRK.B",)))
    assert read(client).applied.unresolved_symbols == ("BRK.B",)


def test_bars_given_bytes_that_are_no_message_raises_an_error_of_the_tree() -> None:
    """A defect of the service, or of something between."""
    client, _ = client_of(lambda _: iter([b"\xff\xff\xff"]))
    with pytest.raises(InternalError):
        read(client)


def test_stream_bars_given_close_cancels_the_call() -> None:
    """The service stops reading; the stream has ended."""
    client, transport = client_of(ScriptedService(ROWS))
    stream = client.stream_bars(SYMBOLS, "1m")
    next_of(stream)
    run(stream.aclose())
    assert transport.streams[0].is_cancelled
    with pytest.raises(StopAsyncIteration):
        next_of(stream)


@pytest.mark.parametrize("order", BarOrder)
def test_stream_bars_given_arguments_sends_them(order: BarOrder) -> None:
    """Enums, or their labels, become the contract's."""
    service = ScriptedService([])
    client, _ = client_of(service)
    run(
        client.bars(
            "AAPL",
            "5m",
            adjustment="split",
            session="extended",
            limit=3,
            columns=["volume", "time_us"],
            order=order.value,
        )
    )
    assert service.requests[0] == Request(
        symbols=["AAPL"],
        timeframe=timeframe_pb2.TIMEFRAME_5_MINUTES,
        adjustment=bar_pb2.ADJUSTMENT_SPLIT,
        session=bar_pb2.SESSION_EXTENDED,
        limit=3,
        columns=[bar_pb2.BAR_COLUMN_VOLUME],
        order=ORDER_TO_PROTO[order.is_descending, order.is_by_time],
    )


async def _all_of(stream: object) -> list[BarFrame]:
    return [frame async for frame in stream]  # type: ignore[attr-defined]
