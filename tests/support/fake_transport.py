"""A transport whose answers a test makes up: streams that end where and how the test says."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bifrost.marketdata.v1.bars_service_pb2 import UploadBarsResponse

from marketdata.client.methods import Method
from marketdata.errors import ServiceError

Script = Iterable[Any]
"""What a call answers, in turn; a `ServiceError` in it is raised."""


@dataclass
class FakeAnswers:
    """The responses of a call."""

    script: Iterator[Any]
    is_cancelled: bool = False

    async def read(self) -> Any:
        """Give the next answer, or raise it."""
        answer = next(self.script, None)
        if isinstance(answer, ServiceError):
            raise answer
        return answer

    def cancel(self) -> None:
        """Note that the caller needs no more."""
        self.is_cancelled = True


@dataclass
class FakeUpload:
    """An upload that is answered batch by batch, and fails before some of them."""

    answer: Callable[[int, bytes], UploadBarsResponse]
    failures: Iterator[ServiceError | None]
    sent: list[bytes] = field(default_factory=list)
    most_unanswered: int = 0
    sent_unheard: int | None = None
    answered: int = 0
    has_ended: bool = False

    async def settle(self) -> None:
        """Refuse nothing."""

    async def write(self, request: bytes) -> None:
        """Take a batch."""
        self.sent.append(request)
        self.most_unanswered = max(self.most_unanswered, len(self.sent) - self.answered)

    async def end(self) -> None:
        """Take that no batch follows."""
        self.has_ended = True

    async def read(self) -> UploadBarsResponse | None:
        """Answer the first batch that has no answer."""
        if self.sent_unheard is None:
            self.sent_unheard = len(self.sent)
        failure = next(self.failures, None)
        if failure is not None:
            raise failure
        if self.answered == len(self.sent):
            assert self.has_ended, "the caller waits for an answer to nothing"
            return None
        self.answered += 1
        return self.answer(self.answered - 1, self.sent[self.answered - 1])

    def cancel(self) -> None:
        """Nothing waits."""


@dataclass
class FakeTransport:
    """Gives the calls of a test their answers, without a channel and without waiting.

    Attributes
    ----------
    on_stream : callable
        Makes the script of a stream of its request.
    on_upload : callable
        Makes an upload.
    slept : list of float
        How long the caller wanted to wait, each time.
    timeouts : list of float or None
        Of the calls, in turn.
    """

    on_stream: Callable[[Any], Script] = lambda _: ()
    on_upload: Callable[[], Any] = lambda: None
    slept: list[float] = field(default_factory=list)
    timeouts: list[float | None] = field(default_factory=list)
    streams: list[FakeAnswers] = field(default_factory=list)

    async def call(self, method: Method[Any, Any], request: Any, timeout_seconds: float | None) -> Any:
        """Refuse: no test makes such a call."""
        raise NotImplementedError

    def stream(
        self,
        method: Method[Any, Any],  # noqa: ARG002
        request: Any,
        timeout_seconds: float | None,
    ) -> FakeAnswers:
        """Begin a stream."""
        self.timeouts.append(timeout_seconds)
        answers = FakeAnswers(iter(self.on_stream(request)))
        self.streams.append(answers)
        return answers

    def exchange(self, method: Method[Any, Any], timeout_seconds: float | None) -> Any:  # noqa: ARG002
        """Begin an upload."""
        self.timeouts.append(timeout_seconds)
        return self.on_upload()

    async def sleep(self, seconds: float) -> None:
        """Note the wait."""
        self.slept.append(seconds)

    async def close(self) -> None:
        """Nothing is open."""


def cut(items: Sequence[Any], sizes: Iterable[int]) -> list[Sequence[Any]]:
    """Cut a sequence into parts of these sizes, and the rest."""
    parts, start = [], 0
    for size in sizes:
        parts.append(items[start : start + size])
        start += size
    parts.append(items[start:])
    return [part for part in parts if len(part)]
