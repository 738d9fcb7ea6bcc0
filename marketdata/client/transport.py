"""What the client needs of a channel, whichever of gRPC's two faces the channel has.

All of the client is written once, as coroutines over a `Transport`. Over asyncio's channel they wait in
its event loop. Over the synchronous channel everything that is awaited has ended before it is, so the
coroutines never suspend and `marketdata.client.driving` runs them without any event loop.
"""

from typing import Protocol

from marketdata.client.methods import Method, Request_contra, Response_co


class Answers(Protocol[Response_co]):
    """The responses of a call, one after the other."""

    async def read(self) -> Response_co | None:
        """Wait for the next response; None at the end.

        Raises
        ------
        ServiceError
            The call failed.
        """

    def cancel(self) -> None:
        """End the call, whatever has not been read; nothing happens where it has ended."""


class Exchange(Answers[Response_co], Protocol[Request_contra, Response_co]):
    """A call whose requests go up while its responses come down."""

    async def settle(self) -> None:
        """Give a call that is refused at once the time to be, before anything is sent."""

    async def write(self, request: Request_contra) -> None:
        """Send a request, as soon as flow control lets it.

        A call that has ended takes it and drops it: `read` says how the call ended.
        """

    async def end(self) -> None:
        """Tell the service that no request follows."""


class Transport(Protocol):
    """Makes calls over a channel. Timeouts are seconds from now; None is no deadline."""

    async def call(
        self,
        method: Method[Request_contra, Response_co],
        request: Request_contra,
        timeout_seconds: float | None,
    ) -> Response_co:
        """Make a call of one request and one response.

        Raises
        ------
        ServiceError
            The call failed.
        """

    def stream(
        self,
        method: Method[Request_contra, Response_co],
        request: Request_contra,
        timeout_seconds: float | None,
    ) -> Answers[Response_co]:
        """Begin a call of one request and many responses."""

    def exchange(
        self, method: Method[Request_contra, Response_co], timeout_seconds: float | None
    ) -> Exchange[Request_contra, Response_co]:
        """Begin a call of many requests and many responses."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    async def close(self) -> None:
        """Close the channel; calls under way are cancelled."""
