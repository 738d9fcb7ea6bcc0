"""The calls of BarsService that write."""

from collections.abc import Callable
from contextlib import aclosing

from bifrost.marketdata.v1 import bar_pb2
from bifrost.marketdata.v1 import bars_service_pb2 as messages

from marketdata.client import methods
from marketdata.client.answers import BarsCreated, BarsDeleted
from marketdata.client.bar_messages import from_created
from marketdata.client.caller import Caller
from marketdata.client.times import Moment, encode_moment
from marketdata.client.upload import Upload, UploadResult
from marketdata.client.upload_batches import Frames, batches_of
from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bars import BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.wire.bar_batch import encode_batch
from marketdata.wire.enums import TIMEFRAME_TO_PROTO


class BarWrites(Caller):
    """Bars stored and deleted."""

    async def create_bars(
        self,
        frame: BarFrame,
        timeframe: Timeframe | str,
        *,
        timeout_seconds: float | None = None,
    ) -> BarsCreated:
        """Store up to 5,000 final bars in one transaction.

        Bars that are stored already change nothing, so the call is retried when the connection is
        lost; what its first attempt stored then counts as unchanged.

        Raises
        ------
        InvalidRequestError
            A bar breaks a rule; nothing was stored.
        """
        batch = encode_batch(frame, Timeframe(timeframe), Adjustment.RAW)
        request = messages.CreateBarsRequest(batch=bar_pb2.BarBatch.FromString(batch))
        return from_created(await self._call(methods.CREATE_BARS, request, timeout_seconds))

    async def upload_bars(
        self,
        frames: Frames,
        timeframe: Timeframe | str,
        *,
        on_progress: Callable[[UploadResult], None] | None = None,
        timeout_seconds: float | None = None,
    ) -> UploadResult:
        """Store any number of bars, in transactions of up to 50,000.

        Four batches at most are on their way at a time. When the connection is lost, those that were
        not answered are sent again: nothing is stored twice and nothing is left out.

        Parameters
        ----------
        frames : BarFrame, or iterable or async iterable of BarFrame
            Raw bars, each ended. The next one is taken when there is room for it. A plain iterable is
            read in the thread of the call: with asyncio, give one that blocks as an async iterable.
        timeframe : Timeframe or str
            One that is stored: ``1m``, ``1h`` or ``1d``.
        on_progress : callable, optional
            Called with the result so far after every answer, in the thread of the call.
        timeout_seconds : float, optional
            Deadline of the whole, the source's own work included. Default: none, but an attempt that
            brings nothing ends (`RetryPolicy.attempt_seconds`).

        Returns
        -------
        UploadResult
            The sum of all answers. Bars that break a rule are in `rejects`; the others are stored.

        Raises
        ------
        InvalidRequestError
            A batch is refused as a whole; its metadata say which frame and row it begins with. What was
            answered before is stored: `on_progress` told.
        ServiceUnavailableError
            The service could not be reached, and not again either.
        """

        def ignore(result: UploadResult) -> None: ...

        async with aclosing(batches_of(frames, Timeframe(timeframe))) as batches:
            attempts = self._attempts(timeout_seconds)
            upload = Upload(self._transport, batches, attempts, on_progress or ignore)
            return await upload.run()

    async def delete_bars(
        self,
        symbol: str,
        timeframe: Timeframe | str,
        start: Moment,
        end: Moment,
        *,
        reason: str,
        timeout_seconds: float | None = None,
    ) -> BarsDeleted:
        """Delete the bars of one symbol in ``[start, end)``, in one transaction.

        It is not retried: a second deletion would answer that nothing was there.

        Parameters
        ----------
        reason : str
            1 to 200 characters for those who read the change log.

        Raises
        ------
        SymbolNotFoundError
            The ticker never named anything.
        InvalidRequestError
            With every violation.
        """
        request = messages.DeleteBarsRequest(
            symbol=symbol,
            timeframe=TIMEFRAME_TO_PROTO[Timeframe(timeframe)],
            start_time=encode_moment("start", start),
            end_time=encode_moment("end", end),
            reason=reason,
        )
        response = await self._call(methods.DELETE_BARS, request, timeout_seconds)
        return BarsDeleted(response.deleted, response.seq)
