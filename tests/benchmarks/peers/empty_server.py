"""GetLatestBar that does nothing: the service's server, interceptors and log, and a constant answer.

python -m tests.benchmarks.peers.empty_server
"""

import asyncio
from typing import Final

from bifrost.marketdata.v1 import bars_service_pb2

from marketdata.domain.timeframe import Timeframe
from marketdata.servicers.bars import BarsServicer, Context
from marketdata.wire.bars_responses import to_proto_bars
from tests.benchmarks.peers.serving import detached_servicer, serve_bars
from tests.benchmarks.synthetic import daily_bars


class EmptyServicer(BarsServicer):
    """Answers every request with the same bar."""

    _RESPONSE: Final = bars_service_pb2.GetLatestBarResponse(
        bar=to_proto_bars(daily_bars("S000", 1), Timeframe.DAY_1, "USD")[0]
    )

    async def GetLatestBar(  # noqa: N802
        self,
        request: bars_service_pb2.GetLatestBarRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> bars_service_pb2.GetLatestBarResponse:
        """Return the bar."""
        return self._RESPONSE


if __name__ == "__main__":
    asyncio.run(serve_bars(detached_servicer(servicer=EmptyServicer)))
