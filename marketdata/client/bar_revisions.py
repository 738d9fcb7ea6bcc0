"""The call of BarsService that tells how bars changed."""

from collections.abc import AsyncIterator

from bifrost.marketdata.v1 import bars_service_pb2 as messages

from marketdata.client import methods
from marketdata.client.answers import BarVersion
from marketdata.client.bar_messages import from_version
from marketdata.client.caller import Caller
from marketdata.client.times import Moment, encode_moment
from marketdata.domain.timeframe import Timeframe
from marketdata.wire.enums import TIMEFRAME_TO_PROTO

_PAGE_SIZE = 1_000


class BarRevisions(Caller):
    """Versions of bars."""

    async def list_bar_revisions(
        self,
        symbol: str,
        timeframe: Timeframe | str,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[BarVersion]:
        """Iterate over every version of the bars of a symbol that were ever revised or deleted.

        By the time of the bar, then as the versions became known.

        Parameters
        ----------
        timeframe : Timeframe or str
            One that is stored: ``1m``, ``1h`` or ``1d``.
        start, end : datetime or date, optional
            Half-open ``[start, end)``. Default: all, up to now.
        timeout_seconds : float, optional
            Deadline of each page.

        Raises
        ------
        SymbolNotFoundError
            The ticker never named anything.
        InvalidRequestError
            With every violation.
        """
        request = messages.ListBarRevisionsRequest(
            symbol=symbol,
            timeframe=TIMEFRAME_TO_PROTO[Timeframe(timeframe)],
            start_time=encode_moment("start", start),
            end_time=encode_moment("end", end),
            page_size=_PAGE_SIZE,
        )
        while True:
            page = await self._call(methods.LIST_BAR_REVISIONS, request, timeout_seconds)
            for version in page.versions:
                yield from_version(version)
            request.page_token = page.next_page_token
            if not request.page_token:
                return
