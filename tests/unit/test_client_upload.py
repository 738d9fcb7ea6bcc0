"""Uploads that break and go on, and frames cut into batches."""

import math
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Final

import numpy as np
import pytest
from bifrost.marketdata.v1 import bars_service_pb2
from hypothesis import given
from hypothesis import strategies as st

from marketdata.client import BarFrame, MarketDataClient, RejectedBars, RetryPolicy, UploadResult
from marketdata.client.driving import run
from marketdata.errors import (
    InternalError,
    InvalidRequestError,
    ServiceError,
    ServiceUnavailableError,
    WriteConflictError,
)
from marketdata.wire.bar_batch import decode_batch
from tests.support.fake_transport import FakeTransport, FakeUpload

Response = bars_service_pb2.UploadBarsResponse

MOST_BARS: Final = 50_000
GONE: Final = ServiceUnavailableError("gone")


def frame_of(count: int, symbols: int = 1, first: int = 0) -> BarFrame:
    """Make bars whose closes are their numbers, of the symbols in turn."""
    close = np.arange(first, first + count, dtype=np.float64)
    return BarFrame(
        symbols=tuple(f"S{n}" for n in range(symbols)),
        time_us=close.astype(np.int64) * 60_000_000,
        open=close,
        high=close,
        low=close,
        close=close,
        symbol_index=(np.arange(count) % symbols).astype(np.int32)
        if symbols > 1
        else np.empty(0, np.int32),
        flags=np.full(count, 1, np.int16),
        revision=np.full(count, 5, np.int32),
    )


def sent_frame(data: bytes) -> BarFrame:
    """Read a batch as the service gets it."""
    request = bars_service_pb2.UploadBarsRequest.FromString(data)
    return decode_batch(request.batch.SerializeToString())[0]


class ScriptedIntake:
    """Stores batches, each connection until the next failure.

    Parameters
    ----------
    failures : iterator of (int, ServiceError)
        How many answers a connection gives before it fails, and as what. With one of them the batch
        that was to be answered has been stored all the same.
    """

    def __init__(self, failures: Iterable[tuple[int, ServiceError]] = ()) -> None:
        self._failures = iter(failures)
        self.uploads: list[FakeUpload] = []
        self.stored: dict[float, int] = {}

    def __call__(self) -> FakeUpload:
        """Begin an upload."""
        answers, failure = next(self._failures, (0, None))
        script = iter([None] * answers + [failure]) if failure else iter(())
        upload = FakeUpload(self._answer, script)
        self.uploads.append(upload)
        return upload

    def _answer(self, number: int, data: bytes) -> Response:
        closes = sent_frame(data).close.tolist()
        new = [close for close in closes if close not in self.stored]
        for close in closes:
            self.stored[close] = self.stored.get(close, 0) + 1
        return Response(
            batch_number=number,
            accepted=len(new),
            unchanged=len(closes) - len(new),
            seq=len(self.stored),
        )


def client_of(intake: object, retries: RetryPolicy | None = None) -> MarketDataClient:
    """Make a client of a scripted service."""
    transport = FakeTransport(on_upload=intake)  # type: ignore[arg-type]
    return MarketDataClient.over(transport, retries=retries or RetryPolicy())


@given(
    sizes=st.lists(st.integers(0, 5), max_size=12),
    failures=st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from([GONE, WriteConflictError("again")])), max_size=6
    ),
)
def test_upload_bars_given_any_interruptions_stores_every_bar(
    sizes: list[int], failures: list[tuple[int, ServiceError]]
) -> None:
    """Answers are counted once, in order, whatever was sent again."""
    starts = np.cumsum([0, *sizes]).tolist()
    frames = [frame_of(size, first=start) for size, start in zip(sizes, starts, strict=False)]
    intake = ScriptedIntake(iter(failures))
    progress: list[UploadResult] = []
    result = run(client_of(intake).upload_bars(frames, "1m", on_progress=progress.append))
    batches = sum(size > 0 for size in sizes)
    assert sorted(intake.stored) == list(range(sum(sizes)))
    assert (result.batches, result.bars, result.accepted) == (batches, sum(sizes), sum(sizes))
    assert [so_far.batches for so_far in progress] == list(range(1, batches + 1))
    assert all(upload.most_unanswered <= 4 for upload in intake.uploads)


@pytest.mark.parametrize("count", [1, MOST_BARS, MOST_BARS + 1, 2 * MOST_BARS + 7])
def test_upload_bars_given_long_frame_cuts_it(count: int) -> None:
    """Batches have at most 50,000 bars, in order, without what the service sets itself."""
    intake = ScriptedIntake()
    result = run(client_of(intake).upload_bars(frame_of(count), "1m"))
    parts = [sent_frame(data) for data in intake.uploads[0].sent]
    assert [len(part) for part in parts[:-1]] == [MOST_BARS] * (len(parts) - 1)
    assert np.array_equal(np.concatenate([part.close for part in parts]), np.arange(count))
    assert all(len(part.flags) == len(part.revision) == 0 for part in parts)
    assert (result.batches, result.bars) == (math.ceil(count / MOST_BARS), count)


def test_upload_bars_given_many_symbols_keeps_to_the_dictionarys_limit() -> None:
    """A batch names at most 5,000 symbols, and only its own."""
    frame = frame_of(24_000, symbols=12_000)
    intake = ScriptedIntake()
    run(client_of(intake).upload_bars(frame, "1m"))
    found: dict[float, str] = {}
    for part in (sent_frame(data) for data in intake.uploads[0].sent):
        assert len(part.symbols) <= 5_000
        symbols = [part.symbols[index] for index in part.row_symbol_index()]
        assert set(symbols) == set(part.symbols)
        found |= zip(part.close.tolist(), symbols, strict=True)
    assert found == {float(n): f"S{n % 12_000}" for n in range(24_000)}


def test_upload_bars_given_iterator_takes_frames_only_as_there_is_room() -> None:
    """A source of any length costs the memory of four batches."""
    taken = []

    def source() -> Iterator[BarFrame]:
        for number in range(10):
            taken.append(number)
            yield frame_of(1, first=number)

    left: list[int] = []
    client = client_of(ScriptedIntake())
    run(client.upload_bars(source(), "1m", on_progress=lambda r: left.append(len(taken) - r.batches)))
    assert max(left) <= 4
    assert len(taken) == 10


def test_upload_bars_given_async_iterable_takes_it() -> None:
    """Frames can come from another stream."""

    async def source() -> AsyncIterator[BarFrame]:
        for number in range(3):
            yield frame_of(2, first=2 * number)

    assert run(client_of(ScriptedIntake()).upload_bars(source(), "1m")).bars == 6


def test_upload_bars_given_source_that_fails_raises_and_sends_nothing_again() -> None:
    """A source that reads from a service fails with its errors: the upload must not end well then."""

    def source() -> Iterator[BarFrame]:
        yield frame_of(1)
        raise ServiceUnavailableError("the other service")

    intake = ScriptedIntake()
    with pytest.raises(ServiceUnavailableError, match="the other service"):
        run(client_of(intake).upload_bars(source(), "1m"))
    assert len(intake.uploads) == 1


def test_upload_bars_given_refused_batch_says_which_of_the_callers_it_is() -> None:
    """The service counts from its connection; the metadata count from the upload's start."""
    refused = InvalidRequestError("wrong", metadata={"batch_number": "1"})
    intake = ScriptedIntake(iter([(2, GONE), (1, refused)]))
    frames = [frame_of(2, first=2 * number) for number in range(6)]
    with pytest.raises(InvalidRequestError) as caught:
        run(client_of(intake).upload_bars(frames, "1m"))
    assert caught.value.metadata == {"batch_number": "3", "frame_number": "3", "first_row": "0"}
    assert sorted(intake.stored) == [0, 1, 2, 3, 4, 5]


def test_upload_bars_given_rejects_sums_them_by_rule_with_the_callers_rows() -> None:
    """A line a rule over all batches; samples name frame and row, ten at most."""

    def answer(number: int, data: bytes) -> Response:
        bars = len(sent_frame(data))
        line = bars_service_pb2.RejectedBars(
            rule="HIGH_NOT_HIGHEST", bars=bars, description="high", sample_rows=range(min(bars, 6))
        )
        unknown = bars_service_pb2.RejectedBars(
            rule="SYMBOL_NOT_FOUND", bars=1, description=str(number)
        )
        return Response(batch_number=number, rejected=bars, rejected_bars=[line, unknown])

    client = client_of(lambda: FakeUpload(answer, iter(())))
    result = run(client.upload_bars([frame_of(MOST_BARS + 3), frame_of(20)], "1m"))
    assert result.rejected == result.bars == MOST_BARS + 23
    assert result.rejects[0] == RejectedBars(
        "HIGH_NOT_HIGHEST",
        "high",
        MOST_BARS + 23,
        ((0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (0, MOST_BARS), (0, MOST_BARS + 1),
         (0, MOST_BARS + 2), (1, 0)),
    )  # fmt: skip
    assert [(line.description, line.bars) for line in result.rejects[1:]] == [
        ("0", 1),
        ("1", 1),
        ("2", 1),
    ]


@pytest.mark.parametrize("number", [1, -1])
def test_upload_bars_given_answer_to_another_batch_raises(number: int) -> None:
    """Counts of another batch must not pass as those of this one."""
    client = client_of(lambda: FakeUpload(lambda n, _: Response(batch_number=n + number), iter(())))
    with pytest.raises(InternalError):
        run(client.upload_bars(frame_of(1), "1m"))


def test_upload_bars_given_nothing_but_failures_gives_up() -> None:
    """Attempts in a row that brought no answer are bounded."""
    intake = ScriptedIntake(iter([(0, GONE)] * 100))
    with pytest.raises(ServiceUnavailableError):
        run(client_of(intake, RetryPolicy(most_attempts=3)).upload_bars(frame_of(1), "1m"))
    assert len(intake.uploads) == 3


def test_upload_bars_given_interruption_sends_one_batch_until_it_is_answered() -> None:
    """A connection that is refused while it sends does not hear why; one that waits does."""
    intake = ScriptedIntake([(2, GONE)])
    run(client_of(intake).upload_bars([frame_of(1, first=n) for n in range(9)], "1m"))
    assert [upload.sent_unheard for upload in intake.uploads] == [4, 1]
    assert intake.uploads[1].most_unanswered == 4


def test_upload_bars_given_nothing_is_an_empty_result() -> None:
    """No frames, and frames without bars."""
    for frames in ([], [frame_of(0)]):
        assert run(client_of(ScriptedIntake()).upload_bars(frames, "1m")) == UploadResult()
