"""The calls of IngestionService about the quarantine."""

from typing import Any

import grpc
from bifrost.marketdata.v1 import quarantine_pb2 as messages

from marketdata.storage.quarantine import QuarantineReader
from marketdata.storage.quarantine_decisions import QuarantineDecider
from marketdata.wire.quarantine import (
    parse_decision,
    parse_list_quarantined,
    to_drop_response,
    to_list_response,
    to_release_response,
)

Context = grpc.aio.ServicerContext[Any, Any]


class QuarantineCalls:
    """Lists, releases and drops quarantined bars.

    Parameters
    ----------
    reader : QuarantineReader
        Lists.
    decider : QuarantineDecider
        Releases and drops.
    """

    def __init__(self, reader: QuarantineReader, decider: QuarantineDecider) -> None:
        self._quarantine = reader
        self._decider = decider

    async def ListQuarantinedBars(  # noqa: N802
        self,
        request: messages.ListQuarantinedBarsRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.ListQuarantinedBarsResponse:
        """Return a page of quarantined bars; see the contract."""
        asked = parse_list_quarantined(request)
        # One more than the page takes tells whether there is another page.
        found = await self._quarantine.list_page(asked.wanted, asked.before, asked.page_size + 1)
        return to_list_response(request, asked, found)

    async def ReleaseQuarantinedBars(  # noqa: N802
        self,
        request: messages.ReleaseQuarantinedBarsRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.ReleaseQuarantinedBarsResponse:
        """Store bars that were kept aside; see the contract."""
        asked = parse_decision(request)
        return to_release_response(await self._decider.release(asked.chosen, asked.reason, asked.limit))

    async def DropQuarantinedBars(  # noqa: N802
        self,
        request: messages.DropQuarantinedBarsRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.DropQuarantinedBarsResponse:
        """Keep bars out for good; see the contract."""
        asked = parse_decision(request)
        return to_drop_response(await self._decider.drop(asked.chosen, asked.reason, asked.limit))
