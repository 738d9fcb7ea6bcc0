"""The typed client of the market-data service, for asyncio."""

from functools import partial
from typing import Final, Self

import grpc

from marketdata.client.aio_transport import AioTransport
from marketdata.client.bar_revisions import BarRevisions
from marketdata.client.bar_writes import BarWrites
from marketdata.client.channels import DEFAULT_ADDRESS, channel_options
from marketdata.client.company_calls import CompanyCalls
from marketdata.client.ingestion_calls import IngestionCalls
from marketdata.client.ingestion_target_calls import IngestionTargetCalls
from marketdata.client.live_feed_calls import LiveFeedCalls
from marketdata.client.quarantine_calls import QuarantineCalls
from marketdata.client.retry import DEFAULT_RETRIES, RetryPolicy
from marketdata.client.subscription_calls import BarSubscriptions
from marketdata.client.symbol_calls import SymbolCalls
from marketdata.client.transport import Transport

# A read of thirteen years of many symbols takes seconds, short calls milliseconds: this is how long a
# caller waits for a service that hangs.
DEFAULT_TIMEOUT_SECONDS: Final = 60.0


class MarketDataClient(
    SymbolCalls,
    CompanyCalls,
    BarSubscriptions,
    BarRevisions,
    BarWrites,
    IngestionCalls,
    QuarantineCalls,
    IngestionTargetCalls,
    LiveFeedCalls,
):
    """Calls the service from an event loop; an async context manager that closes its connection.

    It connects at the first call and belongs to the event loop of that call; any number of tasks may
    share it. It is safe to make before a fork and not to use across one.

    Failures are the classes of `marketdata.errors`, as the service raised them. gRPC itself retries
    calls that can be repeated (all but creating, changing and deleting symbols, deleting bars, deciding
    of the quarantine, and creating and deleting targets) when the service is unavailable for a moment;
    streams, subscriptions and uploads go on where they were interrupted.

    Parameters
    ----------
    address : str
        ``host:port`` of the service, or any target that gRPC resolves.
    credentials : grpc.ChannelCredentials, optional
        For TLS; without them the connection is plain text.
    timeout_seconds : float
        Deadline of a call, unless it says another; ``math.inf`` for none. Streams and uploads, whose
        pace is the caller's, have none of their own: each can be given one.
    retries : RetryPolicy
        When an interrupted stream or upload is given up.

    Raises
    ------
    ServiceError
        From every method: the class of the error tree that the service raised.
    RuntimeError
        From every method: the client is closed, or belongs to another event loop.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        retries: RetryPolicy = DEFAULT_RETRIES,
    ) -> None:
        transport = AioTransport(partial(_make_channel, address, credentials))
        super().__init__(transport, timeout_seconds, retries)

    @classmethod
    def over(
        cls,
        transport: Transport,
        *,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        retries: RetryPolicy = DEFAULT_RETRIES,
    ) -> Self:
        """Make a client over a transport of the caller's: another kind of channel, or a test's."""
        client = cls.__new__(cls)
        super(MarketDataClient, client).__init__(transport, timeout_seconds, retries)
        return client

    async def __aenter__(self) -> Self:
        """Return the client; it connects at the first call."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the connection."""
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls under way are cancelled."""
        await self._transport.close()


def _make_channel(address: str, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    if credentials is None:
        return grpc.aio.insecure_channel(address, options=channel_options())
    return grpc.aio.secure_channel(address, credentials, options=channel_options())
