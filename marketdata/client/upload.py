"""Uploads: batches go up, a few at a time, and are sent again until the service has answered them."""

from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Final

from bifrost.marketdata.v1.bars_service_pb2 import UploadBarsResponse

from marketdata.client.methods import UPLOAD_BARS
from marketdata.client.retry import Attempts
from marketdata.client.transport import Exchange, Transport
from marketdata.client.upload_batches import Batch
from marketdata.errors import (
    InternalError,
    InvalidRequestError,
    ServiceError,
    ServiceUnavailableError,
)

# While the service commits one, the next ones are on their way. Each has up to 4.2 MB, here and there.
_MOST_IN_FLIGHT: Final = 4
# As the service, which names ten rows of a batch.
_MOST_SAMPLES: Final = 10
# Unknown symbols have a line each; an upload can have any number of them.
_MOST_REJECTS: Final = 1_000


@dataclass(frozen=True, slots=True)
class RejectedBars:
    """Bars of an upload that broke one rule.

    Attributes
    ----------
    rule : str
        UPPER_SNAKE: HIGH_NOT_HIGHEST, SYMBOL_NOT_FOUND.
    description : str
        What is wrong and what to send instead, for people.
    bars : int
        How many broke it.
    samples : tuple of (int, int)
        Number of the frame and row in it, from 0, of the first of them; at most 10.
    """

    rule: str
    description: str
    bars: int
    samples: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class UploadResult:
    """What became of an upload so far; every bar that was answered is counted once.

    Attributes
    ----------
    batches : int
        Batches that were answered, each after its COMMIT.
    accepted, unchanged, revised, outranked, rejected : int
        Stored for the first time; stored already as they are; replaced; left out because of a
        higher-ranked feed's bar; left out because of their symbol or a broken rule. A batch that was
        stored just when the connection broke is sent again, and counts as unchanged.
    rejects : tuple of RejectedBars
        Why bars were rejected, a line a rule and description, at most 1,000; a bar that breaks several
        rules is in each.
    seq : int
        Position in the change log of the last write; 0 where nothing changed.
    """

    batches: int = 0
    accepted: int = 0
    unchanged: int = 0
    revised: int = 0
    outranked: int = 0
    rejected: int = 0
    rejects: tuple[RejectedBars, ...] = ()
    seq: int = 0

    @property
    def bars(self) -> int:
        """How many bars were answered."""
        return self.accepted + self.unchanged + self.revised + self.outranked + self.rejected


class Upload:
    """One upload.

    Parameters
    ----------
    transport : Transport
        What it is made over.
    batches : async iterator of Batch
        What is sent; each is taken when there is room for it.
    attempts : Attempts
        How often it is taken up again.
    on_progress : callable
        Called with the result so far after every answer.
    """

    def __init__(
        self,
        transport: Transport,
        batches: AsyncIterator[Batch],
        attempts: Attempts,
        on_progress: Callable[[UploadResult], None],
    ) -> None:
        self._transport = transport
        self._batches = batches
        self._attempts = attempts
        self._on_progress = on_progress
        self._unanswered: deque[Batch] = deque()
        # How many of them went up on the connection of now, and how many may.
        self._sent = 0
        self._most_in_flight = _MOST_IN_FLIGHT
        self._source_error: ServiceError | None = None
        self._result = UploadResult()

    async def run(self) -> UploadResult:
        """Send everything; return what became of it.

        Raises
        ------
        ServiceError
            A batch was refused, or the service could not be reached any more.
        """
        while True:
            try:
                await self._attempt()
            except ServiceError as error:
                if error is self._source_error:
                    raise
                # One at a time until one is answered: a refusal is then heard as what it is.
                self._most_in_flight = 1
                await self._transport.sleep(self._attempts.wait_before_next(error))
            else:
                return self._result

    async def _attempt(self) -> None:
        exchange = self._transport.exchange(UPLOAD_BARS, self._attempts.seconds_left())
        first, self._sent = self._result.batches, 0
        try:
            if self._most_in_flight == 1:
                await exchange.settle()
            while await self._fill(exchange):
                self._count(await _answer_of(exchange), first)
            await exchange.end()
            if await exchange.read() is not None:
                raise InternalError("the service answered a batch that was not sent")
        except InvalidRequestError as error:
            self._locate(error, first)
            raise
        finally:
            exchange.cancel()

    async def _fill(self, exchange: Exchange[bytes, UploadBarsResponse]) -> bool:
        """Send batches while there is room; return whether an answer is due."""
        while self._sent < self._most_in_flight:
            if self._sent == len(self._unanswered):
                batch = await self._next_batch()
                if batch is None:
                    break
                self._unanswered.append(batch)
            await exchange.write(self._unanswered[self._sent].data)
            self._sent += 1
        return self._sent > 0

    async def _next_batch(self) -> Batch | None:
        try:
            return await anext(self._batches, None)
        except ServiceError as error:
            # The caller reads its frames from a service too. They have ended here: were the upload
            # taken up again, it would end well without the rest of them.
            self._source_error = error
            raise

    def _count(self, answer: UploadBarsResponse, first: int) -> None:
        so_far = self._result
        if answer.batch_number != so_far.batches - first:
            raise InternalError(
                f"the service answered batch {answer.batch_number} instead of {so_far.batches - first}"
            )
        batch = self._unanswered.popleft()
        self._sent -= 1
        self._most_in_flight = _MOST_IN_FLIGHT
        self._attempts.brought_something()
        self._result = UploadResult(
            batches=so_far.batches + 1,
            accepted=so_far.accepted + answer.accepted,
            unchanged=so_far.unchanged + answer.unchanged,
            revised=so_far.revised + answer.revised,
            outranked=so_far.outranked + answer.outranked,
            rejected=so_far.rejected + answer.rejected,
            rejects=_joined(so_far.rejects, batch, answer),
            seq=max(so_far.seq, answer.seq),
        )
        self._on_progress(self._result)

    def _locate(self, error: InvalidRequestError, first: int) -> None:
        """Say in the caller's numbers which batch it was: the service counts from its connection."""
        number = int(error.metadata.get("batch_number", "-1"))
        position = number - (self._result.batches - first)
        if 0 <= position < self._sent:
            batch = self._unanswered[position]
            error.metadata["batch_number"] = str(first + number)
            error.metadata["frame_number"] = str(batch.frame_number)
            error.metadata["first_row"] = str(batch.rows[0])


async def _answer_of(exchange: Exchange[bytes, UploadBarsResponse]) -> UploadBarsResponse:
    answer = await exchange.read()
    if answer is None:
        raise ServiceUnavailableError("the upload ended early; send it again")
    return answer


def _joined(
    rejects: tuple[RejectedBars, ...], batch: Batch, answer: UploadBarsResponse
) -> tuple[RejectedBars, ...]:
    if not answer.rejected_bars:
        return rejects
    by_rule = {(line.rule, line.description): line for line in rejects}
    for line in answer.rejected_bars:
        key = (line.rule, line.description)
        if key not in by_rule and len(by_rule) >= _MOST_REJECTS:
            continue
        known = by_rule.get(key) or RejectedBars(line.rule, line.description, 0)
        samples = tuple((batch.frame_number, batch.rows[row]) for row in line.sample_rows)
        by_rule[key] = replace(
            known,
            bars=known.bars + line.bars,
            samples=(*known.samples, *samples)[:_MOST_SAMPLES],
        )
    return tuple(by_rule.values())
