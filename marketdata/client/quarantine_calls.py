"""The calls of IngestionService about the quarantine."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from bifrost.marketdata.v1 import quarantine_pb2 as messages

from marketdata.client import methods
from marketdata.client.caller import Caller
from marketdata.client.quarantine_answers import BarsDropped, BarsReleased, QuarantinedBar
from marketdata.client.quarantine_messages import (
    from_drop,
    from_quarantined,
    from_release,
    to_filter,
)
from marketdata.domain.quarantine import QuarantineFilter

_PAGE_SIZE: Final = 1_000
_ALL: Final = QuarantineFilter()


class QuarantineCalls(Caller):
    """Bars that break a rule of quality, and what a person decides of them."""

    async def list_quarantined_bars(
        self, wanted: QuarantineFilter = _ALL, *, timeout_seconds: float | None = None
    ) -> AsyncIterator[QuarantinedBar]:
        """Yield quarantined bars, those found last first, page by page.

        Parameters
        ----------
        wanted : QuarantineFilter
            Which; the default is all.
        timeout_seconds : float, optional
            Deadline of each page.
        """
        request = messages.ListQuarantinedBarsRequest(filter=to_filter(wanted), page_size=_PAGE_SIZE)
        while True:
            page = await self._call(methods.LIST_QUARANTINED_BARS, request, timeout_seconds)
            for bar in page.bars:
                yield from_quarantined(bar)
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    async def release_quarantined_bars(
        self,
        chosen: Sequence[int] | QuarantineFilter,
        *,
        reason: str = "",
        limit: int = 0,
        timeout_seconds: float | None = None,
    ) -> BarsReleased:
        """Store bars that were kept aside; note of flagged ones, which are stored, that they were seen.

        Parameters
        ----------
        chosen : sequence of int, or QuarantineFilter
            Numbers of bars, at most 1,000, dropped ones too; or which of the open bars that can be
            stored, by at least one field.
        reason : str
            Why, at most 200 characters.
        limit : int
            Most bars of a filter, the oldest first, up to 10,000. Default: 1,000.
        timeout_seconds : float, optional
            Deadline.

        Raises
        ------
        InvalidRequestError
            With every violation.
        WriteConflictError
            Somebody else decided meanwhile, or a symbol changed: list the bars and decide again.
        """
        request = messages.ReleaseQuarantinedBarsRequest(reason=reason, limit=limit)
        _choose(request, chosen)
        response = await self._call(methods.RELEASE_QUARANTINED_BARS, request, timeout_seconds)
        return from_release(response)

    async def drop_quarantined_bars(
        self,
        chosen: Sequence[int] | QuarantineFilter,
        *,
        reason: str,
        limit: int = 0,
        timeout_seconds: float | None = None,
    ) -> BarsDropped:
        """Note of bars that they are to stay out, however often they are fetched.

        Parameters
        ----------
        chosen : sequence of int, or QuarantineFilter
            Numbers of bars, at most 1,000; or which of the open bars that are not stored, by at least
            one field.
        reason : str
            Why, 1 to 200 characters.
        limit, timeout_seconds
            As `release_quarantined_bars`.

        Raises
        ------
        InvalidRequestError
            With every violation.
        WriteConflictError
            Somebody else decided meanwhile; nothing was dropped.
        """
        request = messages.DropQuarantinedBarsRequest(reason=reason, limit=limit)
        _choose(request, chosen)
        response = await self._call(methods.DROP_QUARANTINED_BARS, request, timeout_seconds)
        return from_drop(response)


def _choose(
    request: messages.ReleaseQuarantinedBarsRequest | messages.DropQuarantinedBarsRequest,
    chosen: Sequence[int] | QuarantineFilter,
) -> None:
    if isinstance(chosen, QuarantineFilter):
        request.filter.CopyFrom(to_filter(chosen))
    else:
        request.quarantine_ids.extend(chosen)
