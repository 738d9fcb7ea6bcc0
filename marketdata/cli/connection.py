"""A connection to the service that a person waits for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import grpc

from marketdata.cli.options import service_address
from marketdata.client import MarketDataClient, RetryPolicy
from marketdata.client.aio_transport import AioTransport
from marketdata.client.channels import channel_options
from marketdata.errors import ServiceUnavailableError

# Time for a service that is just being restarted, or is on the other side of the world; a person who
# mistyped the port waits for all of it.
_CONNECT_SECONDS: Final = 1.0
# Who looks at the answer asks again faster than the client's own policy (11 s) would give up.
IMPATIENT: Final = RetryPolicy(most_attempts=2, first_wait_seconds=0.2)


@asynccontextmanager
async def connected(
    address: str | None, retries: RetryPolicy = IMPATIENT
) -> AsyncIterator[MarketDataClient]:
    """Connect to the service for the time of a command.

    Parameters
    ----------
    address : str or None
        ``host:port``; None: as the settings have it.
    retries : RetryPolicy
        When an interrupted stream is given up, once there was a connection.

    Raises
    ------
    ServiceUnavailableError
        Nothing answers there, which is known after a second.
    """
    target = service_address(address)
    channel = grpc.aio.insecure_channel(target, options=channel_options())
    async with MarketDataClient.over(AioTransport(lambda: channel), retries=retries) as client:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await channel.channel_ready()
        except TimeoutError:
            await channel.close()
            raise ServiceUnavailableError(f"nothing answers at {target}") from None
        yield client
